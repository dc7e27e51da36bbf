package holdfast.core.tether;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import holdfast.core.time.Moment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Two ends joined by hand: every byte that crosses is moved by the test. */
final class TetherTest {

    private static final int WINDOW = 65_536;
    private static final Bytes ID = Bytes.of(new byte[Resumption.ID]);
    private static final Bytes NONCE = Bytes.of(new byte[TetherLine.NONCE]);
    private static final String LINE = "SSH-2.0-x tether-1=y";
    private static final Prover KEY =
            message -> {
                byte[] proof = new byte[Resumption.PROOF];
                Numbers.putLong(Arrays.hashCode(message), proof, 0);
                return proof;
            };
    private static final Moment NOW = Moment.ZERO;

    private final Tether client = new Tether(Tether.Role.CLIENT, WINDOW, WINDOW, WINDOW);
    private final Tether server = new Tether(Tether.Role.SERVER, WINDOW, WINDOW, WINDOW);
    private Tether.Carrier up = client.begin();
    private Tether.Carrier down = server.begin();

    private static Moment at(double seconds) {
        return new Moment(Math.round(seconds * 1e9));
    }

    private static byte[] fill(Tether.Carrier carrier, Moment now) {
        byte[] bytes = new byte[200_000];
        return Arrays.copyOf(bytes, carrier.fill(bytes, 0, bytes.length, now));
    }

    private Tether.News move(Tether.Carrier from, Tether.Carrier to) {
        byte[] bytes = fill(from, NOW);
        return to.received(bytes, 0, bytes.length, NOW);
    }

    private void hold() {
        server.hold(ID, 60);
        assertThat(server.resumable()).isFalse();
        assertThat(move(down, up).held()).isTrue();
        assertThat(client.resumable()).isTrue();
        Tether.News pong = move(up, down);
        assertThat(pong.held()).isTrue();
        assertThat(server.resumable()).isTrue();
    }

    private static void write(Tether end, String text) {
        assertThat(end.write(Bytes.ascii(text), 0, text.length())).isEqualTo(text.length());
    }

    private static String take(Tether end) {
        byte[] bytes = new byte[WINDOW];
        int count = end.take(bytes, 0, bytes.length, NOW);
        return new String(bytes, 0, Math.max(count, 0), StandardCharsets.US_ASCII);
    }

    private TetherLine.Resume request(long generation) {
        return Resumption.request(
                KEY, ID, generation, client.received(), client.taken(), NONCE, LINE);
    }

    /** The whole resume; false: refused. */
    private boolean resume(TetherLine.Resume request) {
        Resumption.Served served = Resumption.serve(server, KEY, request, LINE, true);
        if (served.carrier() == null) {
            return false;
        }
        down = served.carrier();
        Frame.Resumed[] answer = new Frame.Resumed[1];
        new FrameReader()
                .read(
                        served.answer(),
                        0,
                        served.answer().length,
                        new FrameReader.Sink() {
                            @Override
                            public Fault data(ByteBuffer bytes) {
                                return Fault.UNKNOWN_FRAME;
                            }

                            @Override
                            public @Nullable Fault frame(Frame frame) {
                                answer[0] = (Frame.Resumed) frame;
                                return null;
                            }
                        });
        assertThat(Resumption.proved(KEY, request, LINE, answer[0])).isTrue();
        assertThat(client.check(request, answer[0])).isNull();
        up = client.resume(request, answer[0]);
        return true;
    }

    @Test
    void what_one_end_writes_the_other_takes() {
        write(client, "hello");
        write(server, "good day");
        move(up, down);
        move(down, up);
        assertThat(take(server)).isEqualTo("hello");
        assertThat(take(client)).isEqualTo("good day");
    }

    @Test
    void what_was_lost_with_a_carrier_is_sent_again_and_nothing_twice() {
        hold();
        write(server, "one ");
        move(down, up);
        write(server, "two ");
        fill(down, NOW); // and lost
        write(client, "three ");
        fill(up, NOW); // likewise
        assertThat(resume(request(1))).isTrue();
        write(server, "four");
        move(down, up);
        move(up, down);
        assertThat(take(client)).isEqualTo("one two four");
        assertThat(take(server)).isEqualTo("three ");
    }

