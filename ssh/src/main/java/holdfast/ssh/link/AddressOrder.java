package holdfast.ssh.link;

import java.net.InetAddress;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * In which order the addresses of a name are tried when the way to it must be found again. The
 * first attempt begins with the one that was reached last, the next with the one after it: an
 * address that swallows what is sent to it takes up all the time of an attempt.
 */
public final class AddressOrder {

    private final @Nullable InetAddress last;
    private final AtomicInteger attempts = new AtomicInteger();

    /**
     * @param last the one that was reached; null: not known
     */
    public AddressOrder(@Nullable InetAddress last) {
        this.last = last;
    }

    /** For another attempt; may be asked by several at once. */
    public List<InetAddress> next(List<InetAddress> found) {
        List<InetAddress> all = new ArrayList<>(found);
        int first = Math.max(0, all.indexOf(last));
        int attempt = attempts.getAndIncrement() & Integer.MAX_VALUE;
        if (!all.isEmpty()) {
            Collections.rotate(all, -((first + attempt % all.size()) % all.size()));
        }
        return all;
    }
}
