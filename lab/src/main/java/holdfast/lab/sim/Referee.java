package holdfast.lab.sim;

import holdfast.core.liveness.Cause;
import holdfast.core.liveness.LinkCommand;
import holdfast.core.liveness.LinkEvent;
import holdfast.core.liveness.LinkState;
import holdfast.core.liveness.LivenessPolicy;
import holdfast.core.liveness.Step;
import holdfast.core.time.Moment;
import holdfast.lab.sim.Run.Rule;
import java.time.Duration;

/**
 * Holds one end's decisions against what really happened to it. Keeps its own account of arrivals,
 * absences and probes in plain nanoseconds, and shares nothing with the decision it watches: a rule
 * that asked the decision when it was due would forgive it everything.
 */
final class Referee {

    private static final long SECOND = 1_000_000_000L;

    /** The stated slack: how late a decision may be acted on at most by a program that runs. */
    private static final long SLACK = SECOND / 1000;

    /** A late wake-up is followed by a second look of 200 ms, and a loop is scheduled late too. */
    private static final long AFTER_STOP = SECOND;

    /** From here on a wake-up counts as an absence: the peer's silence is counted anew. */
    private static final long ABSENCE = 5 * SECOND;

    /** Data without an echo may be asked after when it is this old. */
    private static final long ECHO_PATIENCE = SECOND;

    /** What a lost packet can cost: the longest rung of TCP's ladder, there and back. */
    private static final long AFTERMATH = 260 * SECOND;

    /** More commands than any decision gives at once. */
    private static final int MOST_COMMANDS = 4;

    private final Node node;
    private final LivenessPolicy policy;
    private final long interval;
    private final long allowed;

    private boolean up;
    private boolean over;
    private long opened;
    private long excused;
    private long lastByte;
    private long lastPacket;
    private long present;
    private long resumed = Long.MIN_VALUE / 2;
    private long grace = Long.MIN_VALUE / 2;
    private long postponed;
    private long countedFrom;
    private int countedSincePacket;
    private long unheardSpeech = -1;
    private boolean doubtShown;
    private int probes;

    Referee(Node node, LivenessPolicy policy) {
        this.node = node;
        this.policy = policy;
        interval = policy.interval().toNanos();
        allowed = interval * (policy.countMax() + 1L);
    }

    void opened(long now) {
        opened = now;
        heard(now, true);
        present = now;
    }

    void heard(long now, boolean packet) {
        lastByte = now;
        countedFrom = now;
        postponed = 0;
        unheardSpeech = -1;
        if (packet) {
            lastPacket = now;
            countedSincePacket = 0;
        }
    }

    void spoke(long now) {
        if (unheardSpeech < 0) {
            unheardSpeech = now;
        }
    }

    /** The program runs again after it was stopped for {@code length}. */
    void resumed(long length, long now) {
        if (length >= ABSENCE) {
            resumed = now;
        }
        grace = now + AFTER_STOP;
        // A probe that is late by a short stop starts its interval late.
        postponed += length;
    }

    void judged(
            LinkState before,
            LinkEvent event,
            Step step,
            Moment at,
            Moment wokenAt,
            boolean stopped) {
        long now = at.nanos();
        long away = event instanceof LinkEvent.Slept(Duration gap) ? gap.toNanos() : 0;
        long late = now - wokenAt.nanos();
        if ((stopped || away > 0) && late > ABSENCE) {
            // Opening, what was due while it did not run is due so long after it runs again.
            away = Math.max(away, late + ABSENCE);
        }
        boolean absent = away > 0;
        excused += away;
        if (event instanceof LinkEvent.Reached) {
            heard(now, true);
        }
        if (event instanceof LinkEvent.Authenticated) {
            up = true;
            heard(now, true);
            present = now;
        }
        if (absent) {
            present = now;
            countedFrom = now;
            countedSincePacket = 0;
            unheardSpeech = -1;
        }
        if (!at.isBefore(step.wakeAt()) && step.next().equals(before)) {
            broken(Rule.PROGRESS, now, "asks to be woken at once and has changed nothing");
        }
        if (step.commands().size() > MOST_COMMANDS) {
            broken(Rule.BOUNDED_MEMORY, now, step.commands().size() + " commands at once");
        }
        boolean excuse = absent;
        for (LinkCommand command : step.commands()) {
            switch (command) {
                case LinkCommand.SendProbe _ -> {
                    probe(now, excuse);
                    excuse = false;
                }
                case LinkCommand.ShowDoubt _ -> {
                    if (doubtShown) {
                        broken(Rule.PROGRESS, now, "shows a doubt that is already shown");
                    }
                    doubtShown = true;
                }
                case LinkCommand.HideDoubt _ -> {
                    if (!doubtShown) {
                        broken(Rule.PROGRESS, now, "hides a doubt that was never shown");
                    }
                    doubtShown = false;
                }
                case LinkCommand.Condemn condemn -> condemned(condemn.cause(), now);
            }
        }
    }

