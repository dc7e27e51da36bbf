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
import java.util.stream.Stream;

/**
 * Forwarded connections opened and closed at random, and nothing left over: descriptors, threads,
 * channels, memory. {@code --connections N} (1000) at a time, {@code --seconds N} (120), {@code
 * --seed N}.
 *
 * <p>Each goes through -L, -R or -D, says some bytes and hears them back, and ends in its own way:
 * with an end and all that comes after it, at once with bytes under way, or with a reset.
 */
final class Churn {

    private Churn() {}

    /** What a client may have more of than before: pools that are not given up at once. */
    private static final int SPARE_THREADS = 20;

    private static final int SPARE_DESCRIPTORS = 8;

    private static final String CHANNEL = "holdfast.ssh.forward.ForwardChannel";

    private static final List<Way> WAYS = List.of(Way.values());

    private static final Duration SETTLE = Duration.ofSeconds(30);

    static void run(Options options) throws IOException, InterruptedException {
        int connections = options.number("--connections", 1000);
        int seconds = options.number("--seconds", 120);
        long seed = options.number("--seed", (int) (System.nanoTime() & 0x7fff_ffff));
        Client client = Client.underTest();
        Path directory = Files.createTempDirectory("hft");
        System.out.printf("seed %d%n", seed);
        List<String> wrong = new ArrayList<>();
        try (Sshd sshd = Sshd.start(directory.resolve("sshd"));
                Forwarded forwarded = new Forwarded(sshd, client, "aes256-gcm@openssh.com")) {
            long pid = forwarded.pid();
            long served = sshd.sessions().getLast();
            // A first round, so that what is made once is there.
            Tally first = churn(forwarded, connections, Math.max(1, seconds / 10), seed);
            settle(() -> descriptors(served) < 40 && descriptors(pid) < 200);
            int filesBefore = descriptors(pid);
            int servedBefore = descriptors(served);
            int threadsBefore = status(pid, "Threads:");
            int rssBefore = status(pid, "VmRSS:");
            Tally tally = churn(forwarded, connections, seconds, seed + 1);
            settle(() ->
                    descriptors(pid) <= filesBefore + SPARE_DESCRIPTORS
                            && descriptors(served) <= servedBefore + SPARE_DESCRIPTORS
                            && status(pid, "Threads:") <= threadsBefore + SPARE_THREADS);
            System.out.printf(
                    "opened %,d (%,d in the first round), at most %d at once, %,d failed%n",
                    tally.opened.get(), first.opened.get(), tally.most.get(), tally.failed.get());
            left(wrong, "descriptors", filesBefore, descriptors(pid), SPARE_DESCRIPTORS);
            left(wrong, "sshd's descriptors", servedBefore, descriptors(served), SPARE_DESCRIPTORS);
            left(wrong, "threads", threadsBefore, status(pid, "Threads:"), SPARE_THREADS);
            int rss = status(pid, "VmRSS:");
            left(wrong, "KiB of memory", rssBefore, rss, Math.max(32 * 1024, rssBefore / 2));
            if (!client.openSsh()) {
                // A class histogram collects first: what it counts is held by somebody.
                String objects = forwarded.objects(CHANNEL);
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
                if (!client.openSsh() && forwarded.objects(CHANNEL).isEmpty()) {
                    wrong.add("channels cannot be counted: one is open and not seen");
                }
            }
        } finally {
            Trees.remove(directory);
        }
        System.out.printf(
                "forwards-churn: %d connections at random for %d s, %s%n",
                connections,
                seconds,
                wrong.isEmpty() ? "nothing left over" : "left over: " + wrong);
        if (!wrong.isEmpty()) {
            throw new AssertionError("left over: " + wrong);
        }
    }

    private static final class Tally {
        final AtomicLong opened = new AtomicLong();
        final AtomicLong failed = new AtomicLong();
        final AtomicInteger now = new AtomicInteger();
        final AtomicInteger most = new AtomicInteger();
        volatile String why = "";
    }

    private static Tally churn(Forwarded forwarded, int connections, int seconds, long seed)
            throws InterruptedException {
        Tally tally = new Tally();
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
        return tally;
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
