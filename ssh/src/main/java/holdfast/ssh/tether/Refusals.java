package holdfast.ssh.tether;

import java.net.InetAddress;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Who was refused lately, by address: one that is refused often is told that the server is busy and
 * costs it no proof. So many addresses are remembered and so many lines logged, no more.
 */
public final class Refusals {
    private static final int FREE = 10;
    private static final long NANOS_EACH = TimeUnit.SECONDS.toNanos(1);
    private static final int MOST_ADDRESSES = 1024;
    private static final int LINES_A_SECOND = 5;

    private final Map<InetAddress, long[]> lately =
            new LinkedHashMap<>(16, 0.75f, true) {
                private static final long serialVersionUID = 1;

                @Override
                protected boolean removeEldestEntry(Map.Entry<InetAddress, long[]> eldest) {
                    return size() > MOST_ADDRESSES;
                }
            };
    private long second;
    private int lines;
    private int untold;

    /** Each refusal counts for a second. */
    public synchronized boolean tooMany(InetAddress source) {
        long[] paidAt = lately.get(source);
        return paidAt != null && paidAt[0] - System.nanoTime() > FREE * NANOS_EACH;
    }

    /** The line to be logged; empty: enough was said this second. */
    public synchronized String refused(InetAddress source) {
        long now = System.nanoTime();
        long[] paidAt = lately.computeIfAbsent(source, _ -> new long[] {now});
        paidAt[0] = Math.max(paidAt[0], now) + NANOS_EACH;
        long current = now / NANOS_EACH;
        if (current != second) {
            second = current;
            lines = 0;
        }
        if (++lines > LINES_A_SECOND) {
            untold++;
            return "";
        }
        String more = untold == 0 ? "" : " (and " + untold + " more before)";
        untold = 0;
        return source.getHostAddress() + ": resume refused" + more;
    }
}
