package holdfast.trials.harness;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Throw-away keys made by ssh-keygen, each once in the life of the JVM, because RSA keys cost
 * seconds. Their directory goes with the JVM.
 */
public final class Keys {

    /** The types that OpenSSH makes by itself. */
    public static final List<String> TYPES = List.of("ed25519", "ecdsa", "rsa");

    private static final Path DIRECTORY = temporary("holdfast-keys");
    private static final ConcurrentHashMap<String, Path> MADE = new ConcurrentHashMap<>();

    private Keys() {}

    /** A key without pass phrase. The name tells keys of one type apart. */
    public static Path of(String type, String name) {
        return of(type, name, "", "OpenSSH");
    }

    /**
     * A key in any of the formats that OpenSSH reads.
     *
     * @param passPhrase empty for none
     * @param format {@code OpenSSH}, {@code PEM} or {@code PKCS8}
     */
    public static Path of(String type, String name, String passPhrase, String format) {
        return MADE.computeIfAbsent(
                type + "-" + name + "-" + format + (passPhrase.isEmpty() ? "" : "-locked"),
                file -> make(DIRECTORY.resolve(file), type, passPhrase, format));
    }

    /** The line of its public half. */
    public static String publicLine(Path key) {
        try {
            return Files.readString(Path.of(key + ".pub")).strip();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static Path make(Path file, String type, String passPhrase, String format) {
        List<String> argv =
                new ArrayList<>(List.of("ssh-keygen", "-q", "-t", type, "-N", passPhrase));
        argv.addAll(List.of("-C", "trial@holdfast", "-f", file.toString()));
        if (type.equals("rsa")) {
            argv.addAll(List.of("-b", "2048"));
        }
        if (!format.equals("OpenSSH")) {
            argv.addAll(List.of("-m", format));
        }
        try {
            Ended ended = Command.of(argv).end(Duration.ofMinutes(1));
            if (ended.status() != 0) {
                throw new AssertionError(argv + ": " + ended.err());
            }
        } catch (InterruptedException e) {
            throw new AssertionError("interrupted in ssh-keygen", e);
        }
        return file;
    }

    /** A directory that is removed when the JVM ends, if nobody did before. */
    static Path temporary(String prefix) {
        try {
            Path directory = Files.createTempDirectory(prefix);
            Runtime.getRuntime().addShutdownHook(new Thread(() -> Trees.remove(directory)));
            return directory;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
