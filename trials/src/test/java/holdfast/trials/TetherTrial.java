package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Dialogue;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.NatLab;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Signals;
import holdfast.trials.harness.Sshd;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Sessions that outlive their connections: between {@code holdfast ssh} and {@code holdfast sshd},
 * and between stock ssh and stock sshd, joined by the two ends of {@code holdfast tether}.
 */
@ExtendWith(Staged.class)
final class TetherTrial {

    private static final Duration SOON = Duration.ofSeconds(30);
    private static final Duration LONG = Duration.ofMinutes(5);
    private static final Duration NEVER_IDLE = Duration.ofMinutes(10);

    /** Longer than the promise, so that a failure tells by how much. */
    private static final Duration PATIENCE = Duration.ofSeconds(15);

    private static final int LISTEN = 2022;
    private static final int ROUNDS = 2;
    private static final int CUTS = 20;
    private static final int MEGABYTES = 100;

    /** What is on trial. */
    enum Ends {
        /** {@code holdfast ssh} and {@code holdfast sshd}, and nothing between. */
        OURS,
        /** OpenSSH's, and {@code holdfast tether} between. */
        STOCK
    }

    /** Counts until a file is there. */
    private static String counter(Path until) {
        return "i=0; until [ -e " + until + " ]; do i=$((i+1)); echo $i; sleep 0.05; done";
    }

    @ParameterizedTest
    @EnumSource
    void a_session_goes_on_through_every_trouble(Ends ends, Stage stage)
            throws InterruptedException, IOException {
        Scene scene = new Scene(ends, stage);
        NatLab lab = scene.lab;
        Path stop = stage.directory().resolve("stop");
        Running echo = stage.run("python3", "-c", Dialogue.ECHO).behind(lab.server()).start();
        echo.out().await("\n", SOON);
        int port = Integer.parseInt(echo.out().text().strip());
        Running counter =
                scene.command("ssh", "-L", "2300:127.0.0.1:" + port, "trial", counter(stop))
                        .start();
        counter.out().await("20\n", SOON);
        Running asker =
                stage.run("python3", "-c", Dialogue.ASK, "2300", stop.toString())
                        .behind(lab.client())
                        .start();

        List<String> report = new ArrayList<>();
        List<Duration> back = new ArrayList<>();
        for (int round = 0; round < ROUNDS; round++) {
            lab.forget();
            back.add(goesOn(counter, "the NAT forgot", report));
            lab.kill();
            Thread.sleep(300);
            lab.heal();
            back.add(goesOn(counter, "RST from the middle", report));
            lab.roam(round % 2 == 0 ? "10.77.1.3" : "10.77.1.2");
            back.add(goesOn(counter, "another address", report));
        }
        lab.cut();
        Thread.sleep(10_000);
        lab.heal();
        back.add(goesOn(counter, "10 s without a path", report));
        List<Long> client = Signals.tree(counter.pid());
        Signals.send("STOP", client);
        Thread.sleep(20_000);
        Signals.send("CONT", client);
        back.add(goesOn(counter, "client stopped for 20 s", report));

        Files.createFile(stop);
        Ended ended = counter.end(SOON);
        Ended asked = asker.end(SOON);
        System.out.println(
                "tether, " + ends + ", path back to first byte: " + String.join("; ", report));
        System.out.println(
                "tether, "
                        + ends
                        + ", median and worst: "
                        + median(back).toMillis()
                        + " ms, "
                        + worst(back).toMillis()
                        + " ms");
        if (ends == Ends.STOCK) {
            assertThat(ended.err()).isEmpty();
        } else {
            assertThat(ended.err().lines())
                    .allMatch(line ->
                            line.startsWith("Connection to ")
                                    && (line.endsWith(" lost; reconnecting.")
                                            || line.endsWith(" s.")));
        }
        assertThat(ended.status()).isZero();
        assertCounts(ended.out());
        assertThat(asked.out()).as(asked.err()).matches("\\d{3,} answers, all right\n");
        // A loss that nobody tells is missed in less than three seconds, on a quiet machine.
        assertThat(worst(back)).isLessThan(Duration.ofSeconds(10));
        echo.signal("TERM");
        scene.assertNothingLeft();
    }

