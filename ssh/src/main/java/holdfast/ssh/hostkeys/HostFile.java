package holdfast.ssh.hostkeys;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;

/**
 * The lines of a file one after another, whatever bytes it holds, in bounded memory. A line ends at
 * its LF or with the file.
 */
final class HostFile implements Closeable {

    /**
     * Bytes of a line that are kept. A key is at most a packet (256 KiB, 350 KB in Base64), so only
     * a monstrous list of names or a comment is cut.
     */
    static final int LONGEST_LINE = 1 << 20;

    private final InputStream in;
    private byte[] buffer = new byte[32 * 1024];
    private int filled;
    private int nextLine;
    private boolean skipRest;
    private boolean ended;

    private long number;
    private int start;
    private int end;
    private boolean cut;

    HostFile(InputStream in) {
        this.in = in;
    }

    /** Steps to the next line; false at the end of the file. */
    boolean next() throws IOException {
        if (skipRest && !skipToNextLine()) {
            return false;
        }
        int looked = nextLine;
        while (true) {
            for (int i = looked; i < filled; i++) {
                if (buffer[i] == '\n') {
                    line(i, i + 1, false);
                    return true;
                }
            }
            int pending = filled - nextLine;
            if (ended) {
                if (pending == 0) {
                    return false;
                }
                line(filled, filled, false);
                return true;
            }
            if (pending >= LONGEST_LINE) {
                line(filled, filled, true);
                skipRest = true;
                return true;
            }
            makeRoom();
            looked = nextLine + pending;
            fill();
        }
    }

    /** The line's number in the file, from 1. */
    long number() {
        return number;
    }

    byte[] buffer() {
        return buffer;
    }

    int start() {
        return start;
    }

    int end() {
        return end;
    }

    /** Whether the line went on after {@link #LONGEST_LINE} bytes. */
    boolean cut() {
        return cut;
    }

    @Override
    public void close() throws IOException {
        in.close();
    }

    private void line(int to, int next, boolean wasCut) {
        start = nextLine;
        end = to;
        nextLine = next;
        cut = wasCut;
        number++;
    }

    private boolean skipToNextLine() throws IOException {
        skipRest = false;
        while (true) {
            nextLine = 0;
            filled = 0;
            fill();
            for (int i = 0; i < filled; i++) {
                if (buffer[i] == '\n') {
                    nextLine = i + 1;
                    return true;
                }
            }
            if (ended) {
                nextLine = filled;
                return false;
            }
        }
    }

    private void makeRoom() {
        if (nextLine > 0) {
            System.arraycopy(buffer, nextLine, buffer, 0, filled - nextLine);
            filled -= nextLine;
            nextLine = 0;
        }
        if (filled == buffer.length) {
            buffer = Arrays.copyOf(buffer, Math.min(buffer.length * 2, LONGEST_LINE));
        }
    }

    private void fill() throws IOException {
        int read = in.read(buffer, filled, buffer.length - filled);
        if (read < 0) {
            ended = true;
        } else {
            filled += read;
        }
    }
}
