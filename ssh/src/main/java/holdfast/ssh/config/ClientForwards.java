package holdfast.ssh.config;

import holdfast.ssh.config.ServerSettings.Permit;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What one run of the client forwards. Immutable.
 *
 * @param local LocalForward and DynamicForward, in order
 * @param remote RemoteForward, in order
 * @param stdio where {@code -W} connects stdin and stdout to; null: nowhere
 * @param gatewayPorts whether local forwards without an address listen everywhere
 * @param exitOnFailure ExitOnForwardFailure
 * @param bindMask StreamLocalBindMask
 * @param bindUnlink StreamLocalBindUnlink
 * @param permitRemoteOpen where a server's SOCKS clients may go; null: anywhere
 */
public record ClientForwards(
        List<ForwardSpec> local,
        List<ForwardSpec> remote,
        @Nullable Endpoint stdio,
        boolean gatewayPorts,
        boolean exitOnFailure,
        int bindMask,
        boolean bindUnlink,
        @Nullable List<Permit> permitRemoteOpen) {

    public ClientForwards {
        local = List.copyOf(local);
        remote = List.copyOf(remote);
        permitRemoteOpen = permitRemoteOpen == null ? null : List.copyOf(permitRemoteOpen);
    }
}
