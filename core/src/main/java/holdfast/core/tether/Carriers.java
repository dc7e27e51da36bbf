package holdfast.core.tether;

import holdfast.core.liveness.RoundTrip;
import holdfast.core.tether.CarrierState.Adrift;
import holdfast.core.tether.CarrierState.Attempt;
import holdfast.core.tether.CarrierState.Carried;
import holdfast.core.tether.CarrierState.Ending;
import holdfast.core.tether.CarrierState.Known;
import holdfast.core.tether.CarrierState.Over;
import holdfast.core.tether.CarrierState.Search;
import holdfast.core.time.Moment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The decision over a tether's carriers: when to doubt one, when to bring the next, when the hold
 * ends. A needless move is invisible, so doubt comes early; a carrier that still lives is kept
 * until another has taken its place, so doubt costs nothing.
 *
 * <p>What was sent is acknowledged within {@link Tether}'s delay, so that silence after it means
 * something. A PING asks after it before the doubt.
 */
public final class Carriers {

    /** How long what we sent may go without any byte before a PING asks after it. */
    static final Duration ASK_AFTER = Duration.ofMillis(500);

    /** A PING follows after this part of the time for which the program has been still. */
    static final int STILL_SHARE = 4;

    /**
     * After a change of the network or a sleep the carrier has this long and two round trips to
     * answer: most such changes do not concern it.
     */
    static final Duration QUICK_LOOK = Duration.ofMillis(300);

    /** And no longer than this. */
    static final Duration LONGEST_LOOK = Duration.ofSeconds(1);

    /**
     * An attempt that nobody has answered. The kernel sends its SYN at 0, 1 and 3 s; what comes
     * after that it leaves to the next attempt. A way by jump hosts may need longer: that is what
     * the patient attempt is for.
     */
    static final Duration CONNECTING = Duration.ofSeconds(5);

    /** An attempt that somebody has answered: three round trips, and the worst path has 3 s. */
    static final Duration RESUMING = Duration.ofSeconds(10);

    /**
     * Of the attempts that are given up one is left to its way: as long as had been sought when it
     * was made, but at least this. So a way that needs long is found in about twice the time for
     * which it had been lost, and what hangs on a path that is gone does not hang for ever.
     */
    static final Duration LEAST_PATIENCE = Duration.ofSeconds(20);

    /** And at most this, as long as the whole of a connection's opening may take. */
    static final Duration MOST_PATIENCE = Duration.ofMinutes(2);

    /** While an attempt has been answered, another waits so long. */
    static final Duration ANSWERED = Duration.ofSeconds(3);

    /** More are never under way at once, besides the patient one. */
    static final int MOST_ATTEMPTS = 6;

    /** A SYN that goes nowhere costs nobody anything: one a second at first, */
    static final Duration PACE = Duration.ofSeconds(1);

    /** then one in two, */
    static final Duration LATER_PACE = Duration.ofSeconds(2);

    /** and after a quarter of an hour one in ten. */
    static final Duration LAST_PACE = Duration.ofSeconds(10);

    static final Duration LATER = Duration.ofMinutes(1);
    static final Duration LAST = Duration.ofMinutes(15);

    /**
     * Whoever answers no is asked again after this, doubled each time, up to {@link #LAST_PACE}.
     */
    static final Duration BACK_OFF = Duration.ofMillis(250);

    /** A person is told of nothing shorter. */
    static final Duration WORTH_TELLING = Duration.ofSeconds(1);

    /** A wake-up this late is an absence like a sleep. */
    static final Duration ABSENCE = Duration.ofSeconds(5);

    /** Who comes back after the hold may ask once whether the server was more patient. */
    static final Duration LAST_CHANCE = Duration.ofSeconds(15);

    /** So many carriers in a row may be lost to faults. */
    static final int MOST_FAULTS = 5;

    private Carriers() {}

    /** The state of a tether that has just begun. */
    public static CarrierState begin(Moment now) {
        return new Carried(
                new Known(Duration.ZERO, RoundTrip.UNKNOWN, Duration.ZERO, 1, 0, List.of(), 0),
                0,
                now,
                now,
                null,
                false,
                Moment.NEVER,
                null);
    }