    @Test
    void what_the_older_carrier_brought_while_the_newer_was_asked_for_comes_once() {
        hold();
        write(server, "before ");
        TetherLine.Resume asked = request(1);
        move(down, up); // overtakes the request
        assertThat(take(client)).isEqualTo("before ");
        byte[] acknowledgement = fill(up, at(1));
        down.received(acknowledgement, 0, acknowledgement.length, NOW);
        assertThat(server.acknowledged()).isTrue();
        assertThat(resume(asked)).isTrue();
        write(server, "after");
        move(down, up);
        assertThat(take(client)).isEqualTo("after");
        assertThat(move(up, down).fault()).isNull();
    }

    @Test
    void an_older_carrier_brings_nothing_any_more_and_is_given_nothing() {
        hold();
        Tether.Carrier older = down;
        write(client, "x");
        byte[] late = fill(up, NOW);
        assertThat(resume(request(1))).isTrue();
        assertThat(older.received(late, 0, late.length, NOW).bytes()).isZero();
        write(server, "y");
        assertThat(older.wants(NOW)).isFalse();
        assertThat(fill(older, NOW)).isEmpty();
        move(up, down);
        assertThat(take(server)).isEqualTo("x");
    }

    @Test
    void an_acknowledgement_waits_for_company_or_300_ms() {
        write(client, "key");
        move(up, down);
        assertThat(server.wakeAt()).isEqualTo(Moment.NEVER);
        byte[] bytes = new byte[10];
        server.take(bytes, 0, 10, at(5));
        assertThat(down.wants(at(5.29))).isFalse();
        assertThat(server.wakeAt()).isEqualTo(at(5.3));
        assertThat(down.wants(at(5.3))).isTrue();
        write(server, "echo");
        assertThat(fill(down, at(5.1))).startsWith(Frame.ACK, 3, Frame.DATA, 4);
        assertThat(server.wakeAt()).isEqualTo(Moment.NEVER);
    }

    @Test
    void
            what_was_taken_between_two_carriers_is_acknowledged_by_the_resume_and_waited_for_no_more() {
        hold();
        write(client, "key");
        move(up, down);
        server.park();
        client.park();
        assertThat(take(server)).isEqualTo("key");
        assertThat(resume(request(1))).isTrue();
        fill(down, NOW); // its name and its question
        assertThat(server.wakeAt()).isEqualTo(Moment.NEVER);
        assertThat(down.wants(at(1))).isFalse();
    }

    @Test
    void a_carrier_that_replaces_a_living_one_owes_nothing_of_the_older() {
        hold();
        write(client, "key");
        move(up, down);
        assertThat(take(server)).isEqualTo("key");
        assertThat(server.wakeAt()).isEqualTo(at(0.3));
        assertThat(resume(request(1))).isTrue();
        fill(down, NOW);
        assertThat(server.wakeAt()).isEqualTo(Moment.NEVER);
        assertThat(down.wants(at(1))).isFalse();
    }

    @Test
    void after_its_close_an_end_has_nothing_to_say_and_waits_for_no_time_to_say_it() {
        write(client, "key");
        move(up, down);
        assertThat(take(server)).isEqualTo("key");
        server.finish(0);
        fill(down, NOW);
        assertThat(server.finished()).isTrue();
        write(client, "more");
        byte[] more = fill(up, NOW);
        down.received(more, 0, more.length, NOW);
        assertThat(take(server)).isEqualTo("more");
        down.ping(NOW);
        assertThat(server.wakeAt()).isEqualTo(Moment.NEVER);
        assertThat(down.wants(at(1))).isFalse();
        assertThat(fill(down, at(1))).isEmpty();
    }