    private void probe(long now, boolean excuse) {
        probes++;
        if (!up) {
            broken(Rule.PROBES_WITHIN_BUDGET, now, "probes before authentication");
            return;
        }
        if (excuse) {
            return;
        }
        boolean echo =
                policy.attended() && unheardSpeech >= 0 && now - unheardSpeech >= ECHO_PATIENCE;
        unheardSpeech = -1;
        // Both reasons at once, and none left of the one: who looks again may ask after an echo.
        boolean asks = echo && countedSincePacket == policy.countMax();
        if (interval > 0 && now - countedFrom >= interval && !asks) {
            countedFrom = now;
            countedSincePacket++;
            if (countedSincePacket > policy.countMax()) {
                broken(
                        Rule.PROBES_WITHIN_BUDGET,
                        now,
                        "probe "
                                + countedSincePacket
                                + " without an answer, "
                                + policy.countMax()
                                + " are allowed");
            }
            return;
        }
        if (echo) {
            return;
        }
        broken(
                Rule.PROBES_WITHIN_BUDGET,
                now,
                "probes after only " + seconds(now - countedFrom) + " of silence");
    }

    private void condemned(Cause cause, long now) {
        over = true;
        switch (cause) {
            case Cause.Silent _ -> silent(now);
            case Cause.NotOpened _ -> {
                if (now < openingEnd()) {
                    broken(
                            Rule.NO_FALSE_DEATH,
                            now,
                            "gave up opening " + seconds(openingEnd() - now) + " early");
                }
            }
            case Cause.Ended _ -> broken(Rule.NO_FALSE_DEATH, now, "condemned what had ended");
        }
    }

    private void silent(long now) {
        long packet = Math.max(lastPacket, present);
        long last = Math.max(lastByte, present);
        if (interval == 0 || now - packet < allowed || now - last < interval) {
            broken(
                    Rule.NO_FALSE_DEATH,
                    now,
                    "dead "
                            + seconds(now - packet)
                            + " after the last packet, "
                            + seconds(allowed)
                            + " are promised");
        } else if (node.unread() > 0) {
            broken(
                    Rule.NO_FALSE_DEATH,
                    now,
                    "dead with " + node.unread() + " segments waiting to be read");
        } else if (policy.countMax() > 0
                && node.roundTrip() < interval
                && now - node.lastTrouble() > allowed + AFTERMATH) {
            broken(
                    Rule.NO_FALSE_DEATH,
                    now,
                    "dead though nothing was lost for " + seconds(now - node.lastTrouble()));
        }
    }

    /** To be asked whenever time has passed for a program that runs and has looked. */
    void overdue(long now) {
        if (over) {
            return;
        }
        long end;
        if (!up) {
            end = openingEnd();
        } else if (interval > 0) {
            end = Math.max(Math.max(lastByte, present), resumed) + allowed + postponed;
        } else {
            return;
        }
        end = Math.max(end, grace);
        if (now > end + SLACK) {
            over = true; // told once
            broken(Rule.DEATH_IN_TIME, now, "alive " + seconds(now - end) + " too long");
        }
    }

    void ended() {
        over = true;
    }

    int probes() {
        return probes;
    }

    private long openingEnd() {
        long limit =
                policy.openingLimit() == null
                        ? Long.MAX_VALUE / 4
                        : opened + policy.openingLimit().toNanos() + excused;
        long silence =
                policy.openingSilence() == null
                        ? Long.MAX_VALUE / 4
                        : Math.max(lastByte, present) + policy.openingSilence().toNanos();
        return Math.min(limit, silence);
    }

    private void broken(Rule rule, long now, String what) {
        node.broken(rule, new Moment(now), what);
    }

    private static String seconds(long nanos) {
        return Math.round(nanos / 1e6) / 1e3 + " s";
    }
}