    /** When {@code state} wants to be asked, if nothing happens before. */
    public static Moment wakeAt(CarrierState state, CarrierPolicy policy) {
        return switch (state) {
            case Over _ -> Moment.NEVER;
            case Carried carried ->
                    Moment.earlier(
                            Moment.earlier(askAt(carried, policy), doubtAt(carried, policy)),
                            searchAt(carried.search(), carried.known()));
            case Adrift adrift ->
                    Moment.earlier(adrift.heldUntil(), searchAt(adrift.search(), adrift.known()));
        };
    }

    /** What follows from {@code event} at {@code now}, and from the time that has passed. */
    public static CarrierStep on(
            CarrierState state, CarrierEvent event, Moment now, CarrierPolicy policy) {
        if (state instanceof Over) {
            return new CarrierStep(state, List.of(), Moment.NEVER);
        }
        Desk desk = new Desk(state, now, policy);
        if (wakeAt(state, policy).plus(ABSENCE).isBefore(now)) {
            desk.away();
        }
        desk.happened(event);
        desk.due();
        CarrierState next = desk.state();
        return new CarrierStep(next, desk.commands, wakeAt(next, policy));
    }

    /** When a PING is to go out. */
    private static Moment askAt(Carried carried, CarrierPolicy policy) {
        if (carried.asked() != null) {
            return carried.pinged() ? Moment.NEVER : carried.asked().plus(ASK_AFTER);
        }
        return policy.idle().isZero() ? Moment.NEVER : carried.heard().plus(quiet(carried, policy));
    }

    /**
     * How long a silence may be before it is asked after. Whoever has just been at work will miss
     * the path soon; the longer nothing has been going on, the less it matters when its loss is
     * noticed, and the more a PING costs beside it.
     */
    private static Duration quiet(Carried carried, CarrierPolicy policy) {
        // Not dividedBy, which goes by way of decimal fractions: this is asked for every packet.
        Duration still =
                Duration.ofNanos(carried.heard().since(carried.busy()).toNanos() / STILL_SHARE);
        if (still.compareTo(policy.soon()) < 0) {
            return policy.soon();
        }
        return still.compareTo(policy.idle()) < 0 ? still : policy.idle();
    }

    /** When silence is to have a consequence, if it has had none yet. */
    private static Moment doubtAt(Carried carried, CarrierPolicy policy) {
        if (carried.asked() == null) {
            return Moment.NEVER;
        }
        if (policy.dials()) {
            return carried.search() != null || carried.known().hold().isZero()
                    ? Moment.NEVER
                    : carried.doubtAt();
        }
        return policy.drop().isZero() ? Moment.NEVER : carried.asked().plus(policy.drop());
    }

    private static Moment searchAt(@Nullable Search search, Known known) {
        Moment next = Moment.NEVER;
        for (Attempt attempt : known.attempts()) {
            next = Moment.earlier(next, attempt.until());
        }
        if (search != null) {
            if (mayDial(known)) {
                next = Moment.earlier(next, dialAt(search, known));
            }
            if (!search.told()) {
                next = Moment.earlier(next, search.since().plus(WORTH_TELLING));
            }
        }
        return next;
    }

    private static boolean mayDial(Known known) {
        int quick = 0;
        for (Attempt attempt : known.attempts()) {
            quick += attempt.patient() ? 0 : 1;
        }
        return quick < MOST_ATTEMPTS;
    }

    private static Moment dialAt(Search search, Known known) {
        Moment at = search.nextDial();
        for (Attempt attempt : known.attempts()) {
            if (attempt.connected()) {
                at = Moment.later(at, attempt.started().plus(ANSWERED));
            }
        }
        return at;
    }

    /** The pieces of a state laid out to be worked on, for the length of one decision. */
    private static final class Desk {
        private final Moment now;
        private final CarrierPolicy policy;
        private final List<CarrierCommand> commands = new ArrayList<>(4);

        private Duration hold;
        private RoundTrip roundTrip;
        private Duration newest;
        private long nextGeneration;
        private long newestAsked;
        private final List<Attempt> attempts;
        private int faults;
        private @Nullable Search search;

