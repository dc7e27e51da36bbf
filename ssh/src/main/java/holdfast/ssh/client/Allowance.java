package holdfast.ssh.client;

import holdfast.core.time.Moment;
import holdfast.ssh.link.LinkClock;
import holdfast.ssh.terminal.Prompter;
import java.io.IOException;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.util.function.IntSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The time that the opening of a whole way over jump hosts may take, the person's time at the
 * prompts not counted.
 */
final class Allowance {

    private final LinkClock clock;
    private final Duration limit;
    private final boolean fromConnected;

    // Guarded by this.
    private Moment started;
    private Duration asked = Duration.ZERO;

    /**
     * @param connectTimeout the server's; null: the limit counts from when the first hop is
     *     connected, because the system bounds the connecting
     */
    Allowance(LinkClock clock, @Nullable Duration connectTimeout, Duration otherwise) {
        this.clock = clock;
        limit = connectTimeout == null ? otherwise : connectTimeout;
        fromConnected = connectTimeout == null;
        started = clock.now();
    }

    /** The first hop is connected. */
    synchronized void connected() {
        if (fromConnected) {
            started = clock.now();
        }
    }

    /** What of the time is left; never nothing, so that it can bound a wait. */
    synchronized Duration left() {
        Duration left = limit.minus(clock.now().since(started)).plus(asked);
        return left.compareTo(LEAST) < 0 ? LEAST : left;
    }

    private static final Duration LEAST = Duration.ofMillis(1);

    /** How long a TCP connect may take where {@code own} is the ConnectTimeout; null: no limit. */
    @Nullable Duration forConnect(@Nullable Duration own) {
        if (fromConnected) {
            return own;
        }
        return own == null ? left() : within(own);
    }

    /** The lesser of {@code own} and what is left. */
    Duration within(Duration own) {
        Duration left = left();
        return own.compareTo(left) < 0 ? own : left;
    }

    /** {@code prompter}, its time not counted. */
    Prompter uncounted(Prompter prompter) {
        return new Prompter() {
            @Override
            public @Nullable String ask(String prompt, Echo echo) throws IOException {
                Moment from = clock.now();
                try {
                    return prompter.ask(prompt, echo);
                } finally {
                    answered(from);
                }
            }

            @Override
            public boolean permits(String question) throws IOException {
                Moment from = clock.now();
                try {
                    return prompter.permits(question);
                } finally {
                    answered(from);
                }
            }

            @Override
            public byte[] touched(String notice, Touch touch)
                    throws IOException, GeneralSecurityException {
                Moment from = clock.now();
                try {
                    return prompter.touched(notice, touch);
                } finally {
                    answered(from);
                }
            }
        };
    }

    /** Time that another of us takes, which bounds it itself. */
    int uncounted(IntSupplier another) {
        Moment from = clock.now();
        try {
            return another.getAsInt();
        } finally {
            answered(from);
        }
    }

    private synchronized void answered(Moment from) {
        asked = asked.plus(clock.now().since(from));
    }
}
