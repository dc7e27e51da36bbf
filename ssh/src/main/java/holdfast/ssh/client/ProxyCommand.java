package holdfast.ssh.client;

import holdfast.ssh.config.Route;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.Reason;
import holdfast.ssh.octets.Octets;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * The way to the server over the stdin and stdout of a command, which shares our stderr and our
 * terminal.
 *
 * <p>It never outlives us, however we end: a guardian, a shell at the other end of a pipe that only
 * we hold, hangs it up as OpenSSH does when that pipe closes, and the kernel closes it even for a
 * process that was killed. What a hang-up does not end is terminated a second later.
 */
final class ProxyCommand implements ByteChannel {

    /** Reads the command's process number, then waits for us to end. */
    private static final String GUARDIAN =
            """
            trap '' HUP INT QUIT TERM
            read -r p || exit 0
            read -r end
            all="$p $(cat /proc/$p/task/$p/children 2>/dev/null)"
            kill -HUP $all 2>/dev/null
            for i in 1 2 3 4 5 6 7 8 9 10; do
                kill -0 $p 2>/dev/null || exit 0
                sleep 0.1
            done
            kill -TERM $all 2>/dev/null
            """;

    /** A command that closes its stdin is given so long to end, and its end then is the news. */
    private static final long END_MILLIS = 1000;

    /** One transfer: what a pipe holds. */
    private static final int CHUNK = 64 * 1024;

    private final Process process;
    private final Process guardian;
    private final InputStream in;
    private final OutputStream out;
    private final byte[] reading = new byte[CHUNK];
    private final byte[] writing = new byte[CHUNK];
    private volatile boolean closed;

    private ProxyCommand(Process process, Process guardian) {
        this.process = process;
        this.guardian = guardian;
        in = process.getInputStream();
        out = process.getOutputStream();
    }

    static ProxyCommand start(Route.Command command, Log log) throws ClientFailure {
        log.debug("Executing proxy command: " + command.line());
        Process guardian;
        try {
            guardian =
                    new ProcessBuilder("/bin/sh", "-c", GUARDIAN)
                            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                            .redirectError(ProcessBuilder.Redirect.DISCARD)
                            .start();
        } catch (IOException e) {
            throw new ClientFailure("proxy command could not be started: " + e.getMessage());
        }
        try {
            Process process =
                    new ProcessBuilder(Octets.words(List.of(command.shell(), "-c", command.line())))
                            .redirectError(ProcessBuilder.Redirect.INHERIT)
                            .start();
            guardian.getOutputStream()
                    .write((process.pid() + "\n").getBytes(StandardCharsets.US_ASCII));
            guardian.getOutputStream().flush();
            // Its number may then belong to another.
            var _ = process.onExit().thenRun(guardian::destroyForcibly);
            return new ProxyCommand(process, guardian);
        } catch (IOException e) {
            guardian.destroyForcibly();
            String reason = Reason.ofProgram(e);
            throw new ClientFailure(
                    command.shell() + ": " + (reason == null ? Reason.of(e) : reason));
        }
    }

    @Override
    public int read(ByteBuffer into) throws IOException {
        int count = in.read(reading, 0, Math.min(reading.length, into.remaining()));
        if (count > 0) {
            into.put(reading, 0, count);
        }
        return count;
    }

    @Override
    public int write(ByteBuffer from) throws IOException {
        int count = Math.min(writing.length, from.remaining());
        from.get(writing, 0, count);
        try {
            out.write(writing, 0, count);
            out.flush();
        } catch (IOException e) {
            if (!ends()) {
                throw e;
            }
        }
        return count;
    }

    /** Whether the command has ended or soon does: the reader then hears of it as an end. */
    private boolean ends() {
        try {
            return !closed && process.waitFor(END_MILLIS, TimeUnit.MILLISECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    @Override
    public boolean isOpen() {
        return !closed;
    }

    /** Hangs the command up; does not wait for its end. */
    @Override
    public void close() throws IOException {
        closed = true;
        // First, and whatever becomes of the others: it is the one that must happen.
        guardian.getOutputStream().close();
        out.close();
    }
}
