package holdfast.ssh.server;

import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.system.Account;
import java.util.List;

/**
 * A user who has been let in.
 *
 * @param settings the configuration as Match blocks make it for this user and connection
 * @param proofs how they proved who they are, as ExposeAuthInfo writes it: {@code publickey
 *     ssh-ed25519 AAAA...}, one line for each method
 * @param mustChange their password has expired: they may change it, and nothing else
 */
public record Login(
        Account account,
        Permissions permissions,
        ServerSettings settings,
        List<String> proofs,
        boolean mustChange) {

    /** With a password that is good. */
    public Login(
            Account account,
            Permissions permissions,
            ServerSettings settings,
            List<String> proofs) {
        this(account, permissions, settings, proofs, false);
    }

    public Login {
        proofs = List.copyOf(proofs);
    }
}
