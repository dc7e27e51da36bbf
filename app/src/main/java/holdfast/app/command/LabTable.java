package holdfast.app.command;

import holdfast.core.time.Moment;
import holdfast.lab.middlebox.IdleNat;
import holdfast.lab.middlebox.Span;
import holdfast.lab.proxy.FlowReport;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** The live table of {@code holdfast lab}, as lines of text. Pure. */
final class LabTable {

    /**
     * One connection.
     *
     * @param spoke when either end last said something
     * @param killed whether somebody killed it by hand
     */
    record Row(FlowReport report, Moment spoke, boolean killed) {}

    /**
     * What is to be seen now.
     *
     * @param address where the lab listens
     * @param cut whether the path is cut by hand
     * @param chosen the connection that the keys mean, or {@link LabScript#ALL}
     * @param keys whether there are any
     */
    record View(String address, boolean cut, int chosen, boolean keys, List<Row> rows) {}

    /** Lines that are there whatever the connections: four above them, two below. */
    private static final int FRAME = 6;

    private LabTable() {}

    /** At most {@code height} lines of at most {@code width} characters. */
    static List<String> lines(LabPlan plan, View view, Moment now, int width, int height) {
        List<String> lines = new ArrayList<>();
        lines.add(
                view.address
                        + " -> "
                        + LabPlan.show(plan.to())
                        + "   up "
                        + Units.show(now.since(Moment.ZERO))
                        + "   path: "
                        + path(plan, view.cut, now));
        lines.add("weather: " + plan.weather());
        lines.add("");
        lines.add("   #  age     idle    to server  to client  what the box would do now");
        int room = Math.max(1, height - FRAME);
        int shown = view.rows.size() <= room ? view.rows.size() : room - 1;
        for (Row row : view.rows.subList(0, shown)) {
            FlowReport report = row.report;
            int number = report.flow().number();
            lines.add(
                    String.format(
                            Locale.ROOT,
                            "%s%3d  %-6s  %-6s  %-9s  %-9s  %s",
                            number == view.chosen ? ">" : " ",
                            number,
                            Units.show(now.since(report.opened())),
                            Units.show(now.since(row.spoke)),
                            Units.bytes(report.toServer()),
                            Units.bytes(report.toClient()),
                            now(plan, view.cut, row, now)));
        }
        if (view.rows.isEmpty()) {
            lines.add("      no connection");
        } else if (shown < view.rows.size()) {
            lines.add("      and " + (view.rows.size() - shown) + " more");
        }
        if (view.keys) {
            String whom = view.chosen == LabScript.ALL ? "all" : "#" + view.chosen;
            lines.add("");
            lines.add(
                    "c cut  h heal  f forget  r reset "
                            + whom
                            + "  k kill "
                            + whom
                            + "  1-9, a choose  q quit");
        }
        List<String> fitting = new ArrayList<>();
        for (String line : lines.subList(0, Math.min(lines.size(), Math.max(1, height)))) {
            fitting.add(line.length() > width ? line.substring(0, width) : line);
        }
        return fitting;
    }

    private static String path(LabPlan plan, boolean cut, Moment now) {
        if (cut) {
            return "CUT by hand";
        }
        Moment next = Moment.NEVER;
        for (Span span : plan.outages()) {
            if (span.contains(now)) {
                return "OUTAGE, " + Units.show(now.until(span.to())) + " to go";
            }
            if (now.isBefore(span.from())) {
                next = Moment.earlier(next, span.from());
            }
        }
        return next.equals(Moment.NEVER)
                ? "open"
                : "open, outage in " + Units.show(now.until(next));
    }

    /** What would become of something said now. */
    static String now(LabPlan plan, boolean cut, Row row, Moment now) {
        FlowReport report = row.report;
        if (!report.clientOpen()) {
            return "client gone, server unaware";
        }
        String clock =
                report.known() && plan.idle() != null && !report.forgets().equals(Moment.NEVER)
                        ? "; forgets in " + countdown(now.until(report.forgets()))
                        : "";
        if (cut) {
            return "drop: cut" + clock;
        }
        for (Span span : plan.outages()) {
            if (span.contains(now)) {
                return "drop: outage" + clock;
            }
        }
        if (row.killed) {
            return "drop: killed" + clock;
        }
        if (!report.known()) {
            return forgotten(plan.expiry());
        }
        return report.serverOpen() ? "pass" + clock : "no server yet, or gone" + clock;
    }

    /** Whole seconds, so that it counts and does not flicker. */
    private static String countdown(Duration left) {
        return Units.show(Duration.ofSeconds(Math.ceilDiv(Math.max(0, left.toMillis()), 1000)));
    }

    private static String forgotten(IdleNat.Expiry expiry) {
        return switch (expiry) {
            case SILENT -> "drop: forgotten";
            case RESET_SPEAKER, RESET_BOTH, CLOSE -> "reset whoever speaks: forgotten";
            case REVIVE -> "revive if client speaks, else reset";
            case REMAP -> "remap if client speaks, else reset";
        };
    }
}