    @Test
    void a_full_buffer_takes_no_more_and_loses_nothing() {
        byte[] much = new byte[WINDOW + 1];
        assertThat(client.write(much, 0, much.length)).isEqualTo(WINDOW);
        assertThat(client.write(much, 0, 1)).isZero();
        move(up, down);
        assertThat(client.write(much, 0, 1)).as("sent is not taken").isZero();
        assertThat(take(server)).hasSize(WINDOW);
        move(down, up);
        assertThat(client.write(much, 0, much.length)).isEqualTo(WINDOW);
        assertThat(client.memory()).isLessThanOrEqualTo(2 * WINDOW);
    }

    @Test
    void nothing_is_resumed_before_the_server_has_said_that_it_may_be() {
        assertThat(resume(request(1))).isFalse();
        server.hold(ID, 60);
        move(down, up);
        assertThat(server.resumable()).as("the PONG has not come").isFalse();
        assertThat(resume(request(2))).as("but who asks by the name has had HELD").isTrue();
        assertThat(server.resumable()).isTrue();
        server.hold(ID, 0);
        assertThat(resume(request(3))).as("no longer").isFalse();
    }

    @Test
    void no_offset_beyond_what_was_sent_and_no_generation_twice() {
        hold();
        write(server, "written and not sent");
        for (TetherLine.Resume wrong :
                new TetherLine.Resume[] {
                    Resumption.request(KEY, ID, 1, 1, 0, NONCE, LINE),
                    Resumption.request(KEY, ID, 1, Long.MAX_VALUE, 0, NONCE, LINE),
                    Resumption.request(m -> new byte[32], ID, 1, 0, 0, NONCE, LINE),
                    Resumption.request(KEY, ID, 1, 0, 0, NONCE, LINE + "z"),
                }) {
            byte[] refused = Resumption.serve(server, KEY, wrong, LINE, true).answer();
            assertThat(refused).containsExactly(Frame.REFUSED, 0);
            assertThat(server.generation()).isZero();
        }
        assertThat(Resumption.serve(null, KEY, request(1), LINE, true).answer())
                .as("no such tether")
                .containsExactly(Frame.REFUSED, 0);
        assertThat(Resumption.serve(server, KEY, request(1), LINE, false).answer())
                .as("not from here")
                .containsExactly(Frame.REFUSED, 0);
        TetherLine.Resume once = request(1);
        assertThat(resume(once)).isTrue();
        assertThat(resume(once)).as("replayed").isFalse();
        move(down, up);
        assertThat(take(client)).isEqualTo("written and not sent");
    }

    @Test
    void a_server_that_skips_or_takes_back_bytes_is_refused() {
        hold();
        write(client, "abc");
        move(up, down);
        take(server);
        byte[] bytes = fill(down, at(1));
        up.received(bytes, 0, bytes.length, NOW);
        TetherLine.Resume asked = request(1);
        assertThat(client.check(asked, answer(4, 3, 0))).isEqualTo(Fault.BAD_ACKNOWLEDGEMENT);
        assertThat(client.check(asked, answer(3, 2, 0)))
                .as("less than acknowledged")
                .isEqualTo(Fault.BAD_ACKNOWLEDGEMENT);
        assertThat(client.check(asked, answer(3, 3, 1))).as("skips").isEqualTo(Fault.GAP);
        assertThat(client.check(asked, answer(3, 3, 0))).isNull();
    }

    private static Frame.Resumed answer(long received, long taken, long from) {
        return new Frame.Resumed(received, taken, from, Bytes.of(new byte[Resumption.PROOF]));
    }

