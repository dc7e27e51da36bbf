package holdfast.app.command;

import holdfast.core.time.Moment;
import holdfast.lab.middlebox.AddressChange;
import holdfast.lab.middlebox.Span;
import holdfast.lab.middlebox.StatefulFirewall;
import holdfast.lab.proxy.FlowReport;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The live table of {@code holdfast lab}, as lines of text. Pure. */
final class LabTable {

    /**
     * One connection.
     *
     * @param spoke when either end last said something
     * @param killed whether somebody killed it by hand
     * @param moved whose address changed since it was opened; null: nobody's
     */
    record Row(
            FlowReport report, Moment spoke, boolean killed, AddressChange.@Nullable Whose moved) {}

    /** What was done by hand and has not been healed. */
    enum Hand {
        CUT,
        CUT_TO_SERVER,
        CUT_TO_CLIENT,
        MUTE,
        CROWD
    }

    /**
     * What is to be seen now.
     *
     * @param address where the lab listens
     * @param hands what was done by hand
     * @param chosen the connection that the keys mean, or {@link LabScript#ALL}
     * @param keys whether there are any
     */
    record View(String address, Set<Hand> hands, int chosen, boolean keys, List<Row> rows) {}

    /** Lines that are there whatever the connections: four above them, three below. */
    private static final int FRAME = 7;

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
                        + path(plan, view.hands, now));
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
                            now(plan, view.hands, row, now)));
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
                    "f forget "
                            + whom
                            + "  r reset "
                            + whom
                            + "  k kill "
                            + whom
                            + "  1-9, a choose  q quit");
            lines.add("c cut  > < one way  m mute  l load  h heal  o roam  w WAN change");
        }
        List<String> fitting = new ArrayList<>();
        for (String line : lines.subList(0, Math.min(lines.size(), Math.max(1, height)))) {
            fitting.add(line.length() > width ? line.substring(0, width) : line);
        }
        return fitting;
    }

    private static String path(LabPlan plan, Set<Hand> hands, Moment now) {
        List<String> troubles = new ArrayList<>();
        for (Hand hand : hands) {
            troubles.add(
                    switch (hand) {
                        case CUT -> "CUT by hand";
                        case CUT_TO_SERVER -> "CUT to server by hand";
                        case CUT_TO_CLIENT -> "CUT to client by hand";
                        case MUTE -> "server MUTE by hand";
                        case CROWD -> "CROWDED by hand";
                    });
        }
        @Nullable Timed next = null;
        for (Timed timed : Timed.of(plan)) {
            Span span = timed.span;
            if (span.contains(now)) {
                troubles.add(timed.shown + ", " + Units.show(now.until(span.to())) + " to go");
            } else if (now.isBefore(span.from())
                    && (next == null || span.from().isBefore(next.span.from()))) {
                next = timed;
            }
        }
        if (!troubles.isEmpty()) {
            return String.join("; ", troubles);
        }
        return next == null
                ? "open"
                : "open, "
                        + next.shown.toLowerCase(Locale.ROOT)
                        + " in "
                        + Units.show(now.until(next.span.from()));
    }

    /**
     * A trouble with a beginning and an end.
     *
     * @param hand what has the same effect by hand
     */
    record Timed(Span span, Hand hand, String shown, String begins, String ends) {

        /** All of them, the ones that stop more first. */
        static List<Timed> of(LabPlan plan) {
            List<Timed> all = new ArrayList<>();
            for (Span span : plan.darkness()) {
                all.add(new Timed(span, Hand.CUT, "OUTAGE", "outage begins", "outage ends"));
            }
            for (Span span : plan.toServer()) {
                all.add(
                        new Timed(
                                span,
                                Hand.CUT_TO_SERVER,
                                "OUTAGE to server",
                                "outage to server begins",
                                "outage to server ends"));
            }
            for (Span span : plan.toClient()) {
                all.add(
                        new Timed(
                                span,
                                Hand.CUT_TO_CLIENT,
                                "OUTAGE to client",
                                "outage to client begins",
                                "outage to client ends"));
            }
            for (Span span : plan.mute()) {
                all.add(
                        new Timed(
                                span,
                                Hand.MUTE,
                                "server MUTE",
                                "server falls silent",
                                "server speaks again"));
            }
            for (Span span : plan.crowds()) {
                all.add(
                        new Timed(
                                span,
                                Hand.CROWD,
                                "CROWDED",
                                "tables are crowded",
                                "tables are not crowded any more"));
            }
            return all;
        }
    }

    /** What would become of something said now. */
    static String now(LabPlan plan, Set<Hand> hands, Row row, Moment now) {
        FlowReport report = row.report;
        if (!report.clientOpen()) {
            return "client gone, server unaware";
        }
        boolean forgets = plan.forgets() || plan.firewall() != null;
        String clock =
                report.known() && forgets && !report.forgets().equals(Moment.NEVER)
                        ? "; forgets in " + countdown(now.until(report.forgets()))
                        : "";
        if (hands.contains(Hand.CUT)) {
            return "drop: cut" + clock;
        }
        Set<Hand> timed = EnumSet.noneOf(Hand.class);
        for (Timed trouble : Timed.of(plan)) {
            if (trouble.span.contains(now)) {
                timed.add(trouble.hand);
            }
        }
        if (timed.contains(Hand.CUT)) {
            return "drop: outage" + clock;
        }
        if (row.killed) {
            return "drop: killed" + clock;
        }
        if (row.moved == AddressChange.Whose.CLIENT) {
            return "drop: client's address is gone" + clock;
        }
        if (!report.known()) {
            return forgotten(plan, report.forgottenBy());
        }
        if (row.moved == AddressChange.Whose.ROUTER) {
            return "reset client if it speaks, drop server's" + clock;
        }
        timed.addAll(hands);
        boolean toServer = timed.contains(Hand.CUT_TO_SERVER);
        boolean toClient = timed.contains(Hand.CUT_TO_CLIENT);
        if (toServer || toClient) {
            String whose = toServer && toClient ? "both" : toServer ? "client" : "server";
            return "drop what " + whose + (whose.equals("both") ? " say" : " says") + clock;
        }
        if (timed.contains(Hand.MUTE)) {
            return "acknowledge, no answer: mute" + clock;
        }
        return report.serverOpen() ? "pass" + clock : "no server yet, or gone" + clock;
    }

    /** Whole seconds, so that it counts and does not flicker. */
    private static String countdown(Duration left) {
        return Units.show(Duration.ofSeconds(Math.ceilDiv(Math.max(0, left.toMillis()), 1000)));
    }

    private static String forgotten(LabPlan plan, String box) {
        StatefulFirewall firewall = plan.firewall();
        if (firewall != null && box.equals(firewall.name())) {
            return switch (firewall.stranger()) {
                case DROP -> "drop: forgotten by the firewall";
                case REJECT -> "reset whoever speaks: forgotten";
                case ADOPT -> "take up again if client speaks, else drop";
            };
        }
        String unsolicited =
                switch (plan.nat().unsolicited()) {
                    case RESET -> "reset";
                    case DROP -> "drop";
                };
        return switch (plan.nat().expiry()) {
            case SILENT -> "drop: forgotten";
            case RESET_SPEAKER, RESET_BOTH, CLOSE -> "reset whoever speaks: forgotten";
            case REVIVE -> "revive if client speaks, else " + unsolicited;
            case REMAP -> "remap if client speaks, else " + unsolicited;
        };
    }
}
