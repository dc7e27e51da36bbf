package holdfast.ssh.system;

import holdfast.ssh.octets.Octets;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Queue;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import org.jspecify.annotations.Nullable;

/**
 * Runs tasks with one user's rights to files and sockets, one after another.
 *
 * <p>As root, on a platform thread whose own effective user, group and groups are the user's (raw
 * system calls, which unlike glibc's change the calling thread only): the kernel then refuses what
 * it would refuse the user, and a Unix socket's peer sees the user. The real and saved user stay
 * root's, so that the user can neither signal nor trace the thread. It ends when there has been
 * nothing to do for some seconds, costs nothing then, and is never another user's. When this
 * process is not root the task runs with what rights it has.
 *
 * <p>What a task must not do: start a thread or wake a virtual one (a new thread inherits the
 * user's rights; results come on a thread of ours for that reason); ask {@code Files.exists},
 * {@code Files.isReadable} and their like, which the kernel answers for the real user, so open the
 * file or ask for its attributes instead; in another root, use what reads the system's own files:
 * names of users and hosts, native libraries.
 */
public final class AsUser implements AutoCloseable {

    /** How long a thread without work stays, for the next packet of an sftp session to find it. */
    private static final long IDLE_MILLIS = 1_000;

    /** Tasks that may wait; a session has no more requests under way than its window carries. */
    private static final int WAITING = 4096;

    private static final long CLONE_FS = 0x200;

    private static final MemorySegment UNSHARE = Native.symbol("unshare");
    private static final MemorySegment CHROOT = Native.symbol("chroot");
    private static final MemorySegment CHDIR = Native.symbol("chdir");
    private static final MemorySegment UMASK = Native.symbol("umask");

    /**
     * What must happen with this process's own rights: starting the users' threads, and completing
     * futures, which may start or wake whatever threads wait for them.
     */
    private static final LinkedBlockingQueue<Runnable> OWN = new LinkedBlockingQueue<>();

    static {
        // A jar that is first opened by a thread in another root is not found, and the class
        // loader then never looks at it again. Looking for what is nowhere opens them all.
        ClassLoader loader = AsUser.class.getClassLoader();
        if (loader != null) {
            loader.getResource("holdfast/nowhere");
        }
        Thread.ofPlatform().daemon().name("as-user").start(AsUser::serve);
    }

    /** Something to do, or to fail where the thread could not become the user. */
    private interface Task {
        void run(@Nullable Exception refused);
    }

    private final Account account;
    private final @Nullable Path root;
    private final @Nullable Integer mask;

    // guarded by this
    private final Queue<Task> tasks = new ArrayDeque<>();
    private boolean running;
    private boolean closed;

    private AsUser(Account account, @Nullable Path root, @Nullable Integer mask) {
        this.account = account;
        this.root = root;
        this.mask = mask;
    }

    /** For the user's own view of the files. */
    public static AsUser of(Account account) {
        return new AsUser(account, null, null);
    }

    /**
     * With another root directory (ChrootDirectory) and file creation mask, where they are not
     * null. Another root needs this process to be root: otherwise every task fails.
     */
    public static AsUser of(Account account, @Nullable Path root, @Nullable Integer mask) {
        return new AsUser(account, root, mask);
    }

    /** Runs it and waits. What it throws comes out as it is. */
    public <T extends @Nullable Object> T call(Callable<T> task) throws Exception {
        try {
            return submit(task).get();
        } catch (ExecutionException e) {
            switch (e.getCause()) {
                case Exception cause -> throw cause;
                case Error cause -> throw cause;
                case null, default -> throw e;
            }
        }
    }

