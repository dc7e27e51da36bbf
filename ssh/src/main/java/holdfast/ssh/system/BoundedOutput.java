package holdfast.ssh.system;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** What a program prints, bounded in time and in length; run as we are, without a shell. */
public final class BoundedOutput {

    private BoundedOutput() {}

    /**
     * Runs it to its end, without input.
     *
     * @param name what it is called in messages
     * @param errors where its standard error goes
     * @param most bytes that it may print
     * @throws IOException in one line, why there is no output to be trusted
     */
    public static byte[] of(
            String name,
            List<String> words,
            ProcessBuilder.Redirect errors,
            Duration limit,
            int most)
            throws IOException {
        ProcessBuilder builder = new ProcessBuilder(words);
        builder.redirectInput(Path.of("/dev/null").toFile());
        builder.redirectError(errors);
        Process process = builder.start();
        // Ends it from outside, so that a program that neither speaks nor ends holds nobody.
        CompletableFuture<Void> alarm =
                CompletableFuture.runAsync(
                        () -> {
                            process.descendants().forEach(ProcessHandle::destroyForcibly);
                            process.destroyForcibly();
                        },
                        CompletableFuture.delayedExecutor(limit.toMillis(), TimeUnit.MILLISECONDS));
        try (InputStream out = process.getInputStream()) {
            byte[] said = out.readNBytes(most + 1);
            if (said.length > most) {
                throw new IOException(name + " said more than " + most + " bytes");
            }
            int status = process.waitFor();
            if (status != 0) {
                throw new IOException(name + " " + words.getFirst() + " failed, status " + status);
            }
            return said;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IOException(name + " interrupted", e);
        } finally {
            alarm.cancel(false);
            process.destroyForcibly();
        }
    }
}