    @ParameterizedTest
    @EnumSource
    void an_sftp_copy_survives_twenty_cuts_at_random_moments(Ends ends, Stage stage)
            throws InterruptedException, IOException {
        Scene scene = new Scene(ends, stage);
        NatLab lab = scene.lab;
        long seed = System.nanoTime();
        System.out.println("seed " + seed);
        Path there = stage.directory().resolve("there");
        try (InputStream bytes = new RandomBytes(seed, MEGABYTES * 1_000_000L);
                OutputStream file = Files.newOutputStream(there)) {
            bytes.transferTo(file);
        }
        Path here = stage.directory().resolve("here");
        Path again = stage.directory().resolve("again");
        Running copy =
                scene.command("sftp", "-l", "40000", "-b", "-", "-o", "LogLevel=verbose", "trial")
                        .input("get " + there + " " + here + "\nput " + here + " " + again + "\n")
                        .start();
        // A cut before the login is the end of any connection: nobody is known yet.
        Eventually.holds(LONG, () -> Files.exists(here) || !copy.alive(), copy::report);
        SplittableRandom random = new SplittableRandom(seed);
        for (int cut = 0; cut < CUTS; cut++) {
            Thread.sleep(random.nextInt(300, 1800));
            assertThat(copy.alive()).as("at cut %d: %s", cut, copy.report()).isTrue();
            switch (random.nextInt(3)) {
                case 0 -> lab.forget();
                case 1 -> {
                    lab.kill();
                    Thread.sleep(100);
                    lab.heal();
                }
                default -> {
                    lab.cut();
                    Thread.sleep(random.nextInt(200, 3000));
                    lab.heal();
                }
            }
        }
        Ended ended = copy.end(LONG);
        assertThat(ended.status()).as(ended.err()).isZero();
        assertThat(Files.mismatch(there, here)).isEqualTo(-1);
        assertThat(Files.mismatch(there, again)).isEqualTo(-1);
        scene.assertNothingLeft();
    }

    @Test
    void each_end_alone_is_plain_ssh(Stage stage) throws InterruptedException {
        Scene scene = new Scene(Ends.STOCK, stage);
        NatLab lab = scene.lab;
        Sshd sshd = scene.sshd;
        Running listener = Objects.requireNonNull(scene.listener);
        String script = "echo out; echo err >&2; cat; exit 7";
        String text = "x".repeat(300_000);
        Ended throughListener =
                stage.openSsh(
                                sshd,
                                "-o",
                                "HostKeyAlias=[" + NatLab.SERVER + "]:" + sshd.port(),
                                "-p",
                                String.valueOf(LISTEN),
                                "trial",
                                script)
                        .behind(lab.client())
                        .input(text)
                        .end(SOON);
        Ended underConnect =
                tethered(stage, lab, sshd, sshd.port(), "ssh", "trial", script)
                        .input(text)
                        .end(SOON);
        for (Ended ended : List.of(throughListener, underConnect)) {
            assertThat(ended.out()).isEqualTo("out\n" + text);
            assertThat(ended.err()).isEqualTo("err\n");
            assertThat(ended.status()).isEqualTo(7);
        }
        assertThat(listener.err().text()).doesNotContain("tether begins");
        scene.assertNothingLeft();
    }

    // --- both ends

    /** Both ends behind a NAT. */
    private static final class Scene {
        final Ends ends;
        final Stage stage;
        final NatLab lab;
        final Sshd sshd;
        final @Nullable Running listener;

        Scene(Ends ends, Stage stage) throws InterruptedException {
            this.ends = ends;
            this.stage = stage;
            lab = stage.natLab(NatLab.Mode.BLACKHOLE, NEVER_IDLE);
            sshd = ends == Ends.OURS ? stage.holdfastSshd(lab) : stage.sshd(lab);
            listener = ends == Ends.OURS ? null : listener(stage, lab, sshd);
        }

        Command command(String... words) {
            if (ends == Ends.STOCK) {
                return tethered(stage, lab, sshd, words);
            }
            List<String> argv = new ArrayList<>();
            Path ours = Client.holdfast().asOneProgram(stage.directory());
            if (words[0].equals("ssh")) {
                argv.add(ours.toString());
            } else {
                argv.addAll(List.of(words[0], "-S", ours.toString()));
            }
            argv.addAll(List.of("-F", sshd.config().toString()));
            argv.addAll(Arrays.asList(words).subList(1, words.length));
            return stage.run(argv.toArray(String[]::new)).behind(lab.client());
        }

