package holdfast.ssh.server;

import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.system.Account;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A user who has been let in.
 *
 * @param root their root directory, ChrootDirectory with its tokens, found to be safe; null: the
 *     machine's own
 * @param settings the configuration as Match blocks make it for this user and connection
 * @param proofs how they proved who they are, as ExposeAuthInfo writes it: {@code publickey
 *     ssh-ed25519 AAAA...}, one line for each method
 * @param mustChange their password has expired: they may change it, and nothing else
 * @param readmission asked whenever the client brings a new connection to its session
 */
public record Login(
        Account account,
        @Nullable Path root,
        Permissions permissions,
        ServerSettings settings,
        List<String> proofs,
        boolean mustChange,
        Readmission readmission) {

    /** Whether a user who is in would be let in again. */
    public interface Readmission {

        /**
         * What was asked at the login, asked again: may wait.
         *
         * @param from the client's address now
         * @param at our own; null: not known
         * @throws IOException if it cannot be told
         */
        boolean allows(InetSocketAddress from, @Nullable InetSocketAddress at) throws IOException;
    }

    public Login {
        proofs = List.copyOf(proofs);
    }
}
