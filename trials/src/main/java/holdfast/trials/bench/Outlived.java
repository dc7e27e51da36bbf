package holdfast.trials.bench;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Dialogue;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.NatLab;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Signals;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * One connection that went through every trouble of {@link Outlive} and is whole.
 *
 * @param back each trouble, and the time from the path's return to the first byte
 * @param report what was carried meanwhile
 */
record Outlived(List<Back> back, String report) {

    /** A trouble that was outlived. */
    record Back(String what, Duration took) {}

    private static final Duration SOON = Duration.ofSeconds(60);

    /** Much longer than the promise, so that a miss tells by how much. */
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private static final Duration NEVER_IDLE = Duration.ofHours(2);
    private static final Duration LONG = Duration.ofHours(1);

    /** For so long a listener holds a session that may not have logged in, */
    private static final Duration YOUNG_HOLD = Duration.ofSeconds(60);

    /** which it may not have before it is so old, and a little more. */
    private static final Duration OF_AGE = Duration.ofSeconds(155);

    private static final int LISTEN = 2022;
    private static final int ASKED = 2300;
    private static final int INNER = 2322;

    Duration median() {
        return median(back.stream().map(Back::took).toList());
    }

    Duration worst() {
        return worst(back.stream().map(Back::took).toList());
    }

    static Duration median(List<Duration> all) {
        return all.stream().sorted().toList().get(all.size() / 2);
    }

    static Duration worst(List<Duration> all) {
        return all.stream().max(Duration::compareTo).orElseThrow();
    }

    /**
     * Lives through all of it.
     *
     * @param stock OpenSSH's ends joined by {@code holdfast tether}, or else ours
     * @throws AssertionError when a byte is wrong, a program has died or something is left
     */
    static Outlived of(boolean stock, Outlive.Plan plan, int seed)
            throws IOException, InterruptedException {
        Path directory = Files.createTempDirectory("hfo");
        try (NatLab lab = NatLab.up(NatLab.Mode.BLACKHOLE, NEVER_IDLE);
                Sshd sshd =
                        stock
                                ? Sshd.start(directory.resolve("sshd"), lab.server(), NatLab.SERVER)
                                : Sshd.holdfast(
                                        directory.resolve("sshd"), lab.server(), NatLab.SERVER)) {
            Client.holdfast().warm();
            try (Scene scene = new Scene(directory, lab, sshd, stock, plan)) {
                return scene.live(seed);
            }
        } finally {
            Trees.remove(directory);
        }
    }

    /**
     * The far end's shell: counts, and asks the agent at home again and again, which says the key's
     * fingerprint or has failed.
     */
    private static final String SHELL =
            """
            echo "shell $$"
            (n=0; until [ -e STOP ]; do
              n=$((n+1))
              case $(ssh-add -l 2>&1) in *PRINT*) echo "agent $n" ;; *) echo "agent failed" ;; esac >&2
              sleep 0.2
            done) &
            i=0; until [ -e STOP ]; do i=$((i+1)); echo $i; sleep 0.05; done
            wait
            echo "shell $$"
            """;

    /** Everything that runs meanwhile. */
    private static final class Scene implements AutoCloseable {
        private final Path directory;
        private final NatLab lab;
        private final Sshd sshd;
        private final boolean stock;
        private final Outlive.Plan plan;
        private final Path stop;
        private final List<Running> started = new ArrayList<>();
        private final List<Back> back = new ArrayList<>();
        private final @Nullable Running listener;
        private final Running shell;
        private final Running asker;
        private final long begunAt;
        private int address = 2;

        // The copier's.
        private volatile boolean enough;
        private volatile @Nullable Running copy;
        private int copies;

