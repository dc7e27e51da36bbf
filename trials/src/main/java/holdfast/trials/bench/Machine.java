package holdfast.trials.bench;

import holdfast.trials.harness.Command;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/** What the figures were made on: part of every figure. */
final class Machine {

    private Machine() {}

    static String described() throws IOException, InterruptedException {
        String processor = "unknown processor";
        for (String line : Files.readAllLines(Path.of("/proc/cpuinfo"), StandardCharsets.UTF_8)) {
            if (line.startsWith("model name")) {
                processor = line.substring(line.indexOf(':') + 1).strip();
                break;
            }
        }
        String ssh = Command.of("/usr/bin/ssh", "-V").end(Duration.ofSeconds(10)).err().strip();
        return "%d × %s, Linux %s, %s, JDK %s"
                .formatted(
                        Runtime.getRuntime().availableProcessors(),
                        processor,
                        System.getProperty("os.version"),
                        ssh.split(",", 2)[0],
                        Runtime.version().feature());
    }
}
