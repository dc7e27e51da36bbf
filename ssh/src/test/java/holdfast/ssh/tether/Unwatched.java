package holdfast.ssh.tether;

import holdfast.core.time.Moment;
import java.time.Duration;

/** A watcher of a tether's end that nobody has. */
public class Unwatched implements TetherStream.Watcher {

    @Override
    public void held(Duration time) {}

    @Override
    public void standsStill(Moment since, Moment heldUntil) {}

    @Override
    public void goesOn() {}

    @Override
    public void moved(TetherStream.Passage passage) {}

    @Override
    public void said(String line) {}
}
