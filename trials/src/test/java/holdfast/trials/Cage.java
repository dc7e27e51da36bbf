package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.stream.Stream;

/** A directory that can be somebody's root: some programs of this machine, and their home. */
final class Cage implements AutoCloseable {

    final Path root;
    final Path home;

    private Cage(Path root, Path home) {
        this.root = root;
        this.home = home;
    }

    /** Everything above it is root's alone, as it has to be. */
    static Cage of(Stage stage, Somebody somebody, String... programs) throws Exception {
        Path root = Files.createTempDirectory(Path.of("/run"), "hft");
        Cage cage = new Cage(root, root.resolve(somebody.home.toString().substring(1)));
        Files.setPosixFilePermissions(root, PosixFilePermissions.fromString("rwxr-xr-x"));
        for (String program : programs) {
            cage.copy(Path.of(program));
            stage.run("ldd", program)
                    .end(Duration.ofSeconds(30))
                    .out()
                    .lines()
                    .flatMap(line -> Stream.of(line.strip().split("\\s+")))
                    .filter(word -> word.startsWith("/"))
                    .forEach(library -> cage.copy(Path.of(library)));
        }
        Files.createDirectories(cage.home);
        Files.createDirectory(root.resolve("tmp"));
        Files.createDirectories(root.resolve("etc"));
        Files.setPosixFilePermissions(
                root.resolve("tmp"), PosixFilePermissions.fromString("rwxrwxrwx"));
        assertThat(
                        stage.run("chown", "-R", somebody.name, cage.home.toString())
                                .end(Duration.ofSeconds(30))
                                .status())
                .isZero();
        return cage;
    }

    private void copy(Path file) {
        try {
            Path copy = root.resolve(file.toString().substring(1));
            Files.createDirectories(copy.getParent());
            if (!Files.exists(copy)) {
                Files.copy(file.toRealPath(), copy);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        Trees.remove(root);
    }
}
