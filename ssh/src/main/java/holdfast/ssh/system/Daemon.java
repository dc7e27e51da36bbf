package holdfast.ssh.system;

import holdfast.ssh.terminal.Signals;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/** What makes a process a service, or one that goes on in the background. */
public final class Daemon {

    /** Tells a started process that somebody waits at descriptor 3 until it is ready. */
    private static final String WAITED_FOR = "HOLDFAST_READY";

    /** Tells a process which one it stands in for, that waits at descriptor 3. */
    private static final String STANDS_IN_FOR = "HOLDFAST_STANDS_IN_FOR";

    /** What it is called, so that it is known from programs that it starts. */
    private static final String STAND_IN_NAME = "holdfast-ssh";

    /** The launcher's word for what will not live long, which is not true of a stand-in. */
    private static final String COMPILE_LATE = "-XX:Tier3";

    private static final int READY_FD = 3;

    private static final int PR_SET_PDEATHSIG = 1;
    private static final int SIGTERM = 15;

    private static final int SOCK_DGRAM_CLOEXEC = 2 | Native.O_CLOEXEC;

    /** sun_path of sockaddr_un. */
    private static final int PATH_BYTES = 108;

    private static final int GROUP_AND_OTHERS_WRITE = 022;

    private static final Duration STATE_PATIENCE = Duration.ofSeconds(2);
    private static final int LONGEST_STATE = 64;

    /**
     * Apart, since who only asks {@link #standsIn} is spared the 25 ms that the first call costs.
     */
    private static final class Libc {
        static final MemorySegment SOCKET = Native.symbol("socket");
        static final MemorySegment SENDTO = Native.symbol("sendto");
        static final MemorySegment PIPE2 = Native.symbol("pipe2");
        static final MemorySegment READ = Native.symbol("read");
        static final MemorySegment WRITE = Native.symbol("write");
        static final MemorySegment OPEN = Native.symbol("open");
        static final MemorySegment DUP2 = Native.symbol("dup2");
        static final MemorySegment SETSID = Native.symbol("setsid");
        static final MemorySegment GETPPID = Native.symbol("getppid");
        static final MemorySegment KILL = Native.symbol("kill");
        static final MemorySegment PRCTL = Native.symbol("prctl");
        static final MemorySegment CHDIR = Native.symbol("chdir");
        static final MemorySegment UMASK = Native.symbol("umask");

        private Libc() {}
    }

    private Daemon() {}

    /**
     * Tells systemd (NOTIFY_SOCKET, sd_notify(3)): {@code READY=1}, {@code RELOADING=1}, {@code
     * STOPPING=1}.
     *
     * @return false if nobody wants to know
     */
    public static boolean notify(String state) {
        return notify(System.getenv().getOrDefault("NOTIFY_SOCKET", ""), state);
    }

    static boolean notify(String name, String state) {
        byte[] path = name.getBytes(StandardCharsets.UTF_8);
        boolean known = name.startsWith("/") || name.startsWith("@");
        if (!known || path.length < 2 || path.length >= PATH_BYTES) {
            return false;
        }
        if (path[0] == '@') {
            // An address in the kernel's own space of names.
            path[0] = 0;
        }
        byte[] text = state.getBytes(StandardCharsets.UTF_8);
        int fd = Native.call(Libc.SOCKET, Native.AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
        if (fd < 0) {
            return false;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment address = arena.allocate(2 + PATH_BYTES, 8);
            address.set(ValueLayout.JAVA_SHORT, 0, (short) Native.AF_UNIX);
            MemorySegment.copy(path, 0, address, ValueLayout.JAVA_BYTE, 2, path.length);
            MemorySegment message = arena.allocate(Math.max(1, text.length));
            MemorySegment.copy(text, 0, message, ValueLayout.JAVA_BYTE, 0, text.length);
            return Native.call(
                            Libc.SENDTO,
                            fd,
                            message.address(),
                            text.length,
                            0,
                            address.address(),
                            2 + path.length)
                    >= 0;
        } finally {
            Native.close(fd);
        }
    }

    /**
     * Starts a program in a session of its own, with /dev/null for its input and output, and waits
     * until it calls {@link #ready} or ends. Its errors and its directory are ours until then.
     *
     * @return 0 when it is ready, else the status it ended with (128 and more: a signal)
     */
    public static int start(Path program, List<String> arguments, Map<String, String> environment)
            throws SystemException {
        int[] pipe = new int[2];
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment fds = arena.allocate(8, 8);
            Native.must("pipe", Native.call(Libc.PIPE2, fds.address(), Native.O_CLOEXEC));
            pipe[0] = fds.get(ValueLayout.JAVA_INT, 0);
            pipe[1] = fds.get(ValueLayout.JAVA_INT, 4);
            boolean open = true;
            try {
                Map<String, String> all = new LinkedHashMap<>(environment);
                all.put(WAITED_FOR, "1");
                Spawn spawn =
                        Spawn.of(program)
                                .environment(all)
                                .directory(Path.of("").toAbsolutePath(), Path.of("/"))
                                .keepErrors()
                                .inherit(pipe[1]);
                arguments.forEach(spawn::argument);
                Child child = spawn.start();
                Native.close(pipe[1]);
                open = false;
                return await(arena, pipe[0], child)
                        .map(exit ->
                                exit.signal() == 0
                                        ? Math.max(1, exit.status())
                                        : 128 + exit.signal())
                        .orElse(0);
            } finally {
                Native.close(pipe[0]);
                if (open) {
                    Native.close(pipe[1]);
                }
            }
        }
    }

