package holdfast.trials.harness;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * The ssh client on trial: system property {@code holdfast.client}, or {@code holdfast ssh} of this
 * checkout. A trial that speaks of ssh in general must hold for {@code /usr/bin/ssh} too, which is
 * how the trials themselves are tried.
 *
 * @param argv the words that start it
 * @param openSsh whether it is OpenSSH's own
 */
public record Client(List<String> argv, boolean openSsh) {

    private static final class UnderTest {
        static final Client CLIENT = find();
    }

    /** The one on trial, built and warm: the first call may take minutes on a fresh checkout. */
    public static Client underTest() {
        return UnderTest.CLIENT;
    }

    /** OpenSSH's client, for comparison. */
    public static Client reference() {
        return new Client(List.of("/usr/bin/ssh"), true);
    }

    /** {@code holdfast ssh} of this checkout, whatever is on trial. */
    public static Client holdfast() {
        return new Client(List.of(checkout().resolve("holdfast").toString(), "ssh"), false);
    }

    /** The directory that holds the launcher, looked for upwards from the working directory. */
    public static Path checkout() {
        Path start = Path.of(System.getProperty("maven.multiModuleProjectDirectory", ""));
        for (Path at = start.toAbsolutePath(); at != null; at = at.getParent()) {
            if (Files.isRegularFile(at.resolve("holdfast"))) {
                return at;
            }
        }
        throw new AssertionError(
                "no launcher named holdfast in this directory or above it;"
                        + " -Dholdfast.client=/usr/bin/ssh puts another client on trial");
    }

    /** The launcher itself, for its other commands. */
    public Path launcher() {
        return Path.of(argv.getFirst());
    }

    /**
     * One path that is this client, for programs that take no more ({@code sftp -S}): the launcher
     * under the name {@code ssh}, or OpenSSH itself.
     */
    public Path asOneProgram(Path directory) {
        if (argv.size() == 1) {
            return Path.of(argv.getFirst());
        }
        try {
            Path link = directory.resolve("ssh");
            if (!Files.exists(link)) {
                Files.createSymbolicLink(link, Path.of(argv.getFirst()));
            }
            return link;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Runs it once, so that building and the making of caches are no part of any trial. */
    public Client warm() {
        List<String> words = new ArrayList<>(argv);
        words.add("-V");
        try {
            for (int i = 0; i < 2; i++) {
                Ended ended = Command.of(words).end(Duration.ofMinutes(6));
                if (ended.status() != 0) {
                    throw new AssertionError(
                            words + " exits " + ended.status() + ": " + ended.err() + ended.out());
                }
                if (ended.err().startsWith("OpenSSH_") && !ended.err().contains("Holdfast")) {
                    return new Client(argv, true);
                }
            }
        } catch (InterruptedException e) {
            throw new AssertionError("interrupted while " + words + " was tried", e);
        }
        return this;
    }

    private static Client find() {
        String named = System.getProperty("holdfast.client", "").strip();
        Client client =
                named.isEmpty() ? holdfast() : new Client(List.of(named.split(" +", -1)), false);
        return client.warm();
    }
}
