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
 *       pam_systemd where the system has it). HOME, SHELL, USER, LOGNAME and PATH are runuser's own
 *       (login.defs), the rest of the environment is kept by name; it enters the home itself.
 *   <li>Anything else with PAM: {@code runuser -u USER -- PROGRAM}, PAM's service runuser. The
 *       environment is kept, but for HOME, USER and LOGNAME, which are the account's. About 6 ms.
 *   <li>Without PAM: {@code setpriv --reuid --regid --init-groups -- PROGRAM}, no process besides
 *       the program's own. About 1 ms.
 * </ul>
 *
 * <p>All pass on the status. With PAM a second process waits, in the same group, to close the
 * session: a signal n that ends the program becomes status 128 + n and a word on standard error;
 * setpriv leaves it the signal it is. Where the first argument is not the program's path, as
 * OpenSSH's {@code bash} for {@code /bin/bash}, one more exec of bash says it, if there is a bash.
 */
public final class Become {

    private static final List<Path> RUNUSER =
            List.of(Path.of("/usr/sbin/runuser"), Path.of("/sbin/runuser"));
    private static final List<Path> SETPRIV =
            List.of(Path.of("/usr/bin/setpriv"), Path.of("/bin/setpriv"));
    private static final List<Path> BASH = List.of(Path.of("/bin/bash"), Path.of("/usr/bin/bash"));

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
        if (pam && login && program.equals(account.shell())) {
            return Spawn.of(must("runuser", RUNUSER))
                    .environment(environment)
                    .argument("-l")
                    .argument("-w")
                    .argument(kept(environment))
                    .argument(account.name());
        }
        Path by = pam ? must("runuser", RUNUSER) : must("setpriv", SETPRIV);
        Spawn spawn = Spawn.of(by).environment(environment);
        if (pam) {
            spawn.argument("-u").argument(account.name());
        } else {
            spawn.argument("--reuid=" + Integer.toUnsignedString(account.uid()))
                    .argument("--regid=" + Integer.toUnsignedString(account.gid()))
                    .argument("--groups=" + groups(account));
        }
        spawn.argument("--");
        Path bash = argv0.equals(program.toString()) ? null : found(BASH);
        if (bash != null) {
            // -p: nothing of the environment (BASH_ENV, functions) is run on the way.
            spawn.argument(bash.toString())
                    .argument("-p")
                    .argument("-c")
                    .argument("exec -a \"$0\" -- \"$@\"")
                    .argument(argv0)
                    .argument(program.toString());
        } else {
            spawn.argument(program.toString());
            if (login) {
                // Every shell of /etc/shells takes it.
                spawn.argument("-l");
            }
        }
        arguments.forEach(spawn::argument);
        return spawn;
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
