package holdfast.ssh.tether;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * The key of a server's offers: one for all connections of a minute (PROTOCOL.md section 2), so
 * that a flood of them costs no key each. Thread-safe.
 */
public final class OfferKeys {

    private static final Duration AGE = Duration.ofMinutes(1);

    private @Nullable TetherKey key;
    private long madeAt;

    /** The key for an offer that is made now. */
    public synchronized TetherKey current() {
        TetherKey made = key;
        long now = System.nanoTime();
        if (made == null || now - madeAt > AGE.toNanos()) {
            made = TetherKey.generate();
            key = made;
            madeAt = now;
        }
        return made;
    }
}
