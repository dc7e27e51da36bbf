package holdfast.core.liveness;

import holdfast.core.time.Moment;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The decision over one link: when to speak, when to doubt, when to give up.
 *
 * <p>The two OpenSSH settings keep the meaning that clientloop.c gives them. Any received byte
 * re-arms the interval, any whole packet clears the count, and nothing that we send does either.
 * When an interval has passed in silence, one more is counted: past CountMax the link is dead, else
 * a probe goes out and the next interval begins. So death comes (CountMax + 1) × Interval after the
 * last byte (the manual page of OpenSSH says Interval × CountMax). A probe counts from the moment
 * it is asked for: one that waits in a queue behind a re-key or a full send buffer is a probe
 * unanswered.
 *
 * <p>Doubt is ours. It begins when a probe has been out for {@link RoundTrip#patience} with no byte
 * back, changes nothing about death, and ends with the first byte.
 *
 * <p>Time in which we were not there is not the peer's silence: after a sleep, or when a wake-up
 * comes later than {@link #ABSENCE}, the link is probed first and judged afresh.
 */
public final class Link {

    /**
     * How long data may go without an echo before a probe asks after it. Long enough that an
     * ordinary echo over a bad path comes first, short enough that with {@link RoundTrip#patience}
     * a person learns of trouble within about three seconds of typing.
     */
    static final Duration ECHO_PATIENCE = Duration.ofSeconds(1);

    /**
     * A wake-up this late may mean that this process was not running, and has unread bytes waiting.
     * A clock can show no more: who was stopped across no wake-up at all, or was back within this
     * time of one, and had bytes waiting that are not read when the end comes, condemns a peer that
     * spoke.
     */
    static final Duration LATE = Duration.ofMillis(5);

    /** How long those bytes get to be read before the link is condemned. */
    static final Duration SECOND_LOOK = Duration.ofMillis(200);

    /**
     * A wake-up this late is an absence like a sleep: stopped by a signal, swapped out, or
     * suspended.
     */
    static final Duration ABSENCE = Duration.ofSeconds(5);

    private Link() {}

    /**
     * The state of a link whose transport has just been connected.
     *
     * @param started when the attempt to reach the peer began, the look-up of its name included
     */
    public static LinkState opening(Moment started, Moment now) {
        return new LinkState.Opening(Phase.BANNER, started, now, null, Duration.ZERO);
    }

    /** When {@code state} wants to be asked, if nothing happens before. */
    public static Moment wakeAt(LinkState state, LivenessPolicy policy) {
        return switch (state) {
            case LinkState.Opening opening -> openingEnd(opening, policy);
            case LinkState.Up up ->
                    Moment.earlier(due(up.watch(), policy), doubtDue(up.watch(), policy));
            case LinkState.Suspect suspect -> due(suspect.watch(), policy);
            case LinkState.Dead _ -> Moment.NEVER;
        };
    }

    /**
     * What follows from {@code event} at {@code now}. Any time that has come due by {@code now} is
     * dealt with in the same step, after the event: what was heard in time counts in time.
     */
    public static Step on(LinkState state, LinkEvent event, Moment now, LivenessPolicy policy) {
        List<LinkCommand> commands = new ArrayList<>(2);
        Duration late = now.since(wakeAt(state, policy));
        LinkState next =
                switch (state) {
                    case LinkState.Opening opening ->
                            opening(opening, event, now, late, policy, commands);
                    case LinkState.Up up ->
                            judge(up.watch(), null, event, now, late, policy, commands);
                    case LinkState.Suspect suspect ->
                            judge(
                                    suspect.watch(),
                                    suspect.since(),
                                    event,
                                    now,
                                    late,
                                    policy,
                                    commands);
                    case LinkState.Dead dead -> dead;
                };
        return new Step(next, commands, wakeAt(next, policy));
    }

    /**
     * How long we were not there while the link was opening, as far as this event shows it. A sleep
     * makes us late as well, and is not charged twice; what came due meanwhile is due {@link
     * #ABSENCE} from now.
     */
    private static Duration absence(LinkEvent event, Duration late) {
        Duration slept = event instanceof LinkEvent.Slept(Duration gap) ? gap : Duration.ZERO;
        Duration overslept = late.compareTo(ABSENCE) > 0 ? late.plus(ABSENCE) : Duration.ZERO;
        return slept.compareTo(overslept) > 0 ? slept : overslept;
    }

    private static LinkState opening(
            LinkState.Opening before,
            LinkEvent event,
            Moment now,
            Duration late,
            LivenessPolicy policy,
            List<LinkCommand> commands) {
        Duration absence = absence(event, late);
        // While a person is asked nothing is counted, whether we are there or not.
        boolean absent = absence.isPositive() && before.asking() == null;
        LinkState.Opening was = absent ? excused(before, now, absence) : before;
        LinkState.Opening is =
                switch (event) {
                    case LinkEvent.Reached reached ->
                            new LinkState.Opening(
                                    reached.phase(), was.started(), now, was.asking(), was.asked());
                    case LinkEvent.Heard heard ->
                            new LinkState.Opening(
                                    was.phase(),
                                    was.started(),
                                    Moment.later(was.lastByte(), heard.lastByte()),
                                    was.asking(),
                                    was.asked());
                    case LinkEvent.PersonAsked _ ->
                            new LinkState.Opening(
                                    was.phase(),
                                    was.started(),
                                    was.lastByte(),
                                    was.asking() == null ? now : was.asking(),
                                    was.asked());
                    case LinkEvent.PersonAnswered _ ->
                            was.asking() == null ? was : excused(was, now, now.since(was.asking()));
                    case LinkEvent.Authenticated _ -> null;
                    case LinkEvent.Ended _ -> null;
                    case LinkEvent.Slept _,
                            LinkEvent.TimePassed _,
                            LinkEvent.Spoke _,
                            LinkEvent.ProbeAnswered _ ->
                            was;
                };
        if (is == null) {
            return event instanceof LinkEvent.Ended
                    ? new LinkState.Dead(new Cause.Ended(), now)
                    : new LinkState.Up(Watch.from(now));
        }
        if (now.isBefore(openingEnd(is, policy))) {
            return is;
        }
        Cause cause = new Cause.NotOpened(is.phase(), now.since(is.started()).minus(is.asked()));
        commands.add(new LinkCommand.Condemn(cause));
        return new LinkState.Dead(cause, now);
    }

    /**
     * {@code absence} is charged to nobody, and the peer's silence is counted anew from {@code
     * now}.
     */
    private static LinkState.Opening excused(LinkState.Opening was, Moment now, Duration absence) {
        return new LinkState.Opening(
                was.phase(), was.started(), now, null, was.asked().plus(absence));
    }

    private static Moment openingEnd(LinkState.Opening is, LivenessPolicy policy) {
        if (is.asking() != null) {
            return Moment.NEVER;
        }
        Moment limit =
                policy.openingLimit() == null
                        ? Moment.NEVER
                        : is.started().plus(policy.openingLimit()).plus(is.asked());
        Moment silent =
                policy.openingSilence() == null
                        ? Moment.NEVER
                        : is.lastByte().plus(policy.openingSilence());
        return Moment.earlier(limit, silent);
    }

    private static LinkState judge(
            Watch was,
            @Nullable Moment doubtedSince,
            LinkEvent event,
            Moment now,
            Duration late,
            LivenessPolicy policy,
            List<LinkCommand> commands) {
        Watch watch = was;
        boolean absent = late.compareTo(ABSENCE) > 0;
        switch (event) {
            case LinkEvent.Heard heard -> watch = was.heard(heard.lastByte(), heard.lastPacket());
            case LinkEvent.Spoke spoke -> {
                if (policy.attended() && was.lastByte().isBefore(spoke.at())) {
                    watch = was.spoke(spoke.at());
                }
            }
            case LinkEvent.ProbeAnswered answered ->
                    watch = was.learned(was.roundTrip().with(now.since(answered.sent())));
            case LinkEvent.Slept _ -> absent = true;
            case LinkEvent.Ended _ -> {
                return end(new Cause.Ended(), doubtedSince, now, commands);
            }
            case LinkEvent.TimePassed _,
                    LinkEvent.Reached _,
                    LinkEvent.Authenticated _,
                    LinkEvent.PersonAsked _,
                    LinkEvent.PersonAnswered _ -> {}
        }
        if (absent) {
            watch = watch.present(now);
            if (!policy.interval().isZero() || policy.attended()) {
                watch = watch.doubtProbe(now);
                commands.add(new LinkCommand.SendProbe(now));
            }
        }
        Moment due = due(watch, policy);
        Moment look = now.plus(SECOND_LOOK);
        boolean last = watch.unanswered() >= policy.countMax();
        boolean hasty = late.compareTo(LATE) > 0 && watch.secondLook() == null;
        if (last && hasty && due.isBefore(look)) {
            // The end is past, or comes before what may wait for us can have been read.
            watch = watch.lookAgain(look);
        } else if (!now.isBefore(due) && last) {
            Cause cause = new Cause.Silent(now.since(watch.lastByte()), watch.unanswered());
            LinkState dead = end(cause, doubtedSince, now, commands);
            commands.add(new LinkCommand.Condemn(cause));
            return dead;
        } else if (!now.isBefore(due)) {
            watch = watch.countedProbe(now);
            commands.add(new LinkCommand.SendProbe(now));
        }
        return doubt(watch, doubtedSince, now, policy, commands);
    }

    /**
     * The last step: whether the link is in doubt at {@code now}, and what the person is told of
     * it.
     */
    private static LinkState doubt(
            Watch watch,
            @Nullable Moment doubtedSince,
            Moment now,
            LivenessPolicy policy,
            List<LinkCommand> commands) {
        if (watch.probe() == null
                && watch.spoke() != null
                && !now.isBefore(doubtDue(watch, policy))) {
            watch = watch.doubtProbe(now);
            commands.add(new LinkCommand.SendProbe(now));
        }
        boolean late = watch.probe() != null && !now.isBefore(doubtDue(watch, policy));
        if (!late) {
            if (doubtedSince != null) {
                commands.add(new LinkCommand.HideDoubt());
            }
            return new LinkState.Up(watch);
        }
        if (doubtedSince == null) {
            commands.add(new LinkCommand.ShowDoubt(watch.lastByte(), givenUpAt(watch, policy)));
        }
        return new LinkState.Suspect(watch, doubtedSince == null ? now : doubtedSince);
    }

    private static LinkState end(
            Cause cause, @Nullable Moment doubtedSince, Moment now, List<LinkCommand> commands) {
        if (doubtedSince != null) {
            commands.add(new LinkCommand.HideDoubt());
        }
        return new LinkState.Dead(cause, now);
    }

    /** When the interval that is running ends. */
    private static Moment due(Watch watch, LivenessPolicy policy) {
        if (policy.interval().isZero()) {
            return Moment.NEVER;
        }
        return watch.secondLook() != null
                ? watch.secondLook()
                : watch.silentFrom().plus(policy.interval());
    }

    /** When what is outstanding, a probe or an echo, is late. */
    private static Moment doubtDue(Watch watch, LivenessPolicy policy) {
        if (watch.probe() != null) {
            return watch.probe().plus(watch.roundTrip().patience());
        }
        return watch.spoke() != null && policy.attended()
                ? watch.spoke().plus(ECHO_PATIENCE)
                : Moment.NEVER;
    }

    /** When the link will be dead if nothing more is heard; null: not by itself. */
    private static @Nullable Moment givenUpAt(Watch watch, LivenessPolicy policy) {
        if (policy.interval().isZero()) {
            return null;
        }
        long left = (long) policy.countMax() - watch.unanswered();
        return due(watch, policy).plus(policy.intervals(Math.max(0, left)));
    }
}