    /**
     * Runs it; the future is completed on a thread of ours, which must not be blocked.
     *
     * @throws RejectedExecutionException when it is closed, or too many tasks wait
     */
    public <T extends @Nullable Object> CompletableFuture<T> submit(Callable<T> task) {
        CompletableFuture<T> result = new CompletableFuture<>();
        Task work =
                refused -> {
                    try {
                        if (refused != null) {
                            throw refused;
                        }
                        T value = task.call();
                        OWN.add(() -> result.complete(value));
                    } catch (Throwable t) {
                        OWN.add(() -> result.completeExceptionally(t));
                    }
                };
        synchronized (this) {
            if (closed || tasks.size() >= WAITING) {
                throw new RejectedExecutionException(closed ? "closed" : "too many tasks");
            }
            tasks.add(work);
            if (running) {
                notifyAll();
            } else {
                running = true;
                OWN.add(this::start);
            }
        }
        return result;
    }

    /** No more tasks; those accepted are run. */
    @Override
    public synchronized void close() {
        closed = true;
        notifyAll();
    }

    private static void serve() {
        while (true) {
            try {
                OWN.take().run();
            } catch (Throwable t) {
                // A callback of somebody's future, or no more threads: the next one is not to
                // suffer for it.
                Thread now = Thread.currentThread();
                now.getUncaughtExceptionHandler().uncaughtException(now, t);
            }
        }
    }

    private void start() {
        try {
            Thread.ofPlatform().daemon().name("as-" + account.name()).start(this::run);
        } catch (OutOfMemoryError e) {
            // No more threads now: the next task tries again.
            synchronized (this) {
                running = false;
            }
            throw e;
        }
    }

    private void run() {
        try {
            become();
        } catch (SystemException | RuntimeException e) {
            refuse(e);
            return;
        }
        while (true) {
            Task task;
            synchronized (this) {
                task = await();
                if (task == null) {
                    running = false;
                    return;
                }
            }
            task.run(null);
        }
    }

    /** Under the lock: the next task, or null when the thread may end. */
    private @Nullable Task await() {
        long until = System.nanoTime() + IDLE_MILLIS * 1_000_000;
        while (tasks.isEmpty() && !closed) {
            long left = (until - System.nanoTime()) / 1_000_000;
            if (left <= 0) {
                break;
            }
            try {
                wait(left);
            } catch (InterruptedException e) {
                // Nobody's business but the task's that left it behind.
            }
        }
        return tasks.poll();
    }

    /** Nothing may run on a thread that could not become the user. */
    private void refuse(Exception why) {
        Queue<Task> refused;
        synchronized (this) {
            running = false;
            refused = new ArrayDeque<>(tasks);
            tasks.clear();
        }
        refused.forEach(task -> task.run(why));
    }

    private void become() throws SystemException {
        if (root != null || mask != null) {
            Native.must("unshare", Native.call(UNSHARE, CLONE_FS));
        }
        try (Arena arena = Arena.ofConfined()) {
            if (root != null) {
                Native.must(
                        "chroot(\"" + root + "\")",
                        Native.call(CHROOT, Native.string(arena, Octets.text(root)).address()));
                Native.must(
                        "chdir(\"/\")", Native.call(CHDIR, Native.string(arena, "/").address()));
            }
            if (mask != null) {
                Native.call(UMASK, mask & 0777);
            }
            if (!Accounts.privileged()) {
                return;
            }
            int count = account.groups().size();
            MemorySegment groups = arena.allocate(ValueLayout.JAVA_INT, Math.max(1, count));
            for (int i = 0; i < count; i++) {
                groups.setAtIndex(ValueLayout.JAVA_INT, i, account.groups().get(i));
            }
            Native.must(
                    "setgroups", Native.syscall(Native.SYS_SETGROUPS, count, groups.address(), 0));
            // Groups first: with the user's rights they could not be set any more.
            Native.must(
                    "setresgid",
                    Native.syscall(
                            Native.SYS_SETRESGID, -1, Integer.toUnsignedLong(account.gid()), -1));
            Native.must(
                    "setresuid",
                    Native.syscall(
                            Native.SYS_SETRESUID, -1, Integer.toUnsignedLong(account.uid()), -1));
        }
    }
}
