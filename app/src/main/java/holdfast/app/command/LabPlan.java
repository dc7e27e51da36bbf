package holdfast.app.command;

import holdfast.core.time.Moment;
import holdfast.lab.middlebox.AddressChange;
import holdfast.lab.middlebox.Crowding;
import holdfast.lab.middlebox.Direction;
import holdfast.lab.middlebox.IdleNat;
import holdfast.lab.middlebox.Latency;
import holdfast.lab.middlebox.Loss;
import holdfast.lab.middlebox.Middlebox;
import holdfast.lab.middlebox.MuteServer;
import holdfast.lab.middlebox.OneWayLoss;
import holdfast.lab.middlebox.Outage;
import holdfast.lab.middlebox.RateLimit;
import holdfast.lab.middlebox.Span;
import holdfast.lab.middlebox.StatefulFirewall;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What {@code holdfast lab} was asked for.
 *
 * @param nat the box that forgets; it is always there, so that it can be told to
 * @param forgets whether it forgets by itself
 * @param firewall null: there is none
 * @param loss from 0 to 1
 * @param rate bytes per second, or 0: as fast as it goes
 * @param darkness when nothing gets through
 * @param toServer when nothing of the client gets through
 * @param toClient when nothing of the server gets through
 * @param mute when the server is mute
 * @param crowds when the tables are crowded
 * @param roams when the client's own address changes
 * @param wanChanges when its router's does
 * @param weather the troubles as they were written, for the person
 */