        // -1: adrift since `since`
        private long generation = -1;
        private Moment heard;
        private Moment busy;
        private @Nullable Moment asked;
        private boolean pinged;
        private Moment doubtAt = Moment.NEVER;
        private Moment since = Moment.NEVER;
        private Moment heldUntil = Moment.NEVER;
        private @Nullable Ending ending;

        Desk(CarrierState state, Moment now, CarrierPolicy policy) {
            this.now = now;
            this.policy = policy;
            Known known;
            switch (state) {
                case Carried carried -> {
                    known = carried.known();
                    generation = carried.generation();
                    heard = carried.heard();
                    busy = carried.busy();
                    asked = carried.asked();
                    pinged = carried.pinged();
                    doubtAt = carried.doubtAt();
                    search = carried.search();
                }
                case Adrift adrift -> {
                    known = adrift.known();
                    heard = adrift.heard();
                    busy = adrift.heard();
                    since = adrift.since();
                    heldUntil = adrift.heldUntil();
                    search = adrift.search();
                }
                case Over _ -> throw new IllegalArgumentException("it is over");
            }
            hold = known.hold();
            roundTrip = known.roundTrip();
            newest = known.newest();
            nextGeneration = known.nextGeneration();
            newestAsked = known.newestAsked();
            attempts = new ArrayList<>(known.attempts());
            faults = known.faults();
        }

        private Known known() {
            return new Known(
                    hold, roundTrip, newest, nextGeneration, newestAsked, attempts, faults);
        }

        CarrierState state() {
            if (ending != null) {
                return new Over(ending, now);
            }
            Known known = known();
            if (generation >= 0) {
                return new Carried(known, generation, heard, busy, asked, pinged, doubtAt, search);
            }
            Search seeking = search == null ? Search.from(since, Moment.NEVER).shown() : search;
            return new Adrift(known, heard, since, heldUntil, seeking);
        }

        void happened(CarrierEvent event) {
            switch (event) {
                case CarrierEvent.TimePassed _ -> {}
                case CarrierEvent.Held held -> {
                    hold = held.hold();
                    if (roundTrip.equals(RoundTrip.UNKNOWN)) {
                        ask(now, roundTrip.patience());
                        ping();
                    }
                }
                case CarrierEvent.Heard some -> {
                    if (some.data()) {
                        busy = Moment.later(busy, some.at());
                    }
                    heard(some.at());
                }
                case CarrierEvent.Spoke spoke -> {
                    busy = Moment.later(busy, spoke.at());
                    if (generation >= 0 && asked == null && heard.isBefore(spoke.at())) {
                        ask(spoke.at(), roundTrip.patience());
                    }
                }
                case CarrierEvent.PingAnswered answered -> {
                    learn(answered.at().since(answered.sent()));
                    faults = 0;
                    heard(answered.at());
                    if (asked != null) {
                        doubtAt = Moment.earlier(doubtAt, asked.plus(roundTrip.patience()));
                    }
                }
                case CarrierEvent.Lost lost -> lost(lost.generation(), lost.fault());
                case CarrierEvent.Connected connected -> {
                    newestAsked = Math.max(newestAsked, connected.generation());
                    attempts.replaceAll(one ->
                            one.generation() == connected.generation()
                                    ? one.answered(
                                            Moment.later(
                                                    one.started().plus(RESUMING),
                                                    now.plus(CONNECTING)))
                                    : one);
                }
                case CarrierEvent.Resumed resumed -> resumed(resumed.generation());
                case CarrierEvent.Failed failed -> failed(failed.generation(), failed.why());
                case CarrierEvent.NetworkChanged _, CarrierEvent.Slept _ -> away();
                case CarrierEvent.Finished _ -> end(Ending.FINISHED);
            }
        }

        /**
         * Of two answers in a row the quicker counts. One that alone is late tells of a gap, as a
         * path has that was gone for two seconds, and not of its length: to believe it would make
         * the next loss show seconds later.
         */
        private void learn(Duration answer) {
            boolean alone = newest.isZero() || answer.compareTo(newest) < 0;
            roundTrip = roundTrip.with(alone ? answer : newest);
            newest = answer;
        }

