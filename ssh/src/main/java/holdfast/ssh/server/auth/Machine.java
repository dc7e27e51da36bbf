package holdfast.ssh.server.auth;

import holdfast.ssh.system.Account;
import holdfast.ssh.system.Accounts;
import holdfast.ssh.system.AsUser;
import holdfast.ssh.system.Pam;
import holdfast.ssh.system.Shadow;
import java.io.IOException;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;

/** What a login asks of the machine it leads to; all of it may wait. */
public interface Machine {

    /** The machine itself. */
    Machine REAL = new Real();

    /** The user of this name, or null. */
    @Nullable Account account(String name) throws IOException;

    /** Whom this process runs as. */
    Account own() throws IOException;

    /** Whether this process may become others, and so may serve others than {@link #own}. */
    boolean privileged();

    /** Does {@code task} with the rights of a user. */
    <T> T as(Account account, Callable<T> task) throws Exception;

    /** Whether PAM is there and can be asked for anybody. */
    boolean pam();

    /** {@link Pam#authenticate}. */
    Pam.Verdict authenticate(
            String service, String user, String host, boolean allowEmpty, Pam.Conversation talk);

    /** {@link Pam#account}. */
    Pam.Verdict mayEnter(String service, String user, String host);

    /** Whether passwords can be compared with the system's file of them, without PAM. */
    boolean shadow();

    /**
     * Compares a password with the system's file, in the same time whether or not there is such a
     * user.
     *
     * @param account null: there is none
     */
    boolean isPassword(@Nullable Account account, String password) throws IOException;

    /** The user's line in that file; null where there is none or it cannot be read. */
    Shadow.@Nullable Entry shadowOf(Account account) throws IOException;

    /** See {@link #REAL}. */
    final class Real implements Machine {

        private Real() {}

        @Override
        public @Nullable Account account(String name) throws IOException {
            return Accounts.named(name).orElse(null);
        }

        @Override
        public Account own() throws IOException {
            return Accounts.own();
        }

        @Override
        public boolean privileged() {
            return Accounts.privileged();
        }

        @Override
        public <T> T as(Account account, Callable<T> task) throws Exception {
            if (!privileged()) {
                return task.call();
            }
            try (AsUser user = AsUser.of(account)) {
                return user.call(task);
            }
        }

        @Override
        public boolean pam() {
            return privileged() && Pam.available();
        }

        @Override
        public Pam.Verdict authenticate(
                String service,
                String user,
                String host,
                boolean allowEmpty,
                Pam.Conversation talk) {
            return Pam.authenticate(service, user, host, allowEmpty, talk);
        }

        @Override
        public Pam.Verdict mayEnter(String service, String user, String host) {
            return Pam.account(service, user, host);
        }

        @Override
        public boolean shadow() {
            return privileged() && Shadow.available();
        }

        @Override
        public boolean isPassword(@Nullable Account account, String password) throws IOException {
            return Shadow.isPassword(account == null ? null : account.name(), password);
        }

        @Override
        public Shadow.@Nullable Entry shadowOf(Account account) throws IOException {
            return shadow() ? Shadow.of(account.name()).orElse(null) : null;
        }
    }
}
