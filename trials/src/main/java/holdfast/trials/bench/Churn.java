package holdfast.trials.bench;

import holdfast.trials.bench.Forwarded.Way;
import holdfast.trials.harness.Client;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Forwarded connections opened and closed at random, and nothing left over: descriptors, threads,
 * channels, memory. {@code --connections N} (1000) at a time, {@code --seconds N} (120), {@code
 * --seed N}; {@code --server}: of {@code holdfast sshd}, which OpenSSH's client uses, instead of
 * the client.
 *
 * <p>Each goes through -L, -R or -D, says some bytes and hears them back, and ends in its own way:
 * with an end and all that comes after it, at once with bytes under way, or with a reset.
 *
 * <p>Memory is told in three ways. What is alive in the heap, and what the process has when it was
 * told to give back what it can, are held against the same after a first round: more is a leak. And
 * the most that it had in each half of the time, by itself, is what a person sees: more in the
 * second half is growth without an end, be it a leak or not.
 */
final class Churn {

    private Churn() {}

    /** What a process may have more of than before: pools that are not given up at once. */
    private static final int SPARE_THREADS = 20;

    private static final int SPARE_DESCRIPTORS = 8;

    /** Of what is alive: tables that have grown to hold a thousand keep that size. */
    private static final int SPARE_LIVE = 1024;

    /** Of what the process has: code is compiled for minutes, 6 MiB of it as a rule. */
    private static final int SPARE_RESIDENT = 12 * 1024;

    /** What a heap may swing by while it is used, above what is left when it is not. */
    private static final int SWING = 40 * 1024;

    private static final String CHANNEL = "holdfast.ssh.forward.ForwardChannel";

    private static final List<Way> WAYS = List.of(Way.values());

    private static final Duration SETTLE = Duration.ofSeconds(30);

    private static final long LOOK_MILLIS = 500;

    /** So many for each of those at a time make a process warm: its code is compiled then. */
    private static final int WARM = 4;

    static void run(Options options) throws IOException, InterruptedException {
        int connections = options.number("--connections", 1000);
        int seconds = options.number("--seconds", 120);
        long seed = options.number("--seed", (int) (System.nanoTime() & 0x7fff_ffff));
        boolean server = options.has("--server");
        Client client = server ? Client.reference() : Client.underTest();
        Path directory = Files.createTempDirectory("hft");
        System.out.printf("seed %d%n", seed);
        List<String> wrong = new ArrayList<>();
        Path place = directory.resolve("sshd");
        try (Sshd sshd = server ? Sshd.holdfast(place) : Sshd.start(place);
                Forwarded forwarded = new Forwarded(sshd, client, "aes256-gcm@openssh.com")) {
            boolean java = server || !client.openSsh();
            long pid = server ? sshd.pid() : forwarded.pid();
            long peer = server ? forwarded.pid() : sshd.sessions().getLast();
            // A first round, so that what is made once is there; as long as it takes.
            Tally first = new Tally();
            do {
                churn(forwarded, connections, Math.max(10, seconds / 10), seed, first);
            } while (first.opened.get() < (long) connections * WARM && first.failed.get() == 0);
            settle(() -> descriptors(peer) < 40 && descriptors(pid) < 200);
            int filesBefore = descriptors(pid);
            int peerBefore = descriptors(peer);
            int threadsBefore = status(pid, "Threads:");
            int liveBefore = java ? live(pid) : 0;
            int residentBefore = status(pid, "VmRSS:");
            Tally tally = new Tally();
            int[] most;
            try (Watch watch = new Watch(pid, Duration.ofSeconds(seconds))) {
                churn(forwarded, connections, seconds, seed + 1, tally);
                most = watch.most();
            }
            settle(() ->
                    descriptors(pid) <= filesBefore + SPARE_DESCRIPTORS
                            && descriptors(peer) <= peerBefore + SPARE_DESCRIPTORS
                            && status(pid, "Threads:") <= threadsBefore + SPARE_THREADS);
            System.out.printf(
                    "opened %,d (%,d in the first round), at most %d at once, %,d failed%n",
                    tally.opened.get(), first.opened.get(), tally.most.get(), tally.failed.get());
            left(wrong, "descriptors", filesBefore, descriptors(pid), SPARE_DESCRIPTORS);
            left(wrong, "the peer's descriptors", peerBefore, descriptors(peer), SPARE_DESCRIPTORS);
            left(wrong, "threads", threadsBefore, status(pid, "Threads:"), SPARE_THREADS);
            if (java) {
                left(wrong, "KiB alive in the heap", liveBefore, live(pid), SPARE_LIVE);
            }
            int resident = status(pid, "VmRSS:");
            left(wrong, "KiB of memory", residentBefore, resident, SPARE_RESIDENT);
            left(wrong, "KiB of memory at most", residentBefore, most[0], SWING);
            left(wrong, "KiB at most, first and second half", most[0], most[1], SPARE_RESIDENT);
            if (java) {
                String objects = Forwarded.objects(pid, CHANNEL);
                System.out.print(objects.isEmpty() ? "channels: none\n" : objects);
                if (!objects.isEmpty()) {
                    wrong.add("channels: " + objects.strip());
                }
            }
            if (tally.failed.get() > 0) {
                wrong.add(tally.failed.get() + " connections failed: " + tally.why);
            }
            try (SocketChannel last = forwarded.connect(Way.LOCAL)) {
                Forwarded.ask(last, Forwarded.ECHO);
                Forwarded.echo(last, Forwarded.bytes("still here"));
                if (java && Forwarded.objects(pid, CHANNEL).isEmpty()) {
                    wrong.add("channels cannot be counted: one is open and not seen");
                }
            }
        } finally {
            Trees.remove(directory);
        }
        System.out.printf(
                "forwards-churn: %d connections at random for %d s%s, %s%n",
                connections,
                seconds,
                server ? " through the server" : "",
                wrong.isEmpty() ? "nothing left over" : "left over: " + wrong);
        if (!wrong.isEmpty()) {
            throw new AssertionError("left over: " + wrong);
        }
    }

