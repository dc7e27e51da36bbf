package holdfast.ssh.system;

import holdfast.ssh.log.Reason;
import holdfast.ssh.octets.Octets;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** What a program prints, bounded in time and in length; run as we are, without a shell. */
public final class BoundedOutput {

    /** There is no such program, or it cannot be executed. */
    public static final class NotStarted extends IOException {
        private static final long serialVersionUID = 1;

        NotStarted(String reason, IOException cause) {
            super(reason, cause);
        }
    }

    /** A status above it tells of a signal, as the VM has it. */
    private static final int BY_SIGNAL = 128;

    /** Linux's signals; 255 is a status that programs choose. */
    private static final int LAST_SIGNAL = 64;

    private BoundedOutput() {}

    /**
     * Runs it to its end, without input.
     *
     * @param name what it is called in messages
     * @param errors where its standard error goes
     * @param most bytes that it may print
     * @throws NotStarted why it could not be executed, in the system's words
     * @throws IOException in one line, why there is no output to be trusted
     */
    public static byte[] of(
            String name,
            List<String> words,
            ProcessBuilder.Redirect errors,
            Duration limit,
            int most)
            throws IOException {
        ProcessBuilder builder = new ProcessBuilder(Octets.words(words));
        builder.redirectInput(Path.of("/dev/null").toFile());
        builder.redirectError(errors);
        Process process = start(builder);
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
                throw new IOException(name + " " + words.getFirst() + ended(status));
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

    private static Process start(ProcessBuilder builder) throws IOException {
        try {
            return builder.start();
        } catch (IOException e) {
            String reason = Reason.ofProgram(e);
            throw reason == null ? e : new NotStarted(reason, e);
        }
    }

    /** What became of a program, as OpenSSH says it behind its name. */
    public static String ended(int status) {
        return bySignal(status)
                ? " exited on signal " + (status - BY_SIGNAL)
                : " failed, status " + status;
    }

    /** Whether a signal ended a program, by its status. */
    public static boolean bySignal(int status) {
        return status > BY_SIGNAL && status <= BY_SIGNAL + LAST_SIGNAL;
    }
}
