package holdfast.core.tether;

import holdfast.core.time.Moment;
import java.util.List;

/** One decision: the state that follows, what to do, and when to be asked again at the latest. */
public record CarrierStep(CarrierState next, List<CarrierCommand> commands, Moment wakeAt) {

    public CarrierStep {
        commands = List.copyOf(commands);
    }
}
