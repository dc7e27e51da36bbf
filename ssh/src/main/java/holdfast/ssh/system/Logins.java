package holdfast.ssh.system;

import java.net.InetAddress;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/** The records of who is logged in: utmp, wtmp, lastlog. Best effort: what fails is left out. */
public final class Logins {

    private Logins() {}

    /** Enters a login with a terminal. */
    public static void in(
            int pid, String terminal, String user, String host, @Nullable InetAddress from) {
        throw new UnsupportedOperationException();
    }

    /** Enters its end. */
    public static void out(int pid, String terminal) {
        throw new UnsupportedOperationException();
    }

    /** When and from where this user last came in, for PrintLastLog. */
    public static @Nullable Last last(int uid) {
        throw new UnsupportedOperationException();
    }

    /** A line of lastlog. */
    public record Last(Instant when, String terminal, String host) {}
}