    @Test
    void every_lie_on_a_carrier_is_a_fault() {
        assertThat(said(new Frame.Ack(1))).isEqualTo(Fault.BAD_ACKNOWLEDGEMENT);
        assertThat(said(new Frame.Ack(0))).isEqualTo(Fault.BAD_ACKNOWLEDGEMENT);
        assertThat(said(new Frame.Pong(1))).isEqualTo(Fault.BAD_PONG);
        assertThat(said(new Frame.Held(1, ID))).as("by a client").isEqualTo(Fault.UNKNOWN_FRAME);
        assertThat(said(answer(0, 0, 0))).isEqualTo(Fault.UNKNOWN_FRAME);
        assertThat(said(new Frame.Refused(0))).isEqualTo(Fault.UNKNOWN_FRAME);
        byte[] much = new byte[WINDOW + 10];
        int at = Frame.head(Frame.DATA, WINDOW, much, 0);
        assertThat(down.received(much, 0, at + WINDOW, NOW).fault()).isNull();
        at = Frame.head(Frame.DATA, 1, much, 0);
        assertThat(down.received(much, 0, at + 1, NOW).fault()).isEqualTo(Fault.WINDOW_EXCEEDED);
    }

    private Fault said(Frame frame) {
        byte[] bytes = new byte[Frame.LONGEST_CONTROL];
        Tether fresh = new Tether(Tether.Role.SERVER, WINDOW, WINDOW, WINDOW);
        Fault fault = fresh.begin().received(bytes, 0, frame.write(bytes, 0), NOW).fault();
        return fault == null ? Fault.GAP : fault;
    }

    @Test
    void close_comes_after_everything_else_and_nothing_after_close() {
        write(client, "last words");
        client.finish(0);
        assertThat(client.write(new byte[1], 0, 1)).isZero();
        move(up, down);
        assertThat(client.finished()).isTrue();
        assertThat(take(server)).isEqualTo("last words");
        assertThat(server.take(new byte[1], 0, 1, NOW)).isEqualTo(-1);
        assertThat(server.peerClosed()).isZero();
        byte[] more = {Frame.PING, 1};
        assertThat(down.received(more, 0, 2, NOW).fault()).isEqualTo(Fault.AFTER_CLOSE);
    }

    @Test
    void a_parked_tether_keeps_only_what_must_be_sent_again() {
        hold();
        write(client, "x".repeat(10_000));
        move(up, down);
        assertThat(take(server)).hasSize(10_000);
        byte[] bytes = fill(down, at(1));
        up.received(bytes, 0, bytes.length, NOW);
        assertThat(server.memory()).isPositive();
        server.park();
        client.park();
        assertThat(server.memory()).isZero();
        assertThat(client.memory()).isZero();
        assertThat(server.wakeAt()).isEqualTo(Moment.NEVER);
    }

    @Test
    void a_hold_of_any_length_is_a_time_one_can_count_with() {
        byte[] bytes = new byte[Frame.LONGEST_CONTROL];
        up.received(bytes, 0, new Frame.Held(Long.MAX_VALUE, ID).write(bytes, 0), NOW);
        assertThat(client.hold()).isEqualTo(Duration.ofDays(366));
    }

    @Test
    void no_garbage_breaks_an_end_or_makes_it_grow() {
        long seed = new SplittableRandom().nextLong();
        System.out.println("TetherTest seed " + seed);
        SplittableRandom dice = new SplittableRandom(seed);
        for (int run = 0; run < 3_000; run++) {
            Tether end =
                    new Tether(
                            dice.nextBoolean() ? Tether.Role.CLIENT : Tether.Role.SERVER,
                            WINDOW,
                            WINDOW,
                            WINDOW);
            Tether.Carrier carrier = end.begin();
            end.write(new byte[100], 0, 100);
            for (int i = 0; i < 20; i++) {
                fill(carrier, NOW);
                byte[] bytes = new byte[1 + dice.nextInt(90)];
                dice.nextBytes(bytes);
                bytes[0] = (byte) (1 + dice.nextInt(8));
                if (carrier.received(bytes, 0, bytes.length, NOW).fault() != null) {
                    break;
                }
            }
            assertThat(end.memory()).as("seed " + seed).isLessThanOrEqualTo(2 * WINDOW);
        }
    }

