package holdfast.core.tether;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

final class FrameReaderTest {

    private static final Bytes ID = Bytes.of(new byte[Resumption.ID]);
    private static final Bytes PROOF = Bytes.of(new byte[Resumption.PROOF]);

    /** What was read, DATA joined. */
    private static final class Seen implements FrameReader.Sink {
        final List<Frame> frames = new ArrayList<>();
        final StringBuilder data = new StringBuilder();

        @Override
        public @Nullable Fault data(ByteBuffer bytes) {
            while (bytes.hasRemaining()) {
                data.append((char) bytes.get());
            }
            return null;
        }

        @Override
        public @Nullable Fault frame(Frame frame) {
            frames.add(frame);
            return null;
        }
    }

    private static final List<Frame> ALL =
            List.of(
                    new Frame.Ack(1),
                    new Frame.Ack(Long.MAX_VALUE),
                    new Frame.Ping(127),
                    new Frame.Pong(128),
                    new Frame.Held(86_400, ID),
                    new Frame.Resumed(1, 0, 5_000_000_000L, PROOF),
                    new Frame.Refused(Frame.Refused.BUSY),
                    new Frame.Close(0));

    private static byte[] written() {
        byte[] bytes = new byte[1000];
        int at = 0;
        for (Frame frame : ALL) {
            int next = frame.write(bytes, at);
            assertThat(next - at).isLessThanOrEqualTo(Frame.LONGEST_CONTROL);
            at = next;
        }
        at = Frame.head(Frame.DATA, 3, bytes, at);
        bytes[at++] = 'a';
        bytes[at++] = 'b';
        bytes[at++] = 'c';
        return Arrays.copyOf(bytes, at);
    }

    @Test
    void what_is_written_is_read_wherever_it_is_cut() {
        byte[] bytes = written();
        for (int piece = 1; piece <= bytes.length; piece++) {
            Seen seen = new Seen();
            FrameReader reader = new FrameReader();
            for (int at = 0; at < bytes.length; at += piece) {
                int some = Math.min(piece, bytes.length - at);
                assertThat(reader.read(bytes, at, some, seen)).isEqualTo(some);
            }
            assertThat(reader.fault()).isNull();
            assertThat(reader.between()).isTrue();
            assertThat(seen.frames).isEqualTo(ALL);
            assertThat(seen.data.toString()).isEqualTo("abc");
        }
    }

    @Test
    void every_limit_is_a_fault() {
        assertThat(fault(0, 0)).isEqualTo(Fault.UNKNOWN_FRAME);
        assertThat(fault(9, 0)).isEqualTo(Fault.UNKNOWN_FRAME);
        assertThat(fault(255)).isEqualTo(Fault.UNKNOWN_FRAME);
        assertThat(fault(Frame.ACK, 0x80, 0)).as("longer than need be").isEqualTo(Fault.BAD_NUMBER);
        assertThat(fault(Frame.ACK, 255, 255, 255, 255, 255, 255, 255, 255, 255))
                .as("beyond 63 bits")
                .isEqualTo(Fault.BAD_NUMBER);
        assertThat(fault(Frame.DATA, 0)).isEqualTo(Fault.BAD_LENGTH);
        assertThat(fault(Frame.DATA, 0x81, 0x80, 4)).as("65,537").isEqualTo(Fault.BAD_LENGTH);
        assertThat(fault(Frame.DATA, 0x80, 0x80, 4)).as("65,536").isNull();
        assertThat(fault(Frame.RESUMED, 55)).isEqualTo(Fault.BAD_LENGTH);
    }

    private static @Nullable Fault fault(int... bytes) {
        byte[] all = new byte[bytes.length];
        for (int i = 0; i < all.length; i++) {
            all[i] = (byte) bytes[i];
        }
        FrameReader reader = new FrameReader();
        reader.read(all, 0, all.length, new Seen());
        return reader.fault();
    }

    @Test
    void after_a_fault_nothing_is_read() {
        Seen seen = new Seen();
        FrameReader reader = new FrameReader();
        byte[] bytes = {9, Frame.PING, 1};
        assertThat(reader.read(bytes, 0, 3, seen)).isEqualTo(1);
        assertThat(reader.read(bytes, 1, 2, seen)).isZero();
        assertThat(seen.frames).isEmpty();
    }

    @Test
    void garbage_is_read_alike_whole_and_in_pieces_and_never_breaks_the_reader() {
        long seed = new SplittableRandom().nextLong();
        System.out.println("FrameReaderTest seed " + seed);
        SplittableRandom dice = new SplittableRandom(seed);
        for (int run = 0; run < 20_000; run++) {
            byte[] bytes = dice.nextBoolean() ? written() : new byte[1 + dice.nextInt(200)];
            for (int i = dice.nextInt(4); i >= 0; i--) {
                bytes[dice.nextInt(bytes.length)] = (byte) dice.nextInt();
            }
            Seen whole = new Seen();
            FrameReader one = new FrameReader();
            int used = one.read(bytes, 0, bytes.length, whole);
            Seen pieces = new Seen();
            FrameReader other = new FrameReader();
            int at = 0;
            while (at < bytes.length && other.fault() == null) {
                at +=
                        other.read(
                                bytes,
                                at,
                                Math.min(1 + dice.nextInt(9), bytes.length - at),
                                pieces);
            }
            assertThat(at).isEqualTo(used);
            assertThat(other.fault()).isEqualTo(one.fault());
            assertThat(pieces.frames).isEqualTo(whole.frames);
            assertThat(pieces.data.toString()).isEqualTo(whole.data.toString());
        }
    }
}