        Scene(Path directory, NatLab lab, Sshd sshd, boolean stock, Outlive.Plan plan)
                throws IOException, InterruptedException {
            this.directory = directory;
            this.lab = lab;
            this.sshd = sshd;
            this.stock = stock;
            this.plan = plan;
            stop = directory.resolve("stop");
            String launcher = Client.holdfast().launcher().toString();
            listener =
                    stock
                            ? start(
                                    Command.of(
                                                    launcher,
                                                    "tether",
                                                    "--listen",
                                                    NatLab.SERVER + ":" + LISTEN,
                                                    "--to",
                                                    NatLab.SERVER + ":" + sshd.port(),
                                                    "-v")
                                            .behind(lab.server()))
                            : null;
            if (listener != null) {
                listener.err().await("listening on", SOON);
            }
            Path socket = directory.resolve("agent");
            start(Command.of("ssh-agent", "-D", "-a", socket.toString()))
                    .out()
                    .await("SSH_AUTH_SOCK", SOON);
            Path key = Keys.of("ed25519", "forwarded");
            whole(
                    Command.of("ssh-add", "-q", key.toString())
                            .env("SSH_AUTH_SOCK", socket.toString()));
            String print =
                    whole(Command.of("ssh-keygen", "-l", "-f", key.toString())).split(" ", -1)[1];
            Running echo = start(Command.of("python3", "-c", Dialogue.ECHO).behind(lab.server()));
            echo.out().await("\n", SOON);
            List<String> words = new ArrayList<>();
            if (stock) {
                words.add("/usr/bin/ssh");
                words.add(
                        "-oProxyCommand=%s tether --connect %s:%d"
                                .formatted(launcher, NatLab.SERVER, LISTEN));
            } else {
                words.addAll(Client.holdfast().argv());
                words.add("-oTether=require");
            }
            words.addAll(List.of("-F", sshd.config().toString()));
            words.addAll(List.of("-o", "ExitOnForwardFailure=yes"));
            words.addAll(List.of("-A", "-o", "IdentityAgent=" + socket));
            words.addAll(List.of("-L", ASKED + ":127.0.0.1:" + echo.out().text().strip()));
            words.addAll(List.of("-L", INNER + ":" + NatLab.SERVER + ":" + sshd.port()));
            words.add("trial");
            words.add(SHELL.replace("STOP", stop.toString()).replace("PRINT", print));
            shell = start(Command.of(words).behind(lab.client()));
            shell.out().await("\n20\n", SOON);
            begunAt = System.nanoTime();
            asker =
                    start(
                            Command.of(
                                            "python3",
                                            "-c",
                                            Dialogue.ASK,
                                            String.valueOf(ASKED),
                                            stop.toString())
                                    .behind(lab.client()));
        }

        private Running start(Command command) {
            Running running = command.start();
            started.add(running);
            return running;
        }

        private static String whole(Command command) throws InterruptedException {
            Ended ended = command.end(SOON);
            if (ended.status() != 0) {
                throw new AssertionError(command.argv() + ": " + ended.err());
            }
            return ended.out();
        }

        Outlived live(int seed) throws IOException, InterruptedException {
            say(
                    "shell, -L, agent: on one connection; sftp: OpenSSH's, by its own ssh through a -L of"
                            + " that same connection to the sshd at its far end, "
                            + plan.kilobitsASecond() / 8000
                            + " MB/s at most");
            // Not in the common pool, which may be one thread, and tells of processes' ends.
            CompletableFuture<Void> copier =
                    CompletableFuture.runAsync(
                            () -> copyOn(seed),
                            work -> Thread.ofPlatform().daemon().name("copier").start(work));
            for (int round = 0; round < plan.rounds(); round++) {
                forget();
                goesOn("the NAT forgets", true);
                roam();
                goesOn("another address", true);
                reset(300);
                goesOn("RST from the middle", true);
                noPath(Duration.ofSeconds(10));
                goesOn("10 s without a path", true);
            }
            comeOfAge();
            noPath(plan.outage());
            goesOn(plan.outage().toSeconds() + " s without a path", true);
            List<Long> client = Signals.tree(shell.pid());
            Signals.send("STOP", client);
            Thread.sleep(plan.pause());
            Signals.send("CONT", client);
            goesOn("stopped for " + plan.pause().toSeconds() + " s", true);
            int during = cutAtRandom(new SplittableRandom(seed), copier);
            enough = true;
            try {
                copier.get(LONG.toSeconds(), TimeUnit.SECONDS);
            } catch (ExecutionException e) {
                throw new AssertionError(String.valueOf(e.getCause()), e);
            } catch (TimeoutException e) {
                throw new AssertionError("the copy does not end", e);
            }
            Files.createFile(stop);
            Ended ended = shell.end(SOON);
            Ended asked = asker.end(SOON);
            String report = proved(ended, asked, during);
            nothingLeft();
            return new Outlived(back, report);
        }

