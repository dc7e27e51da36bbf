package holdfast.ssh.system;

import holdfast.ssh.octets.Octets;
import holdfast.ssh.stream.Tap;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A child to be started: its own session, no signal ignored or held off, and none of our
 * descriptors but what is said here.
 *
 * <p>By posix_spawn: the VM is never forked. Not safe for several threads; {@link #start} waits for
 * the child's exec, some milliseconds, and so is not for a thread that must not wait.
 */
public final class Spawn {

    /** What a child without a terminal has for standard input, output and error. */
    public enum Stdio {
        /** /dev/null for all three. */
        NOTHING,
        /** A pipe each. */
        PIPES,
        /** As OpenSSH: one socket pair for input and output, another for errors. */
        SOCKETS
    }

    private static final int SETSIGDEF = 0x04;
    private static final int SETSIGMASK = 0x08;
    private static final int SETSID = 0x80;

    /** posix_spawnattr_t and posix_spawn_file_actions_t have 336 and 80 bytes in glibc. */
    private static final int ATTRIBUTE_BYTES = 1024;

    /** sigset_t: 1024 bits. */
    private static final int SIGSET_BYTES = 128;

    private static final int NONBLOCK_CLOEXEC = Native.O_NONBLOCK | Native.O_CLOEXEC;
    private static final int RLIMIT_NOFILE = 7;

    /**
     * The soft limit on descriptors that this process was started with, as the launcher says, or
     * else the kernel's own. The VM raises its own to the hard limit when it starts; a child that
     * inherited that would, for one, take minutes to close "all" descriptors.
     */
    private static final long SOFT_DESCRIPTORS = Long.getLong("holdfast.descriptors", 1024);

    private static final MemorySegment SPAWN = Native.symbol("posix_spawn");
    private static final MemorySegment ATTR_INIT = Native.symbol("posix_spawnattr_init");
    private static final MemorySegment ATTR_FLAGS = Native.symbol("posix_spawnattr_setflags");
    private static final MemorySegment ATTR_DEFAULT =
            Native.symbol("posix_spawnattr_setsigdefault");
    private static final MemorySegment ATTR_MASK = Native.symbol("posix_spawnattr_setsigmask");
    private static final MemorySegment ATTR_DESTROY = Native.symbol("posix_spawnattr_destroy");
    private static final MemorySegment ACTIONS_INIT =
            Native.symbol("posix_spawn_file_actions_init");
    private static final MemorySegment ACTIONS_OPEN =
            Native.symbol("posix_spawn_file_actions_addopen");
    private static final MemorySegment ACTIONS_DUP =
            Native.symbol("posix_spawn_file_actions_adddup2");
    private static final MemorySegment ACTIONS_CLOSEFROM =
            Native.symbol("posix_spawn_file_actions_addclosefrom_np");
    private static final MemorySegment ACTIONS_CHDIR =
            Native.symbol("posix_spawn_file_actions_addchdir_np");
    private static final MemorySegment ACTIONS_DESTROY =
            Native.symbol("posix_spawn_file_actions_destroy");
    private static final MemorySegment SOCKETPAIR = Native.symbol("socketpair");
    private static final MemorySegment PIPE2 = Native.symbol("pipe2");
    private static final MemorySegment PRLIMIT = Native.symbol("prlimit");

    private final Path program;
    private byte[] argv0;
    private final List<byte[]> arguments = new ArrayList<>();
    private Map<String, String> environment = Map.of();
    private Path directory = Path.of("/");
    private Path otherwise = Path.of("/");
    private Stdio stdio = Stdio.NOTHING;
    private @Nullable Pty pty;
    private boolean keepErrors;
    private boolean beside;
    private boolean outputAsErrors;
    private @Nullable List<byte[]> exactEnvironment;
    private int inherited = -1;
    private boolean reported;

    private Spawn(Path program) {
        this.program = program;
        this.argv0 = utf8(Octets.text(program));
    }

    /** Runs the file at this path; there is no search along PATH. */
    public static Spawn of(Path program) {
        return new Spawn(program);
    }

    /** What the program is told it is called, as {@code -bash}; its path unless said otherwise. */
    public Spawn name(String argv0) {
        this.argv0 = utf8(argv0);
        return this;
    }

    public Spawn argument(String argument) {
        arguments.add(utf8(argument));
        return this;
    }

    /** An argument whose bytes are no text, such as a command in a charset of the client's. */
    public Spawn argument(byte[] argument) {
        arguments.add(argument.clone());
        return this;
    }

    /** Its whole environment, in this order: nothing of ours is passed on. */
    public Spawn environment(Map<String, String> environment) {
        this.environment = environment;
        return this;
    }

    /** Where it starts; if that cannot be entered, in {@code otherwise}. Unsaid: in the root. */
    public Spawn directory(Path directory, Path otherwise) {
        this.directory = directory;
        this.otherwise = otherwise;
        return this;
    }

    /** Input, output and errors are this terminal, which controls the child. */
    public Spawn terminal(Pty pty) {
        this.pty = pty;
        return this;
    }

    public Spawn stdio(Stdio stdio) {
        this.stdio = stdio;
        return this;
    }

    /** Its standard error is ours. */
    Spawn keepErrors() {
        keepErrors = true;
        return this;
    }

    /**
     * A second of our own kind: in our session, process group and directory, with our output and
     * errors, the signals that we ignore ignored, and our limits; only its input is /dev/null.
     */
    Spawn beside() {
        beside = true;
        directory = Path.of("").toAbsolutePath();
        return this;
    }

    /** With {@link #beside}: what it has to say on its output it says as an error. */
    Spawn outputAsErrors() {
        outputAsErrors = true;
        return this;
    }

    /** In place of {@link #environment}: entries {@code NAME=VALUE} as they are. */
    Spawn exactEnvironment(List<byte[]> entries) {
        exactEnvironment = entries;
        return this;
    }

    /** Its descriptor 3 is this one of ours. */
    Spawn inherit(int fd) {
        inherited = fd;
        return this;
    }

    /**
     * Its standard error is a pipe that {@link Child} reads when it has ended, and its descriptor 3
     * what would have been its standard error: for a program that runs another and has words of its
     * own about that one's end ({@link Become}).
     */
    Spawn reported() {
        reported = true;
        return this;
    }

    /**
     * Starts it.
     *
     * @throws SystemException when it cannot be run, in the words of execve(2); nothing is left
     * @throws IllegalArgumentException for a zero byte in an argument or in the environment, or a
     *     name of the environment that is empty or has a {@code =}
     */
    public Child start() throws SystemException {
        // Descriptors by what becomes of them when it does not start, and when it does.
        List<Integer> theirs = new ArrayList<>();
        List<Tap> ours = new ArrayList<>();
        Pty terminal = pty;
        int[] report = {-1, -1};
        boolean started = false;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argv = strings(arena, argv());
            MemorySegment envp = strings(arena, envp());
            String slave = null;
            if (terminal != null) {
                ours.add(terminal.take());
                slave = terminal.name();
            } else {
                ends(theirs, ours);
            }
            if (reported) {
                report = pair(fds -> Native.call(PIPE2, fds.address(), NONBLOCK_CLOEXEC));
            }
            SystemException refused = null;
            int pid;
            try {
                pid = spawn(arena, argv, envp, slave, theirs, report[1], directory);
            } catch (SystemException e) {
                if (directory.equals(otherwise)) {
                    throw e;
                }
                pid = spawn(arena, argv, envp, slave, theirs, report[1], otherwise);
                refused = e;
            }
            started = true;
            if (!beside) {
                limit(arena, pid);
            }
            return Child.of(pid, ours, refused, report[0]);
        } finally {
            for (int fd : theirs) {
                Native.close(fd);
            }
            if (report[1] >= 0) {
                Native.close(report[1]);
            }
            if (!started) {
                if (report[0] >= 0) {
                    Native.close(report[0]);
                }
                if (terminal != null && !ours.isEmpty()) {
                    terminal.giveBack();
                } else {
                    ours.forEach(Tap::close);
                }
            }
        }
    }

    private List<byte[]> argv() {
        List<byte[]> all = new ArrayList<>();
        all.add(argv0);
        all.addAll(arguments);
        return all;
    }

    private List<byte[]> envp() {
        List<byte[]> exact = exactEnvironment;
        if (exact != null) {
            return exact;
        }
        List<byte[]> all = new ArrayList<>();
        environment.forEach((name, value) -> {
            if (name.isEmpty() || name.indexOf('=') >= 0) {
                throw new IllegalArgumentException("no name for the environment");
            }
            all.add(utf8(name + "=" + value));
        });
        return all;
    }

    /** Input, output, errors of the child into {@code theirs}; our ends into {@code ours}. */
    private void ends(List<Integer> theirs, List<Tap> ours) throws SystemException {
        switch (stdio) {
            case NOTHING -> {}
            case PIPES -> {
                for (int i = 0; i < 3; i++) {
                    int[] pipe =
                            pair(arena -> Native.call(PIPE2, arena.address(), Native.O_CLOEXEC));
                    boolean input = i == 0;
                    theirs.add(pipe[input ? 0 : 1]);
                    ours.add(new DescriptorTap(pipe[input ? 1 : 0], DescriptorTap.Kind.PIPE));
                }
            }
            case SOCKETS -> {
                for (int i = 0; i < 2; i++) {
                    int[] pair =
                            pair(fds ->
                                    Native.call(
                                            SOCKETPAIR,
                                            Native.AF_UNIX,
                                            Native.SOCK_STREAM_CLOEXEC,
                                            0,
                                            fds.address()));
                    theirs.add(pair[0]);
                    ours.add(new DescriptorTap(pair[1], DescriptorTap.Kind.SOCKET));
                }
            }
        }
    }

    private interface MakesTwo {
        int make(MemorySegment into);
    }

    private static int[] pair(MakesTwo call) throws SystemException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment fds = arena.allocate(8, 8);
            Native.must("pipe", call.make(fds));
            int first = Native.aboveInherited(fds.get(ValueLayout.JAVA_INT, 0));
            int second = Native.aboveInherited(fds.get(ValueLayout.JAVA_INT, 4));
            if (first < 0 || second < 0) {
                Native.close(first);
                Native.close(second);
                throw new SystemException("fcntl", -Math.min(first, second));
            }
            return new int[] {first, second};
        }
    }

    private int spawn(
            Arena arena,
            MemorySegment argv,
            MemorySegment envp,
            @Nullable String slave,
            List<Integer> theirs,
            int report,
            Path where)
            throws SystemException {
        MemorySegment attributes = arena.allocate(ATTRIBUTE_BYTES, 16);
        MemorySegment actions = arena.allocate(ATTRIBUTE_BYTES, 16);
        check("posix_spawnattr_init", Native.raw(ATTR_INIT, attributes.address(), 0, 0));
        check("posix_spawn_file_actions_init", Native.raw(ACTIONS_INIT, actions.address(), 0, 0));
        try {
            MemorySegment signals = arena.allocate(SIGSET_BYTES, 8);
            check(
                    "posix_spawnattr_setsigmask",
                    Native.raw(ATTR_MASK, attributes.address(), signals.address(), 0));
            signals.set(ValueLayout.JAVA_LONG, 0, -1L);
            check(
                    "posix_spawnattr_setsigdefault",
                    Native.raw(ATTR_DEFAULT, attributes.address(), signals.address(), 0));
            check(
                    "posix_spawnattr_setflags",
                    Native.raw(
                            ATTR_FLAGS,
                            attributes.address(),
                            beside ? SETSIGMASK : SETSID | SETSIGDEF | SETSIGMASK,
                            0));
            if (slave != null) {
                // The first terminal a session's leader opens becomes the one that controls it.
                open(arena, actions, 0, slave);
                dup(actions, 0, 1);
                dup(actions, 0, 2);
            } else if (theirs.isEmpty()) {
                open(arena, actions, 0, "/dev/null");
                if (!beside) {
                    dup(actions, 0, 1);
                } else if (outputAsErrors) {
                    dup(actions, 2, 1);
                }
                if (!beside && !keepErrors) {
                    dup(actions, 0, 2);
                }
            } else {
                dup(actions, theirs.get(0), 0);
                dup(actions, theirs.size() == 2 ? theirs.get(0) : theirs.get(1), 1);
                dup(actions, theirs.getLast(), 2);
            }
            int first = 3;
            if (report >= 0) {
                // All of theirs are where they belong by now, and the report is above this one.
                dup(actions, 2, 3);
                dup(actions, report, 2);
                first = 4;
            } else if (inherited >= 0) {
                dup(actions, inherited, 3);
                first = 4;
            }
            check(
                    "posix_spawn_file_actions_addclosefrom_np",
                    Native.raw(ACTIONS_CLOSEFROM, actions.address(), first, 0));
            check(
                    "posix_spawn_file_actions_addchdir_np",
                    Native.raw(
                            ACTIONS_CHDIR,
                            actions.address(),
                            Native.string(arena, Octets.text(where)).address(),
                            0));
            MemorySegment pid = arena.allocate(8, 8);
            int error =
                    (int)
                            Native.raw(
                                    SPAWN,
                                    pid.address(),
                                    Native.string(arena, Octets.text(program)).address(),
                                    actions.address(),
                                    attributes.address(),
                                    argv.address(),
                                    envp.address());
            if (error != 0) {
                throw new SystemException(program.toString(), error);
            }
            return pid.get(ValueLayout.JAVA_INT, 0);
        } finally {
            Native.raw(ACTIONS_DESTROY, actions.address(), 0, 0);
            Native.raw(ATTR_DESTROY, attributes.address(), 0, 0);
        }
    }

    private static void open(Arena arena, MemorySegment actions, int as, String path)
            throws SystemException {
        check(
                "posix_spawn_file_actions_addopen",
                Native.raw(
                        ACTIONS_OPEN,
                        actions.address(),
                        as,
                        Native.string(arena, path).address(),
                        Native.O_RDWR,
                        0,
                        0));
    }

    private static void dup(MemorySegment actions, int from, int to) throws SystemException {
        check(
                "posix_spawn_file_actions_adddup2",
                Native.raw(ACTIONS_DUP, actions.address(), from, to));
    }

    private static void check(String what, long result) throws SystemException {
        if ((int) result != 0) {
            throw new SystemException(what, (int) result);
        }
    }

    /**
     * Gives the child the soft limit it would have had without the VM. It runs by then, but a limit
     * is looked at when descriptors are opened by the hundred, not in the first moment.
     */
    private static void limit(Arena arena, int pid) {
        MemorySegment limit = arena.allocate(16, 8);
        if (Native.call(PRLIMIT, pid, RLIMIT_NOFILE, 0, limit.address()) == 0
                && Long.compareUnsigned(limit.get(ValueLayout.JAVA_LONG, 0), SOFT_DESCRIPTORS)
                        > 0) {
            limit.set(ValueLayout.JAVA_LONG, 0, SOFT_DESCRIPTORS);
            Native.call(PRLIMIT, pid, RLIMIT_NOFILE, limit.address(), 0);
        }
    }

    private static MemorySegment strings(Arena arena, List<byte[]> all) {
        MemorySegment pointers = arena.allocate(ValueLayout.JAVA_LONG, all.size() + 1L);
        for (int i = 0; i < all.size(); i++) {
            pointers.setAtIndex(
                    ValueLayout.JAVA_LONG, i, Native.bytes(arena, all.get(i)).address());
        }
        return pointers;
    }

    private static byte[] utf8(String text) {
        return Octets.bytes(text);
    }
}
