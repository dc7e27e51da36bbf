package holdfast.ssh.auth;

import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.SshException;
import org.jspecify.annotations.Nullable;

/**
 * No method of authentication is left; the message is OpenSSH's line for the person, such as {@code
 * me@host: Permission denied (publickey,password).} The process then ends with status 255.
 */
public final class AuthenticationFailed extends SshException {

    private static final long serialVersionUID = 1;

    AuthenticationFailed(String line) {
        super(SshConstants.SSH2_DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE, line);
    }

    /**
     * OpenSSH's line when {@code thrown}, by {@code AuthFuture.verify} for instance, or one of its
     * causes is such a failure; else null.
     */
    public static @Nullable String lineIn(@Nullable Throwable thrown) {
        Throwable at = thrown;
        for (int depth = 0; at != null && depth < 16; depth++) {
            if (at instanceof AuthenticationFailed failed) {
                return failed.getMessage();
            }
            at = at.getCause();
        }
        return null;
    }
}
