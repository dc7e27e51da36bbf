package holdfast.ssh.forward;

import holdfast.ssh.stream.SocketTap;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One connection being made to the first of some addresses that answers: the next is tried when one
 * fails, or has not answered for a moment (RFC 8305), so that a dead address costs that moment and
 * not the kernel's two minutes.
 */
final class Connecting implements AutoCloseable {

    /** RFC 8305's Connection Attempt Delay. */
    private static final long MOMENT_MILLIS = 250;

    /** Told once. */
    interface Done {
        void done(@Nullable SocketTap tap, String why);
    }

    private final List<InetAddress> addresses;
    private final int port;
    private final Done done;
    private final List<SocketTap.Attempt> attempts = new ArrayList<>(1);
    private int next;
    private int pending;
    private boolean over;
    private String why = "";

    Connecting(List<InetAddress> addresses, int port, Done done) {
        this.addresses = addresses;
        this.port = port;
        this.done = done;
    }

    /** Begins; the outcome comes on the selector's thread. */
    void start() {
        tryNext(0);
    }

    /** Tries the next address, if no other has been tried since {@code tried} were. */
    private void tryNext(int tried) {
        InetAddress address;
        boolean more;
        synchronized (this) {
            if (over || next != tried || next == addresses.size()) {
                return;
            }
            address = addresses.get(next++);
            more = next < addresses.size();
            pending++;
        }
        SocketTap.Attempt attempt =
                SocketTap.connect(new InetSocketAddress(address, port), this::outcome);
        synchronized (this) {
            if (!over) {
                attempts.add(attempt);
                attempt = null;
            }
        }
        if (attempt != null) {
            attempt.close();
        } else if (more) {
            int now = tried + 1;
            Names.later(() -> tryNext(now), MOMENT_MILLIS);
        }
    }

    private void outcome(@Nullable SocketTap tap, @Nullable IOException failure) {
        boolean first;
        boolean last;
        int tried;
        synchronized (this) {
            pending--;
            first = tap != null && !over;
            if (failure != null && !over) {
                why = reason(failure);
            }
            last = !over && tap == null && pending == 0 && next == addresses.size();
            over = over || first || last;
            tried = next;
        }
        if (tap != null && !first) {
            tap.close();
        } else if (tap != null) {
            try {
                tap.channel().setOption(StandardSocketOptions.TCP_NODELAY, true);
            } catch (IOException e) {
                // it is gone already: the first read says so
            }
            closeOthers();
            done.done(tap, "");
        } else if (last) {
            done.done(null, why);
        } else {
            tryNext(tried);
        }
    }

    /** What the system said, as strerror(3) words it. */
    static String reason(IOException failure) {
        String text = failure.getMessage();
        return text == null || text.isEmpty() ? failure.getClass().getSimpleName() : text;
    }

    private void closeOthers() {
        List<SocketTap.Attempt> all;
        synchronized (this) {
            all = new ArrayList<>(attempts);
            attempts.clear();
        }
        all.forEach(SocketTap.Attempt::close);
    }

    /** Gives up; nobody is told. */
    @Override
    public void close() {
        synchronized (this) {
            over = true;
        }
        closeOthers();
    }
}