    @Test
    void the_outbox_never_gives_what_it_does_not_hold() {
        Outbox outbox = new Outbox(4096);
        outbox.write(ByteBuffer.allocate(10));
        assertThatThrownBy(() -> outbox.kept(11, 1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> outbox.acknowledge(1))
                .as("never sent")
                .isInstanceOf(IllegalArgumentException.class);
        outbox.sentTo(10);
        outbox.acknowledge(4);
        assertThatThrownBy(() -> outbox.kept(3, 1)).isInstanceOf(IllegalArgumentException.class);
        assertThat(outbox.kept(10, 1).hasRemaining()).isFalse();
    }

    @Test
    void an_outbox_gives_every_byte_where_it_was_put_within_its_bound() {
        long seed = new SplittableRandom().nextLong();
        System.out.println("TetherTest seed " + seed);
        SplittableRandom dice = new SplittableRandom(seed);
        for (int bound = 1; bound <= 4 << 20; bound *= 8) {
            Outbox outbox = new Outbox(bound);
            for (int step = 0; step < 400; step++) {
                ByteBuffer some = ByteBuffer.allocate(dice.nextInt(Math.min(bound, 100_000) + 1));
                for (int i = 0; i < some.capacity(); i++) {
                    some.put(i, byteAt(outbox.written() + i));
                }
                int room = outbox.room();
                assertThat(outbox.write(some)).isEqualTo(Math.min(room, some.capacity()));
                long from =
                        outbox.acknowledged()
                                + dice.nextLong(outbox.written() - outbox.acknowledged() + 1);
                for (long at = from; at < outbox.written(); ) {
                    ByteBuffer kept = outbox.kept(at, 1 + dice.nextInt(100_000));
                    assertThat(kept.get(0)).as("seed " + seed).isEqualTo(byteAt(at));
                    at += kept.remaining();
                    assertThat(kept.get(kept.limit() - 1)).isEqualTo(byteAt(at - 1));
                }
                outbox.sentTo(outbox.written());
                if (dice.nextInt(10) > 0) {
                    outbox.acknowledge(from);
                } else {
                    outbox.acknowledge(outbox.written());
                    assertThat(outbox.room()).isEqualTo(bound);
                    if (dice.nextBoolean()) {
                        outbox.trim();
                        assertThat(outbox.memory()).isZero();
                    }
                }
                assertThat(outbox.memory()).as("seed " + seed).isLessThanOrEqualTo(bound);
                assertThat(outbox.room())
                        .as("what is acknowledged in part is all that is lost")
                        .isGreaterThanOrEqualTo(
                                (int)
                                        (bound
                                                - (outbox.written() - from)
                                                - Math.max(1, bound / 16)));
            }
        }
    }

    private static byte byteAt(long offset) {
        return (byte) ((offset * 0x9E3779B97F4A7C15L) >>> 56);
    }

    @Test
    void what_is_next_goes_straight_to_the_program() {
        hold();
        write(client, "straight through");
        ByteBuffer both = ByteBuffer.wrap(fill(up, NOW));
        // As a reader does it: what is left of the frames moves to the front.
        ByteBuffer out = both.duplicate();
        Tether.News news = down.received(both, out, NOW);
        assertThat(news.bytes()).isEqualTo(16);
        assertThat(news.fault()).isNull();
        assertThat(new String(both.array(), 0, out.position(), StandardCharsets.US_ASCII))
                .isEqualTo("straight through");
        assertThat(server.waiting()).isZero();
        assertThat(server.taken()).isEqualTo(16);
        move(down, up);
        assertThat(client.acknowledged()).isFalse();
        byte[] late = fill(down, at(1));
        up.received(late, 0, late.length, NOW);
        assertThat(client.acknowledged()).isTrue();
    }

    @Test
    void behind_what_waits_nothing_goes_straight_through() {
        hold();
        write(client, "first ");
        move(up, down);
        write(client, "second");
        byte[] frames = fill(up, NOW);
        ByteBuffer out = ByteBuffer.allocate(100);
        down.received(ByteBuffer.wrap(frames), out, NOW);
        assertThat(out.position()).isZero();
        assertThat(take(server)).isEqualTo("first second");
    }
}
