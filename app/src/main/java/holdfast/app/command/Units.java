package holdfast.app.command;

import java.math.BigDecimal;
import java.time.Duration;
import java.util.Locale;

/** Times, rates and shares as people write them, and back. */
final class Units {

    /** Longer than anybody runs a lab, and short enough to be counted in nanoseconds. */
    private static final Duration MOST = Duration.ofDays(365);

    private static final String TIME = "expected a time like 80ms, 30s or 5m";
    private static final String RATE = "expected a rate like 500kbit or 1mbit";
    private static final String SHARE = "expected a share like 1% or 0.5%";

    private Units() {}

    /**
     * Reads {@code 80ms}, {@code 1.5s}, {@code 5m}, {@code 1h} or {@code 1m30s}.
     *
     * @throws IllegalArgumentException with a text for the person
     */
    static Duration time(String text) {
        if (text.startsWith("-")) {
            throw new IllegalArgumentException("a time is not negative: \"" + text + "\"");
        }
        if (text.equals("0")) {
            return Duration.ZERO;
        }
        BigDecimal nanos = BigDecimal.ZERO;
        int at = 0;
        while (at < text.length()) {
            int unit = numberEnd(text, at);
            int next = unit;
            while (next < text.length() && Character.isLetter(text.charAt(next))) {
                next++;
            }
            long each =
                    switch (text.substring(unit, next)) {
                        case "ms" -> 1_000_000L;
                        case "s" -> 1_000_000_000L;
                        case "m" -> 60_000_000_000L;
                        case "h" -> 3_600_000_000_000L;
                        default -> 0;
                    };
            if (each == 0) {
                throw got(TIME, text);
            }
            nanos = nanos.add(number(text, at, unit, TIME).multiply(BigDecimal.valueOf(each)));
            at = next;
        }
        if (text.isEmpty()) {
            throw got(TIME, text);
        }
        if (nanos.compareTo(BigDecimal.valueOf(MOST.toNanos())) > 0) {
            throw new IllegalArgumentException("a year at most, not \"" + text + "\"");
        }
        return Duration.ofNanos(nanos.longValue());
    }

    /**
     * Reads {@code 64kbit}, {@code 1mbit} or {@code 1gbit}, of a thousand as tc(8) counts.
     *
     * @return bytes per second
     * @throws IllegalArgumentException with a text for the person
     */
    static long rate(String text) {
        if (text.startsWith("-")) {
            throw new IllegalArgumentException("a rate is more than zero: \"" + text + "\"");
        }
        int unit = numberEnd(text, 0);
        long each =
                switch (text.substring(unit)) {
                    case "bit" -> 1L;
                    case "kbit" -> 1_000L;
                    case "mbit" -> 1_000_000L;
                    case "gbit" -> 1_000_000_000L;
                    default -> 0;
                };
        if (each == 0) {
            // A bare zero is wrong whatever its unit.
            if (unit == text.length() && unit > 0 && number(text, 0, unit, RATE).signum() == 0) {
                throw new IllegalArgumentException("a rate is more than zero: \"" + text + "\"");
            }
            throw got(RATE, text);
        }
        BigDecimal bits = number(text, 0, unit, RATE).multiply(BigDecimal.valueOf(each));
        if (bits.signum() == 0) {
            throw new IllegalArgumentException("a rate is more than zero: \"" + text + "\"");
        }
        if (bits.compareTo(BigDecimal.valueOf(8)) < 0
                || bits.compareTo(BigDecimal.valueOf(100_000_000_000L)) > 0) {
            throw new IllegalArgumentException("from 8bit to 100gbit, not \"" + text + "\"");
        }
        return bits.longValue() / 8;
    }

    /**
     * Reads {@code 1%}.
     *
     * @return from 0 to 1
     * @throws IllegalArgumentException with a text for the person
     */
    static double share(String text) {
        int unit = numberEnd(text, 0);
        if (text.startsWith("-")) {
            throw new IllegalArgumentException("from 0% to 100%, not \"" + text + "\"");
        }
        if (!text.substring(unit).equals("%")) {
            throw got(SHARE, text);
        }
        double share = number(text, 0, unit, SHARE).doubleValue() / 100;
        if (share > 1) {
            throw new IllegalArgumentException("from 0% to 100%, not \"" + text + "\"");
        }
        return share;
    }

    private static int numberEnd(String text, int from) {
        int end = from;
        while (end < text.length()
                && (text.charAt(end) == '.'
                        || (text.charAt(end) >= '0' && text.charAt(end) <= '9'))) {
            end++;
        }
        return end;
    }

    private static BigDecimal number(String text, int from, int to, String expected) {
        try {
            // More digits than this are no measure but an attempt to make us count them.
            if (to - from > 18) {
                throw got(expected, text);
            }
            return new BigDecimal(text.substring(from, to));
        } catch (NumberFormatException e) {
            throw got(expected, text);
        }
    }

    private static IllegalArgumentException got(String expected, String text) {
        return new IllegalArgumentException(expected + ", got \"" + text + "\"");
    }

    /** In at most six columns: {@code 80ms}, {@code 4.2s}, {@code 42s}, {@code 1m12s}. */
    static String show(Duration time) {
        long millis = Math.max(0, time.toMillis());
        long seconds = millis / 1000;
        if (millis == 0) {
            return "0s";
        }
        if (millis < 1000) {
            return millis + "ms";
        }
        if (seconds < 10) {
            return millis % 1000 < 100 ? seconds + "s" : seconds + "." + millis % 1000 / 100 + "s";
        }
        if (seconds < 60) {
            return seconds + "s";
        }
        if (seconds < 3600) {
            return seconds / 60 + "m" + (seconds % 60 == 0 ? "" : two(seconds % 60) + "s");
        }
        if (seconds < 100 * 3600) {
            long minutes = seconds / 60 % 60;
            return seconds / 3600 + "h" + (minutes == 0 ? "" : two(minutes) + "m");
        }
        return seconds / 86_400 + "d";
    }

    private static String two(long number) {
        return number < 10 ? "0" + number : String.valueOf(number);
    }

    /** In at most eight columns: {@code 812 B}, {@code 3.1 kB}. */
    static String bytes(long count) {
        if (count < 1000) {
            return count + " B";
        }
        double rest = count;
        for (String unit : new String[] {"kB", "MB", "GB"}) {
            rest /= 1000;
            if (rest < 999.95) {
                return String.format(Locale.ROOT, "%.1f %s", rest, unit);
            }
        }
        return String.format(Locale.ROOT, "%.0f TB", rest / 1000);
    }
}
