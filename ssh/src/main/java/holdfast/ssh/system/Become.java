package holdfast.ssh.system;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * How a child of root becomes a user: by programs of util-linux, since the VM cannot run code
 * between fork and exec, and PAM's session modules would change the server itself.
 *
 * <p>What each way does and costs, tried with util-linux 2.38:
 *
 * <ul>
 *   <li>A login shell with PAM: {@code runuser -l -w NAMES USER}, PAM's service runuser-l (with
 *       pam_systemd where the system has it). HOME, USER, LOGNAME and PATH are runuser's own
 *       (login.defs), the rest of the environment is kept by name; it enters the home itself.
 *   <li>Anything else with PAM: {@code runuser -u USER -- PROGRAM}, PAM's service runuser. The
 *       environment is kept, but for HOME, USER and LOGNAME, which are the account's. About 6 ms.
 *   <li>Without PAM: {@code setpriv --reuid --regid --init-groups -- PROGRAM}, no process besides
 *       the program's own. About 1 ms.
 * </ul>
 *
 * <p>With PAM a second process, runuser, waits in the same group to close the session. It would put
 * words of its own among the program's errors, and make 128 + n of a signal n. So its standard
 * error is a pipe of ours ({@link Spawn#reported}), which tells a signal from a status, and the
 * program gets the true one back by the redirection of a shell that execs it and is gone. That same
 * bash, where there is one, says a first argument that is not the program's path, as OpenSSH's
 * {@code bash} for {@code /bin/bash}.
 */
public final class Become {

    private static final List<Path> RUNUSER =
            List.of(Path.of("/usr/sbin/runuser"), Path.of("/sbin/runuser"));
    private static final List<Path> SETPRIV =
            List.of(Path.of("/usr/bin/setpriv"), Path.of("/bin/setpriv"));
    private static final List<Path> BASH = List.of(Path.of("/bin/bash"), Path.of("/usr/bin/bash"));

    /** The program's errors where they belong; what it inherits besides is as ever. */
    private static final String RETURNED = " 2>&3 3>&-";

    private Become() {}

    /**
     * A child that will run {@code program} as the user, through PAM's session modules or without.
     * When this process is not root, or the user is root and PAM is not asked for, just that
     * program. What is added to the result's arguments is added to the program's.
     *
     * @param argv0 the first argument, as {@code -bash}
     * @throws SystemException when the program that could do it is not there: never the program
     *     itself as root
     */
    public static Spawn as(
            Account account,
            boolean pam,
            Path program,
            String argv0,
            List<String> arguments,
            Map<String, String> environment)
            throws SystemException {
        if (!Accounts.privileged() || (account.uid() == 0 && !pam)) {
            Spawn spawn = Spawn.of(program).name(argv0).environment(environment);
            arguments.forEach(spawn::argument);
            return spawn;
        }
        boolean login = argv0.startsWith("-") && arguments.isEmpty();
        Path bash = found(BASH);
        Spawn spawn;
        if (pam && login && bash != null && program.equals(account.shell())) {
            // Its shell is only to become the user's; --noprofile, or it would read the profile.
            spawn =
                    Spawn.of(must("runuser", RUNUSER))
                            .environment(environment)
                            .reported()
                            .argument("-l")
                            .argument("-s")
                            .argument(bash.toString())
                            .argument("-w")
                            .argument(kept(environment))
                            .argument(account.name())
                            .argument("--")
                            .argument("--noprofile");
            return by(
                    spawn,
                    bash,
                    "SHELL=\"$1\"; exec -a \"$0\" -- \"$@\"" + RETURNED,
                    argv0,
                    program);
        }
        if (pam) {
            spawn =
                    Spawn.of(must("runuser", RUNUSER))
                            .environment(environment)
                            .reported()
                            .argument("-u")
                            .argument(account.name())
                            .argument("--");
            if (bash != null) {
                spawn.argument(bash.toString());
                by(spawn, bash, "exec -a \"$0\" -- \"$@\"" + RETURNED, argv0, program);
            } else {
                spawn.argument("/bin/sh");
                by(spawn, null, "exec \"$@\"" + RETURNED, "sh", program);
            }
        } else {
            spawn =
                    Spawn.of(must("setpriv", SETPRIV))
                            .environment(environment)
                            .argument("--reuid=" + Integer.toUnsignedString(account.uid()))
                            .argument("--regid=" + Integer.toUnsignedString(account.gid()))
                            .argument("--groups=" + groups(account))
                            .argument("--");
            if (bash != null && !argv0.equals(program.toString())) {
                spawn.argument(bash.toString());
                by(spawn, bash, "exec -a \"$0\" -- \"$@\"", argv0, program);
            } else {
                bash = null;
                spawn.argument(program.toString());
            }
        }
        if (bash == null && login) {
            // Every shell of /etc/shells takes it.
            spawn.argument("-l");
        }
        arguments.forEach(spawn::argument);
        return spawn;
    }

    /** A shell's script that becomes the program; what is added after it is the program's. */
    private static Spawn by(
            Spawn spawn, @Nullable Path bash, String script, String argv0, Path program) {
        if (bash != null) {
            // Nothing of the environment (BASH_ENV, functions) is run on the way.
            spawn.argument("-p");
        }
        return spawn.argument("-c").argument(script).argument(argv0).argument(program.toString());
    }

    /** Names only: a comma separates them, and what has one is not kept. */
    private static String kept(Map<String, String> environment) {
        List<String> names = new ArrayList<>();
        for (String name : environment.keySet()) {
            if (name.indexOf(',') < 0) {
                names.add(name);
            }
        }
        return String.join(",", names);
    }

    private static String groups(Account account) {
        List<String> numbers = new ArrayList<>();
        numbers.add(Integer.toUnsignedString(account.gid()));
        for (int gid : account.groups()) {
            if (gid != account.gid()) {
                numbers.add(Integer.toUnsignedString(gid));
            }
        }
        return String.join(",", numbers);
    }

    private static Path must(String name, List<Path> places) throws SystemException {
        Path found = found(places);
        if (found == null) {
            throw new SystemException(name, Native.ENOENT);
        }
        return found;
    }

    private static @Nullable Path found(List<Path> places) {
        for (Path place : places) {
            if (Files.isExecutable(place)) {
                return place;
            }
        }
        return null;
    }
}
