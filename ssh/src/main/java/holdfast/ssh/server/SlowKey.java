package holdfast.ssh.server;

import java.security.PrivateKey;

/**
 * A host key whose signatures have to be waited for: no thread that reads the network may sign with
 * it. Whoever signs tells the connection when the wait is over ({@link ServerTransport#signed}).
 */
public interface SlowKey extends PrivateKey {

    /** Runs {@code work}, which signs, on a thread that may wait. */
    void elsewhere(Runnable work);
}
