package holdfast.ssh.config;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What one run of the client does in the protocol beyond what every client does. Immutable.
 *
 * @param versionAddendum VersionAddendum: stands behind our name; null: nothing
 * @param warnsOfWeakCrypto WarnWeakCrypto
 * @param devices KbdInteractiveDevices, as the server is told them; "" leaves the choice to it
 * @param channelTimeouts ChannelTimeout: patterns of channel types, the first that matches counts
 * @param keystrokes ObscureKeystrokeTiming: how far apart keystrokes leave; zero: as they come
 * @param x11 ForwardX11; null: no
 */
public record ClientProtocol(
        @Nullable String versionAddendum,
        boolean warnsOfWeakCrypto,
        String devices,
        Map<String, Duration> channelTimeouts,
        Duration keystrokes,
        @Nullable X11 x11) {

    /** Nothing of all this. */
    public static final ClientProtocol PLAIN =
            new ClientProtocol(null, false, "", Map.of(), Duration.ZERO, null);

    public ClientProtocol {
        channelTimeouts = Collections.unmodifiableMap(new LinkedHashMap<>(channelTimeouts));
    }

    /**
     * How X11 is forwarded.
     *
     * @param trusted ForwardX11Trusted: whether programs at the server may do what programs here
     *     may
     * @param timeout ForwardX11Timeout, for those that are not; zero: none
     * @param xauth XAuthLocation
     */
    public record X11(boolean trusted, Duration timeout, Path xauth) {}
}
