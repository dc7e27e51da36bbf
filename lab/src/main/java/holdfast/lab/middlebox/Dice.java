package holdfast.lab.middlebox;

/** A seeded generator as a value (SplitMix64): equal dice always throw equal numbers. */
record Dice(long state) {

    private static final long STEP = 0x9E3779B97F4A7C15L;

    /** Different for every flow, and the same whichever flow comes first. */
    static Dice of(long seed, Flow flow) {
        return new Dice(mix(seed + STEP * (flow.number() + 1L)));
    }

    Dice next() {
        return new Dice(state + STEP);
    }

    /** What these dice show: at least 0, less than 1. */
    double shows() {
        return (mix(state) >>> 11) * 0x1.0p-53;
    }

    private static long mix(long value) {
        long z = value;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }
}
