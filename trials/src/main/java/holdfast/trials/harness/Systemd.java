package holdfast.trials.harness;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A systemd of its own, in namespaces of processes, mounts and control groups, with its own /run
 * and no units but those given. The network and all other files are the machine's. Needs root.
 */
public final class Systemd implements AutoCloseable {

    private static final String PROGRAM = "/lib/systemd/systemd";
    private static final Duration PATIENCE = Duration.ofSeconds(30);

    private static final AtomicInteger NEXT = new AtomicInteger(1);

    /** Joins a control group of its own, whose name is the first argument. */
    private static final String OUTSIDE =
            """
            for tree in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
              [ -e "$tree/cgroup.procs" ] || continue
              mkdir -p "$tree/$1" && echo $$ > "$tree/$1/cgroup.procs" || exit
            done
            shift
            exec unshare --pid --mount --fork --kill-child --cgroup --ipc --uts "$@"
            """;

    /** Becomes systemd; the directory of units is the first argument. */
    private static final String INSIDE =
            """
            set -e
            mount --make-rprivate /
            mount -t proc proc /proc
            mount -t tmpfs tmpfs /run
            mkdir /run/lock
            if [ -d /sys/fs/cgroup/systemd ]; then
              mount -t tmpfs tmpfs /sys/fs/cgroup
              mkdir /sys/fs/cgroup/systemd /sys/fs/cgroup/unified
              mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd
              mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
            else
              mount -t cgroup2 cgroup2 /sys/fs/cgroup
            fi
            mount -t tmpfs tmpfs /etc/systemd/system
            cp -r "$1"/. /etc/systemd/system/
            exec env -i PATH="$PATH" container=trial %s --system --unit=trial.target \
                --log-target=null --show-status=0
            """
                    .formatted(PROGRAM);

    private static final String TARGET = "[Unit]\nDefaultDependencies=no\nAllowIsolate=yes\n";

    private static final String DOWN = TARGET + "Requires=shutdown.target\nAfter=shutdown.target\n";

    private final String group;
    private final Process process;
    private final List<String> into;

    private Systemd(String group, Process process, List<String> into) {
        this.group = group;
        this.process = process;
        this.into = into;
    }

    /** Why there can be none here, if so. */
    public static Optional<String> impossible() {
        if (!Sshd.user().equals("root")) {
            return Optional.of("not root: only root has namespaces for a systemd");
        }
        return Files.isExecutable(Path.of(PROGRAM))
                ? Optional.empty()
                : Optional.of("not installed: systemd");
    }

    /**
     * Starts one.
     *
     * @param directory its own; made
     * @param units text by name, drop-ins ({@code x.service.d/y.conf}) too
     * @throws IOException when it does not come up: not on this kernel, not in this container
     */
    public static Systemd start(Path directory, Map<String, String> units)
            throws IOException, InterruptedException {
        Files.createDirectories(directory);
        Files.writeString(directory.resolve("trial.target"), TARGET);
        Files.writeString(directory.resolve("down.target"), DOWN);
        for (Map.Entry<String, String> unit : units.entrySet()) {
            Path file = directory.resolve(unit.getKey());
            Files.createDirectories(file.getParent());
            Files.writeString(file, unit.getValue());
        }
        String group = "hft-" + ProcessHandle.current().pid() + "-" + NEXT.getAndIncrement();
        Path errors = directory.resolveSibling("systemd.err");
        Process process =
                new ProcessBuilder(
                                "sh",
                                "-c",
                                OUTSIDE,
                                "sh",
                                group,
                                "sh",
                                "-c",
                                INSIDE,
                                "sh",
                                directory.toString())
                        .redirectInput(Path.of("/dev/null").toFile())
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .redirectError(errors.toFile())
                        .start();
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        String state = "";
        while (process.isAlive() && System.nanoTime() < deadline) {
            Optional<ProcessHandle> first = process.children().findFirst();
            if (first.isPresent()) {
                Systemd systemd =
                        new Systemd(
                                group,
                                process,
                                List.of(
                                        "nsenter",
                                        "-t",
                                        Long.toString(first.get().pid()),
                                        "-m",
                                        "-p",
                                        "-C",
                                        "-i",
                                        "-u"));
                state = systemd.run("systemctl", "is-system-running").end(PATIENCE).out().strip();
                if (state.equals("running") || state.equals("degraded")) {
                    return systemd;
                }
            }
            Thread.sleep(50);
        }
        new Systemd(group, process, List.of()).close();
        throw new IOException("systemd in a namespace: " + state + Files.readString(errors));
    }

    /** A program in its namespaces. */
    public Command run(String... argv) {
        List<String> all = new ArrayList<>(into);
        all.addAll(List.of(argv));
        return Command.of(all);
    }

    /** Goes down as a machine does, as far as its services can tell. */
    public void goDown() throws InterruptedException {
        Ended ended =
                run("systemctl", "start", "--job-mode=replace-irreversibly", "down.target")
                        .end(PATIENCE);
        if (ended.status() != 0) {
            throw new AssertionError(ended.err());
        }
    }

    /** Ends it, and with its first process all of them. */
    @Override
    public void close() {
        process.destroyForcibly();
        try {
            process.waitFor();
            for (int i = 0; i < 100; i++) {
                if (removed()) {
                    return;
                }
                Thread.sleep(50);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        throw new AssertionError("control groups " + group + " are left");
    }

    private boolean removed() {
        boolean gone = true;
        for (String tree : List.of("systemd", "unified", ".")) {
            Path top = Path.of("/sys/fs/cgroup", tree, group);
            if (Files.isDirectory(top)) {
                try (var all = Files.walk(top)) {
                    all.filter(Files::isDirectory)
                            .sorted((one, other) -> other.compareTo(one))
                            .forEach(each -> each.toFile().delete());
                } catch (IOException | UncheckedIOException e) {
                    // some were gone before they were looked at
                }
                gone &= !Files.isDirectory(top);
            }
        }
        return gone;
    }
}
