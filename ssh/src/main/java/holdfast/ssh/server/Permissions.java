package holdfast.ssh.server;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What the key, certificate or password that let a user in still allows: the options of
 * authorized_keys (sshd(8)) and of certificates, before the configuration's own limits, which hold
 * besides.
 *
 * @param command runs in place of whatever is asked for; null: what is asked for
 * @param environment set for the session, in order
 * @param permitOpen HOST:PORT patterns that may be connected to; null: no limit
 * @param permitListen [HOST:]PORT patterns that may be listened on; null: no limit
 */
public record Permissions(
        @Nullable String command,
        Map<String, String> environment,
        boolean pty,
        boolean agentForwarding,
        boolean portForwarding,
        boolean x11Forwarding,
        boolean userRc,
        @Nullable List<String> permitOpen,
        @Nullable List<String> permitListen) {

    /** No limit. */
    public static final Permissions ALL =
            new Permissions(null, Map.of(), true, true, true, true, true, null, null);

    public Permissions {
        environment = Collections.unmodifiableMap(new LinkedHashMap<>(environment));
        permitOpen = permitOpen == null ? null : List.copyOf(permitOpen);
        permitListen = permitListen == null ? null : List.copyOf(permitListen);
    }

    /** The same without forwarding of any kind, for who must change their password first. */
    public Permissions toChangePassword() {
        return new Permissions(
                command, environment, pty, false, false, false, false, permitOpen, permitListen);
    }
}
