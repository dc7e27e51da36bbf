package holdfast.app.service;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonParseException;
import holdfast.ssh.server.ConnectionStatus;
import holdfast.ssh.server.Counts;
import holdfast.ssh.server.Departure;
import holdfast.ssh.server.Server;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What {@code holdfast sshd status} tells, and the form of its {@code --json}: times in seconds
 * unless the name says milliseconds.
 *
 * @param leaving whether it has been stopped, and only serves the connections that it still has
 * @param ended connections that have ended, counted by why
 * @param penalised sources that are kept out now
 */
public record StatusReport(
        long pid,
        double uptimeSeconds,
        boolean leaving,
        List<String> listening,
        long connectionsAccepted,
        long logins,
        long probesSent,
        int loginsInProgress,
        int penalised,
        Map<String, Long> ended,
        List<Connection> connections) {

    /**
     * One connection. {@code state} is opening, up, parked, suspect or dead; the last four parts
     * are there only with a tether.
     *
     * @param tethered whether the session outlives its connection
     * @param parkedSeconds how long it has been without one
     * @param holdLeftSeconds how long it still waits for one
     * @param waitingBytes what the client has not acknowledged
     */
    public record Connection(
            long id,
            @Nullable String user,
            @Nullable String address,
            double ageSeconds,
            double idleSeconds,
            @Nullable Double roundTripMillis,
            int unansweredProbes,
            String state,
            List<String> channels,
            boolean tethered,
            @Nullable Double parkedSeconds,
            @Nullable Double holdLeftSeconds,
            @Nullable Long waitingBytes) {

        /** What the table says of a session that waits for its client. */
        private String standing() {
            return parkedSeconds == null || holdLeftSeconds == null
                    ? state
                    : state
                            + " for "
                            + time(parkedSeconds)
                            + ", held for "
                            + time(holdLeftSeconds)
                            + ", "
                            + waitingBytes
                            + " bytes waiting";
        }
    }

    private static final Gson GSON =
            new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create();

    /** What {@code server} is like now. */
    public static StatusReport of(Server server) {
        Counts counts = server.counts();
        Map<String, Long> ended = new LinkedHashMap<>();
        for (Departure why : Departure.values()) {
            ended.put(why.label(), counts.departures(why));
        }
        List<Connection> connections = new ArrayList<>();
        for (ConnectionStatus one : server.connections()) {
            Duration trip = one.roundTrip();
            ConnectionStatus.Tethered tether = one.tether();
            Duration parked = tether == null ? null : tether.parked();
            Duration left = tether == null ? null : tether.holdLeft();
            connections.add(
                    new Connection(
                            one.id(),
                            one.user(),
                            one.peer(),
                            seconds(one.age()),
                            seconds(one.idle()),
                            trip == null ? null : trip.toNanos() / 1e6,
                            one.unanswered(),
                            one.state().name().toLowerCase(Locale.ROOT),
                            one.channels(),
                            tether != null,
                            parked == null ? null : seconds(parked),
                            left == null ? null : seconds(left),
                            tether == null ? null : tether.waiting()));
        }
        return new StatusReport(
                ProcessHandle.current().pid(),
                seconds(server.uptime()),
                server.leaving(),
                server.addresses().stream()
                        .map(a -> a.getAddress().getHostAddress() + " port " + a.getPort())
                        .toList(),
                counts.connections(),
                counts.logins(),
                counts.probes(),
                server.startups(),
                server.penalised(),
                ended,
                connections);
    }

    private static double seconds(Duration time) {
        return time.toMillis() / 1000.0;
    }

    /** The report as JSON, with an end of line. */
    public String json() {
        return GSON.toJson(this) + "\n";
    }

    /**
     * Reads what {@link #json} wrote.
     *
     * @throws IllegalArgumentException if it is something else
     */
    public static StatusReport parse(String json) {
        try {
            StatusReport report = GSON.fromJson(json, StatusReport.class);
            if (report == null || report.connections() == null || report.ended() == null) {
                throw new IllegalArgumentException("not a status report");
            }
            return report;
        } catch (JsonParseException e) {
            throw new IllegalArgumentException("not a status report", e);
        }
    }

    /** The report for a person: a line on the server, and one for each connection. */
    public String text() {
        StringBuilder out = new StringBuilder();
        out.append("holdfast sshd, pid ")
                .append(pid)
                .append(", up ")
                .append(time(uptimeSeconds))
                .append(leaving ? ", stopped: only serves on" : ", listening on ")
                .append(String.join(", ", listening))
                .append('\n');
        out.append(connections.size())
                .append(connections.size() == 1 ? " connection" : " connections")
                .append(" now, ")
                .append(connectionsAccepted)
                .append(" accepted, ")
                .append(logins)
                .append(logins == 1 ? " login, " : " logins, ")
                .append(probesSent)
                .append(probesSent == 1 ? " keepalive sent" : " keepalives sent");
        if (penalised > 0) {
            out.append(", ").append(penalised).append(" sources kept out");
        }
        out.append('\n');
        List<String> why = new ArrayList<>();
        ended.forEach((name, count) -> {
            if (count > 0) {
                why.add(count + " " + name);
            }
        });
        if (!why.isEmpty()) {
            out.append("ended: ").append(String.join(", ", why)).append('\n');
        }
        if (connections.isEmpty()) {
            return out.toString();
        }
        List<List<String>> rows = new ArrayList<>();
        rows.add(
                List.of("ID", "USER", "ADDRESS", "AGE", "HEARD", "RTT", "PROBES", "STATE", "WHAT"));
        for (Connection one : connections) {
            Double trip = one.roundTripMillis();
            rows.add(
                    List.of(
                            Long.toString(one.id()),
                            one.user() == null ? "-" : one.user(),
                            one.address() == null ? "-" : one.address(),
                            time(one.ageSeconds()),
                            time(one.idleSeconds()) + " ago",
                            trip == null ? "-" : "%.1f ms".formatted(trip),
                            Integer.toString(one.unansweredProbes()),
                            one.standing(),
                            one.channels().isEmpty() ? "-" : String.join(" ", one.channels())));
        }
        table(out, rows);
        return out.toString();
    }

    /** What is said of it beside a server that listens. */
    public String inPassing() {
        return "Another, pid %d, was stopped and serves on %d %s."
                .formatted(
                        pid,
                        connections.size(),
                        connections.size() == 1 ? "connection" : "connections");
    }

    private static void table(StringBuilder out, List<List<String>> rows) {
        int columns = rows.getFirst().size();
        int[] widths = new int[columns];
        for (List<String> row : rows) {
            for (int i = 0; i < columns; i++) {
                widths[i] = Math.max(widths[i], row.get(i).length());
            }
        }
        for (List<String> row : rows) {
            StringBuilder line = new StringBuilder();
            for (int i = 0; i < columns; i++) {
                line.append(row.get(i));
                line.append(" ".repeat(widths[i] - row.get(i).length() + 2));
            }
            out.append(line.toString().stripTrailing()).append('\n');
        }
    }

    /** {@code 4.2 s}, {@code 17 min}, {@code 3 h 12 min}, {@code 2 d 5 h}. */
    static String time(double seconds) {
        long whole = (long) seconds;
        if (whole < 10) {
            return "%.1f s".formatted(seconds);
        }
        if (whole < 120) {
            return whole + " s";
        }
        if (whole < 2 * 3600) {
            return whole / 60 + " min";
        }
        if (whole < 48 * 3600) {
            return whole / 3600 + " h " + whole / 60 % 60 + " min";
        }
        return whole / 86_400 + " d " + whole / 3600 % 24 + " h";
    }
}