        /** No session, no socket: then the listener is told to go, and goes. */
        void assertNothingLeft() throws InterruptedException {
            TetherTrial.assertNothingLeft(stage, lab, sshd);
            if (listener != null) {
                listener.signal("TERM");
                listener.end(SOON);
            }
        }
    }

    private static Running listener(Stage stage, NatLab lab, Sshd sshd)
            throws InterruptedException {
        Running listener =
                stage.run(
                                launcher(),
                                "tether",
                                "--listen",
                                NatLab.SERVER + ":" + LISTEN,
                                "--to",
                                NatLab.SERVER + ":" + sshd.port(),
                                "-v")
                        .behind(lab.server())
                        .start();
        listener.err().await("listening on", SOON);
        return listener;
    }

    private static Command tethered(Stage stage, NatLab lab, Sshd sshd, String... words) {
        return tethered(stage, lab, sshd, LISTEN, words);
    }

    private static Command tethered(Stage stage, NatLab lab, Sshd sshd, int port, String... words) {
        List<String> argv = new ArrayList<>();
        argv.add(words[0]);
        argv.addAll(List.of("-F", sshd.config().toString()));
        argv.add("-o");
        argv.add(
                "ProxyCommand=%s tether --connect %s:%d"
                        .formatted(launcher(), NatLab.SERVER, port));
        argv.addAll(Arrays.asList(words).subList(1, words.length));
        return stage.run(argv.toArray(String[]::new)).behind(lab.client());
    }

    private static String launcher() {
        return Client.checkout().resolve("holdfast").toString();
    }

    // --- what is measured and proved

    private static Duration goesOn(Running counter, String what, List<String> report)
            throws InterruptedException {
        long from = System.nanoTime();
        int before = counter.out().size();
        // What was in the pipes already comes at once: it is news only after a pause.
        Thread.sleep(20);
        before = Math.max(before, counter.out().size());
        while (counter.out().size() == before) {
            Duration waited = Duration.ofNanos(System.nanoTime() - from);
            if (waited.compareTo(PATIENCE) > 0 || !counter.alive()) {
                throw new AssertionError(what + ": nothing more: " + counter.report());
            }
            Thread.sleep(2);
        }
        Duration took = Duration.ofNanos(System.nanoTime() - from);
        report.add(what + " " + took.toMillis() + " ms");
        Thread.sleep(1_000);
        return took;
    }

    private static Duration median(List<Duration> all) {
        List<Duration> sorted = all.stream().sorted().toList();
        return sorted.get(sorted.size() / 2);
    }

    private static Duration worst(List<Duration> all) {
        return all.stream().max(Duration::compareTo).orElseThrow();
    }

    private static void assertCounts(String out) {
        int last = (int) out.lines().count();
        String expected =
                IntStream.rangeClosed(1, last)
                        .mapToObj(String::valueOf)
                        .collect(Collectors.joining("\n", "", "\n"));
        assertThat(out).isEqualTo(expected);
    }

    private static void assertNothingLeft(Stage stage, NatLab lab, Sshd sshd)
            throws InterruptedException {
        Eventually.holds(SOON, () -> sshd.sessions().isEmpty(), sshd::log);
        Eventually.holds(SOON, () -> sockets(stage, lab).isEmpty(), () -> sockets(stage, lab));
    }

    private static String sockets(Stage stage, NatLab lab) throws InterruptedException {
        String sockets =
                stage.run("ss", "-tnH", "state", "connected", "exclude", "time-wait")
                        .behind(lab.server())
                        .end(SOON)
                        .out();
        // What a dead carrier left unsent is the kernel's, no process has it any more.
        return sockets.lines()
                .filter(line -> !line.startsWith("FIN-WAIT"))
                .filter(line -> !line.startsWith("LAST-ACK"))
                .filter(line -> !line.startsWith("CLOSING"))
                .collect(Collectors.joining("\n"));
    }
}
