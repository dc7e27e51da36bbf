package holdfast.lab.sim.tether;

import holdfast.core.tether.CarrierEvent;
import holdfast.core.tether.CarrierPolicy;
import holdfast.core.tether.CarrierState;
import holdfast.core.tether.CarrierStep;
import holdfast.core.tether.Carriers;
import holdfast.core.time.Moment;

/** What the ends run: the real thing, or the real thing with one mistake that must be noticed. */
public interface Twist {

    /** No mistake. */
    Twist NONE = new Twist() {};

    /** The decision over the carriers. */
    default CarrierStep decide(
            CarrierState state, CarrierEvent event, Moment now, CarrierPolicy policy) {
        return Carriers.on(state, event, now, policy);
    }

    /** How much a server says to have, when it has this much. */
    default long stated(long received) {
        return received;
    }

    /** What a server's reader is given of what a carrier brought: how many of these bytes. */
    default int given(int length) {
        return length;
    }

    /** Whether a server believes a request that was proved, or was not. */
    default boolean proved(boolean really) {
        return really;
    }
}
