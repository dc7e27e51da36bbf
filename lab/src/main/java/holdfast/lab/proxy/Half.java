package holdfast.lab.proxy;

import holdfast.lab.middlebox.Direction;
import holdfast.lab.middlebox.Packet.Kind;
import holdfast.lab.sim.Receiver;
import holdfast.lab.sim.Sender;
import holdfast.lab.sim.Sender.Segment;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Semaphore;
import org.jspecify.annotations.Nullable;

/** One direction of a connection, from the leg it is read on to the leg it is written on. */
final class Half {

    final Direction direction;
    final Sender<byte[]> sender = new Sender<>();
    final Receiver<byte[]> receiver = new Receiver<>();
    final Semaphore room = new Semaphore(WeatherProxy.ROOM_BYTES);

    /** The speaker has said that nothing more will come. */
    boolean finOffered;

    /** The hearer's leg has been told to write the end of the stream. */
    boolean endSent;

    /** The hearer's leg has written the end of the stream. */
    boolean flushed;

    /** There is a hole in the stream, or its end: nothing more is delivered. */
    boolean withheld;

    long delivered;

    private final Map<Long, Segment<byte[]>> underWay = new HashMap<>();
    private long lastLost = -1;

    Half(Direction direction) {
        this.direction = direction;
    }

    /** Adds to the stream, in segments. */
    void offer(ByteBuffer bytes) {
        while (bytes.hasRemaining()) {
            byte[] segment = new byte[Math.min(bytes.remaining(), WeatherProxy.SEGMENT_BYTES)];
            bytes.get(segment);
            sender.offer(Kind.DATA, segment.length, segment);
        }
    }

    void underWay(Segment<byte[]> segment) {
        if (segment.sequence() >= receiver.expected()) {
            underWay.put(segment.sequence(), segment);
        }
    }

    /** The segment that has arrived, or null if it had arrived before. */
    @Nullable Segment<byte[]> arrived(long sequence) {
        return underWay.remove(sequence);
    }

    /** Whether this segment was never lost before. */
    boolean firstLoss(long sequence) {
        if (sequence <= lastLost) {
            return false;
        }
        lastLost = sequence;
        return true;
    }

    /** The speaker no longer has the connection: what it has not got through is gone with it. */
    void forget() {
        sender.giveUp();
        underWay.clear();
    }
}
