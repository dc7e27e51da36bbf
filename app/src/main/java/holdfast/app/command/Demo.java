package holdfast.app.command;

import holdfast.core.liveness.LinkEvent;
import holdfast.core.liveness.LinkState;
import holdfast.core.time.Moment;
import holdfast.lab.middlebox.Direction;
import holdfast.lab.middlebox.Flow;
import holdfast.lab.middlebox.IdleNat;
import holdfast.lab.proxy.WeatherEvent;
import holdfast.lab.proxy.WeatherProxy;
import holdfast.ssh.client.Client;
import holdfast.ssh.config.ClientConfig;
import holdfast.ssh.config.CommandLine;
import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.Surroundings;
import holdfast.ssh.log.Log;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * {@code holdfast demo}: one connection dies in a router's silence and another lives through it,
 * before your eyes.
 *
 * <p>Everything is real but the router: an SSH server on loopback, two clients of ours, and between
 * them the lab's middlebox. One thread prints; all others put what they saw into its mailbox.
 */
public final class Demo {

    /**
     * What is played.
     *
     * @param forgetsAfter how long a connection may be idle before the router forgets it
     * @param interval the second client's ServerAliveInterval, in seconds
     * @param silence how long the command says nothing, in seconds
     * @param watch how long the lost line is waited for after it was sent
     */
    record Scene(Duration forgetsAfter, int interval, int silence, Duration watch) {}

    private static final Scene SCENE =
            new Scene(Duration.ofSeconds(5), 2, 8, Duration.ofSeconds(4));

    private static final String PLAIN = "plain";
    private static final String KEPT = "kept";
    private static final String LINE = "it is done";

    /** Longer than any step of the play may take before it counts as failed. */
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    /**
     * The server's own lines. SHLVL: a bash that a server runs at the outermost level first reads
     * what the user's ~/.bashrc says, which may take a second and is no part of the play.
     */
    private static final List<String> SERVER =
            List.of("LogLevel VERBOSE", "PermitUserRC no", "SetEnv SHLVL=2");

    private static final String USAGE =
            """
            usage: holdfast demo

            Shows a connection die and another live, in about a quarter of a minute. Uses nothing
            but this machine's loopback address and a temporary directory.
            """;

    /** One of the two clients, as far as it can be seen. Owned by the printing thread. */
    private static final class Actor {
        final String name;
        final StringBuilder printed = new StringBuilder();
        @Nullable Moment loggedIn;
        @Nullable Moment forgotten;
        @Nullable Moment sent;
        @Nullable Moment arrived;
        @Nullable Integer status;
        int keepalives;
        boolean robbed;

        Actor(String name) {
            this.name = name;
        }

        boolean hasLine() {
            return printed.indexOf(LINE) >= 0;
        }
    }

    private final Scene scene;
    private final Stage stage;
    private final Actor plain = new Actor(PLAIN);
    private final Actor kept = new Actor(KEPT);
    private final LinkedBlockingQueue<Runnable> mailbox = new LinkedBlockingQueue<>();
    private final List<String> complaints = new ArrayList<>();
    private String user = "";

    private Demo(Scene scene, Stage stage) {
        this.scene = scene;
        this.stage = stage;
    }

    /**
     * Plays the demo on stdout.
     *
     * @param arguments none, or {@code --help}
     * @return 0 if the one connection died and the other lived, 1 if not, 2 for wrong arguments
     */
    public static int run(List<String> arguments) {
        if (arguments.equals(List.of("--help")) || arguments.equals(List.of("-h"))) {
            System.out.print(USAGE);
            return 0;
        }
        if (!arguments.isEmpty()) {
            System.err.println("holdfast demo: takes no arguments; see holdfast demo --help");
            return 2;
        }
        return play(SCENE, Stage.of(System.out, System.getenv()), System.err);
    }

    /** Plays {@code scene} in a temporary directory, and leaves nothing behind. */
    static int play(Scene scene, Stage stage, PrintStream errors) {
        try (Backstage backstage = Backstage.open()) {
            return new Demo(scene, stage).play(backstage);
        } catch (ConfigException e) {
            errors.println("holdfast demo: cannot be played here: " + e.text());
            return 1;
        } catch (IOException e) {
            errors.println("holdfast demo: cannot be played here: " + e.getMessage());
            return 1;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return 1;
        }
    }