        /** Whatever was true of the path may be so no more. */
        void away() {
            if (generation >= 0) {
                Duration look = roundTrip.smoothed().multipliedBy(2).plus(QUICK_LOOK);
                asked = null;
                ask(now, look.compareTo(LONGEST_LOOK) > 0 ? LONGEST_LOOK : look);
                ping();
                return;
            }
            if (policy.dials()) {
                heldUntil = Moment.later(heldUntil, now.plus(LAST_CHANCE));
                if (search != null && !dialedJustNow()) {
                    search = search.afresh(now);
                }
            }
        }

        /** Changes of a network come in bursts: one attempt serves for all. */
        private boolean dialedJustNow() {
            return !attempts.isEmpty()
                    && now.isBefore(attempts.getLast().started().plus(QUICK_LOOK));
        }

        private void ask(Moment at, Duration patience) {
            if (asked == null) {
                asked = at;
                pinged = false;
                doubtAt = at.plus(patience);
            }
        }

        private void ping() {
            if (generation >= 0) {
                pinged = true;
                commands.add(new CarrierCommand.Ping(now));
            }
        }

        private void heard(Moment at) {
            heard = Moment.later(heard, at);
            if (generation >= 0 && asked != null && !heard.isBefore(asked)) {
                asked = null;
                doubtAt = Moment.NEVER;
                searchIsOver();
            }
        }

        private void searchIsOver() {
            if (search != null && search.told()) {
                commands.add(new CarrierCommand.Hide());
            }
            search = null;
        }

        private void lost(long which, boolean fault) {
            if (which != generation) {
                failed(which, CarrierEvent.Failure.UNANSWERED);
                return;
            }
            generation = -1;
            asked = null;
            doubtAt = Moment.NEVER;
            faults = fault ? faults + 1 : faults;
            if (hold.isZero()) {
                end(Ending.NOT_RESUMABLE);
            } else if (faults >= MOST_FAULTS) {
                end(Ending.PROTOCOL);
            } else {
                since = now;
                heldUntil = now.plus(hold);
                if (policy.dials()) {
                    // A server that keeps failing us is not asked at once for ever.
                    Moment next = fault ? now.plus(backOff(faults)) : now;
                    search =
                            search == null
                                    ? Search.from(now, next)
                                    : search.dialAt(Moment.earlier(search.nextDial(), next));
                } else {
                    search = null;
                }
            }
        }

        private void resumed(long which) {
            attempts.removeIf(one -> one.generation() == which);
            if (which <= generation) {
                commands.add(new CarrierCommand.Drop(which));
                return;
            }
            for (Attempt older : List.copyOf(attempts)) {
                if (older.generation() < which) {
                    attempts.remove(older);
                    commands.add(new CarrierCommand.Abandon(older.generation()));
                }
            }
            if (generation >= 0) {
                commands.add(new CarrierCommand.Drop(generation));
            }
            generation = which;
            nextGeneration = Math.max(nextGeneration, which + 1);
            heard = now;
            busy = now;
            asked = null;
            doubtAt = Moment.NEVER;
            searchIsOver();
            // What this path is like is not known yet: what was known of the last one serves.
            ask(now, roundTrip.patience());
            ping();
        }

        private void failed(long which, CarrierEvent.Failure why) {
            Attempt over = null;
            for (Attempt attempt : attempts) {
                over = attempt.generation() == which ? attempt : over;
            }
            if (over == null) {
                return;
            }
            attempts.remove(over);
            switch (why) {
                case UNANSWERED -> {}
                case TURNED_AWAY -> {
                    if (search != null) {
                        search = search.refused(now.plus(backOff(search.refusals() + 1)));
                    }
                }
                case GONE, FOREIGN -> {
                    if (which < newestAsked) {
                        // Overtaken: the server may have given the tether to a later attempt.
                        return;
                    }
                    Moment denied = search == null ? null : search.denied();
                    if (generation < 0 || (denied != null && !over.started().isBefore(denied))) {
                        end(why == CarrierEvent.Failure.GONE ? Ending.GONE : Ending.FOREIGN);
                    } else if (search != null && denied == null) {
                        // The carrier may live yet, and another machine have answered: it has
                        // until the next attempt to speak. Those under way say the same no.
                        search = search.denied(now, now.plus(LAST_PACE));
                    }
                }
            }
        }