    /**
     * In a process started by {@link #start}: lets the starter go, and with it its errors and its
     * directory, which would keep a file system from being unmounted. Elsewhere nothing. Once.
     */
    public static void ready() {
        if (!System.getenv().containsKey(WAITED_FOR)) {
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment nowhere = Native.string(arena, "/dev/null");
            int fd = Native.call(Libc.OPEN, nowhere.address(), Native.O_RDWR | Native.O_CLOEXEC, 0);
            if (fd >= 0) {
                Native.call(Libc.DUP2, fd, 2);
                Native.close(fd);
            }
            Native.call(Libc.CHDIR, Native.string(arena, "/").address());
            MemorySegment one = arena.allocate(1);
            Native.call(Libc.WRITE, READY_FD, one.address(), 1);
            Native.close(READY_FD);
        }
    }

    /** Nothing when it says at {@code pipe} that it is ready, else how it ended. */
    private static Optional<Exit> await(Arena arena, int pipe, Child child) {
        MemorySegment one = arena.allocate(1);
        int count;
        do {
            count = Native.call(Libc.READ, pipe, one.address(), 1);
        } while (count == -Native.EINTR);
        if (count == 1) {
            return Optional.empty();
        }
        CompletableFuture<Exit> ended = new CompletableFuture<>();
        child.onExit(ended::complete);
        return Optional.of(ended.join());
    }

    /**
     * Has what this process and those that it starts make from now on be writable by nobody else,
     * whatever the one that started it allowed.
     */
    public static void guardFiles() {
        int before = Native.call(Libc.UMASK, 077);
        Native.call(Libc.UMASK, before | GROUP_AND_OTHERS_WRITE);
    }

    // --- who waits for our end

    /**
     * Whether the machine, or the container, goes down, as far as systemd tells. Waits for its
     * answer.
     */
    public static boolean machineGoesDown() {
        if (ProcessHandle.current().pid() == 1) {
            return true; // nothing lives on in a container whose first process ends
        }
        if (!Files.isDirectory(Path.of("/run/systemd/system"))) {
            return false;
        }
        try {
            // Its status is 1 in every state but one, and that is no failure.
            byte[] said =
                    BoundedOutput.of(
                            "systemctl",
                            List.of("/bin/sh", "-c", "systemctl is-system-running || :"),
                            ProcessBuilder.Redirect.DISCARD,
                            STATE_PATIENCE,
                            LONGEST_STATE);
            return new String(said, StandardCharsets.US_ASCII).strip().equals("stopping");
        } catch (IOException e) {
            return false; // it cannot be asked
        }
    }

    /**
     * Whether this process was started by the first one, or by systemd for a user: whose children
     * are services, whose ends it waits for, to start them anew or to kill what is late. To be
     * asked early: whoever outlives its parent becomes a child of theirs.
     */
    public static boolean isService() {
        return ProcessHandle.current().parent().map(ProcessHandle::pid).orElse(0L) == 1
                || parentIsSystemd();
    }

    static boolean parentIsSystemd() {
        return ProcessHandle.current()
                .parent()
                .map(parent -> {
                    try {
                        return Files.readString(Path.of("/proc/" + parent.pid() + "/comm"));
                    } catch (IOException e) {
                        return "";
                    }
                })
                .orElse("")
                .strip()
                .equals("systemd");
    }

    // --- a program that begins in the foreground and goes on without it

    // A VM cannot fork. So another of the same words is started at once, still of our terminal and
    // process group, where it can ask a person and be interrupted like us; when it calls leave() it
    // makes a session of its own, and we end as the one of two that was waited for.

    /**
     * Starts this program once more beside this process, and waits until that calls {@link #leave}
     * or ends. Signals that would end us go to it instead.
     *
     * @return nothing when it has gone to the background, else how it ended
     */
    public static Optional<Exit> standIn() throws SystemException {
        return standIn(0);
    }

