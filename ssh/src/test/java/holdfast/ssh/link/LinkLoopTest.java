package holdfast.ssh.link;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.core.liveness.Cause;
import holdfast.core.liveness.LinkCommand;
import holdfast.core.liveness.LinkEvent;
import holdfast.core.liveness.LinkState;
import holdfast.core.liveness.LivenessPolicy;
import java.time.Duration;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The loop in real time, with bounds that a loaded machine keeps. */
@Timeout(30)
final class LinkLoopTest {

    private final LinkClock clock = new LinkClock();
    private final LinkedBlockingQueue<LinkCommand> done = new LinkedBlockingQueue<>();

    private LinkLoop loop(Duration interval, int countMax) {
        LivenessPolicy policy = new LivenessPolicy(interval, countMax, null, null, false);
        LinkLoop loop =
                new LinkLoop(policy, clock, clock.now(), done::add, LinkLoop.Watcher.NOBODY);
        loop.start("test");
        loop.post(new LinkEvent.Authenticated());
        return loop;
    }

    private @Nullable LinkCommand next() throws InterruptedException {
        return done.poll(10, TimeUnit.SECONDS);
    }

    @Test
    void silence_is_probed_and_then_condemned() throws Exception {
        LinkLoop loop = loop(Duration.ofMillis(300), 1);
        assertThat(next()).isInstanceOf(LinkCommand.SendProbe.class);
        assertThat(next())
                .isInstanceOfSatisfying(
                        LinkCommand.Condemn.class,
                        condemn ->
                                assertThat(condemn.cause())
                                        .isInstanceOfSatisfying(
                                                Cause.Silent.class,
                                                silent ->
                                                        assertThat(silent.silence())
                                                                .isGreaterThanOrEqualTo(
                                                                        Duration.ofMillis(600))));
        assertThat(loop.state()).isInstanceOf(LinkState.Dead.class);
    }

    @Test
    void whole_packets_clear_the_count_also_when_the_loop_saw_their_bytes_first() throws Exception {
        LinkLoop loop = loop(Duration.ofMillis(400), 1);
        assertThat(next()).isInstanceOf(LinkCommand.SendProbe.class);
        loop.heardBytes();
        loop.post(
                new LinkEvent.Reached(
                        holdfast.core.liveness.Phase.AUTHENTICATION)); // wakes the loop
        Thread.sleep(50);
        loop.heardPacket();
        assertThat(next())
                .as("a fresh count: a probe, not the end")
                .isInstanceOf(LinkCommand.SendProbe.class);
        loop.post(new LinkEvent.Ended());
    }

    @Test
    void a_mistake_in_carrying_out_does_not_leave_the_link_unjudged() throws Exception {
        LinkLoop loop =
                new LinkLoop(
                        new LivenessPolicy(Duration.ofMillis(300), 1, null, null, false),
                        clock,
                        clock.now(),
                        command -> {
                            done.add(command);
                            throw new IllegalStateException("a mistake that the test makes");
                        },
                        LinkLoop.Watcher.NOBODY);
        loop.start("test");
        loop.post(new LinkEvent.Authenticated());
        assertThat(next()).isInstanceOf(LinkCommand.SendProbe.class);
        assertThat(next()).isInstanceOf(LinkCommand.Condemn.class);
    }

    @Test
    void an_ended_transport_ends_the_loop_in_silence() throws Exception {
        LinkLoop loop = loop(Duration.ZERO, 3);
        loop.post(new LinkEvent.Ended());
        long patience = System.nanoTime() + Duration.ofSeconds(10).toNanos();
        while (!(loop.state() instanceof LinkState.Dead) && System.nanoTime() < patience) {
            Thread.sleep(5);
        }
        assertThat(loop.state()).isInstanceOf(LinkState.Dead.class);
        assertThat(done).isEmpty();
    }
}
