package holdfast.app.command;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.config.Surroundings;
import holdfast.ssh.log.Log;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a start is made of, which nobody sees and everybody waits for. */
class StartTest {

    private static final Pattern INITIALIZED = Pattern.compile("Initializing '([^']*)'");

    /** Each of them costs what no session without a terminal needs, by its first use alone. */
    private static final List<String> DEAR =
            List.of(
                    // 16 ms of powers of five; Duration multiplies and divides by way of it
                    "java/math/BigDecimal",
                    // 25 ms: a foreign function
                    "jdk/internal/foreign/abi/AbstractLinker",
                    // 8 ms: System.exit asks whether somebody logs it
                    "java/lang/System$Logger",
                    // 6 ms: a record that is compared by what the VM makes for it
                    "java/lang/runtime/ObjectMethods",
                    // 6 ms: a number with a decimal point, formatted
                    "java/text/DecimalFormatSymbols");

    @TempDir Path directory;

    @Test
    void a_short_command_pays_for_nothing_that_it_does_not_use() throws Exception {
        String user = Surroundings.ofProcess().localUser();
        Path log = directory.resolve("initialized");
        Path said = directory.resolve("said");
        try (OwnServer server = OwnServer.start(directory, user, 0, List.of(), Log.silent())) {
            Path knownHosts = directory.resolve("known_hosts");
            Files.writeString(knownHosts, server.knownHostsLine(server.port()) + "\n");
            Process client =
                    new ProcessBuilder(
                                    Path.of(System.getProperty("java.home"), "bin", "java")
                                            .toString(),
                                    "--enable-native-access=ALL-UNNAMED",
                                    "-Xlog:class+init=info:file=" + log,
                                    "-cp",
                                    System.getProperty("java.class.path"),
                                    "holdfast.app.Main",
                                    "ssh",
                                    "-F",
                                    "none",
                                    "-n",
                                    "-p",
                                    String.valueOf(server.port()),
                                    "-i",
                                    server.identity().toString(),
                                    "-oIdentitiesOnly=yes",
                                    "-oUserKnownHostsFile=" + knownHosts,
                                    // with one, the network is watched, by foreign functions
                                    "-oTether=no",
                                    "-s",
                                    "127.0.0.1",
                                    "sftp")
                            .redirectErrorStream(true)
                            .redirectOutput(said.toFile())
                            .start();
            try {
                assertThat(client.waitFor(60, TimeUnit.SECONDS)).isTrue();
                assertThat(client.exitValue()).as(Files.readString(said)).isEqualTo(0);
            } finally {
                client.destroyForcibly();
            }
        }
        Set<String> initialized =
                INITIALIZED
                        .matcher(Files.readString(log))
                        .results()
                        .map((MatchResult found) -> found.group(1))
                        .collect(Collectors.toSet());
        assertThat(initialized).contains("holdfast/ssh/client/SessionChannel");
        assertThat(initialized).doesNotContainAnyElementsOf(DEAR);
    }
}
