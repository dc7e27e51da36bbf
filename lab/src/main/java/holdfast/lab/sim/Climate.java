package holdfast.lab.sim;

import holdfast.core.liveness.LivenessPolicy;
import holdfast.core.time.Moment;
import holdfast.lab.middlebox.AddressChange;
import holdfast.lab.middlebox.Crowding;
import holdfast.lab.middlebox.Direction;
import holdfast.lab.middlebox.Event;
import holdfast.lab.middlebox.FlowDeath;
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
import holdfast.lab.sim.Scenario.Meddling;
import holdfast.lab.sim.Scenario.Side;
import holdfast.lab.sim.Scenario.Visit;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * Draws scenarios from seeds: settings, workloads and every kind of weather, as the population of
 * real devices has it. The same seed and population always give the same scenario.
 */
public final class Climate {

    /** Seconds; what people set, and the edges. 0 is off. */
    private static final int[] INTERVALS = {
        0, 0, 1, 5, 15, 30, 30, 60, 60, 60, 120, 300, 600, 1800, 3600
    };

    private static final int[] COUNTS = {0, 1, 1, 2, 3, 3, 3, 3, 5, 10};

    private static final Duration OPENING_LIMIT = Duration.ofMinutes(2);

    /** Stands for the interval where there is none. */
    private static final Duration UNIT = Duration.ofMinutes(30);

    private static final Duration LONGEST = Duration.ofDays(14);

    private final NatTimeouts population;

    public Climate(NatTimeouts population) {
        this.population = population;
    }

    /** The scenario of this seed. */
    public Scenario of(long seed) {
        return new Drawing(seed).scenario();
    }

    private final class Drawing {

        private final long seed;
        private final SplittableRandom random;
        private final boolean calm;
        private Duration unit = UNIT;
        private Duration length = LONGEST;
        private Duration roundTrip = Duration.ofMillis(100);
        private int others;

        Drawing(long seed) {
            this.seed = seed;
            random = new SplittableRandom(seed);
            // Most of life is uneventful: long silences, and devices that count them.
            calm = often(50);
        }

        Scenario scenario() {
            LivenessPolicy client = client();
            LivenessPolicy server = often(60) ? server(client.interval()) : null;
            if (client.interval().isPositive()) {
                unit = client.interval();
            } else if (server != null) {
                unit = server.interval();
            }
            Duration drawn = unit.multipliedBy(20 + random.nextInt(280));
            length = drawn.compareTo(LONGEST) < 0 ? drawn : LONGEST;
            others = often(10) ? 1 + random.nextInt(3) : 0;
            List<Middlebox<?>> path = path();
            List<Meddling> meddlings = new ArrayList<>();
            if (!calm && often(10)) {
                meddlings.add(new Meddling(moment(), new Event.Forget()));
            }
            if (!calm && often(10)) {
                Moment cut = moment();
                meddlings.add(new Meddling(cut, new Event.Cut()));
                meddlings.add(new Meddling(cut.plus(some(4)), new Event.Heal()));
            }
            if (!calm && often(5)) {
                Moment crowd = moment();
                meddlings.add(new Meddling(crowd, new Event.Crowd()));
                meddlings.add(new Meddling(crowd.plus(some(20)), new Event.Heal()));
            }
            meddlings.sort(Comparator.comparing(Meddling::at));
            Side first = side(client, 15);
            Side second = side(server, 4);
            List<Visit> visits = new ArrayList<>();
            for (int i = 0; i < others; i++) {
                visits.add(
                        new Visit(
                                moment(),
                                beside(first, server(client.interval())),
                                beside(second, server)));
            }
            visits.sort(Comparator.comparing(Visit::at));
            @Nullable Duration reconnects = often(15) ? some(10) : null;
            // A probe may wait behind a burst, whose window doubles with each round trip.
            return new Scenario(
                    seed,
                    length,
                    first,
                    second,
                    path,
                    meddlings,
                    roundTrip.multipliedBy(7),
                    visits,
                    reconnects);
        }

        private LivenessPolicy client() {
            Duration interval = Duration.ofSeconds(pick(INTERVALS));
            return LivenessPolicy.client(interval, pick(COUNTS), OPENING_LIMIT, often(50));
        }

        /**
         * Of another end, of the same order as the first client's: else the run is long for the one
         * and busy for the other.
         */
        private LivenessPolicy server(Duration client) {
            Duration interval =
                    client.isZero()
                            ? Duration.ofSeconds(1L + random.nextInt(1800))
                            : client.multipliedBy(1L + random.nextInt(8)).dividedBy(4);
            // ClientAliveCountMax 0 means never, which is no policy.
            return new LivenessPolicy(
                    interval, Math.max(1, pick(COUNTS)), OPENING_LIMIT, null, false);
        }

        private Side side(@Nullable LivenessPolicy policy, int sleepy) {
            return new Side(
                    policy,
                    often(80),
                    workload(),
                    often(sleepy) ? spans(Duration.ofSeconds(1)) : List.of(),
                    often(10) ? stops() : List.of());
        }

        /** Another program on the machine of {@code side}, which sleeps when that does. */
        private Side beside(Side side, @Nullable LivenessPolicy policy) {
            return new Side(
                    policy, often(80), workload(), side.asleep(), often(10) ? stops() : List.of());
        }

