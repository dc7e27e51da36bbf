package holdfast.ssh.server;

import holdfast.core.time.Moment;
import holdfast.ssh.config.ServerSettings.MaxStartups;
import holdfast.ssh.config.ServerSettings.NetBlockSize;
import holdfast.ssh.config.ServerSettings.Overflow;
import holdfast.ssh.config.ServerSettings.PerSourcePenalties;
import holdfast.ssh.hostkeys.NumericAddress;
import holdfast.ssh.log.Log;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.IntUnaryOperator;
import org.jspecify.annotations.Nullable;

/**
 * Who may try to log in: MaxStartups, PerSourceMaxStartups and PerSourcePenalties, as sshd.c and
 * srclimit.c of OpenSSH have them.
 *
 * <p>Thread-safe. What is remembered is bounded by MaxStartups and by the penalties' own limits on
 * sources.
 */
final class Doorkeeper {

    /**
     * Why a connection is turned away.
     *
     * @param why for its line in the log
     * @param level of that line: of a whole throttling the first is for everybody
     */
    record Refusal(String why, Log.Level level) {}

    /** A line for the log about MaxStartups, and its level. */
    record News(Log.Level level, String text) {}

    /** SSHD_MAXSTARTUPS_LOG_INTERVAL. */
    private static final Duration TELL_EVERY = Duration.ofMinutes(5);

    /** What a connection that never became a login is blamed for. */
    enum Offence {
        /** An authentication failed. */
        AUTH_FAIL("failed authentication"),
        /** A user who does not exist was asked for. */
        INVALID_USER("attempted authentication by invalid user"),
        /** It left without trying to authenticate. */
        NO_AUTH("connections without attempting authentication"),
        /** It outstayed LoginGraceTime. */
        GRACE_EXCEEDED("exceeded LoginGraceTime"),
        /** It found a fault of ours: OpenSSH's process would have crashed. */
        CRASH("caused crash"),
        /** RefuseConnection turned it away. */
        REFUSED("connection prohibited by RefuseConnection");

        final String words;

        Offence(String words) {
            this.words = words;
        }
    }

    /**
     * The limits, as configured.
     *
     * @param perSource logins in progress from one source at most
     */
    record Rules(
            MaxStartups startups,
            int perSource,
            NetBlockSize block,
            PerSourcePenalties penalties) {}

    /** One source: the leading bits of an address, the others zero. */
    private record Source(boolean six, long high, long low) {}

    private static final class Penalty {
        Moment until;
        Offence reason;
        boolean active;

        Penalty(Moment until, Offence reason) {
            this.until = until;
            this.reason = reason;
        }
    }

    private final IntUnaryOperator dice;
    private final Map<Source, Integer> startups = new HashMap<>();
    private final Map<Source, Penalty> penalties4 = new HashMap<>();
    private final Map<Source, Penalty> penalties6 = new HashMap<>();
    private Rules rules;
    private int started;

    // Since MaxStartups began to turn connections away; null: it does not.
    private @Nullable Moment throttledSince;
    private @Nullable Moment lastTold;
    private long dropped;
    private @Nullable News news;

    /**
     * @param dice gives a number from 0 to below its argument
     */
    Doorkeeper(Rules rules, IntUnaryOperator dice) {
        this.rules = rules;
        this.dice = dice;
    }

    synchronized void rules(Rules now) {
        rules = now;
    }

    /** Logins in progress. */
    synchronized int startups() {
        return started;
    }

    /**
     * Asks to let a connection in; if it is, {@link #leave} must follow when its login is over, one
     * way or the other.
     *
     * @param exempt whether PerSourcePenaltyExemptList has it
     * @return why it is turned away; null: it is let in
     */
    synchronized @Nullable Refusal enter(InetAddress from, boolean exempt, Moment now) {
        Source source = source(from);
        String penalised = exempt ? null : penalised(source, now);
        if (penalised != null) {
            return new Refusal(penalised, Log.Level.INFO);
        }
        MaxStartups limit = rules.startups();
        if (dropped(limit) || startups.getOrDefault(source, 0) >= rules.perSource()) {
            return new Refusal("past MaxStartups", throttled(now)); // OpenSSH's words for both
        }
        if (throttledSince != null && started < limit.begin() - 1) {
            news =
                    news(
                            Log.Level.INFO,
                            "exited MaxStartups throttling after ",
                            throttledSince,
                            now);
            throttledSince = null;
        }
        started++;
        startups.merge(source, 1, Integer::sum);
        return null;
    }