    /** What has to be cleared away afterwards, also when somebody presses Ctrl-C. */
    private static final class Backstage implements AutoCloseable {

        final Path directory;
        private final List<AutoCloseable> open = new ArrayList<>();
        private final Thread hook = new Thread(this::clear, "curtain");

        private Backstage(Path directory) {
            this.directory = directory;
        }

        static Backstage open() throws IOException {
            Path directory;
            try {
                directory = Files.createTempDirectory("holdfast-demo");
            } catch (IOException e) {
                String where = System.getProperty("java.io.tmpdir");
                throw new IOException("no directory can be made in " + where, e);
            }
            Backstage backstage = new Backstage(directory);
            Runtime.getRuntime().addShutdownHook(backstage.hook);
            return backstage;
        }

        synchronized <T extends AutoCloseable> T keep(T resource) {
            open.add(resource);
            return resource;
        }

        @Override
        public void close() {
            clear();
            Runtime.getRuntime().removeShutdownHook(hook);
        }

        private synchronized void clear() {
            for (AutoCloseable resource : open.reversed()) {
                try {
                    resource.close();
                } catch (Exception e) {
                    // The rest still has to be cleared away.
                }
            }
            open.clear();
            try (Stream<Path> files = Files.list(directory)) {
                for (Path file : files.toList()) {
                    Files.deleteIfExists(file);
                }
                Files.deleteIfExists(directory);
            } catch (IOException e) {
                // Files in the system's temporary directory that somebody else still uses.
            }
        }
    }

    private int play(Backstage backstage)
            throws IOException, ConfigException, InterruptedException {
        user = Surroundings.ofProcess().localUser();
        OwnServer server =
                backstage.keep(
                        OwnServer.start(
                                backstage.directory,
                                user,
                                0,
                                SERVER,
                                new Log(
                                        Log.Level.INFO,
                                        line -> mailbox.add(() -> served(line.strip())))));
        IdleNat router = IdleNat.of(scene.forgetsAfter, IdleNat.Expiry.SILENT);
        WeatherProxy proxy =
                backstage.keep(
                        WeatherProxy.open(
                                server.address(),
                                List.of(router),
                                event -> mailbox.add(() -> saw(event))));
        stage.clock(proxy::now);
        Path knownHosts = backstage.directory.resolve("known_hosts");
        int port = proxy.address().getPort();
        Files.writeString(knownHosts, server.knownHostsLine(port) + "\n");

        introduce();
        for (Actor actor : List.of(plain, kept)) {
            List<String> arguments = arguments(actor, server.identity(), knownHosts, port);
            Thread.ofPlatform()
                    .daemon()
                    .name("client " + actor.name)
                    .start(() -> client(actor, arguments));
            // One after the other, so that the first connection seen is the first client's.
            if (!until(() -> actor.loggedIn != null || actor.status != null)) {
                return failed(actor.name + " did not log in");
            }
        }
        boolean played =
                until(() ->
                        (plain.sent != null || plain.hasLine() || plain.status != null)
                                && (kept.hasLine() || kept.status != null))
                        && until(() -> kept.status != null);
        Moment curtain = stage.now().plus(scene.watch);
        while (played && stage.now().isBefore(curtain)) {
            handle(stage.now().until(curtain));
        }
        return verdict();
    }

    private void introduce() {
        String command = "sleep " + scene.silence + "; echo " + LINE;
        stage.say("", stage.bold("A connection that says nothing, twice"), "");
        stage.paragraph(
                "This machine now runs an SSH server and, in front of it, a router that does what"
                        + " routers do: it forgets a connection on which nothing was sent for some"
                        + " time, and tells nobody. Real ones wait for minutes, this one for "
                        + seconds(scene.forgetsAfter)
                        + ". Two clients log in through it and run the same command, which is"
                        + " silent for "
                        + scene.silence
                        + " s and then prints a line.");
        stage.say(
                "",
                "  " + stage.bold("plain") + "  ssh host '" + command + "'",
                "  "
                        + stage.bold("kept ")
                        + "  ssh -o ServerAliveInterval="
                        + scene.interval
                        + " host '"
                        + command
                        + "'",
                "");
        stage.header();
    }