    /** Looks at a process's memory again and again, and keeps the most of each half of the time. */
    private static final class Watch implements AutoCloseable {
        private final long pid;
        private final long middle;
        private final int[] most = new int[2];
        private final Thread thread;

        Watch(long pid, Duration time) {
            this.pid = pid;
            middle = System.nanoTime() + time.toNanos() / 2;
            thread = Thread.ofVirtual().start(this::look);
        }

        private void look() {
            try {
                while (true) {
                    Thread.sleep(LOOK_MILLIS);
                    int now = status(pid, "VmRSS:");
                    int half = System.nanoTime() < middle ? 0 : 1;
                    synchronized (most) {
                        most[half] = Math.max(most[half], now);
                    }
                }
            } catch (InterruptedException | IOException over) {
                // the process's end shows itself otherwise
            }
        }

        int[] most() {
            synchronized (most) {
                return most.clone();
            }
        }

        @Override
        public void close() {
            thread.interrupt();
        }
    }

    private static final class Tally {
        final AtomicLong opened = new AtomicLong();
        final AtomicLong failed = new AtomicLong();
        final AtomicInteger now = new AtomicInteger();
        final AtomicInteger most = new AtomicInteger();
        volatile String why = "";
    }

    private static void churn(
            Forwarded forwarded, int connections, int seconds, long seed, Tally tally)
            throws InterruptedException {
        long until = System.nanoTime() + Duration.ofSeconds(seconds).toNanos();
        SplittableRandom random = new SplittableRandom(seed);
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < connections; i++) {
            SplittableRandom own = random.split();
            threads.add(Thread.ofVirtual().start(() -> one(forwarded, own, until, tally)));
        }
        for (Thread thread : threads) {
            thread.join();
        }
    }

    private static void one(Forwarded forwarded, SplittableRandom random, long until, Tally tally) {
        while (System.nanoTime() < until) {
            Way way = WAYS.get(random.nextInt(WAYS.size()));
            try {
                Thread.sleep(random.nextInt(500));
                try (SocketChannel socket = forwarded.connect(way)) {
                    tally.opened.incrementAndGet();
                    tally.most.accumulateAndGet(tally.now.incrementAndGet(), Math::max);
                    try {
                        live(socket, random);
                    } finally {
                        tally.now.decrementAndGet();
                    }
                }
            } catch (IOException e) {
                tally.failed.incrementAndGet();
                tally.why = way + ": " + e;
            } catch (InterruptedException e) {
                return;
            }
        }
    }

    private static void live(SocketChannel socket, SplittableRandom random)
            throws IOException, InterruptedException {
        Forwarded.ask(socket, Forwarded.ECHO);
        for (int rounds = random.nextInt(1, 5); rounds > 0; rounds--) {
            byte[] said = new byte[random.nextInt(1, 20_000)];
            random.nextBytes(said);
            Forwarded.echo(socket, said);
            Thread.sleep(random.nextInt(2000));
        }
        switch (random.nextInt(3)) {
            case 0 -> {
                socket.shutdownOutput();
                ByteBuffer rest = ByteBuffer.allocate(100);
                while (socket.read(rest) >= 0) {
                    rest.clear();
                }
            }
            case 1 -> socket.write(ByteBuffer.wrap(new byte[random.nextInt(1, 5000)]));
            default -> socket.setOption(StandardSocketOptions.SO_LINGER, 0);
        }
    }

    // --- what is left

    private interface Settled {
        boolean yet() throws IOException;
    }

    private static void settle(Settled settled) throws IOException, InterruptedException {
        long deadline = System.nanoTime() + SETTLE.toNanos();
        while (!settled.yet() && System.nanoTime() < deadline) {
            Thread.sleep(200);
        }
    }

    private static void left(List<String> wrong, String what, int before, int after, int spare) {
        System.out.printf("%s: %,d before, %,d after%n", what, before, after);
        if (after > before + spare) {
            wrong.add("%s: %d, %d before".formatted(what, after, before));
        }
    }

    /** What is alive in the heap of a VM, in KiB; it gives back what it can before. */
    private static int live(long pid) throws InterruptedException {
        Forwarded.jcmd(pid, "GC.run");
        int sum = 0;
        Matcher used =
                Pattern.compile("total +[0-9]+K, used ([0-9]+)K")
                        .matcher(Forwarded.jcmd(pid, "GC.heap_info"));
        while (used.find()) {
            sum += Integer.parseInt(used.group(1));
        }
        if (sum == 0) {
            throw new AssertionError("the heap cannot be measured");
        }
        return sum;
    }

    private static int descriptors(long pid) throws IOException {
        try (Stream<Path> all = Files.list(Path.of("/proc/" + pid + "/fd"))) {
            return (int) all.count();
        }
    }

    private static int status(long pid, String name) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/" + pid + "/status"))) {
            if (line.startsWith(name)) {
                return Integer.parseInt(line.replaceAll("[^0-9]", ""));
            }
        }
        throw new IOException("no " + name + " of " + pid);
    }
}