    /**
     * The same for a part of what our words say, {@link #part} there; its output goes where errors
     * go.
     */
    public static Optional<Exit> standIn(int part) throws SystemException {
        int[] pipe = new int[2];
        List<Runnable> signals = new ArrayList<>();
        try (Arena arena = Arena.ofConfined()) {
            List<byte[]> words = entries("cmdline");
            List<byte[]> environment = new ArrayList<>();
            String own = STANDS_IN_FOR + "=";
            for (byte[] entry : entries("environ")) {
                if (!new String(entry, StandardCharsets.ISO_8859_1).startsWith(own)) {
                    environment.add(entry);
                }
            }
            String us = own + ProcessHandle.current().pid() + (part == 0 ? "" : " " + part);
            environment.add(us.getBytes(StandardCharsets.US_ASCII));
            MemorySegment fds = arena.allocate(8, 8);
            Native.must("pipe", Native.call(Libc.PIPE2, fds.address(), Native.O_CLOEXEC));
            pipe[0] = fds.get(ValueLayout.JAVA_INT, 0);
            pipe[1] = fds.get(ValueLayout.JAVA_INT, 4);
            boolean open = true;
            try {
                Spawn spawn =
                        Spawn.of(Path.of("/proc/self/exe").toRealPath())
                                .name(STAND_IN_NAME)
                                .exactEnvironment(environment)
                                .beside()
                                .inherit(pipe[1]);
                if (part != 0) {
                    spawn.outputAsErrors();
                }
                for (byte[] word : words.subList(1, words.size())) {
                    if (!startsWith(word, COMPILE_LATE)) {
                        spawn.argument(word);
                    }
                }
                Child child = spawn.start();
                for (Signal signal : List.of(Signal.HUP, Signal.INT, Signal.TERM)) {
                    signals.add(
                            Signals.during(signal.name(), () -> child.signalOne(signal.number())));
                }
                Native.close(pipe[1]);
                open = false;
                return await(arena, pipe[0], child);
            } finally {
                // What comes from here on is for us: it goes on without us.
                signals.forEach(Runnable::run);
                Native.close(pipe[0]);
                if (open) {
                    Native.close(pipe[1]);
                }
            }
        } catch (IOException e) {
            throw new SystemException("/proc/self", Native.ENOENT);
        }
    }

    private static boolean startsWith(byte[] word, String start) {
        return new String(word, StandardCharsets.ISO_8859_1).startsWith(start);
    }

    /** What the kernel knows of us, exactly: strings ended by NUL. */
    private static List<byte[]> entries(String file) throws IOException {
        byte[] all = Files.readAllBytes(Path.of("/proc/self", file));
        List<byte[]> entries = new ArrayList<>();
        int from = 0;
        for (int i = 0; i < all.length; i++) {
            if (all[i] == 0) {
                entries.add(Arrays.copyOfRange(all, from, i));
                from = i + 1;
            }
        }
        return entries;
    }

    /**
     * Whether this process was started by {@link #standIn}. It then ends with the one that started
     * it until it calls {@link #leave}.
     */
    public static boolean standsIn() {
        String said = System.getenv(STANDS_IN_FOR);
        if (said == null) {
            return false; // without a call into the C library: most processes come here
        }
        String starter = said.split(" ", 2)[0];
        try {
            // A program that the one meant has started has the variable, but not the name.
            if (!STAND_IN_NAME.equals(
                    new String(entries("cmdline").getFirst(), StandardCharsets.UTF_8))) {
                return false;
            }
        } catch (IOException e) {
            return false;
        }
        Native.call(Libc.PRCTL, PR_SET_PDEATHSIG, SIGTERM);
        if (!starter.equals(Integer.toString(Native.call(Libc.GETPPID, 0)))) {
            // It was gone before we could hear of it.
            Native.call(Libc.KILL, ProcessHandle.current().pid(), SIGTERM);
        }
        return true;
    }

    /** In a process that {@link #standsIn}: which part it was started for; 0: all. */
    public static int part() {
        String[] said = System.getenv().getOrDefault(STANDS_IN_FOR, "").split(" ", 2);
        return said.length < 2 ? 0 : Integer.parseInt(said[1]);
    }

    /** The name of a variable that is nobody else's business. */
    public static String ownVariable() {
        return STANDS_IN_FOR;
    }

    /**
     * In a process that {@link #standsIn}: makes a session of its own without a terminal, and lets
     * the starter go. Once.
     *
     * @param output whether its standard output stays what it was; else it is /dev/null
     * @param errors the same of its standard error
     */
    public static void leave(boolean output, boolean errors) {
        Native.call(Libc.PRCTL, PR_SET_PDEATHSIG, 0);
        Native.call(Libc.SETSID, 0);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment nowhere = Native.string(arena, "/dev/null");
            int fd = Native.call(Libc.OPEN, nowhere.address(), Native.O_RDWR | Native.O_CLOEXEC, 0);
            if (fd >= 0) {
                // Nobody reads it any more; who writes to it is to hear of that.
                Native.call(Libc.DUP2, fd, 0);
                if (!output) {
                    Native.call(Libc.DUP2, fd, 1);
                }
                if (!errors) {
                    Native.call(Libc.DUP2, fd, 2);
                }
                Native.close(fd);
            }
            MemorySegment one = arena.allocate(1);
            Native.call(Libc.WRITE, READY_FD, one.address(), 1);
            Native.close(READY_FD);
        }
    }
}
