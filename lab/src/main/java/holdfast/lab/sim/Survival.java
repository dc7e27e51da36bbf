package holdfast.lab.sim;

import holdfast.core.liveness.LivenessPolicy;
import holdfast.core.time.Moment;
import holdfast.lab.middlebox.AddressChange;
import holdfast.lab.middlebox.Event;
import holdfast.lab.middlebox.FlowDeath;
import holdfast.lab.middlebox.IdleNat;
import holdfast.lab.middlebox.Latency;
import holdfast.lab.middlebox.Middlebox;
import holdfast.lab.middlebox.Outage;
import holdfast.lab.middlebox.Span;
import holdfast.lab.sim.Scenario.Meddling;
import holdfast.lab.sim.Scenario.Side;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The survival table, simulated: which keepalive lives through which trouble, who notices what is
 * dead, and after how long. The kernel's table of the trials stands beside it, made on the same
 * {@link Times}.
 *
 * <p>Every row is one session: authenticated in the first second, one exchange at {@link
 * Times#chat}, then silence. The trouble strikes {@link Times#limit} after that exchange; one side
 * speaks at {@link Times#speaks}, the other {@link Times#later} after it, and the row is over at
 * {@link Times#watched}.
 */
public final class Survival {

    /** What is set against the trouble. The server judges nothing: sshd by default. */
    public enum Keepalive {
        /** TCPKeepAlive no, ServerAliveInterval 0. */
        NONE,
        /** TCPKeepAlive yes at both ends, ServerAliveInterval 0: OpenSSH's defaults. */
        TCP,
        /** ServerAliveInterval below the limit of the box: it keeps the flow open. */
        BELOW_LIMIT,
        /** ServerAliveInterval above the limit: the flow expires between two probes. */
        ABOVE_LIMIT
    }

    /** Who speaks first after the trouble struck. */
    public enum Speaker {
        CLIENT,
        SERVER
    }

    /** What strikes. The first six are the ways of an idle NAT, the others come from outside. */
    public enum Trouble {
        SILENT,
        RESET_SPEAKER,
        RESET_BOTH,
        CLOSE,
        REVIVE,
        REMAP,
        /** The path is dark from the trouble on for {@link Times#cut}, and then well. */
        CUT,
        /** A router without any limit loses its table, and drops what it does not know. */
        FORGET,
        /** The client moves to another network. */
        ROAM,
        /** The router behind which the client sits gets another address. */
        WAN_CHANGE,
        /** This flow is dead and every other is well. */
        FLOW_DEATH
    }

    /**
     * When what happens; moments count from the first SYN.
     *
     * @param limit the box's idle limit, which is also how long after the chat a trouble strikes
     * @param below the interval below it
     * @param above the interval above it
     * @param countMax ServerAliveCountMax
     * @param chat when the last exchange before the trouble is
     * @param speaks when the first side speaks after the trouble
     * @param later how long after it the other side speaks
     * @param cut how long {@link Trouble#CUT} lasts
     * @param latency of the path, in each direction
     * @param watched how long a row is watched
     */
    public record Times(
            Duration limit,
            Duration below,
            Duration above,
            int countMax,
            Moment chat,
            Moment speaks,
            Duration later,
            Duration cut,
            Duration latency,
            Duration watched) {

        /** As in the field: a limit of five minutes, keepalives of one and of ten. */
        public static Times usual() {
            return new Times(
                    Duration.ofMinutes(5),
                    Duration.ofMinutes(1),
                    Duration.ofMinutes(10),
                    3,
                    at(Duration.ofSeconds(10)),
                    at(Duration.ofMinutes(45)),
                    Duration.ofSeconds(30),
                    Duration.ofMinutes(2),
                    Duration.ofMillis(20),
                    Duration.ofHours(4));
        }

        /** When the trouble strikes. */
        public Moment struck() {
            return chat.plus(limit);
        }

        private static Moment at(Duration sinceStart) {
            return Moment.ZERO.plus(sinceStart);
        }
    }

    /** How a row ended. */
    public enum Fate {
        /** Both spoke to each other on the same connection after the trouble. */
        LIVED,
        /** At least one end noticed that it is dead. */
        DIED,
        /** Neither noticed, and what was said did not arrive. */
        HUNG
    }

    /**
     * One row of the table.
     *
     * @param client how long after the trouble struck the client noticed; negative: before it;
     *     null: never while it was watched
     * @param clientBy by what; null as {@code client}
     * @param server the same of the server
     * @param clientHeard whether the client's program read what the server said after the trouble
     * @param serverHeard whether the server's program read what the client said after the trouble
     */
    public record Row(
            Keepalive keepalive,
            Speaker speaker,
            Trouble trouble,
            Fate fate,
            @Nullable Duration client,
            Run.@Nullable How clientBy,
            @Nullable Duration server,
            Run.@Nullable How serverBy,
            boolean clientHeard,
            boolean serverHeard) {}

    private Survival() {}

    /**
     * The whole matrix, in the order of the enumerations: trouble, then keepalive, then speaker.
     */
    public static List<Row> table(Times times) {
        List<Row> rows = new ArrayList<>();
        for (Trouble trouble : Trouble.values()) {
            for (Keepalive keepalive : Keepalive.values()) {
                for (Speaker speaker : Speaker.values()) {
                    rows.add(row(times, keepalive, speaker, trouble));
                }
            }
        }
        return rows;
    }

    /** One cell of the matrix. */
    public static Row row(Times times, Keepalive keepalive, Speaker speaker, Trouble trouble) {
        Run run = World.run(scenario(times, keepalive, speaker, trouble));
        // Before the trouble: one word typed, answered with a line. After it: one word, its line,
        // and the server's own.
        boolean serverHeard = run.server().keys() >= 2;
        boolean clientHeard = run.client().lines() >= (serverHeard ? 3 : 2);
        boolean noticed = run.client().died() != null || run.server().died() != null;
        Fate fate = noticed ? Fate.DIED : clientHeard && serverHeard ? Fate.LIVED : Fate.HUNG;
        return new Row(
                keepalive,
                speaker,
                trouble,
                fate,
                after(times, run.client().died()),
                run.client().how(),
                after(times, run.server().died()),
                run.server().how(),
                clientHeard,
                serverHeard);
    }

    /** What {@link #row} runs. */
    public static Scenario scenario(
            Times times, Keepalive keepalive, Speaker speaker, Trouble trouble) {
        Duration interval =
                switch (keepalive) {
                    case NONE, TCP -> Duration.ZERO;
                    case BELOW_LIMIT -> times.below();
                    case ABOVE_LIMIT -> times.above();
                };
        boolean tcpKeepAlive = keepalive != Keepalive.NONE;
        Moment second = times.speaks().plus(times.later());
        Moment client = speaker == Speaker.CLIENT ? times.speaks() : second;
        Moment server = speaker == Speaker.CLIENT ? second : times.speaks();
        LivenessPolicy policy =
                LivenessPolicy.client(interval, times.countMax(), Duration.ofMinutes(2), false);
        List<Meddling> meddlings =
                trouble == Trouble.FORGET
                        ? List.of(new Meddling(times.struck(), new Event.Forget()))
                        : List.of();
        return new Scenario(
                0,
                times.watched(),
                Side.awake(policy, tcpKeepAlive, Workload.at(times.chat(), client)),
                Side.awake(null, tcpKeepAlive, Workload.at(server)),
                path(times, trouble),
                meddlings,
                times.latency().multipliedBy(2).plusSeconds(1));
    }

    private static List<Middlebox<?>> path(Times times, Trouble trouble) {
        Moment struck = times.struck();
        Middlebox<?> box =
                switch (trouble) {
                    case SILENT -> IdleNat.of(times.limit(), IdleNat.Expiry.SILENT);
                    case RESET_SPEAKER -> IdleNat.of(times.limit(), IdleNat.Expiry.RESET_SPEAKER);
                    case RESET_BOTH -> IdleNat.of(times.limit(), IdleNat.Expiry.RESET_BOTH);
                    case CLOSE ->
                            IdleNat.of(times.limit(), IdleNat.Expiry.CLOSE)
                                    .refreshedByPayloadOnly();
                    case REVIVE -> IdleNat.of(times.limit(), IdleNat.Expiry.REVIVE);
                    case REMAP -> IdleNat.of(times.limit(), IdleNat.Expiry.REMAP);
                    case CUT -> Outage.during(Span.of(struck, times.cut()));
                    case FORGET -> IdleNat.of(Duration.ofDays(5), IdleNat.Expiry.SILENT);
                    case ROAM -> AddressChange.of(AddressChange.Whose.CLIENT, struck);
                    case WAN_CHANGE -> AddressChange.of(AddressChange.Whose.ROUTER, struck);
                    case FLOW_DEATH -> FlowDeath.of(Node.FLOW, struck);
                };
        return List.of(box, Latency.of(times.latency()));
    }

    private static @Nullable Duration after(Times times, @Nullable Moment died) {
        return died == null ? null : times.struck().until(died);
    }
}