record LabPlan(
        InetSocketAddress listen,
        InetSocketAddress to,
        IdleNat nat,
        boolean forgets,
        @Nullable StatefulFirewall firewall,
        Duration latency,
        Duration jitter,
        double loss,
        long rate,
        List<Span> darkness,
        List<Span> toServer,
        List<Span> toClient,
        List<Span> mute,
        List<Span> crowds,
        List<Moment> roams,
        List<Moment> wanChanges,
        long seed,
        List<LabScript.Step> script,
        String weather) {

    /** A NAT is always there, so that it can be told to forget; this is its "never by itself". */
    private static final Duration FOR_EVER = Duration.ofDays(36_500);

    /** A queue of a quarter of a second, as a line of that rate often has. */
    private static final int QUEUE_PART = 4;

    /** At least as much as two windows of ten segments, with which a transfer begins. */
    private static final int LEAST_QUEUE = 30_000;

    private static final int SSH_PORT = 22;

    /** May stand there several times, each time with another moment. */
    private static final Set<String> REPEATED =
            Set.of(
                    "--outage",
                    "--outage-to-server",
                    "--outage-to-client",
                    "--mute",
                    "--crowd",
                    "--roam",
                    "--wan-change");

    /** What makes no difference without something else, and what that is. */
    private static final Map<String, String> NEEDS =
            Map.of(
                    "--granularity", "--idle",
                    "--refresh-by", "--idle",
                    "--refresh-with", "--idle",
                    "--firewall-opening", "--firewall",
                    "--firewall-closing", "--firewall",
                    "--stranger", "--firewall",
                    "--crowd-share", "--crowd");

    /** Every option with a value, in the order of the manual page. */
    static final List<String> OPTIONS =
            List.of(
                    "--listen",
                    "--to",
                    "--idle",
                    "--expiry",
                    "--granularity",
                    "--refresh-by",
                    "--refresh-with",
                    "--unsolicited",
                    "--firewall",
                    "--firewall-opening",
                    "--firewall-closing",
                    "--stranger",
                    "--crowd",
                    "--crowd-share",
                    "--latency",
                    "--jitter",
                    "--loss",
                    "--rate",
                    "--outage",
                    "--outage-to-server",
                    "--outage-to-client",
                    "--mute",
                    "--roam",
                    "--wan-change",
                    "--script",
                    "--seed");

    private static final class Asked {
        @Nullable String listen;
        @Nullable String to;
        Duration idle = FOR_EVER;
        IdleNat.Expiry expiry = IdleNat.Expiry.SILENT;
        Duration granularity = Duration.ZERO;
        IdleNat.Refresh refreshedBy = IdleNat.Refresh.BOTH;
        boolean payloadOnly;
        IdleNat.Unsolicited unsolicited = IdleNat.Unsolicited.RESET;
        StatefulFirewall firewall = StatefulFirewall.usual();
        double crowdShare = Crowding.BY_HAND.share();
        Duration latency = Duration.ZERO;
        Duration jitter = Duration.ZERO;
        double loss;
        long rate;
        final List<Span> darkness = new ArrayList<>();
        final List<Span> toServer = new ArrayList<>();
        final List<Span> toClient = new ArrayList<>();
        final List<Span> mute = new ArrayList<>();
        final List<Span> crowds = new ArrayList<>();
        final List<Moment> roams = new ArrayList<>();
        final List<Moment> wanChanges = new ArrayList<>();
        long seed = 1;
        @Nullable String script;
        final List<String> weather = new ArrayList<>();
    }

    /** Understands the arguments, reads the script and looks up the names. */
    static LabPlan parse(List<String> arguments) throws LabRefusal {
        Asked asked = new Asked();
        Set<String> seen = new HashSet<>();
        for (int i = 0; i < arguments.size(); i++) {
            String word = arguments.get(i);
            int equals = word.indexOf('=');
            boolean glued = word.startsWith("--") && equals > 0;
            String option = glued ? word.substring(0, equals) : word;
            if (!OPTIONS.contains(option)) {
                throw LabRefusal.usage(unknown(option));
            }
            String value;
            if (glued) {
                value = word.substring(equals + 1);
            } else if (i + 1 < arguments.size() && !arguments.get(i + 1).startsWith("--")) {
                value = arguments.get(++i);
            } else {
                throw LabRefusal.usage(option + " needs a value; see holdfast lab --help");
            }
            if (!seen.add(option) && !REPEATED.contains(option)) {
                throw LabRefusal.usage(option + " is there twice");
            }
            try {
                take(asked, option, value);
            } catch (IllegalArgumentException e) {
                throw LabRefusal.usage(option + ": " + e.getMessage());
            }
        }
        if (asked.listen == null || asked.to == null) {
            throw LabRefusal.usage(
                    (asked.listen == null ? "--listen" : "--to")
                            + " is missing; see holdfast lab --help");
        }
        for (Map.Entry<String, String> need : NEEDS.entrySet()) {
            if (seen.contains(need.getKey()) && !seen.contains(need.getValue())) {
                throw LabRefusal.usage(
                        need.getKey() + " makes no difference without " + need.getValue());
            }
        }
        boolean forgets = seen.contains("--idle");
        boolean firewalled = seen.contains("--firewall");
        if (!forgets && !firewalled && seen.contains("--crowd")) {
            throw LabRefusal.usage("--crowd makes no difference without --idle or --firewall");
        }
        InetSocketAddress listen = address("--listen", asked.listen, -1, 0);
        InetSocketAddress to = address("--to", asked.to, SSH_PORT, 1);
        List<LabScript.Step> script = asked.script == null ? List.of() : script(asked.script);
        InetSocketAddress boundTo = resolved("--listen", listen);
        InetSocketAddress target = resolved("--to", to);
        if (target.equals(boundTo)) {
            throw LabRefusal.usage("--to is where the lab itself listens");
        }
        Crowding crowding = new Crowding(asked.crowdShare, asked.crowds);
        IdleNat nat =
                new IdleNat(
                        asked.idle,
                        asked.expiry,
                        asked.granularity,
                        asked.refreshedBy,
                        asked.payloadOnly,
                        asked.unsolicited,
                        crowding);
        return new LabPlan(
                boundTo,
                target,
                nat,
                forgets,
                firewalled ? asked.firewall.crowded(crowding) : null,
                asked.latency,
                asked.jitter,
                asked.loss,
                asked.rate,
                List.copyOf(asked.darkness),
                List.copyOf(asked.toServer),
                List.copyOf(asked.toClient),
                List.copyOf(asked.mute),
                List.copyOf(asked.crowds),
                asked.roams.stream().sorted().toList(),
                asked.wanChanges.stream().sorted().toList(),
                asked.seed,
                script,
                asked.weather.isEmpty() ? "none" : String.join(", ", asked.weather));
    }

    private static String unknown(String option) {
        return (option.startsWith("-") ? "unknown option or trouble " : "unexpected word ")
                + "\""
                + option
                + "\"; see holdfast lab --help";
    }

    private static void take(Asked asked, String option, String value) {
        switch (option) {
            case "--listen" -> asked.listen = value;
            case "--to" -> asked.to = value;
            case "--idle" -> asked.idle = positive("an idle time", value);
            case "--expiry" -> asked.expiry = expiry(value);
            case "--granularity" -> asked.granularity = Units.time(value);
            case "--refresh-by" ->
                    asked.refreshedBy =
                            switch (value) {
                                case "both" -> IdleNat.Refresh.BOTH;
                                case "client" -> IdleNat.Refresh.TO_SERVER;
                                default -> throw expected("both or client", value);
                            };
            case "--refresh-with" ->
                    asked.payloadOnly =
                            switch (value) {
                                case "any" -> false;
                                case "payload" -> true;
                                default -> throw expected("any or payload", value);
                            };
            case "--unsolicited" ->
                    asked.unsolicited =
                            switch (value) {
                                case "reset" -> IdleNat.Unsolicited.RESET;
                                case "drop" -> IdleNat.Unsolicited.DROP;
                                default -> throw expected("reset or drop", value);
                            };
            case "--firewall" ->
                    asked.firewall =
                            new StatefulFirewall(
                                    asked.firewall.opening(),
                                    positive("an idle time", value),
                                    asked.firewall.closing(),
                                    asked.firewall.stranger());
            case "--firewall-opening" ->
                    asked.firewall =
                            new StatefulFirewall(
                                    positive("an idle time", value),
                                    asked.firewall.established(),
                                    asked.firewall.closing(),
                                    asked.firewall.stranger());
            case "--firewall-closing" ->
                    asked.firewall =
                            new StatefulFirewall(
                                    asked.firewall.opening(),
                                    asked.firewall.established(),
                                    positive("an idle time", value),
                                    asked.firewall.stranger());
            case "--stranger" ->
                    asked.firewall =
                            new StatefulFirewall(
                                    asked.firewall.opening(),
                                    asked.firewall.established(),
                                    asked.firewall.closing(),
                                    stranger(value));
            case "--crowd" -> asked.crowds.add(span("a crowd", value));
            case "--crowd-share" -> {
                asked.crowdShare = Units.share(value);
                if (asked.crowdShare == 0) {
                    throw new IllegalArgumentException("a share is more than zero");
                }
            }
            case "--latency" -> asked.latency = Units.time(value);
            case "--jitter" -> asked.jitter = Units.time(value);
            case "--loss" -> asked.loss = Units.share(value);
            case "--rate" -> asked.rate = Units.rate(value);
            case "--outage" -> asked.darkness.add(outage(value));
            case "--outage-to-server" -> asked.toServer.add(outage(value));
            case "--outage-to-client" -> asked.toClient.add(outage(value));
            case "--mute" -> asked.mute.add(span("muteness", value));
            case "--roam" -> asked.roams.add(Moment.ZERO.plus(Units.time(value)));
            case "--wan-change" -> asked.wanChanges.add(Moment.ZERO.plus(Units.time(value)));
            case "--seed" -> {
                try {
                    asked.seed = Long.parseLong(value);
                } catch (NumberFormatException e) {
                    throw new IllegalArgumentException(
                            "expected a whole number, got \"" + value + "\"");
                }
                return;
            }
            case "--script" -> {
                asked.script = value;
                return;
            }
            default -> throw new IllegalStateException(option);
        }
        if (!option.equals("--listen") && !option.equals("--to")) {
            asked.weather.add(option.substring(2) + " " + value);
        }
    }

    /** In the words of the option, in which it is also shown. */
    private static IdleNat.Expiry expiry(String word) {
        return switch (word) {
            case "silent" -> IdleNat.Expiry.SILENT;
            case "reset" -> IdleNat.Expiry.RESET_SPEAKER;
            case "reset-both" -> IdleNat.Expiry.RESET_BOTH;
            case "close" -> IdleNat.Expiry.CLOSE;
            case "revive" -> IdleNat.Expiry.REVIVE;
            case "remap" -> IdleNat.Expiry.REMAP;
            default -> throw expected("silent, reset, reset-both, close, revive or remap", word);
        };
    }

    private static StatefulFirewall.Stranger stranger(String word) {
        return switch (word) {
            case "drop" -> StatefulFirewall.Stranger.DROP;
            case "reject" -> StatefulFirewall.Stranger.REJECT;
            case "adopt" -> StatefulFirewall.Stranger.ADOPT;
            default -> throw expected("drop, reject or adopt", word);
        };
    }

    private static IllegalArgumentException expected(String words, String got) {
        return new IllegalArgumentException("expected " + words + ", got \"" + got + "\"");
    }

    private static Duration positive(String what, String value) {
        Duration time = Units.time(value);
        if (time.isZero()) {
            throw new IllegalArgumentException(what + " is more than zero");
        }
        return time;
    }

    /** Reads {@code LENGTH@START}. */
    static Span outage(String text) {
        return span("an outage", text);
    }

    private static Span span(String what, String text) {
        int at = text.indexOf('@');
        if (at < 0) {
            throw new IllegalArgumentException(
                    "expected how long and when, like 60s@5m, got \"" + text + "\"");
        }
        Duration length = Units.time(text.substring(0, at));
        Duration start = Units.time(text.substring(at + 1));
        if (length.isZero()) {
            throw new IllegalArgumentException(what + " lasts for more than zero");
        }
        return Span.of(Moment.ZERO.plus(start), length);
    }

    /** HOST:PORT, with an IPv6 address in brackets; not looked up yet. */
    private static InetSocketAddress address(String option, String text, int port, int leastPort)
            throws LabRefusal {
        String wanted = option + ": expected HOST:PORT, got \"" + text + "\"";
        int colon = text.lastIndexOf(':');
        boolean bracketed = text.startsWith("[");
        int close = text.indexOf(']');
        if (bracketed && close < 0) {
            throw LabRefusal.usage(wanted);
        }
        boolean hasPort = colon > close;
        String host = hasPort ? text.substring(0, colon) : text;
        if (bracketed) {
            if (!host.endsWith("]")) {
                throw LabRefusal.usage(wanted);
            }
            host = host.substring(1, host.length() - 1);
        } else if (host.indexOf(':') >= 0) {
            throw LabRefusal.usage(
                    option + ": an IPv6 address stands in brackets, like [::1]:2200");
        }
        int number = port;
        if (hasPort) {
            try {
                number = Integer.parseInt(text.substring(colon + 1));
            } catch (NumberFormatException e) {
                throw LabRefusal.usage(wanted);
            }
            if (number < leastPort || number > 65_535) {
                throw LabRefusal.usage(
                        option + ": a port is from " + leastPort + " to 65535, not " + number);
            }
        }
        if (host.isEmpty() || number < 0) {
            throw LabRefusal.usage(wanted);
        }
        return InetSocketAddress.createUnresolved(host, number);
    }

    private static InetSocketAddress resolved(String option, InetSocketAddress address)
            throws LabRefusal {
        try {
            InetAddress found = InetAddress.getByName(address.getHostString());
            return new InetSocketAddress(found, address.getPort());
        } catch (UnknownHostException e) {
            throw LabRefusal.cannot(
                    option + ": could not find \"" + address.getHostString() + "\"");
        }
    }

    private static List<LabScript.Step> script(String file) throws LabRefusal {
        try {
            return LabScript.parse(file, Files.readAllLines(Path.of(file)));
        } catch (NoSuchFileException | InvalidPathException e) {
            throw LabRefusal.cannot(file + ": No such file or directory");
        } catch (CharacterCodingException e) {
            throw LabRefusal.usage(file + ": not a text in UTF-8");
        } catch (IOException e) {
            throw LabRefusal.cannot(
                    file
                            + (Files.isDirectory(Path.of(file))
                                    ? ": Is a directory"
                                    : ": cannot read"));
        }
    }

    /**
     * The path, nearest to the client first: the box at home, then the line, then the distance, and
     * the server. What can be done by hand is always there.
     */
    List<Middlebox<?>> boxes() {
        List<Middlebox<?>> boxes = new ArrayList<>();
        if (!darkness.isEmpty()) {
            boxes.add(new Outage(darkness)); // the proxy itself has one that is cut by hand
        }
        boxes.add(new AddressChange(AddressChange.Whose.CLIENT, roams));
        if (firewall != null) {
            boxes.add(firewall);
        }
        boxes.add(nat);
        boxes.add(new AddressChange(AddressChange.Whose.ROUTER, wanChanges));
        boxes.add(new OneWayLoss(Direction.TO_SERVER, toServer));
        boxes.add(new OneWayLoss(Direction.TO_CLIENT, toClient));
        if (rate > 0) {
            long queue = Math.max(LEAST_QUEUE, rate / QUEUE_PART);
            boxes.add(new RateLimit(rate, (int) Math.min(Integer.MAX_VALUE, queue)));
        }
        if (loss > 0) {
            boxes.add(new Loss(loss, seed));
        }
        if (!latency.isZero() || !jitter.isZero()) {
            boxes.add(new Latency(latency, jitter, seed));
        }
        boxes.add(new MuteServer(mute));
        return boxes;
    }

    /** {@code 127.0.0.1:2200}, {@code [::1]:2200}. */
    static String show(InetSocketAddress address) {
        String host = address.getAddress().getHostAddress();
        return (host.indexOf(':') >= 0 ? "[" + host + "]" : host).toLowerCase(Locale.ROOT)
                + ":"
                + address.getPort();
    }
}
