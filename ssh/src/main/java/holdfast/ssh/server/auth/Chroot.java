package holdfast.ssh.server.auth;

import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.ServerTokens;
import holdfast.ssh.log.Log;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.system.Account;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** Whether ChrootDirectory may be a user's root: OpenSSH's safely_chroot (session.c). */
final class Chroot {

    private static final int GROUP_OR_OTHERS_WRITE = 022;

    private Chroot() {}

    /**
     * The directory that {@code configured} names, every part of which is root's own and writable
     * by nobody else.
     *
     * @throws IOException in OpenSSH's words if it is not, or this process is not root
     */
    static Path of(String configured, Account account, boolean privileged, Log log)
            throws IOException {
        if (!privileged) {
            throw new IOException("server lacks privileges to chroot to ChrootDirectory");
        }
        String text = expand(configured, account);
        if (!text.startsWith("/")) {
            throw new IOException("chroot path does not begin at root");
        }
        for (int at = 0; at >= 0; ) {
            at = text.indexOf('/', at);
            at = at < 0 ? at : at + 1;
            String component = at < 0 ? text : text.substring(0, at);
            log.debug3("safely_chroot: checking '" + component + "'");
            check(component, at < 0 ? "" : "component ");
        }
        return Octets.path(text);
    }

    private static void check(String part, String what) throws IOException {
        Map<String, Object> facts;
        try {
            facts = Files.readAttributes(Octets.path(part), "unix:uid,mode,isDirectory");
        } catch (IOException e) {
            throw new IOException(
                    "safely_chroot: stat(\"" + part + "\"): No such file or directory", e);
        }
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

    private static String expand(String text, Account account) throws IOException {
        String home = Octets.text(account.home());
        try {
            return ServerTokens.expand(
                    text.equals("~") || text.startsWith("~/") ? home + text.substring(1) : text,
                    ServerTokens.ofUser(
                            account.name(), Integer.toUnsignedLong(account.uid()), home));
        } catch (ConfigException e) {
            throw new IOException(e.text(), e);
        }
    }
}