    private List<String> arguments(Actor actor, Path identity, Path knownHosts, int port) {
        int interval = actor == kept ? scene.interval : 0;
        return List.of(
                "-F",
                "none",
                "-nT",
                "-i",
                identity.toString(),
                "-o",
                "IdentitiesOnly=yes",
                "-o",
                "IdentityAgent=none",
                "-o",
                "BatchMode=yes",
                "-o",
                "StrictHostKeyChecking=yes",
                "-o",
                "UserKnownHostsFile=" + knownHosts,
                "-o",
                "GlobalKnownHostsFile=none",
                // It would bring the first client's connection back, and there were no story.
                "-o",
                "Tether=no",
                "-o",
                "ServerAliveInterval=" + interval,
                "-p",
                String.valueOf(port),
                user + "@127.0.0.1",
                "sleep " + scene.silence + "; echo " + LINE);
    }

    // --- the clients' threads

    private void client(Actor actor, List<String> arguments) {
        Log log =
                new Log(
                        Log.Level.INFO,
                        line ->
                                mailbox.add(
                                        () -> complaints.add(actor.name + ": " + line.strip())));
        int status;
        try {
            Surroundings surroundings = Surroundings.ofProcess();
            ClientConfig config =
                    ClientConfig.resolve(
                            CommandLine.parse(arguments, surroundings), surroundings, log);
            Client.Streams streams =
                    new Client.Streams(
                            Channels.newChannel(new ByteArrayInputStream(new byte[0])),
                            Channels.newChannel(new Printed(actor)),
                            Channels.newChannel(OutputStream.nullOutputStream()));
            status =
                    new Client(
                                    config.settings(),
                                    surroundings.environment(),
                                    streams,
                                    null,
                                    (prompt, echo) -> null,
                                    log,
                                    (at, event, before, after) ->
                                            watch(actor, event, before, after))
                            .run();
        } catch (ConfigException e) {
            log.fatal(e.text());
            status = Client.FAILED;
        }
        int ended = status;
        mailbox.add(() -> ended(actor, ended));
    }

    /** What a client's command prints; told to the stage as it comes. */
    private final class Printed extends OutputStream {

        private final Actor actor;

        Printed(Actor actor) {
            this.actor = actor;
        }

        @Override
        public void write(int b) {
            write(new byte[] {(byte) b}, 0, 1);
        }

        @Override
        public void write(byte[] bytes, int offset, int count) {
            String text = new String(bytes, offset, count, StandardCharsets.UTF_8);
            mailbox.add(() -> printed(actor, text));
        }
    }

    private void watch(Actor actor, LinkEvent event, LinkState before, LinkState after) {
        if (event instanceof LinkEvent.ProbeAnswered) {
            mailbox.add(() -> answered(actor));
        } else if (probes(after) > probes(before)) {
            mailbox.add(() -> probed(actor));
        }
    }

    private static int probes(LinkState state) {
        return switch (state) {
            case LinkState.Up up -> up.watch().unanswered();
            case LinkState.Suspect suspect -> suspect.watch().unanswered();
            case LinkState.Opening _, LinkState.Dead _ -> 0;
        };
    }

    // --- the printing thread

    private interface Condition {
        boolean holds();
    }

    /** Tells what happens until {@code condition} holds; false when it takes too long. */
    private boolean until(Condition condition) throws InterruptedException {
        Moment deadline = stage.now().plus(Duration.ofSeconds(scene.silence)).plus(PATIENCE);
        while (!condition.holds()) {
            if (!stage.now().isBefore(deadline)) {
                return false;
            }
            handle(stage.now().until(deadline));
        }
        return true;
    }

    private void handle(Duration wait) throws InterruptedException {
        Runnable next = mailbox.poll(Math.max(0, wait.toNanos()), TimeUnit.NANOSECONDS);
        if (next != null) {
            next.run();
        }
    }

    private Actor actor(Flow flow) {
        return flow.number() == 1 ? plain : kept;
    }

    /** What the server has logged; clients log in one after the other. */
    private void served(String line) {
        Actor actor = plain.loggedIn == null ? plain : kept;
        if (line.startsWith("Starting session: ") && actor.loggedIn == null) {
            actor.loggedIn = stage.now();
            stage.row(actor.name, "logs in", Stage.TO, "", Stage.TO, "runs the command");
        } else {
            complaints.add("server: " + line);
        }
    }

