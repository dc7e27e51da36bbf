package holdfast.trials.bench;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.NatLab;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One connection of the survival table.
 *
 * @param trouble what befalls it
 * @param setting how the client watches over it
 * @param serverFirst who breaks the silence: the server, or else the client
 * @param holdfast which client: ours, or else OpenSSH's
 */
record Cell(Trouble trouble, Setting setting, boolean serverFirst, boolean holdfast) {

    /** How many seconds of life one second of the table stands for. */
    static final int FACTOR = 50;

    /** The NAT's idle limit: 300 s scaled. */
    static final Duration LIMIT = Duration.ofSeconds(6);

    /** When what does not come by silence comes, counted as everything from the first byte. */
    static final Duration STRIKE = Duration.ofSeconds(8);

    /** When somebody breaks the silence. */
    static final Duration SPEAK = Duration.ofSeconds(10);

    /** The end of the watch: past the latest bound, (3 + 1) × 12 s after a byte at 0 s. */
    static final Duration END = Duration.ofSeconds(54);

    static final int BELOW = 3;
    static final int ABOVE = 12;
    static final int COUNT = 3;

    /** Limit of a NAT whose forgetting is not the trouble. */
    private static final Duration NEVER = Duration.ofHours(1);

    /** How a client watches over its connection. */
    enum Setting {
        NONE("none", "TCPKeepAlive=no", "ServerAliveInterval=0"),
        TCP("TCPKeepAlive", "TCPKeepAlive=yes", "ServerAliveInterval=0"),
        SHORT(
                "ServerAlive " + BELOW + " s",
                "ServerAliveInterval=" + BELOW,
                "ServerAliveCountMax=" + COUNT),
        LONG(
                "ServerAlive " + ABOVE + " s",
                "ServerAliveInterval=" + ABOVE,
                "ServerAliveCountMax=" + COUNT);

        final String name;
        private final String option;
        private final String other;

        Setting(String name, String option, String other) {
            this.name = name;
            this.option = option;
            this.other = other;
        }
    }

    /** What became of a connection. */
    enum Outcome {
        /** What was said arrived, so did an answer, and both ends are there at the end. */
        LIVED,
        /** At least one end was told. */
        DIED,
        /** It carries nothing, and at the end of the watch neither end has been told. */
        HUNG
    }

    /**
     * The fate of a cell. Times are since the connection's first byte; null where it did not come.
     *
     * @param arrived when what was said first had arrived
     * @param client when the client ended
     * @param server when the server's process for this connection ended
     * @param status the client's exit status, -1 while it runs
     * @param clientSaid the last line of its standard error
     * @param serverSaid the line of sshd's log that names the end
     */
    record Fate(
            Outcome outcome,
            @Nullable Duration arrived,
            @Nullable Duration client,
            @Nullable Duration server,
            int status,
            String clientSaid,
            String serverSaid) {}

    /** When the trouble begins: a mapping expires the limit after the last byte. */
    Duration begins() {
        return trouble.expiry() ? LIMIT : STRIKE;
    }

    @Override
    public String toString() {
        return trouble.name
                + ", "
                + setting.name
                + ", "
                + (serverFirst ? "server" : "client")
                + " first, "
                + (holdfast ? "holdfast" : "OpenSSH");
    }

    /** Lives it through, in a laboratory of its own. */
    Fate run(Client program) throws IOException, InterruptedException {
        Path directory = Files.createTempDirectory("hfs");
        try (NatLab lab = NatLab.up(trouble.mode, trouble.expiry() ? LIMIT : NEVER)) {
            kernel(lab);
            try (Sshd sshd = Sshd.start(directory, lab.server(), NatLab.SERVER)) {
                return live(lab, sshd, connect(program, lab, sshd));
            }
        } finally {
            Trees.remove(directory);
        }
    }

    /** Its defaults of 7200, 75 and 9 for TCP's keepalive, scaled. */
    static void kernel(NatLab lab) {
        lab.ends(
                "net.ipv4.tcp_keepalive_time=" + 7200 / FACTOR,
                "net.ipv4.tcp_keepalive_intvl=" + Math.ceilDiv(75, FACTOR),
                "net.ipv4.tcp_keepalive_probes=9");
    }