        private Workload workload() {
            int kind = random.nextInt(100);
            if (kind < 45) {
                return Workload.IDLE;
            }
            // Interactive bursts, lines now and then, or bulk.
            return kind < 65
                    ? new Workload(some(4), 3, List.of())
                    : kind < 85
                            ? new Workload(some(12), 1, List.of())
                            : new Workload(unit.multipliedBy(4).plus(some(40)), 60, List.of());
        }

        private List<Middlebox<?>> path() {
            List<Middlebox<?>> path = new ArrayList<>();
            Duration base = Duration.ofMillis(1 + random.nextInt(often(20) ? 600 : 80));
            Duration jitter = often(30) ? base.dividedBy(2) : Duration.ZERO;
            roundTrip = roundTrip.plus(base.plus(jitter).multipliedBy(2));
            path.add(new Latency(base, jitter, random.nextLong()));
            if (often(70)) {
                path.add(nat());
            }
            if (often(15)) {
                path.add(
                        new StatefulFirewall(
                                Duration.ofSeconds(30),
                                drawnTimeout(),
                                Duration.ofMinutes(2),
                                one(StatefulFirewall.Stranger.values()),
                                crowding()));
            }
            if (!calm && often(15)) {
                path.add(new Loss(random.nextDouble() * 0.05, random.nextLong()));
            }
            if (often(15)) {
                long rate = 8_000L << random.nextInt(10);
                int queue = 16_000 << random.nextInt(3);
                path.add(new RateLimit(rate, queue));
                roundTrip =
                        roundTrip.plus(
                                Duration.ofMillis(
                                        2 * (queue + 200_000L * (1 + others)) * 1000 / rate));
            }
            if (!calm && often(30)) {
                path.add(new Outage(spans(Duration.ofMillis(100))));
            }
            if (!calm && often(15)) {
                Direction way = often(50) ? Direction.TO_CLIENT : Direction.TO_SERVER;
                path.add(new OneWayLoss(way, spans(Duration.ofMillis(100))));
            }
            if (!calm && often(12)) {
                path.add(FlowDeath.of(Node.FLOW, moment()));
            }
            if (!calm && often(10)) {
                AddressChange.Whose whose = one(AddressChange.Whose.values());
                path.add(AddressChange.of(whose, moment()));
            }
            if (!calm && often(5)) {
                path.add(MuteServer.during(Span.since(moment())));
            }
            return path;
        }

        private IdleNat nat() {
            NatTimeouts.Row row = population.rows().get(random.nextInt(population.rows().size()));
            IdleNat.Expiry expiry = often(10) ? IdleNat.Expiry.REMAP : row.expiry();
            IdleNat nat = IdleNat.of(row.timeout(), expiry);
            if (often(20)) {
                nat = nat.granularity(Duration.ofSeconds(10L * (1 + random.nextInt(6))));
            }
            if (often(20)) {
                nat = nat.refreshedBy(IdleNat.Refresh.TO_SERVER);
            }
            if (often(10) || expiry == IdleNat.Expiry.CLOSE) {
                nat = nat.refreshedByPayloadOnly();
            }
            nat = nat.crowded(crowding());
            return often(30) ? nat.unsolicited(IdleNat.Unsolicited.DROP) : nat;
        }

        /** Most tables never fill; others do, up to hardly anything left of their timers. */
        private Crowding crowding() {
            return calm || !often(15)
                    ? Crowding.BY_HAND
                    : new Crowding((1 + random.nextInt(90)) / 100.0, spans(Duration.ofMillis(100)));
        }

        private Duration drawnTimeout() {
            return population.rows().get(random.nextInt(population.rows().size())).timeout();
        }

        /** One to three spans that do not touch, from a blink to a few intervals long. */
        private List<Span> spans(Duration least) {
            List<Span> spans = new ArrayList<>();
            Moment from = moment();
            for (int i = 1 + random.nextInt(3); i > 0; i--) {
                Span span = Span.of(from, least.plus(often(50) ? some(1) : some(6)));
                spans.add(span);
                from = span.to().plus(Duration.ofSeconds(1)).plus(some(30));
            }
            return spans;
        }

        /**
         * A program is stopped for less than a second, a few, or minutes; never while it opens:
         * stopping a program then is charged to the peer, as ssh does.
         */
        private List<Span> stops() {
            List<Span> spans = new ArrayList<>();
            Moment from = Moment.ZERO.plus(some(40));
            for (int i = 1 + random.nextInt(6); i > 0; i--) {
                Duration stopped =
                        often(50)
                                ? Duration.ofMillis(100 + random.nextInt(6000))
                                : Duration.ofSeconds(1).plus(some(6));
                spans.add(Span.of(from, stopped));
                from = from.plus(stopped).plus(Duration.ofMillis(1500)).plus(some(20));
            }
            return spans;
        }

        private boolean often(int percent) {
            return random.nextInt(100) < percent;
        }

        private <T> T one(T[] from) {
            return from[random.nextInt(from.length)];
        }

        private int pick(int[] from) {
            return from[random.nextInt(from.length)];
        }

        /** Some time up to so many intervals, and more than none. */
        private Duration some(int units) {
            return Duration.ofNanos(1 + random.nextLong(units * unit.toNanos()));
        }

        private Moment moment() {
            return Moment.ZERO.plus(Duration.ofNanos(random.nextLong(length.toNanos())));
        }
    }
}
