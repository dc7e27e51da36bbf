package holdfast.ssh.client;

import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.config.ClientSharing;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What it takes to share the connection to a jump host with others as its ControlMaster says, as
 * where OpenSSH's ProxyJump runs {@code ssh -W}, which becomes a master.
 *
 * @param environment for the display that its sessions show their windows on
 * @param service starts a master that outlives us; null: none is to be started
 * @param number which jump host is the next, counted from the server
 */
record JumpSharing(
        Map<String, String> environment, Client.@Nullable JumpService service, int number) {

    /** For the jump host before that one. */
    JumpSharing before() {
        return new JumpSharing(environment, service, number + 1);
    }

    /** Whether this is the first time that the way is gone, with whoever wanted it. */
    boolean first() {
        return service != null;
    }

    /** When the way is found again there is nobody to be asked. */
    JumpSharing again() {
        return new JumpSharing(environment, null, number);
    }

    /** Whether the connection to {@code hop} is to be shared by us. */
    static boolean ours(ClientSettings hop) {
        ClientSharing sharing = hop.sharing();
        return wanted(sharing) && sharing.persist() == null;
    }

    /** Whether another of us is to have it, which outlives us. */
    boolean anothers(ClientSettings hop) {
        ClientSharing sharing = hop.sharing();
        return service != null && wanted(sharing) && sharing.persist() != null;
    }

    private static boolean wanted(ClientSharing sharing) {
        return sharing.path() != null && sharing.master() != ClientSharing.Master.NO;
    }
}