    private @Nullable String penalised(Source source, Moment now) {
        if (!rules.penalties().enabled()) {
            return null;
        }
        if (overflow(source) == Overflow.DENY_ALL && full(source, now)) {
            return "too many penalised addresses";
        }
        Penalty penalty = penalties(source).get(source);
        return penalty != null && penalty.active && now.isBefore(penalty.until)
                ? "penalty: " + penalty.reason.words
                : null;
    }

    /**
     * What the log should be told of MaxStartups, once: that it begins to turn connections away,
     * every five minutes that it still does, and that it does no more.
     */
    synchronized @Nullable News news() {
        News told = news;
        news = null;
        return told;
    }

    /** One more is turned away; how loudly that is told. */
    private Log.Level throttled(Moment now) {
        if (throttledSince == null) {
            throttledSince = now;
            lastTold = now;
            dropped = 1;
            news = new News(Log.Level.ERROR, "beginning MaxStartups throttling");
            return Log.Level.INFO;
        }
        dropped++;
        if (lastTold == null || lastTold.until(now).compareTo(TELL_EVERY) <= 0) {
            return Log.Level.VERBOSE;
        }
        lastTold = now;
        news = news(Log.Level.ERROR, "in MaxStartups throttling for ", throttledSince, now);
        return Log.Level.INFO;
    }

    private News news(Log.Level level, String what, Moment since, Moment now) {
        return new News(
                level, what + time(since.until(now)) + ", " + dropped + " connections dropped");
    }

    /** As OpenSSH's fmt_timeframe has it. */
    private static String time(Duration time) {
        long days = time.toDays();
        if (days >= 7) {
            return "%02dw%dd%02dh".formatted(days / 7, days % 7, time.toHoursPart());
        }
        return days > 0
                ? "%dd%02dh%02dm".formatted(days, time.toHoursPart(), time.toMinutesPart())
                : "%02d:%02d:%02d"
                        .formatted(time.toHours(), time.toMinutesPart(), time.toSecondsPart());
    }

    /** A login in progress is over: authenticated, or gone. */
    synchronized void leave(InetAddress from) {
        started--;
        startups.computeIfPresent(source(from), (s, n) -> n > 1 ? n - 1 : null);
    }

    /**
     * Blames {@code from}.
     *
     * @return what the log should be told of it; null: nothing
     */
    synchronized @Nullable String penalise(InetAddress from, Offence offence, Moment now) {
        PerSourcePenalties rule = rules.penalties();
        if (!rule.enabled()) {
            return null;
        }
        Duration time =
                switch (offence) {
                    case AUTH_FAIL -> rule.authFail();
                    case INVALID_USER -> rule.invalidUser();
                    case NO_AUTH -> rule.noAuth();
                    case GRACE_EXCEEDED -> rule.graceExceeded();
                    case CRASH -> rule.crash();
                    case REFUSED -> rule.refuseConnection();
                };
        if (time.isZero()) {
            return null;
        }
        Source source = source(from);
        boolean known = true;
        boolean active = false;
        Map<Source, Penalty> penalties = penalties(source);
        Penalty penalty = penalties.get(source);
        if (penalty == null || penalty.until.isBefore(now)) {
            if (penalty == null && full(source, now)) {
                if (overflow(source) == Overflow.DENY_ALL) {
                    return null;
                }
                forgetNearest(penalties);
            }
            penalty = new Penalty(now.plus(time), offence);
            penalties.put(source, penalty);
            known = false;
        } else {
            active = penalty.active;
            penalty.until = penalty.until.plus(time);
            penalty.reason = offence;
        }
        penalty.until = Moment.earlier(penalty.until, now.plus(rule.max()));
        Duration left = now.until(penalty.until);
        penalty.active |= left.compareTo(rule.min()) >= 0;
        String family = source.six() ? "ipv6" : "ipv4";
        String name = name(from) + "/" + bits(source.six());
        if (!known) {
            String state = penalty.active ? " active" : " deferred";
            return "srclimit_penalise: "
                    + family
                    + ": new "
                    + name
                    + state
                    + lasting(time, offence);
        }
        return penalty.active && !active
                ? "srclimit_penalise: " + name + ": activating " + family + lasting(left, offence)
                : null;
    }

