package holdfast.ssh.forward;

import holdfast.ssh.config.ClientSettings.AddressFamily;
import holdfast.ssh.log.Log;
import holdfast.ssh.stream.SocketTap;
import java.net.InetSocketAddress;
import java.util.function.Consumer;
import org.apache.sshd.common.channel.Channel;
import org.apache.sshd.common.session.Session;
import org.jspecify.annotations.Nullable;

/**
 * X11 forwarding as the server sees it: a display of this machine, whose connections are carried to
 * the client's (OpenSSH's channels.c x11_create_display_inet). Closing it frees the port;
 * connections that are there already stay, as OpenSSH's do.
 */
public final class X11Display implements AutoCloseable {

    /** Ports of displays begin here (X11_BASE_PORT). */
    private static final int FIRST_PORT = 6000;

    /** MAX_DISPLAYS: so many are tried. */
    private static final int MOST = 1000;

    /**
     * What is wanted.
     *
     * @param offset X11DisplayOffset: the first number tried
     * @param localhost X11UseLocalhost: for programs on this machine only
     * @param family AddressFamily
     * @param single for one connection, after which nobody listens any more
     */
    public record Wanted(int offset, boolean localhost, AddressFamily family, boolean single) {}

    private final Forwarding forwarding;
    private final Consumer<Channel> made;
    private final boolean single;
    private @Nullable Listener listener;
    private boolean over;
    private int number;

    private X11Display(Forwarding forwarding, boolean single, Consumer<Channel> made) {
        this.forwarding = forwarding;
        this.single = single;
        this.made = made;
    }

    /**
     * The first free display from the offset on, listening.
     *
     * @param made told of each channel before it is opened
     * @return null: there is none; the log says why
     */
    public static @Nullable X11Display open(
            Session session, Wanted wanted, Log log, Consumer<Channel> made) {
        if (wanted.offset() < 0 || wanted.offset() > 65535 - FIRST_PORT - MOST) {
            return null;
        }
        Forwarding forwarding = Forwarding.of(session, log);
        X11Display display = new X11Display(forwarding, wanted.single(), made);
        for (int number = wanted.offset(); number < wanted.offset() + MOST; number++) {
            Listener bound =
                    Listener.exactly(
                            Rules.of(
                                    wanted.family(),
                                    wanted.localhost()
                                            ? Listener.loopback()
                                            : Listener.everywhere()),
                            FIRST_PORT + number,
                            log,
                            display::asked);
            if (bound != null) {
                return display.listens(bound, number) ? display : null;
            }
        }
        log.error("Failed to allocate internet-domain X11 display socket.");
        return null;
    }

    /**
     * Whether a name of a protocol or a cookie has nothing that xauth(1) could take for anything
     * else.
     */
    public static boolean isValid(String word) {
        return X11.isValid(word);
    }

    /** Its number: the 10 of {@code localhost:10.0}. */
    public synchronized int number() {
        return number;
    }

    private boolean listens(Listener bound, int as) {
        synchronized (this) {
            number = as;
            if (!over) {
                listener = bound;
                return forwarding.keep(bound);
            }
        }
        bound.close(); // its one connection has come already
        return true;
    }

    /** On the selector's thread. */
    private void asked(SocketTap tap) {
        forwarding.log().debug("X11 connection requested.");
        if (single) {
            synchronized (this) {
                if (over) {
                    tap.close();
                    return;
                }
            }
            forwarding.log().debug2("single_connection: closing X11 listener.");
            close();
        }
        InetSocketAddress from = (InetSocketAddress) ServerSide.remote(tap);
        forwarding.open(
                "x11",
                tap,
                buffer -> Forwarding.putOriginator(buffer, from),
                (channel, failure) -> {
                    // the log has it
                },
                made);
    }

    @Override
    public void close() {
        Listener bound;
        synchronized (this) {
            over = true;
            bound = listener;
            listener = null;
        }
        if (bound != null) {
            forwarding.forget(bound);
            bound.close();
        }
    }
}