    private void saw(WeatherEvent event) {
        Actor actor = actor(event.flow());
        switch (event) {
            case WeatherEvent.Forgotten forgotten -> {
                actor.forgotten = forgotten.at();
                stage.row(
                        actor.name,
                        "thinks all is well",
                        Stage.NONE,
                        stage.red("forgets it"),
                        Stage.NONE,
                        "thinks all is well");
            }
            case WeatherEvent.Swallowed swallowed -> {
                // The line is followed by the command's status and the channel's end.
                if (swallowed.direction() == Direction.TO_CLIENT && !actor.robbed) {
                    actor.robbed = true;
                    stage.row(
                            actor.name,
                            "hears nothing",
                            Stage.NONE,
                            stage.red("swallows it"),
                            Stage.BACK,
                            "prints the line");
                }
            }
            case WeatherEvent.Spoke spoke -> {
                if (spoke.direction() == Direction.TO_CLIENT
                        && actor.forgotten != null
                        && actor.sent == null) {
                    actor.sent = spoke.at();
                }
            }
            case WeatherEvent.Opened _,
                    WeatherEvent.Refused _,
                    WeatherEvent.Heard _,
                    WeatherEvent.Revived _,
                    WeatherEvent.Remapped _,
                    WeatherEvent.Reset _,
                    WeatherEvent.Ended _,
                    WeatherEvent.GaveUp _,
                    WeatherEvent.Closed _ -> {}
        }
    }

    private void probed(Actor actor) {
        actor.keepalives++;
        stage.row(actor.name, "keepalive", Stage.TO, "timer restarts", Stage.TO, "");
    }

    private void answered(Actor actor) {
        stage.row(actor.name, "knows it is alive", Stage.BACK, "", Stage.BACK, "replies");
    }

    private void printed(Actor actor, String text) {
        actor.printed.append(text);
        if (actor.arrived == null && actor.hasLine()) {
            actor.arrived = stage.now();
            stage.row(
                    actor.name,
                    stage.green("has the line"),
                    Stage.BACK,
                    "passes it on",
                    Stage.BACK,
                    "prints the line");
        }
    }

    private void ended(Actor actor, int status) {
        actor.status = status;
        stage.row(actor.name, "leaves, status " + status, Stage.NONE, "", Stage.NONE, "");
    }

    private int verdict() {
        Moment now = stage.now();
        boolean died =
                plain.forgotten != null
                        && plain.sent != null
                        && !plain.hasLine()
                        && !Integer.valueOf(0).equals(plain.status);
        boolean lived = kept.hasLine() && Integer.valueOf(0).equals(kept.status);
        if (plain.status == null) {
            stage.row(
                    PLAIN,
                    "still waits, unaware",
                    Stage.NONE,
                    "",
                    Stage.NONE,
                    "thinks it was heard");
        }
        if (!died || !lived) {
            return failed(
                    (died ? "plain died as expected" : "plain did not die")
                            + ", "
                            + (lived ? "kept lived" : "kept did not live"));
        }
        stage.say("");
        stage.paragraph(
                stage.bold("plain")
                        + " died after "
                        + seconds(scene.forgetsAfter)
                        + " of silence and nobody noticed: the server sent the line at "
                        + at(plain.sent)
                        + ", it never arrived, and at "
                        + at(now)
                        + " the client was still waiting for it, as it would for ever.");
        stage.paragraph(
                stage.bold("kept")
                        + " sent "
                        + kept.keepalives
                        + " keepalives, so the router never saw it idle for "
                        + seconds(scene.forgetsAfter)
                        + ", and the line arrived at "
                        + at(kept.arrived)
                        + ".");
        stage.say("", "Next: ./holdfast ssh -o ServerAliveInterval=60 you@your.host", "");
        return 0;
    }

    private int failed(String what) {
        stage.say("", "The demo did not go as it should: " + what + ".");
        for (String complaint : complaints) {
            stage.say("  " + complaint);
        }
        return 1;
    }

    private static String seconds(Duration duration) {
        return duration.toMillis() % 1000 == 0
                ? duration.toSeconds() + " s"
                : String.format(Locale.ROOT, "%.1f s", duration.toMillis() / 1000.0);
    }

    private static String at(@Nullable Moment moment) {
        return String.format(Locale.ROOT, "%.1f s", moment == null ? 0.0 : moment.nanos() / 1e9);
    }
}