        /**
         * A listener cannot see who has logged in, and holds nobody for longer than a minute who
         * has been there for less than 150 seconds: PROTOCOL.md section 7.
         */
        private void comeOfAge() throws InterruptedException {
            Duration age = Duration.ofNanos(System.nanoTime() - begunAt);
            Duration longest =
                    plan.outage().compareTo(plan.pause()) > 0 ? plan.outage() : plan.pause();
            if (stock && longest.compareTo(YOUNG_HOLD) >= 0 && age.compareTo(OF_AGE) < 0) {
                say(
                        "until the listener holds it for long: "
                                + OF_AGE.minus(age).toSeconds()
                                + " s");
                Thread.sleep(OF_AGE.minus(age));
            }
        }

        // --- the troubles

        private void forget() {
            lab.forget();
        }

        private void roam() {
            address = address == 2 ? 3 : 2;
            lab.roam("10.77.1." + address);
        }

        private void reset(int millis) throws InterruptedException {
            lab.kill();
            Thread.sleep(millis);
            lab.heal();
        }

        private void noPath(Duration time) throws InterruptedException {
            lab.cut();
            Thread.sleep(time);
            lab.heal();
        }

        /** How many of them fell into the copy: all, unless the machine was quick. */
        private int cutAtRandom(SplittableRandom random, CompletableFuture<Void> copier)
                throws InterruptedException {
            int during = 0;
            for (int cut = 0; cut < plan.cuts(); cut++) {
                Thread.sleep(random.nextInt(300, 1800));
                Running copying = copy;
                if (copier.isCompletedExceptionally()) {
                    return during; // whoever waits for it says why
                }
                during += copying != null && copying.alive() ? 1 : 0;
                String what;
                switch (random.nextInt(4)) {
                    case 0 -> {
                        forget();
                        what = "cut: the NAT forgets";
                    }
                    case 1 -> {
                        reset(100);
                        what = "cut: RST";
                    }
                    case 2 -> {
                        roam();
                        what = "cut: another address";
                    }
                    default -> {
                        noPath(Duration.ofMillis(random.nextInt(200, 3000)));
                        what = "cut: 0.2 to 3 s without a path";
                    }
                }
                // Half of them are waited for; into the others the next may fall.
                if (random.nextBoolean() || cut + 1 == plan.cuts()) {
                    goesOn(what, false);
                }
                if (cut % 20 == 19) {
                    say((cut + 1) + " cuts");
                }
            }
            return during;
        }

        private void goesOn(String what, boolean rest) throws InterruptedException {
            long from = System.nanoTime();
            // What was in the pipes already comes at once: it is news only after a pause.
            Thread.sleep(20);
            int before = shell.out().size();
            while (shell.out().size() == before) {
                Duration waited = Duration.ofNanos(System.nanoTime() - from);
                if (waited.compareTo(PATIENCE) > 0 || !shell.alive()) {
                    throw new AssertionError(
                            what + ": nothing more: " + shell.report() + "\n" + sshd.log());
                }
                Thread.sleep(2);
            }
            Duration took = Duration.ofNanos(System.nanoTime() - from);
            back.add(new Back(what, took));
            if (rest) {
                say(what + ": back after " + took.toMillis() + " ms");
                Thread.sleep(1_500);
            }
        }

        // --- the copy

