package holdfast.core.time;

import java.time.Duration;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Timers for very many things at once: to set, move or cancel one costs the same with ten as with a
 * hundred thousand (Varghese and Lauck's hashed wheel).
 *
 * <p>Time is cut into ticks. A timer comes due with the first tick that does not lie before its
 * moment, so up to one tick late and never early; one that lies further away than the wheel is long
 * is passed by once in each turn. One thread at a time.
 *
 * @param <T> what is told when its time has come
 */
public final class TimingWheel<T> {

    /** One thing's timer. It is in one wheel at most, and stands still until it is set. */
    public static final class Timer<T> {
        private final T owner;
        private Moment at = Moment.NEVER;
        private int slot = -1;
        private boolean due;
        private @Nullable Timer<T> before;
        private @Nullable Timer<T> after;

        public Timer(T owner) {
            this.owner = owner;
        }

        /** When it comes due; {@link Moment#NEVER}: it stands still. */
        public Moment at() {
            return at;
        }
    }

    private final long tick;
    private final int mask;
    private final @Nullable Timer<T>[] slots;
    private final BitSet taken;
    private long done;

    /**
     * @param now the first moment; no later call names an earlier one
     * @param tick how late a timer may be
     * @param size ticks in one turn; a power of two
     */
    @SuppressWarnings({"unchecked", "rawtypes"}) // an array of a generic type has no other form
    public TimingWheel(Moment now, Duration tick, int size) {
        if (Integer.bitCount(size) != 1 || tick.isZero() || tick.isNegative()) {
            throw new IllegalArgumentException("tick " + tick + ", size " + size);
        }
        this.tick = tick.toNanos();
        mask = size - 1;
        slots = (@Nullable Timer<T>[]) new Timer[size];
        taken = new BitSet(size);
        done = Math.floorDiv(now.nanos(), this.tick);
    }

    /** Sets {@code timer} to come due at {@code at}, whenever it was due before. */
    public void set(Timer<T> timer, Moment at) {
        unlink(timer);
        timer.due = false;
        timer.at = at;
        if (at.equals(Moment.NEVER)) {
            return;
        }
        long due = Math.max(done + 1, Math.ceilDiv(at.nanos(), tick));
        int slot = (int) (due & mask);
        Timer<T> first = slots[slot];
        timer.slot = slot;
        timer.after = first;
        if (first != null) {
            first.before = timer;
        }
        slots[slot] = timer;
        taken.set(slot);
    }

    /** Stops {@code timer}. */
    public void cancel(Timer<T> timer) {
        unlink(timer);
        timer.due = false;
        timer.at = Moment.NEVER;
    }

    /**
     * Tells of every timer that is due by {@code now}; each stands still then. What is set
     * meanwhile waits for a later tick.
     */
    public void advance(Moment now, Consumer<T> due) {
        long target = Math.floorDiv(now.nanos(), tick);
        long ticks = Math.min(target - done, slots.length);
        long from = target - ticks + 1;
        List<Timer<T>> ripe = new ArrayList<>();
        done = Math.max(done, target);
        for (long t = from; t <= target; t++) {
            int slot = (int) (t & mask);
            Timer<T> timer = taken.get(slot) ? slots[slot] : null;
            if (timer == null) {
                continue;
            }
            while (timer != null) {
                Timer<T> next = timer.after;
                if (Math.ceilDiv(timer.at.nanos(), tick) <= target) {
                    unlink(timer);
                    timer.due = true;
                    ripe.add(timer);
                }
                timer = next;
            }
        }
        // Only now, since whoever is told may set and cancel any timer of the wheel.
        for (Timer<T> timer : ripe) {
            if (timer.due) {
                timer.due = false;
                timer.at = Moment.NEVER;
                due.accept(timer.owner);
            }
        }
    }

    /** No timer comes due before this; {@link Moment#NEVER} when none is set. */
    public Moment quietUntil() {
        int here = (int) ((done + 1) & mask);
        int slot = taken.nextSetBit(here);
        if (slot < 0) {
            slot = taken.nextSetBit(0);
        }
        if (slot < 0) {
            return Moment.NEVER;
        }
        return new Moment((done + 1 + ((slot - here) & mask)) * tick);
    }

    private void unlink(Timer<T> timer) {
        if (timer.slot < 0) {
            return;
        }
        Timer<T> before = timer.before;
        Timer<T> after = timer.after;
        if (before != null) {
            before.after = after;
        } else {
            slots[timer.slot] = after;
            if (after == null) {
                taken.clear(timer.slot);
            }
        }
        if (after != null) {
            after.before = before;
        }
        timer.slot = -1;
        timer.before = null;
        timer.after = null;
    }
}
