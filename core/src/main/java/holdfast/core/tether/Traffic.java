package holdfast.core.tether;

import holdfast.core.time.Moment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What went over a carrier since the decision was last told. Whoever reads and writes notes it
 * here, which costs next to nothing; the decision takes it when it wakes. So bulk traffic wakes
 * nobody.
 *
 * <p>Not for two threads at once.
 */
public final class Traffic {

    private @Nullable Moment heard;
    private boolean work;
    private @Nullable Moment spoke;

    /** Bytes came; {@code data}: some were the program's. */
    public void heard(Moment at, boolean data) {
        heard = at;
        work |= data || spoke != null;
        spoke = null; // whatever was said has had its sign of life
    }

    /** Bytes of the program's went out. What has waited longest for a sign of life counts. */
    public void spoke(Moment at) {
        if (spoke == null && (heard == null || heard.isBefore(at))) {
            spoke = at;
        } else if (spoke == null) {
            work = true;
        }
    }

    /** Whether the decision, if it is not asked before {@code next}, would ask too late. */
    public boolean presses(Moment next) {
        return spoke != null && spoke.plus(Carriers.ASK_AFTER).isBefore(next);
    }

    /** What the decision is to be told now, in this order. */
    public List<CarrierEvent> take() {
        if (heard == null && spoke == null) {
            return List.of();
        }
        List<CarrierEvent> news = new ArrayList<>(2);
        if (heard != null) {
            news.add(new CarrierEvent.Heard(heard, work));
        }
        if (spoke != null) {
            news.add(new CarrierEvent.Spoke(spoke));
        }
        heard = null;
        work = false;
        spoke = null;
        return news;
    }
}
