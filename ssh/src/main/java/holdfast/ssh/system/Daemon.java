package holdfast.ssh.system;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/** What makes a process a service. */
public final class Daemon {

    private Daemon() {}

    /**
     * Tells systemd (NOTIFY_SOCKET): {@code READY=1}, {@code RELOADING=1}, {@code STOPPING=1}.
     *
     * @return false if nobody wants to know
     */
    public static boolean notify(String state) {
        return false;
    }

    /**
     * Starts a program in a session of its own, with /dev/null for its input and output, and waits
     * until it calls {@link #ready} or ends. Its errors are ours until then.
     *
     * @return 0 when it is ready, else the status it ended with
     */
    public static int start(Path program, List<String> arguments, Map<String, String> environment)
            throws SystemException {
        throw new UnsupportedOperationException();
    }

    /** In a process started by {@link #start}: lets the starter go. Elsewhere nothing. */
    public static void ready() {}
}
