package holdfast.app.command;

import holdfast.core.time.Moment;
import holdfast.lab.middlebox.IdleNat;
import holdfast.lab.middlebox.Latency;
import holdfast.lab.middlebox.Loss;
import holdfast.lab.middlebox.Middlebox;
import holdfast.lab.middlebox.Outage;
import holdfast.lab.middlebox.RateLimit;
import holdfast.lab.middlebox.Span;
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
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What {@code holdfast lab} was asked for.
 *
 * @param idle how long a connection may be idle, or null: for ever
 * @param expiry what an end meets that speaks after the box forgot it
 * @param loss from 0 to 1
 * @param rate bytes per second, or 0: as fast as it goes
 * @param weather the troubles as they were written, for the person
 */
record LabPlan(
        InetSocketAddress listen,
        InetSocketAddress to,
        @Nullable Duration idle,
        IdleNat.Expiry expiry,
        Duration latency,
        Duration jitter,
        double loss,
        long rate,
        List<Span> outages,
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

    private static final class Asked {
        @Nullable String listen;
        @Nullable String to;
        @Nullable Duration idle;
        IdleNat.Expiry expiry = IdleNat.Expiry.SILENT;
        Duration latency = Duration.ZERO;
        Duration jitter = Duration.ZERO;
        double loss;
        long rate;
        final List<Span> outages = new ArrayList<>();
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
            if (!isKnown(option)) {
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
            if (!seen.add(option) && !option.equals("--outage")) {
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
        InetSocketAddress listen = address("--listen", asked.listen, -1, 0);
        InetSocketAddress to = address("--to", asked.to, SSH_PORT, 1);
        List<LabScript.Step> script = asked.script == null ? List.of() : script(asked.script);
        InetSocketAddress boundTo = resolved("--listen", listen);
        InetSocketAddress target = resolved("--to", to);
        if (target.equals(boundTo)) {
            throw LabRefusal.usage("--to is where the lab itself listens");
        }
        return new LabPlan(
                boundTo,
                target,
                asked.idle,
                asked.expiry,
                asked.latency,
                asked.jitter,
                asked.loss,
                asked.rate,
                List.copyOf(asked.outages),
                asked.seed,
                script,
                asked.weather.isEmpty() ? "none" : String.join(", ", asked.weather));
    }

    private static boolean isKnown(String option) {
        return switch (option) {
            case "--listen",
                    "--to",
                    "--idle",
                    "--expiry",
                    "--latency",
                    "--jitter",
                    "--loss",
                    "--rate",
                    "--outage",
                    "--seed",
                    "--script" ->
                    true;
            default -> false;
        };
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
            case "--idle" -> {
                asked.idle = Units.time(value);
                if (asked.idle.isZero()) {
                    throw new IllegalArgumentException("an idle time is more than zero");
                }
            }
            case "--expiry" -> asked.expiry = expiry(value);
            case "--latency" -> asked.latency = Units.time(value);
            case "--jitter" -> asked.jitter = Units.time(value);
            case "--loss" -> asked.loss = Units.share(value);
            case "--rate" -> asked.rate = Units.rate(value);
            case "--outage" -> asked.outages.add(outage(value));
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
            default ->
                    throw new IllegalArgumentException(
                            "expected silent, reset, reset-both, close, revive or remap, got \""
                                    + word
                                    + "\"");
        };
    }

    /** Reads {@code LENGTH@START}. */
    static Span outage(String text) {
        int at = text.indexOf('@');
        if (at < 0) {
            throw new IllegalArgumentException(
                    "expected how long and when, like 60s@5m, got \"" + text + "\"");
        }
        Duration length = Units.time(text.substring(0, at));
        Duration start = Units.time(text.substring(at + 1));
        if (length.isZero()) {
            throw new IllegalArgumentException("an outage lasts for more than zero");
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

    /** The path, nearest to the client first: the box at home, then the line, then the distance. */
    List<Middlebox<?>> boxes() {
        List<Middlebox<?>> boxes = new ArrayList<>();
        if (!outages.isEmpty()) {
            boxes.add(new Outage(outages));
        }
        boxes.add(IdleNat.of(idle == null ? FOR_EVER : idle, expiry));
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
