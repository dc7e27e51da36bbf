package holdfast.trials.bench;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.NatLab;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * One session of the survival table with a tether under it: {@code holdfast ssh} to {@code holdfast
 * sshd}, nothing configured.
 *
 * @param trouble what befalls it
 * @param serverFirst who breaks the silence: the server, or else the client
 */
record TetherCell(Trouble trouble, boolean serverFirst) {

    /** What became of a session. */
    enum Outcome {
        /** What was said arrived, and an answer went back, by the same two programs. */
        LIVED,
        /**
         * The trouble was not over by the end of the watch, and the session was there when it was.
         */
        HELD,
        /** One of the programs ended, or nothing came through when it could. */
        DIED
    }

    /**
     * The fate of a session. Times are since its first byte; null where it did not come.
     *
     * @param arrived when what was said first had arrived
     * @param client when the client first looked for another connection
     * @param server when the server's log first told of a loss or of another connection
     * @param connections how many have carried it
     * @param said the client's last line for people
     */
    record Fate(
            Outcome outcome,
            @Nullable Duration arrived,
            @Nullable Duration client,
            @Nullable Duration server,
            int connections,
            String said) {

        String brief() {
            return switch (outcome) {
                case LIVED -> "lived";
                case HELD -> "held";
                case DIED -> "**died**";
            };
        }

        String text() {
            return arrived == null ? brief() : brief() + ", " + Cell.seconds(arrived);
        }

        String since(TetherCell cell, @Nullable Duration time) {
            if (time == null) {
                return "–";
            }
            Duration after = time.minus(cell.begins());
            return after.isNegative()
                    ? "%.1f s before".formatted(-after.toMillis() / 1000.0)
                    : Cell.seconds(after);
        }
    }

    private static final Duration LOGIN = Duration.ofSeconds(60);

    /** After the end of a trouble that outlasts the watch. */
    private static final Duration BACK = Duration.ofSeconds(30);

    private static final Duration NEVER = Duration.ofHours(1);

    private static final String TAKEN = "has taken over";
    private static final Pattern LOOKED =
            Pattern.compile("tether: (attempt \\d+ to bring another|carrier \\d+ lost)");
    private static final Pattern TOLD = Pattern.compile("session held|resumed from| goes on from");

    Duration begins() {
        return trouble.expiry() ? Cell.LIMIT : Cell.STRIKE;
    }

    @Override
    public String toString() {
        return trouble.name + ", tether, " + (serverFirst ? "server" : "client") + " first";
    }

    /** Lives it through, in a laboratory of its own. */
    Fate run() throws IOException, InterruptedException {
        Path directory = Files.createTempDirectory("hfs");
        try (NatLab lab = NatLab.up(trouble.mode, trouble.expiry() ? Cell.LIMIT : NEVER)) {
            Cell.kernel(lab);
            try (Sshd sshd = Sshd.holdfast(directory, lab.server(), NatLab.SERVER)) {
                Running client =
                        sshd.client(
                                        Client.holdfast(),
                                        "-v",
                                        "-o",
                                        "Tether=require",
                                        "-T",
                                        "trial",
                                        Cell.words(trouble, serverFirst))
                                .behind(lab.client())
                                .inputOpen()
                                .start();
                try {
                    return live(lab, sshd, client);
                } finally {
                    client.kill();
                }
            }
        } finally {
            Trees.remove(directory);
        }
    }

    private Fate live(NatLab lab, Sshd sshd, Running client) throws InterruptedException {
        client.out().await("ready\n", LOGIN);
        long zero = client.out().lastByteAt();
        int logged = sshd.log().length();
        int noted = client.err().text().length();
        long program = sshd.sessions().getFirst();
        boolean struck = trouble.expiry();
        boolean healed = trouble.lasts().isZero();
        boolean spoken = serverFirst;
        boolean opened = false;
        Duration may = Cell.SPEAK;
        Duration arrived = null;
        boolean answered = false;
        Duration looked = null;
        Duration told = null;
        Duration now = Duration.ZERO;
        while (client.alive() && Files.exists(Path.of("/proc/" + program))) {
            if (!struck && now.compareTo(Cell.STRIKE) >= 0) {
                struck = true;
                trouble.strike(lab);
            }
            if (!healed && now.compareTo(Cell.STRIKE.plus(trouble.lasts())) >= 0) {
                healed = true;
                lab.heal();
                may = now.compareTo(may) > 0 ? now : may;
            }
            if (!spoken && now.compareTo(Cell.SPEAK) >= 0) {
                spoken = true;
                Cell.say(client, "\0".repeat(trouble.burden()) + "spoken\n");
            }
            if (arrived == null && client.out().text().contains("spoken\n")) {
                arrived = Duration.ofNanos(client.out().lastByteAt() - zero);
                Cell.say(client, "answered\n");
            }
            answered = answered || client.out().text().endsWith("answered\n");
            if (looked == null && LOOKED.matcher(client.err().text().substring(noted)).find()) {
                looked = now;
            }
            if (told == null && TOLD.matcher(sshd.log().substring(logged)).find()) {
                told = now;
            }
            boolean goesOn = trouble == Trouble.LOSS && now.compareTo(Cell.END) < 0;
            if (answered && healed && !goesOn && now.compareTo(Cell.HEALTHY) > 0) {
                break;
            }
            if (now.compareTo(Cell.END) >= 0 && !opened) {
                opened = true;
                lab.heal();
                may = now;
            }
            if (now.compareTo(Cell.END.plus(BACK)) > 0) {
                break;
            }
            Thread.sleep(50);
            now = Duration.ofNanos(System.nanoTime() - zero);
        }
        boolean alive = client.alive() && Files.exists(Path.of("/proc/" + program));
        String err = client.err().text().substring(noted).replace("\r", "");
        String said = "";
        int connections = 1;
        for (String line : err.split("\n", -1)) {
            connections += line.contains(TAKEN) ? 1 : 0;
            said = line.startsWith("debug") || line.isBlank() ? said : line;
        }
        Duration late = arrived == null ? null : arrived.minus(may);
        return new Fate(
                alive && answered ? (opened ? Outcome.HELD : Outcome.LIVED) : Outcome.DIED,
                late == null || !late.isNegative() ? late : Duration.ZERO,
                looked,
                told,
                connections,
                said);
    }
}
