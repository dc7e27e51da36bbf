package holdfast.trials.bench;

import holdfast.core.time.Moment;
import holdfast.lab.middlebox.IdleNat;
import holdfast.lab.middlebox.IdleNat.Expiry;
import holdfast.lab.middlebox.IdleNat.Unsolicited;
import holdfast.lab.middlebox.Latency;
import holdfast.lab.sim.Run;
import holdfast.lab.sim.Scenario;
import holdfast.lab.sim.Survival.Keepalive;
import holdfast.lab.sim.Survival.Speaker;
import holdfast.lab.sim.Survival.Times;
import holdfast.lab.sim.World;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the simulator says of a connection of the survival table, on the same times.
 *
 * @param outcome as of the kernel
 * @param client how long after the trouble began the client noticed, null if it did not
 * @param server the same of the server
 */
record Model(Cell.Outcome outcome, @Nullable Duration client, @Nullable Duration server) {

    /** The last exchange before the silence, after a login. */
    private static final Duration CHAT = Duration.ofSeconds(2);

    /** Two machines that are one. */
    private static final Duration LATENCY = Duration.ofMillis(1);

    /** Beyond the watch: in the kernel's table one side speaks, and the other only answers. */
    private static final Duration NOT_AT_ALL = Duration.ofHours(1);

    /** How far the kernel's times may be off: OpenSSH counts whole seconds, the machine is busy. */
    static final Duration NEAR = Duration.ofMillis(2500);

    /** A limit that no watch sees. */
    private static final Duration NEVER = Duration.ofDays(5);

    /** The model's verdict, null of a trouble that it is not asked about. */
    static @Nullable Model of(Cell cell) {
        return switch (cell.trouble()) {
            case EXPIRY_DROP -> expiry(cell, Expiry.SILENT, Unsolicited.DROP);
            case EXPIRY_RESET -> expiry(cell, Expiry.RESET_SPEAKER, Unsolicited.RESET);
            case EXPIRY_REVIVE -> expiry(cell, Expiry.REVIVE, Unsolicited.DROP);
            case EXPIRY_LOOSE -> expiry(cell, Expiry.REVIVE, Unsolicited.RESET);
            case EXPIRY_REMAP -> expiry(cell, Expiry.REMAP, Unsolicited.DROP);
            case CUT_LONG, CUT_SHORT -> run(cell, scenario(cell, SimTrouble.CUT));
            case FORGET -> run(cell, scenario(cell, SimTrouble.FORGET));
            case ROAM -> run(cell, scenario(cell, SimTrouble.ROAM));
            case REWAN -> run(cell, scenario(cell, SimTrouble.WAN_CHANGE));
            // A table lost whose owner resets what he does not know.
            case KILL ->
                    run(
                            cell,
                            through(
                                    scenario(cell, SimTrouble.FORGET),
                                    IdleNat.of(NEVER, Expiry.RESET_SPEAKER)));
            case LOSS, RATE -> null;
        };
    }

    /** Of an expiry that the kernel cannot do. */
    static Model ofExpiry(Cell cell, Expiry expiry) {
        return expiry(cell, expiry, Unsolicited.RESET);
    }

    private static Model expiry(Cell cell, Expiry expiry, Unsolicited unsolicited) {
        IdleNat nat = IdleNat.of(Cell.LIMIT, expiry).unsolicited(unsolicited);
        return run(cell, through(scenario(cell, SimTrouble.SILENT), nat));
    }

    private static Scenario through(Scenario scenario, IdleNat nat) {
        return new Scenario(
                scenario.seed(),
                scenario.length(),
                scenario.client(),
                scenario.server(),
                List.of(nat, Latency.of(LATENCY)),
                scenario.meddlings(),
                scenario.roundTrip());
    }

    private static Scenario scenario(Cell cell, SimTrouble trouble) {
        Moment chat = Moment.ZERO.plus(CHAT);
        Times times =
                new Times(
                        cell.begins(),
                        Duration.ofSeconds(Cell.BELOW),
                        Duration.ofSeconds(Cell.ABOVE),
                        Cell.COUNT,
                        chat,
                        chat.plus(Cell.SPEAK),
                        NOT_AT_ALL,
                        cell.trouble().lasts(),
                        LATENCY,
                        CHAT.plus(Cell.END));
        return holdfast.lab.sim.Survival.scenario(
                times,
                switch (cell.setting()) {
                    case NONE -> Keepalive.NONE;
                    case TCP -> Keepalive.TCP;
                    case SHORT -> Keepalive.BELOW_LIMIT;
                    case LONG -> Keepalive.ABOVE_LIMIT;
                },
                cell.serverFirst() ? Speaker.SERVER : Speaker.CLIENT,
                trouble.simulated);
    }

    /** The simulator's names, under one of ours: it has a Trouble and a Survival of its own. */
    private enum SimTrouble {
        SILENT(holdfast.lab.sim.Survival.Trouble.SILENT),
        CUT(holdfast.lab.sim.Survival.Trouble.CUT),
        FORGET(holdfast.lab.sim.Survival.Trouble.FORGET),
        ROAM(holdfast.lab.sim.Survival.Trouble.ROAM),
        WAN_CHANGE(holdfast.lab.sim.Survival.Trouble.WAN_CHANGE);

        private final holdfast.lab.sim.Survival.Trouble simulated;

        SimTrouble(holdfast.lab.sim.Survival.Trouble simulated) {
            this.simulated = simulated;
        }
    }

    private static Model run(Cell cell, Scenario scenario) {
        Run run = World.run(scenario);
        Moment began = Moment.ZERO.plus(CHAT).plus(cell.begins());
        Duration client = since(began, run.client().died());
        Duration server = since(began, run.server().died());
        // One word and its line went across before the silence.
        boolean heard = cell.serverFirst() ? run.client().lines() >= 2 : run.server().keys() >= 2;
        return new Model(
                client != null || server != null
                        ? Cell.Outcome.DIED
                        : heard ? Cell.Outcome.LIVED : Cell.Outcome.HUNG,
                client,
                server);
    }

    private static @Nullable Duration since(Moment began, @Nullable Moment died) {
        return died == null ? null : began.until(died);
    }

    /** Whether the kernel says the same: the outcome, who was told, and about when. */
    boolean agrees(Cell cell, Cell.Fate fate) {
        return outcome == fate.outcome()
                && near(client, since(cell, fate.client()))
                && near(server, since(cell, fate.server()));
    }

    /** In a few words. */
    String brief() {
        return switch (outcome) {
            case LIVED -> "lived";
            case HUNG -> "hung";
            case DIED -> "died: " + time(client) + ", " + time(server);
        };
    }

    private static @Nullable Duration since(Cell cell, @Nullable Duration end) {
        return end == null ? null : end.minus(cell.begins());
    }

    private static boolean near(@Nullable Duration one, @Nullable Duration other) {
        if (one == null || other == null) {
            return one == null && other == null;
        }
        return one.minus(other).abs().compareTo(NEAR) <= 0;
    }

    private static String time(@Nullable Duration time) {
        return time == null ? "no" : Cell.seconds(time);
    }
}