        private void end(Ending why) {
            ending = why;
            for (Attempt attempt : attempts) {
                commands.add(new CarrierCommand.Abandon(attempt.generation()));
            }
            searchIsOver();
            commands.add(new CarrierCommand.End(why));
        }

        // --- what time alone brings

        void due() {
            if (ending != null) {
                return;
            }
            for (Attempt attempt : List.copyOf(attempts)) {
                if (now.isBefore(attempt.until())) {
                    continue;
                }
                Moment longer = patience(attempt);
                if (now.isBefore(longer)) {
                    attempts.set(attempts.indexOf(attempt), attempt.patient(longer));
                } else {
                    attempts.remove(attempt);
                    commands.add(new CarrierCommand.Abandon(attempt.generation()));
                }
            }
            if (generation >= 0) {
                doubt();
            }
            if (generation < 0 && !now.isBefore(heldUntil)) {
                end(Ending.HOLD_OVER);
                return;
            }
            seek();
        }

        /**
         * Until when an attempt is left to its way if it is to be the patient one; else its end.
         */
        private Moment patience(Attempt attempt) {
            if (search == null || attempts.stream().anyMatch(Attempt::patient)) {
                return attempt.until();
            }
            Duration sought = attempt.started().since(search.since());
            Duration most = sought.compareTo(MOST_PATIENCE) < 0 ? sought : MOST_PATIENCE;
            return attempt.started()
                    .plus(most.compareTo(LEAST_PATIENCE) < 0 ? LEAST_PATIENCE : most);
        }

        private void doubt() {
            Carried carried = (Carried) state();
            if (!now.isBefore(askAt(carried, policy))) {
                ask(now, roundTrip.patience());
                ping();
                carried = (Carried) state();
            }
            if (now.isBefore(doubtAt(carried, policy))) {
                return;
            }
            if (policy.dials()) {
                search = Search.from(now, now);
            } else {
                commands.add(new CarrierCommand.Drop(generation));
                lost(generation, false);
            }
        }

        private void seek() {
            Search seeking = search;
            if (seeking == null || ending != null) {
                return;
            }
            Known known = known();
            if (mayDial(known) && !now.isBefore(dialAt(seeking, known))) {
                long which = nextGeneration++;
                attempts.add(new Attempt(which, now, now.plus(CONNECTING), false, false));
                commands.add(new CarrierCommand.Dial(which));
                seeking =
                        seeking.dialed(now.plus(jittered(pace(now.since(seeking.since())), which)));
            }
            if (!seeking.told() && !now.isBefore(seeking.since().plus(WORTH_TELLING))) {
                Moment until = generation < 0 ? heldUntil : heard.plus(hold);
                commands.add(new CarrierCommand.Show(heard, until));
                seeking = seeking.shown();
            }
            search = seeking;
        }

        private static Duration pace(Duration sought) {
            if (sought.compareTo(LATER) < 0) {
                return PACE;
            }
            return sought.compareTo(LAST) < 0 ? LATER_PACE : LAST_PACE;
        }

        private Duration backOff(int refusals) {
            Duration wait = BACK_OFF.multipliedBy(1L << Math.min(refusals - 1, 10));
            return jittered(wait.compareTo(LAST_PACE) > 0 ? LAST_PACE : wait, nextGeneration);
        }

        /** Between four and six fifths, so that many clients do not come in step. */
        private Duration jittered(Duration wait, long which) {
            long z = policy.seed() + which * 0x9E3779B97F4A7C15L;
            z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
            z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
            long fraction = (z ^ (z >>> 31)) >>> 44; // 20 bits
            return wait.multipliedBy(4)
                    .dividedBy(5)
                    .plus(
                            wait.multipliedBy(2)
                                    .dividedBy(5)
                                    .multipliedBy(fraction)
                                    .dividedBy(1 << 20));
        }
    }
}
