package holdfast.ssh.server.session;

import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.ServerTokens;
import holdfast.ssh.server.Login;
import holdfast.ssh.system.Account;
import holdfast.ssh.system.Accounts;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The root directory of a file transfer, and where relative names begin in it.
 *
 * @param root null: the machine's own
 * @param home as seen from {@code root}
 */
record Chroot(@Nullable Path root, String home) {

    private static final int GROUP_OR_OTHERS_WRITE = 022;

    /**
     * As ChrootDirectory says; every part of it must be root's own and writable by nobody else.
     *
     * @throws IOException in OpenSSH's words when it is not
     */
    static Chroot of(Login login) throws IOException {
        Account account = login.account();
        String configured = login.settings().chrootDirectory();
        if (configured == null || configured.equalsIgnoreCase("none")) {
            return new Chroot(null, account.home().toString());
        }
        String text = expand(configured, account);
        if (!text.startsWith("/")) {
            throw new IOException("chroot path does not begin at root");
        }
        Path root = Path.of(text).normalize();
        Path part = Path.of("/");
        check(part, root);
        for (Path name : root) {
            part = part.resolve(name);
            check(part, root);
        }
        if (!Accounts.privileged()) {
            throw new IOException("chroot(\"" + root + "\"): Operation not permitted");
        }
        Path inside = root.resolve(Path.of("/").relativize(account.home()));
        return new Chroot(root, Files.isDirectory(inside) ? account.home().toString() : "/");
    }

    private static void check(Path part, Path whole) throws IOException {
        Map<String, Object> facts;
        try {
            facts = Files.readAttributes(part, "unix:uid,mode,isDirectory");
        } catch (IOException e) {
            throw new IOException("stat(\"" + part + "\"): No such file or directory", e);
        }
        String what = part.equals(whole) ? "" : "component ";
        if (!Integer.valueOf(0).equals(facts.get("uid"))
                || !(facts.get("mode") instanceof Integer mode)
                || (mode & GROUP_OR_OTHERS_WRITE) != 0) {
            throw new IOException(
                    "bad ownership or modes for chroot directory " + what + "\"" + part + "\"");
        }
        if (!Boolean.TRUE.equals(facts.get("isDirectory"))) {
            throw new IOException("chroot path " + what + "\"" + part + "\" is not a directory");
        }
    }

    /**
     * The tokens of ChrootDirectory, and of sftp-server's -d: %h or %d home, %u name, %U number.
     */
    static String expand(String text, Account account) throws IOException {
        String home = account.home().toString();
        Map<Character, String> tokens =
                new HashMap<>(
                        ServerTokens.ofUser(
                                account.name(), Integer.toUnsignedLong(account.uid()), home));
        tokens.put('d', home);
        String done;
        try {
            done = ServerTokens.expand(text, tokens);
        } catch (ConfigException e) {
            throw new IOException(e.text(), e);
        }
        if (done.equals("~") || done.startsWith("~/")) {
            return account.home() + done.substring(1);
        }
        return done;
    }
}