        /** There and back until it is enough, each copy held against what was sent. */
        private void copyOn(int seed) {
            try {
                Path there = directory.resolve("there");
                Outlive.fill(there, seed, plan.bytes());
                Path here = directory.resolve("here");
                Path again = directory.resolve("again");
                while (copies < 2 || !enough) {
                    boolean get = copies % 2 == 0;
                    Path to = get ? here : again;
                    Files.deleteIfExists(to);
                    String order = get ? "get " + there + " " + to : "put " + here + " " + to;
                    Running sftp =
                            Command.of(
                                            "sftp",
                                            "-q",
                                            "-F",
                                            sshd.config().toString(),
                                            "-o",
                                            "HostName=127.0.0.1",
                                            "-P",
                                            Integer.toString(INNER),
                                            "-o",
                                            "HostKeyAlias=[%s]:%d"
                                                    .formatted(NatLab.SERVER, sshd.port()),
                                            "-l",
                                            Integer.toString(plan.kilobitsASecond()),
                                            "-b",
                                            "-",
                                            "trial")
                                    .behind(lab.client())
                                    .input(order + "\n")
                                    .start();
                    copy = sftp;
                    Ended ended = sftp.end(LONG);
                    if (ended.status() != 0) {
                        throw new AssertionError("sftp: " + ended.status() + ": " + ended.err());
                    }
                    long wrong = Files.mismatch(there, to);
                    if (wrong >= 0) {
                        throw new AssertionError("sftp: byte " + wrong + " of a copy is wrong");
                    }
                    copies++;
                    say((get ? "down" : "up") + ": " + plan.bytes() + " bytes copied, all right");
                }
            } catch (IOException e) {
                throw new CompletionException(e);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }

        // --- what is proved

        private String proved(Ended ended, Ended asked, int during) {
            List<String> counted = ended.out().lines().toList();
            int last = counted.size() - 2;
            String expected =
                    IntStream.rangeClosed(1, last)
                            .mapToObj(String::valueOf)
                            .collect(Collectors.joining("\n", "", "\n"));
            String name = counted.getFirst() + "\n";
            if (ended.status() != 0 || !ended.out().equals(name + expected + name)) {
                throw new AssertionError(
                        "the shell ended with "
                                + ended.status()
                                + ", or has not counted: "
                                + ended.out()
                                + ended.err());
            }
            List<String> asks = new ArrayList<>();
            for (String line : ended.errLines().lines().toList()) {
                if (line.startsWith("agent ")) {
                    asks.add(line);
                } else if (stock || !line.startsWith("Connection to ")) {
                    throw new AssertionError("said meanwhile: " + line);
                }
            }
            for (int i = 0; i < asks.size(); i++) {
                if (!asks.get(i).equals("agent " + (i + 1))) {
                    throw new AssertionError("the agent's answer " + (i + 1) + ": " + asks.get(i));
                }
            }
            if (!asked.out().matches("\\d+ answers, all right\n") || asks.isEmpty()) {
                throw new AssertionError("questions: " + asked.out() + asked.err());
            }
            return ("the shell counted to %d, nothing lost, nothing twice; %s; the agent answered %d"
                            + " times; %d copies of %d MB, every byte right; %d of %d cuts fell into"
                            + " a copy")
                    .formatted(
                            last,
                            asked.out().strip(),
                            asks.size(),
                            copies,
                            plan.bytes() / 1_000_000,
                            during,
                            plan.cuts());
        }

        /** No session, no socket, nobody parked; the listener is told to go, and goes. */
        private void nothingLeft() throws InterruptedException {
            long deadline = System.nanoTime() + SOON.toNanos();
            List<Long> sessions = sshd.sessions();
            String sockets = sockets();
            String parked = parked();
            while (!(sessions.isEmpty() && sockets.isEmpty() && parked.isEmpty())) {
                if (System.nanoTime() > deadline) {
                    throw new AssertionError(
                            "left on the server: " + sessions + " " + sockets + " " + parked);
                }
                Thread.sleep(200);
                sessions = sshd.sessions();
                sockets = sockets();
                parked = parked();
            }
            if (listener != null) {
                listener.signal("TERM");
                listener.end(SOON);
            }
        }

        /** But for what a dead carrier left unsent, which is the kernel's and no process's. */
        private String sockets() throws InterruptedException {
            return Command.of("ss", "-tnH", "state", "connected", "exclude", "time-wait")
                    .behind(lab.server())
                    .end(SOON)
                    .out()
                    .lines()
                    .filter(line -> !line.startsWith("FIN-WAIT") && !line.startsWith("LAST-ACK"))
                    .collect(Collectors.joining("\n"));
        }

        private String parked() throws InterruptedException {
            if (stock) {
                return "";
            }
            String status =
                    Command.of(
                                    Client.holdfast().launcher().toString(),
                                    "sshd",
                                    "status",
                                    "--pid",
                                    Long.toString(sshd.pid()))
                            .behind(lab.server())
                            .end(SOON)
                            .out();
            return status.contains("0 connections now") ? "" : status;
        }

        private static void say(String line) {
            System.err.println("outlive: " + line);
        }

        @Override
        public void close() {
            enough = true;
            List<Running> all = new ArrayList<>(started);
            Running sftp = copy;
            if (sftp != null) {
                all.add(sftp);
            }
            for (Running running : all) {
                if (running.alive()) {
                    Signals.send("KILL", Signals.tree(running.pid()));
                }
            }
        }
    }
}
