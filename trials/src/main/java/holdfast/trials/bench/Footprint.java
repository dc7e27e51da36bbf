package holdfast.trials.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** What processes cost, as /proc tells it. Who is gone meanwhile costs nothing. */
final class Footprint {

    /** USER_HZ, which is 100 on every Linux. */
    private static final long TICK_NANOS = 10_000_000;

    private Footprint() {}

    /**
     * The processes below one, itself first, and the sessions' commands apart.
     *
     * @param servers without the commands
     * @param commands sessions' own commands, also those that have no parent any more
     */
    record Family(List<Long> servers, List<Long> commands) {}

    static Family family(long root, String command) throws IOException {
        Map<Long, List<Long>> children = new HashMap<>();
        Map<Long, String> names = new HashMap<>();
        List<Long> commands = new ArrayList<>();
        try (DirectoryStream<Path> all = Files.newDirectoryStream(Path.of("/proc"), "[0-9]*")) {
            for (Path each : all) {
                String stat = read(each.resolve("stat"));
                int end = stat.lastIndexOf(')');
                if (end < 0) {
                    continue;
                }
                long pid = Long.parseLong(each.getFileName().toString());
                String name = stat.substring(stat.indexOf('(') + 1, end);
                String[] rest = stat.substring(end + 2).split(" ", 3);
                if (rest[0].equals("Z")) {
                    continue;
                }
                names.put(pid, name);
                children.computeIfAbsent(Long.parseLong(rest[1]), p -> new ArrayList<>()).add(pid);
                if (name.equals(command)) {
                    commands.add(pid);
                }
            }
        }
        List<Long> servers = new ArrayList<>();
        List<Long> next = new ArrayList<>(List.of(root));
        while (!next.isEmpty()) {
            long pid = next.removeLast();
            if (command.equals(names.get(pid))) {
                continue;
            }
            servers.add(pid);
            next.addAll(children.getOrDefault(pid, List.of()));
        }
        return new Family(servers, commands);
    }

    /** Proportional set size of all of them, in KiB: shared pages are counted once. */
    static long pssKib(List<Long> pids) {
        long sum = 0;
        for (long pid : pids) {
            sum += field(Path.of("/proc/" + pid + "/smaps_rollup"), "Pss:");
        }
        return sum;
    }

    static long rssKib(List<Long> pids) {
        long sum = 0;
        for (long pid : pids) {
            sum += field(Path.of("/proc/" + pid + "/smaps_rollup"), "Rss:");
        }
        return sum;
    }

    static long threads(List<Long> pids) {
        long sum = 0;
        for (long pid : pids) {
            sum += field(Path.of("/proc/" + pid + "/status"), "Threads:");
        }
        return sum;
    }

    /** Processor time of all of them since they began, their ended children's with it. */
    static long cpuNanos(List<Long> pids) {
        long sum = 0;
        for (long pid : pids) {
            String stat = read(Path.of("/proc/" + pid + "/stat"));
            int end = stat.lastIndexOf(')');
            if (end < 0) {
                continue;
            }
            String[] rest = stat.substring(end + 2).split(" ", -1);
            long ticks = 0;
            for (int field = 11; field <= 14; field++) {
                ticks += Long.parseLong(rest[field]);
            }
            // Of a process that does little the ticks show nothing; of one thread this is exact.
            long exact = 0;
            if (rest[17].equals("1")) {
                String run = read(Path.of("/proc/" + pid + "/schedstat"));
                exact = run.isEmpty() ? 0 : Long.parseLong(run.split(" ", 2)[0]);
            }
            long children = (Long.parseLong(rest[13]) + Long.parseLong(rest[14])) * TICK_NANOS;
            sum += exact > 0 ? exact + children : ticks * TICK_NANOS;
        }
        return sum;
    }

    /** Memory of the kernel that grows with connections: slabs, stacks, page tables, in KiB. */
    static long kernelKib() {
        Path meminfo = Path.of("/proc/meminfo");
        return field(meminfo, "SUnreclaim:")
                + field(meminfo, "KernelStack:")
                + field(meminfo, "PageTables:");
    }

    /** Established connections of a listener, as the namespace of {@code pid} has them. */
    static long established(long pid, int port) throws IOException {
        String local = ":%04X".formatted(port);
        long count = 0;
        // A listener for IPv6 takes IPv4 as well, and its connections are in the other table.
        for (String table : List.of("tcp", "tcp6")) {
            try (Stream<String> lines =
                    Files.lines(
                            Path.of("/proc/" + pid + "/net/" + table), StandardCharsets.US_ASCII)) {
                count +=
                        lines.map(line -> line.strip().split(" +", 5))
                                .filter(w -> w.length > 4)
                                .filter(w -> w[1].endsWith(local) && w[3].equals("01"))
                                .count();
            }
        }
        return count;
    }

    private static long field(Path file, String name) {
        for (String line : read(file).split("\n", -1)) {
            if (line.startsWith(name)) {
                return Long.parseLong(line.replaceAll("[^0-9]", ""));
            }
        }
        return 0;
    }

    private static String read(Path file) {
        try {
            return new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
        } catch (IOException gone) {
            return "";
        }
    }
}
