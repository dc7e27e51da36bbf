package holdfast.ssh.link;

import java.util.concurrent.ScheduledThreadPoolExecutor;
import org.apache.sshd.common.helpers.AbstractFactoryManager;

/**
 * MINA's timer, which forgets at once what has been called off. Its own keeps that until it would
 * have been due; each forwarded connection that has closed would leave something behind for a year,
 * since our limits there are endless.
 */
public final class CalledOff {

    private CalledOff() {}

    /** For a client or a server that has not been started. */
    public static void isForgotten(AbstractFactoryManager mina) {
        mina.setScheduledExecutorService(timer(), true);
    }

    static ScheduledThreadPoolExecutor timer() {
        ScheduledThreadPoolExecutor timer =
                new ScheduledThreadPoolExecutor(
                        1, Thread.ofPlatform().daemon().name("mina-timer").factory());
        timer.setRemoveOnCancelPolicy(true);
        return timer;
    }
}
