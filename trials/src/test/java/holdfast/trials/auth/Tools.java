package holdfast.trials.auth;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** OpenSSH's own tools, run to make what the tests read. */
final class Tools {

    private Tools() {}

    static Path keygen(Path directory, String name, String passphrase, String... options)
            throws IOException, InterruptedException {
        Path file = directory.resolve(name);
        java.util.ArrayList<String> command =
                new java.util.ArrayList<>(
                        List.of(
                                "ssh-keygen",
                                "-q",
                                "-N",
                                passphrase,
                                "-C",
                                "a comment",
                                "-f",
                                file.toString()));
        command.addAll(List.of(options));
        run(command);
        return file;
    }

    static String run(List<String> command) throws IOException, InterruptedException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        process.getOutputStream().close();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
        assertThat(process.exitValue()).as(said).isZero();
        return said;
    }

    static String read(Path file) throws IOException {
        return Files.readString(file, StandardCharsets.ISO_8859_1);
    }
}
