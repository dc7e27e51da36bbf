package holdfast.ssh.server.session;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.client.Client;
import holdfast.ssh.config.ClientConfig;
import holdfast.ssh.config.CommandLine;
import holdfast.ssh.config.Surroundings;
import holdfast.ssh.link.LinkLoop;
import holdfast.ssh.log.Log;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.channels.Channels;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Many bytes both ways at once, the keys renewed under them. */
@Timeout(120)
class BulkTest {

    private static final String USER = System.getProperty("user.name");

    @TempDir Path directory;

    private final List<String> said = new CopyOnWriteArrayList<>();
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    private int run(SessionServer server, byte[] input, String... options) throws Exception {
        List<String> arguments = new ArrayList<>(List.of("-T", "-v"));
        arguments.addAll(server.options());
        arguments.addAll(List.of(options));
        arguments.addAll(List.of("-p", String.valueOf(server.port), USER + "@127.0.0.1", "cat"));
        Surroundings surroundings = Surroundings.ofProcess();
        Log log = new Log(Log.Level.DEBUG1, said::add);
        ClientConfig config =
                ClientConfig.resolve(CommandLine.parse(arguments, surroundings), surroundings, log);
        Client.Streams streams =
                new Client.Streams(
                        Channels.newChannel(new ByteArrayInputStream(input)),
                        Channels.newChannel(out),
                        Channels.newChannel(new ByteArrayOutputStream()));
        return new Client(
                        config.settings(),
                        surroundings.environment(),
                        streams,
                        null,
                        (prompt, echo) -> null,
                        log,
                        LinkLoop.Watcher.NOBODY)
                .run();
    }

    private long keyExchanges() {
        return said.stream().filter(line -> line.contains("SSH2_MSG_NEWKEYS received")).count();
    }

    @ParameterizedTest
    @CsvSource({
        "aes256-gcm@openssh.com, hmac-sha2-256",
        "aes128-gcm@openssh.com, hmac-sha2-256",
        "chacha20-poly1305@openssh.com, hmac-sha2-256",
        "aes128-ctr, hmac-sha2-256-etm@openssh.com",
        "aes256-ctr, hmac-sha2-256"
    })
    void every_byte_arrives_with_every_cipher_while_the_keys_are_renewed(String cipher, String mac)
            throws Exception {
        byte[] bytes = new byte[12_000_000];
        new Random(cipher.hashCode()).nextBytes(bytes);
        try (SessionServer server = new SessionServer(directory)) {
            assertThat(run(server, bytes, "-c", cipher, "-m", mac, "-o", "RekeyLimit=1M")).isZero();
        }
        assertThat(Arrays.equals(out.toByteArray(), bytes)).isTrue();
        assertThat(keyExchanges()).isGreaterThan(5);
    }
}
