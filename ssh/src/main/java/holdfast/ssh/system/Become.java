package holdfast.ssh.system;

import holdfast.ssh.octets.Octets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * How a child of root becomes a user: by programs of util-linux, since the VM cannot run code
 * between fork and exec, and PAM's session modules would change the server itself.
 *
 * <p>What each way does and costs, tried with util-linux 2.38:
 *
 * <ul>
 *   <li>A login shell with PAM: {@code runuser -l -w NAMES USER}, PAM's service runuser-l (with
 *       pam_systemd where the system has it). The environment is kept by name, or given its value
 *       again where runuser has its own.
 *   <li>Anything else with PAM: {@code runuser -u USER -- PROGRAM}, PAM's service runuser. The
 *       environment is kept. About 6 ms.
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
 *
 * <p>In another root ({@link Cage}) {@code unshare --root --wd --setuid} comes last: it changes the
 * root, then the directory, then the user, and execs what lies inside. Until then the process is
 * root's, or with PAM, whose session runuser opens as the user, root's again: of all that root may
 * do it keeps over runuser what is needed to become root anew, which also hides it from the user's
 * other processes meanwhile. So nothing of the user's ever runs outside, and nothing that is inside
 * ever has more than the user's rights.
 *
 * <p>What the client or the user put into the environment is not for the programs that run as root
 * on the way, whose loader and libraries would obey it: it travels under other names ({@link
 * #TRAVELS_AS}) and has its own again in a shell that runs as the user.
 */
public final class Become {

    /**
     * Another root for a program: ChrootDirectory.
     *
     * @param directory where it begins, as seen inside; it can be entered
     * @param bash as seen inside; null: it has none
     * @param sh whether it has a /bin/sh
     */
    public record Cage(Path root, String directory, @Nullable Path bash, boolean sh) {}

    /** Before the name of a variable that is for the program alone. */
    private static final String TRAVELS_AS = "HOLDFAST_KEPT_";

    /** What sshd itself sets, or a locale: nothing that a loader or a library runs code for. */
    private static final Pattern HARMLESS =
            Pattern.compile(
                    "USER|LOGNAME|HOME|PATH|MAIL|SHELL|TERM|DISPLAY|HOLDFAST_X11|LANG"
                            + "|(?:LC|SSH)_[A-Za-z0-9_]*");

    /** What a shell can set: not bash's own constants, in which there is no harm. */
    private static final Pattern SETTABLE =
            Pattern.compile(
                    "(?!(?:UID|EUID|PPID|SHELLOPTS|BASHOPTS|BASH_VERSINFO|_)$)"
                            + "[A-Za-z_][A-Za-z0-9_]*");

    /** A shell's depth below others that bash takes as it is. */
    private static final Pattern LEVEL = Pattern.compile("[0-9]{1,2}");

    private static final List<Path> RUNUSER =
            List.of(Path.of("/usr/sbin/runuser"), Path.of("/sbin/runuser"));
    private static final List<Path> SETPRIV =
            List.of(Path.of("/usr/bin/setpriv"), Path.of("/bin/setpriv"));
    private static final List<Path> UNSHARE =
            List.of(Path.of("/usr/bin/unshare"), Path.of("/bin/unshare"));
    private static final List<Path> BASH = List.of(Path.of("/bin/bash"), Path.of("/usr/bin/bash"));
    private static final Path SH = Path.of("/bin/sh");

    /** The program's errors where they belong; what it inherits besides is as ever. */
    private static final String RETURNED = " 2>&3 3>&-";

    private static final String NAMED = "exec -a \"$0\" -- \"$@\"";

    /**
     * Has a bash that execs leave no SHLVL behind, which it would set at that moment: what the name
     * stands for then can be exported, and is not.
     */
    private static final String LEVELLESS = "unset SHLVL; declare -n SHLVL=FUNCNAME 2>/dev/null; ";

    private static final String PLAIN = "exec \"$@\"";

    private Become() {}

    /**
     * A child that will run {@code program} as the user, through PAM's session modules or without.
     * When this process is not root, or the user is root and PAM is not asked for, just that
     * program. What is added to the result's arguments is added to the program's.
     *
     * @param cage null: in the machine's own root
     * @param home where it begins, entered with the user's own rights (which may be more than
     *     root's, on a network's file system); if that cannot be, its errors say so and it begins
     *     in the root directory, as without any. In a cage it is the cage that says it
     * @param argv0 the first argument, as {@code -bash}; in a cage without bash the program's path
     * @throws SystemException when the program that could do it is not there: never the program
     *     itself as root, and never outside its cage
     */
    public static Spawn as(
            Account account,
            boolean pam,
            @Nullable Cage cage,
            @Nullable Path home,
            Path program,
            String argv0,
            List<String> arguments,
            Map<String, String> environment)
            throws SystemException {
        if (cage == null && (!Accounts.privileged() || (account.uid() == 0 && !pam))) {
            Spawn spawn = Spawn.of(program).name(argv0).environment(environment);
            if (home != null) {
                spawn.directory(home, Path.of("/"));
            }
            arguments.forEach(spawn::argument);
            return spawn;
        }
        Map<String, String> carried = new LinkedHashMap<>();
        String unpack =
                packed(
                        environment,
                        carried,
                        cage,
                        pam ? account : null,
                        argv0.startsWith("-") && arguments.isEmpty());
        Spawn spawn =
                cage == null
                        ? outside(
                                account,
                                pam,
                                home,
                                program,
                                argv0,
                                arguments.isEmpty(),
                                carried,
                                unpack)
                        : inside(
                                account,
                                pam,
                                cage,
                                program,
                                argv0,
                                arguments.isEmpty(),
                                carried,
                                unpack);
        arguments.forEach(spawn::argument);
        return spawn;
    }

    /** Everything but the arguments, in the machine's own root. */
    private static Spawn outside(
            Account account,
            boolean pam,
            @Nullable Path home,
            Path program,
            String argv0,
            boolean alone,
            Map<String, String> environment,
            String unpack)
            throws SystemException {
        boolean login = argv0.startsWith("-") && alone;
        Path bash = found(BASH);
        String first = (home == null ? "" : entered(home, bash != null, pam ? 3 : 2)) + unpack;
        Spawn spawn;
        if (pam && login && bash != null && program.equals(account.shell())) {
            // Its shell is only to become the user's; --noprofile, or it would read the profile.
            return Spawn.of(must("runuser", RUNUSER))
                    .environment(environment)
                    .reported()
                    .argument("-l")
                    .argument("-s")
                    .argument(bash.toString())
                    .argument("-w")
                    .argument(kept(environment))
                    .argument(account.name())
                    .argument("--")
                    .argument("--noprofile")
                    .argument("-p")
                    .argument("-c")
                    .argument(named(audited(account) + "SHELL=\"$1\"; " + first) + RETURNED)
                    .argument(argv0)
                    .argument(Octets.text(program));
        }
        if (pam) {
            spawn = Spawn.of(must("runuser", RUNUSER)).environment(environment).reported();
            runuser(account).forEach(spawn::argument);
            shell(spawn, bash, audited(account) + first, RETURNED, argv0, program);
        } else {
            spawn =
                    setpriv(account, environment)
                            .argument("--reuid=" + Integer.toUnsignedString(account.uid()))
                            .argument("--");
            if (!first.isEmpty() || (bash != null && !argv0.equals(Octets.text(program)))) {
                shell(spawn, bash, first, "", argv0, program);
            } else {
                bash = null;
                spawn.argument(Octets.text(program));
            }
        }
        if (bash == null && login) {
            // Every shell of /etc/shells takes it.
            spawn.argument("-l");
        }
        return spawn;
    }

    /** The same in another root. */
    private static Spawn inside(
            Account account,
            boolean pam,
            Cage cage,
            Path program,
            String argv0,
            boolean alone,
            Map<String, String> environment,
            String unpack)
            throws SystemException {
        Path setpriv = must("setpriv", SETPRIV);
        Path unshare = must("unshare", UNSHARE);
        Spawn spawn;
        if (pam) {
            spawn =
                    Spawn.of(setpriv)
                            .environment(environment)
                            .reported()
                            .argument("--inh-caps=+setuid,+setpcap")
                            .argument("--ambient-caps=+setuid,+setpcap")
                            .argument("--securebits=+no_setuid_fixup")
                            .argument("--")
                            .argument(must("runuser", RUNUSER).toString());
            runuser(account).forEach(spawn::argument);
            // Not bash, which would read files of the user's when SSH_CLIENT is there.
            shell(spawn, null, audited(account), RETURNED, setpriv.toString(), setpriv);
            spawn.argument("--reuid=0")
                    .argument("--securebits=-no_setuid_fixup")
                    .argument("--inh-caps=-all")
                    .argument("--ambient-caps=-all");
        } else {
            spawn = setpriv(account, environment);
        }
        spawn.argument("--")
                .argument(unshare.toString())
                .argument("--root=" + Octets.text(cage.root()))
                .argument("--wd=" + cage.directory())
                .argument("--setuid=" + Integer.toUnsignedString(account.uid()))
                .argument("--");
        Path bash = cage.bash();
        if (bash != null || (cage.sh() && !unpack.isEmpty())) {
            shell(spawn, bash, unpack, "", argv0, program);
        } else {
            spawn.argument(Octets.text(program));
        }
        if (bash == null && argv0.startsWith("-") && alone) {
            spawn.argument("-l");
        }
        return spawn;
    }

    /** What runuser is told, so that it runs as {@code account} what follows. */
    private static List<String> runuser(Account account) {
        return List.of("-u", account.name(), "--");
    }

    /** Everything of the account's but who it is, which comes at once or at the last. */
    private static Spawn setpriv(Account account, Map<String, String> environment)
            throws SystemException {
        return Spawn.of(must("setpriv", SETPRIV))
                .environment(environment)
                .argument("--regid=" + Integer.toUnsignedString(account.gid()))
                .argument("--groups=" + groups(account));
    }

    /**
     * What pam_loginuid does, which runuser's service has not: whose login it is for the kernel's
     * audit, which anybody may say once, where nobody has.
     */
    private static String audited(Account account) {
        return "{ echo "
                + Integer.toUnsignedString(account.uid())
                + " >/proc/self/loginuid; } 2>/dev/null; ";
    }

    /**
     * A shell's words that enter the home, or say why not on descriptor {@code errors}; of where it
     * has been and is they leave the program nothing. Bash's errors end with the system's words.
     */
    private static String entered(Path home, boolean bash, int errors) {
        String there = "'" + Octets.text(home).replace("'", "'\\''") + "'";
        String words =
                bash
                        ? "$(LC_ALL=C; w=$(cd -- " + there + " 2>&1); printf %s \"${w##*: }\")"
                        : "$(if [ -d "
                                + there
                                + " ]; then echo Permission denied; elif [ -e "
                                + there
                                + " ]; then echo Not a directory;"
                                + " else echo No such file or directory; fi)";
        return "cd -- "
                + there
                + " 2>/dev/null || printf '%s\\n' \"Could not chdir to home directory \""
                + there
                + "\": "
                + words
                + "\" >&"
                + errors
                + "; unset PWD OLDPWD; ";
    }

    /** A bash's script that becomes the program, by the name that it is given. */
    private static String named(String first) {
        return (first.contains("export SHLVL=") ? first : LEVELLESS + first) + NAMED;
    }

    /** A shell's script that becomes the program; what is added after it is the program's. */
    private static void shell(
            Spawn spawn,
            @Nullable Path bash,
            String first,
            String redirected,
            String argv0,
            Path program) {
        if (bash != null) {
            // Nothing of the environment (BASH_ENV, functions) is run on the way, nor ~/.bashrc,
            // which bash takes for its own wherever it finds SSH_CLIENT.
            spawn.argument(bash.toString())
                    .argument("--norc")
                    .argument("-p")
                    .argument("-c")
                    .argument(named(first) + redirected)
                    .argument(argv0);
        } else {
            spawn.argument(SH.toString())
                    .argument("-c")
                    .argument(first + PLAIN + redirected)
                    .argument("sh");
        }
        spawn.argument(Octets.text(program));
    }

    /**
     * Puts the environment into {@code carried}, what is the program's alone under other names, and
     * so is what runuser would say anew in its own way.
     *
     * <p>All of it is left out in a cage without a shell.
     *
     * @param runuser whom runuser says HOME, USER and LOGNAME of; null: it is not on the way
     * @param login whether it says PATH too, as login.defs has it
     * @return a shell's words that give everything its name again
     */
    private static String packed(
            Map<String, String> environment,
            Map<String, String> carried,
            @Nullable Cage cage,
            @Nullable Account runuser,
            boolean login) {
        boolean shell = cage == null || cage.sh() || cage.bash() != null;
        StringBuilder unpack = new StringBuilder();
        environment.forEach((name, value) -> {
            if (HARMLESS.matcher(name).matches() && !(shell && said(runuser, login, name, value))) {
                carried.put(name, value);
            } else if (!shell) {
                // Nobody could give it its name.
            } else if (SETTABLE.matcher(name).matches()) {
                String as = TRAVELS_AS + name;
                carried.put(as, value);
                unpack.append("export ")
                        .append(name)
                        .append("=\"$")
                        .append(as)
                        .append("\"; unset ")
                        .append(as)
                        .append("; ");
                if (name.equals("SHLVL") && LEVEL.matcher(value).matches()) {
                    // One less is left of it by a bash that execs.
                    unpack.append("[ -z \"${BASH_VERSION-}\" ] || SHLVL=")
                            .append(Integer.parseInt(value) + 1)
                            .append("; ");
                }
            } else if (cage == null || !name.startsWith("BASH_FUNC_")) {
                // A shell of root's has functions from it.
                carried.put(name, value);
            }
        });
        return unpack.toString();
    }

    /** Whether runuser would have another value for this. */
    private static boolean said(
            @Nullable Account runuser, boolean login, String name, String value) {
        return runuser != null
                && switch (name) {
                    case "HOME" -> !value.equals(Octets.text(runuser.home()));
                    case "PATH" -> login;
                    case "SHELL" -> login && !value.equals(Octets.text(runuser.shell()));
                    case "USER", "LOGNAME" -> !value.equals(runuser.name());
                    default -> false;
                };
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
