package holdfast.lab.middlebox;

import holdfast.core.time.Moment;

/**
 * Packets get lost by seeded chance, each for itself, in both directions.
 *
 * @param probability from 0 (none) to 1 (all)
 */
public record Loss(double probability, long seed) implements Middlebox<Loss.Luck> {

    /** What is remembered of one flow: the dice, as they lie. */
    public record Luck(Dice dice) {}

    public Loss {
        if (!(probability >= 0 && probability <= 1)) {
            throw new IllegalArgumentException("a probability is from 0 to 1, not " + probability);
        }
    }

    @Override
    public String name() {
        return "loss";
    }

    @Override
    public Scope scope() {
        return Scope.FLOW;
    }

    @Override
    public Luck start(Flow flow) {
        return new Luck(Dice.of(seed, flow));
    }

    @Override
    public Turn<Luck> on(Luck luck, Event event, Moment now) {
        return switch (event) {
            case Packet _ ->
                    new Turn<>(
                            new Luck(luck.dice.next()),
                            luck.dice.shows() < probability
                                    ? new Verdict.Drop("lost by chance")
                                    : Verdict.PASS);
            case Event.TimePassed _, Event.ByHand _ -> Turn.quiet(luck);
        };
    }
}
