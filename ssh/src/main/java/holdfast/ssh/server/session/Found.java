package holdfast.ssh.server.session;

import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.server.Login;
import holdfast.ssh.system.Account;
import holdfast.ssh.system.AsUser;
import holdfast.ssh.system.Become;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;

/**
 * What a session finds in its user's root directory before a program of theirs runs.
 *
 * @param entered whether the user's home is there and can be entered
 * @param shell whether the user's shell is there; without a cage it was at the login
 * @param bash a shell that can run another under any name; null: none
 * @param sh whether there is a /bin/sh
 * @param userRc ~/.ssh/rc, if it is there
 * @param systemRc /etc/ssh/sshrc, if it is there
 * @param hushed whether the user wants no greeting
 * @param motd null: none
 * @param nologin why nobody but root may come in now; null: they may
 * @param environment the lines of ~/.ssh/environment where that may be read
 */
record Found(
        boolean entered,
        boolean shell,
        @Nullable Path bash,
        boolean sh,
        @Nullable Path userRc,
        @Nullable Path systemRc,
        boolean hushed,
        @Nullable String motd,
        @Nullable String nologin,
        List<String> environment) {

    private static final Path BASH = Path.of("/bin/bash");
    private static final Path USR_BASH = Path.of("/usr/bin/bash");
    private static final Path SH = Path.of("/bin/sh");
    private static final Path SYSTEM_RC = Path.of("/etc/ssh/sshrc");
    private static final Path MOTD = Path.of("/etc/motd");
    private static final Path NOLOGIN = Path.of("/etc/nologin");
    private static final Set<PosixFilePermission> EXECUTABLE =
            Set.of(
                    PosixFilePermission.OWNER_EXECUTE,
                    PosixFilePermission.GROUP_EXECUTE,
                    PosixFilePermission.OTHERS_EXECUTE);
    private static final long MAX_TEXT_BYTES = 64 * 1024;

    /** OpenSSH's bound on lines of an environment file. */
    private static final int MAX_LINES = 1000;

    private static final long MAX_FILE_BYTES = 256 * 1024;

    /** For a program of the user's; null where their root directory is the machine's own. */
    Become.@Nullable Cage cage(Login login) {
        Path root = login.root();
        String home = Octets.text(login.account().home());
        return root == null ? null : new Become.Cage(root, entered ? home : "/", bash, sh);
    }

    /**
     * Looks, with the user's own rights where what is read is theirs. May block.
     *
     * @param greeted whether what a greeting says is wanted
     */
    static Found by(Login login, boolean greeted) throws IOException {
        if (login.root() == null && login.settings().permitUserEnvironment() == null) {
            Found found = look(login, greeted);
            if (found.userRc == null && entered(login.account().home())) {
                return found;
            }
            // There is a script that the user may not reach, or a home that root may not enter.
        }
        return own(login, () -> look(login, greeted));
    }

    /** Where a user's names begin that are not absolute, as seen in their root directory. */
    static String home(Login login) throws IOException {
        Path home = login.account().home();
        return own(login, () -> entered(home)) ? Octets.text(home) : "/";
    }

    /**
     * Does something with the user's rights in the user's root directory; may block. It starts no
     * thread (see {@link AsUser}), and needs no class of ours that is not there yet.
     */
    static <T> T own(Login login, Callable<T> task) throws IOException {
        try (AsUser user = AsUser.of(login.account(), login.root(), null)) {
            return user.call(task);
        } catch (IOException | RuntimeException e) {
            throw e;
        } catch (Exception e) {
            throw new IOException(e.getMessage(), e);
        }
    }

    /** In another root no class of ours can be looked for: only this one, which is there. */
    private static Found look(Login login, boolean greeted) {
        Account account = login.account();
        ServerSettings settings = login.settings();
        Path home = account.home();
        Path userRc = home.resolve(".ssh/rc");
        Path bash = bash(BASH) ? BASH : bash(USR_BASH) ? USR_BASH : null;
        Path root = login.root();
        return new Found(
                root == null || entered(home),
                root == null || there(account.shell()),
                bash,
                root == null || there(SH),
                exists(userRc) ? userRc : null,
                Files.exists(SYSTEM_RC) ? SYSTEM_RC : null,
                exists(home.resolve(".hushlogin")),
                greeted && settings.printMotd() ? text(MOTD) : null,
                nologin(account, settings),
                settings.permitUserEnvironment() == null
                        ? List.of()
                        : lines(home.resolve(".ssh/environment")));
    }

    /** A name behind it asks for the right to enter it. */
    private static boolean entered(Path directory) {
        return Files.isDirectory(directory.resolve("."));
    }

    /** By what stat(2) says: {@link Files#exists} asks for the real user, who is root. */
    static boolean exists(Path file) {
        try {
            Files.readAttributes(file, BasicFileAttributes.class);
            return true;
        } catch (IOException e) {
            return false;
        }
    }

    /** A program that somebody may run, by what stat(2) says. */
    private static boolean there(Path program) {
        try {
            PosixFileAttributes file = Files.readAttributes(program, PosixFileAttributes.class);
            return file.isRegularFile() && !Collections.disjoint(file.permissions(), EXECUTABLE);
        } catch (IOException e) {
            return false;
        }
    }

    /** Not what only goes by that name, as busybox does. */
    private static boolean bash(Path program) {
        try {
            return there(program) && program.toRealPath().endsWith("bash");
        } catch (IOException e) {
            return false; // it went away
        }
    }

    private static @Nullable String nologin(Account account, ServerSettings settings) {
        if (settings.usePam() || account.uid() == 0 || !Files.exists(NOLOGIN)) {
            return null;
        }
        String text = text(NOLOGIN);
        return text == null ? "" : text;
    }

    private static @Nullable String text(Path file) {
        try {
            return Files.isRegularFile(file) && Files.size(file) <= MAX_TEXT_BYTES
                    ? Octets.text(Files.readAllBytes(file))
                    : null;
        } catch (IOException e) {
            // As OpenSSH: what cannot be read is not shown.
            return null;
        }
    }

    /** At most {@link #MAX_LINES} of a file; none of one that is not there. */
    static List<String> lines(Path file) {
        try {
            return Files.isRegularFile(file) && Files.size(file) <= MAX_FILE_BYTES
                    ? Octets.text(Files.readAllBytes(file)).lines().limit(MAX_LINES).toList()
                    : List.of();
        } catch (IOException e) {
            // As OpenSSH: what cannot be read is not there.
            return List.of();
        }
    }
}