    /** What the remote side is to run. */
    static String words(Trouble trouble, boolean serverFirst) {
        String burden = trouble.burden() == 0 ? "" : "head -c " + trouble.burden() + " /dev/zero; ";
        return serverFirst
                ? "echo ready; sleep " + SPEAK.toSeconds() + "; " + burden + "echo spoken; exec cat"
                : "echo ready; exec cat";
    }

    private Running connect(Client program, NatLab lab, Sshd sshd) {
        List<String> words =
                new ArrayList<>(List.of("-o", setting.option, "-o", setting.other, "-T", "trial"));
        words.add(words(trouble, serverFirst));
        Command command = sshd.client(program, words.toArray(String[]::new));
        return command.behind(lab.client()).inputOpen().start();
    }

    private Fate live(NatLab lab, Sshd sshd, Running client)
            throws IOException, InterruptedException {
        try {
            client.out().await("ready\n", Duration.ofSeconds(40));
            long zero = client.out().lastByteAt();
            int logged = sshd.log().length();
            long connection = sshd.sessions().getFirst();
            boolean struck = trouble.expiry();
            boolean healed = trouble.lasts().isZero();
            boolean spoken = serverFirst;
            boolean answering = false;
            Duration arrived = null;
            Duration server = null;
            boolean answered = false;
            Duration now = Duration.ZERO;
            while (now.compareTo(END) < 0) {
                if (!struck && now.compareTo(STRIKE) >= 0) {
                    struck = true;
                    trouble.strike(lab);
                }
                if (!healed && now.compareTo(STRIKE.plus(trouble.lasts())) >= 0) {
                    healed = true;
                    lab.heal();
                }
                if (!spoken && now.compareTo(SPEAK) >= 0) {
                    spoken = true;
                    say(client, "\0".repeat(trouble.burden()) + "spoken\n");
                }
                if (arrived == null && client.out().text().contains("spoken\n")) {
                    arrived = Duration.ofNanos(client.out().lastByteAt() - zero);
                }
                if (arrived != null && !answering) {
                    answering = true;
                    say(client, "answered\n");
                }
                answered = answered || client.out().text().endsWith("answered\n");
                if (server == null && !Files.exists(Path.of("/proc/" + connection))) {
                    server = now;
                }
                if (server != null && !client.alive()) {
                    break;
                }
                // Nothing more can happen to what has survived, unless its trouble goes on.
                if (answered && healed && trouble != Trouble.LOSS && now.compareTo(HEALTHY) > 0) {
                    break;
                }
                Thread.sleep(50);
                now = Duration.ofNanos(System.nanoTime() - zero);
            }
            Duration ended = null;
            int status = -1;
            if (!client.alive()) {
                Ended end = client.end(Duration.ofSeconds(10));
                ended = end.after(zero);
                status = end.status();
            }
            Outcome outcome =
                    ended != null || server != null
                            ? Outcome.DIED
                            : answered ? Outcome.LIVED : Outcome.HUNG;
            return new Fate(
                    outcome,
                    arrived,
                    ended,
                    server,
                    status,
                    last(client.err().text()),
                    farewell(sshd.log().substring(logged)));
        } finally {
            client.kill();
        }
    }

    /** Past it no keepalive of the longer interval is on its way for the first time. */
    static final Duration HEALTHY = Duration.ofSeconds(ABOVE + 2);

    /** From a thread of its own: a connection that is stuck takes no more than its buffers hold. */
    static void say(Running client, String words) {
        Thread.ofVirtual()
                .start(() -> {
                    try {
                        client.stdin().write(words.getBytes(StandardCharsets.UTF_8));
                        client.stdin().flush();
                    } catch (IOException gone) {
                        // It has ended, and its fate says so.
                    }
                });
    }

    private static String last(String text) {
        String[] lines = text.replace("\r", "").strip().split("\n", -1);
        return lines[lines.length - 1];
    }

    /** What sshd logs last, but for the lines that follow from it, without the port of the day. */
    private static String farewell(String log) {
        String said = "";
        for (String line : log.replace("\r", "").strip().split("\n", -1)) {
            if (!line.startsWith("Close session")
                    && !line.startsWith("Closing connection")
                    && !line.startsWith("Transferred:")) {
                said = line;
            }
        }
        return said.replaceAll(" port \\d+", "");
    }

    static String seconds(Duration time) {
        return "%.1f s".formatted(time.toMillis() / 1000.0);
    }
}
