package holdfast.ssh.system;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Asks PAM whether somebody is who they say, and whether they may come in.
 *
 * <p>Authentication and account only: session modules would change this process and belong to the
 * child ({@link Become}). Each call may wait for seconds (pam_unix waits after a wrong password),
 * on the thread that calls; use a platform thread.
 */
public final class Pam {

    private Pam() {}

    /** One thing PAM says or asks. */
    public record Prompt(Kind kind, String text) {
        /** What is expected. */
        public enum Kind {
            SECRET,
            SHOWN,
            ERROR,
            INFO
        }
    }

    /** Answers PAM's questions. */
    public interface Conversation {

        /**
         * @return an answer for each prompt, in order; for ERROR and INFO it is not looked at. The
         *     arrays are wiped after use. Null ends the attempt.
         */
        char @Nullable [] @Nullable [] answer(List<Prompt> prompts);
    }

    /** How it came out. */
    public record Verdict(Result result, int code, String words) {
        /** In the order of how far it came. */
        public enum Result {
            /** Proven and allowed. */
            ACCEPTED,
            /** Not proven. */
            REFUSED,
            /** Proven, but the account may not come in (expired, locked, hours). */
            NOT_ALLOWED,
            /** Proven, but the password must be changed first. */
            PASSWORD_EXPIRED,
            /** PAM itself failed, or is not there. */
            BROKEN
        }
    }

    /** True if libpam can be loaded. */
    public static boolean available() {
        throw new UnsupportedOperationException();
    }

    /**
     * Authenticates and checks the account.
     *
     * @param service the file of /etc/pam.d, as {@code sshd}
     * @param allowEmpty PermitEmptyPasswords
     */
    public static Verdict authenticate(
            String service, String user, String host, boolean allowEmpty, Conversation conversation) {
        throw new UnsupportedOperationException();
    }

    /** Checks only whether the account may come in, for those who proved it with a key. */
    public static Verdict account(String service, String user, String host) {
        throw new UnsupportedOperationException();
    }
}
