package holdfast.ssh.forward;

import holdfast.ssh.stream.Tap;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;

/**
 * Bytes that wait for a tap to take them, first in, first out. Whoever adds bounds it (the
 * channel's window); empty, it holds no memory. Its owner's lock guards it.
 */
final class Backlog {

    /** Small packets share a chunk, so that a window of single bytes does not cost a chunk each. */
    private static final int CHUNK = 8 * 1024;

    private ArrayDeque<ByteBuffer> chunks = new ArrayDeque<>(0);
    private int held;

    boolean isEmpty() {
        return held == 0;
    }

    int held() {
        return held;
    }

    /** Takes a copy. */
    void add(byte[] bytes, int offset, int length) {
        int from = offset;
        int left = length;
        ByteBuffer last = chunks.peekLast();
        if (last != null && last.limit() < last.capacity()) {
            int some = Math.min(left, last.capacity() - last.limit());
            int end = last.limit();
            last.limit(end + some);
            last.put(end, bytes, from, some);
            from += some;
            left -= some;
        }
        if (left > 0) {
            ByteBuffer chunk = ByteBuffer.allocate(Math.max(CHUNK, left));
            chunk.put(bytes, from, left).flip();
            chunks.add(chunk);
        }
        held += length;
    }

    /** Writes as much as is taken; returns how much that was. */
    int writeTo(Tap tap) throws IOException {
        int taken = 0;
        while (true) {
            ByteBuffer first = chunks.peekFirst();
            if (first == null) {
                break;
            }
            int some = tap.write(first);
            taken += some;
            if (first.hasRemaining()) {
                break;
            }
            chunks.removeFirst();
        }
        held -= taken;
        if (held == 0) {
            chunks = new ArrayDeque<>(0);
        }
        return taken;
    }

    /** Forgets all; returns how much that was. */
    int clear() {
        int lost = held;
        chunks = new ArrayDeque<>(0);
        held = 0;
        return lost;
    }
}
