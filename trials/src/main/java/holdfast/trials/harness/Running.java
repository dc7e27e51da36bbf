package holdfast.trials.harness;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * A process that a trial has started. Three threads pump its streams; none of them virtual, because
 * reads of pipes hold their carriers, and after ten silent minutes there was none left to feed nft.
 */
public final class Running {

    private final List<String> argv;
    private final Process process;
    private final long startedAt;
    private final Captured out;
    private final Captured err;
    private final CompletableFuture<Long> endedAt;

    Running(
            List<String> argv,
            Process process,
            long startedAt,
            Captured out,
            Captured err,
            @Nullable InputStream input,
            @Nullable OutputStream outTo,
            @Nullable OutputStream errTo) {
        this.argv = argv;
        this.process = process;
        this.startedAt = startedAt;
        this.out = out;
        this.err = err;
        this.endedAt = process.onExit().thenApply(ended -> System.nanoTime());
        pump(process.getInputStream(), outTo == null ? out : outTo, out);
        pump(process.getErrorStream(), errTo == null ? err : errTo, err);
        if (input != null) {
            Thread.ofPlatform().daemon().start(() -> feed(input, process.getOutputStream()));
        }
    }

    public long pid() {
        return process.pid();
    }

    public boolean alive() {
        return process.isAlive();
    }

    public OutputStream stdin() {
        return process.getOutputStream();
    }

    public Captured out() {
        return out;
    }

    public Captured err() {
        return err;
    }

    public List<String> argv() {
        return argv;
    }

    /** Waits for its end. If that takes longer it is killed, and the trial has failed. */
    public Ended end(Duration patience) throws InterruptedException {
        if (!process.waitFor(patience.toMillis(), TimeUnit.MILLISECONDS)) {
            String state = "out ‹" + tail(out.text()) + "› err ‹" + tail(err.text()) + "›";
            kill();
            throw new AssertionError(
                    "still running after " + patience + ": " + argv + "; " + state);
        }
        // A grandchild may hold the pipes open for longer: what it writes is not waited for.
        boolean whole = out.awaitEnd(Duration.ofSeconds(5)) && err.awaitEnd(Duration.ofSeconds(2));
        long end = endedAt.join();
        return new Ended(
                process.exitValue(),
                out.text(),
                whole ? err.text() : err.text() + "(a pipe of it is still open)",
                Duration.ofNanos(end - startedAt),
                end);
    }

    /** Still running after this long? For what is to hang. */
    public boolean outlasts(Duration time) throws InterruptedException {
        return !process.waitFor(time.toMillis(), TimeUnit.MILLISECONDS);
    }

    /** What is known of it now, for the text of a failed trial. */
    public String report() {
        return argv
                + (alive() ? " runs" : " ended with " + process.exitValue())
                + "; out ‹"
                + tail(out.text())
                + "› err ‹"
                + tail(err.text())
                + "›";
    }

    public void signal(String name) {
        Signals.send(name, List.of(pid()));
    }

    public void kill() {
        process.destroyForcibly();
    }

    /** The most memory it has held at once, in KiB; 0 when it has ended. */
    public long peakKib() {
        return peakKib(pid());
    }

    /** The most memory that a process has held at once, in KiB; 0 when it has ended. */
    public static long peakKib(long pid) {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/" + pid + "/status"))) {
                if (line.startsWith("VmHWM:")) {
                    return Long.parseLong(line.replaceAll("[^0-9]", ""));
                }
            }
        } catch (IOException gone) {
            return 0;
        }
        return 0;
    }

    private static String tail(String text) {
        return text.length() > 2000 ? "…" + text.substring(text.length() - 2000) : text;
    }

    private static void pump(InputStream from, OutputStream to, Captured end) {
        Thread.ofPlatform()
                .daemon()
                .start(() -> {
                    try (from) {
                        from.transferTo(to);
                    } catch (IOException gone) {
                        // The reader had enough, or the process is gone: both are the end.
                    } finally {
                        end.close();
                    }
                });
    }

    private static void feed(InputStream from, OutputStream to) {
        try (from;
                to) {
            from.transferTo(to);
        } catch (IOException gone) {
            // The process stopped reading, as head(1) does.
        } catch (UncheckedIOException gone) {
            // The same, from a stream that is made up as it is read.
        }
    }
}