    /** The address of the whole source. */
    private String name(InetAddress from) {
        byte[] bytes = from.getAddress();
        int bits = bits(!(from instanceof Inet4Address));
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] &= (byte) (0xff00 >> Math.clamp(bits - 8L * i, 0, 8));
        }
        try {
            return NumericAddress.text(InetAddress.getByAddress(bytes));
        } catch (UnknownHostException e) {
            throw new AssertionError(e); // as many bytes as before
        }
    }

    private static String lasting(Duration time, Offence offence) {
        String seconds =
                time.toMillisPart() == 0
                        ? Long.toString(time.toSeconds())
                        : String.format(Locale.ROOT, "%.3f", time.toMillis() / 1000.0);
        return " penalty of " + seconds + " seconds for penalty: " + offence.words;
    }

    /** How many sources are kept out now. */
    synchronized int penalised(Moment now) {
        int count = 0;
        for (Map<Source, Penalty> penalties : Arrays.asList(penalties4, penalties6)) {
            for (Penalty penalty : penalties.values()) {
                if (penalty.active && now.isBefore(penalty.until)) {
                    count++;
                }
            }
        }
        return count;
    }

    private boolean dropped(MaxStartups limit) {
        if (started < limit.begin()) {
            return false;
        }
        if (started >= limit.full() || limit.rate() == 100) {
            return true;
        }
        int percent =
                (100 - limit.rate())
                                * (started - limit.begin())
                                / Math.max(1, limit.full() - limit.begin())
                        + limit.rate();
        return dice.applyAsInt(100) < percent;
    }

    private boolean full(Source source, Moment now) {
        Map<Source, Penalty> penalties = penalties(source);
        int most = source.six() ? rules.penalties().maxSources6() : rules.penalties().maxSources4();
        if (penalties.size() < most) {
            return false;
        }
        Iterator<Penalty> each = penalties.values().iterator();
        while (each.hasNext()) {
            if (each.next().until.isBefore(now)) {
                each.remove();
            }
        }
        return penalties.size() >= most;
    }

    private static void forgetNearest(Map<Source, Penalty> penalties) {
        Map.Entry<Source, Penalty> nearest = null;
        for (Map.Entry<Source, Penalty> entry : penalties.entrySet()) {
            if (nearest == null || entry.getValue().until.isBefore(nearest.getValue().until)) {
                nearest = entry;
            }
        }
        penalties.remove(Objects.requireNonNull(nearest).getKey());
    }

    private Overflow overflow(Source source) {
        return source.six() ? rules.penalties().overflow6() : rules.penalties().overflow();
    }

    private Map<Source, Penalty> penalties(Source source) {
        return source.six() ? penalties6 : penalties4;
    }

    private int bits(boolean six) {
        return six ? rules.block().ipv6() : rules.block().ipv4();
    }

    private Source source(InetAddress from) {
        byte[] bytes = from.getAddress();
        boolean six = !(from instanceof Inet4Address);
        int bits = bits(six);
        long high = 0;
        long low = 0;
        for (int i = 0; i < bytes.length; i++) {
            int keep = Math.clamp(bits - 8L * i, 0, 8);
            long value = bytes[i] & 0xff & (0xff00 >> keep);
            if (i < 8) {
                high = high << 8 | value;
            } else {
                low = low << 8 | value;
            }
        }
        return new Source(six, high, low);
    }
}
