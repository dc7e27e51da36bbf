package holdfast.ssh.system;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * Runs tasks with one user's rights to files and sockets, one after another.
 *
 * <p>As root, on a platform thread whose own effective user, group and groups are the user's (raw
 * system calls, which unlike glibc's change the calling thread only): the kernel then refuses what
 * it would refuse the user, and a Unix socket's peer sees the user. The thread ends when there has
 * been nothing to do for some seconds, costs nothing then, and is never another user's. When this
 * process is not root the task runs with what rights it has.
 *
 * <p>A task must not start threads nor wake virtual ones: a new thread inherits the user's rights.
 * That is why results come on a thread of their own.
 */
public final class AsUser implements AutoCloseable {

    private AsUser() {}

    /** For the user's own view of the files. */
    public static AsUser of(Account account) {
        throw new UnsupportedOperationException();
    }

    /**
     * With another root directory (ChrootDirectory) and file creation mask, where they are not
     * null.
     */
    public static AsUser of(Account account, @Nullable Path root, @Nullable Integer mask) {
        throw new UnsupportedOperationException();
    }

    /** Runs it and waits. What it throws comes out as it is. */
    public <T extends @Nullable Object> T call(Callable<T> task) throws Exception {
        throw new UnsupportedOperationException();
    }

    /** Runs it; the future is completed on a thread of ours, which must not be blocked. */
    public <T extends @Nullable Object> CompletableFuture<T> submit(Callable<T> task) {
        throw new UnsupportedOperationException();
    }

    /** No more tasks; those accepted are run. */
    @Override
    public void close() {
        throw new UnsupportedOperationException();
    }
}
