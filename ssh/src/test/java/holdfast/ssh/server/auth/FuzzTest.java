package holdfast.ssh.server.auth;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.auth.Certificate;
import holdfast.ssh.auth.Krl;
import holdfast.ssh.auth.PublicIdentity;
import holdfast.ssh.auth.Wire;
import holdfast.ssh.config.ServerConfig;
import holdfast.ssh.crypto.JdkCrypto;
import holdfast.ssh.log.Log;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.apache.sshd.client.SshClient;
import org.apache.sshd.client.session.ClientSession;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Garbage, and good things gone a little wrong. -Dfuzz.seed=N repeats a run. */
@Timeout(120)
class FuzzTest {

    private static final String ALPHABET =
            "abc=,\"\\ \t#-:*!/%@[]0123 restrict command from ssh-ed25519 environment permitopen ";

    @TempDir Path directory;

    private final long seed = Long.getLong("fuzz.seed", System.nanoTime());
    private final Random random = new Random(seed);

    FuzzTest() {
        System.out.println("FuzzTest: -Dfuzz.seed=" + seed);
    }

    private byte[] mutated(byte[] good) {
        byte[] bytes = good.clone();
        switch (random.nextInt(4)) {
            case 0 -> {
                for (int i = random.nextInt(4); i >= 0 && bytes.length > 0; i--) {
                    bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
                }
            }
            case 1 -> bytes = java.util.Arrays.copyOf(bytes, random.nextInt(bytes.length + 1));
            case 2 -> {
                bytes = java.util.Arrays.copyOf(bytes, bytes.length + 1 + random.nextInt(9));
                bytes[bytes.length - 1] = (byte) random.nextInt(256);
            }
            default -> {
                if (bytes.length > 4) { // a length that lies
                    int at = random.nextInt(bytes.length - 4);
                    bytes[at] = (byte) (random.nextBoolean() ? 0xff : 0);
                    bytes[at + 1] = (byte) random.nextInt(256);
                }
            }
        }
        return bytes;
    }

    private String text() {
        StringBuilder text = new StringBuilder();
        for (int i = random.nextInt(60); i > 0; i--) {
            int at = random.nextInt(ALPHABET.length());
            text.append(ALPHABET, at, Math.min(ALPHABET.length(), at + 1 + random.nextInt(12)));
        }
        return text.toString();
    }

    @Test
    void no_authorized_keys_file_stops_the_search_or_lets_a_stranger_in() throws Exception {
        House.keygen("-t", "ed25519", "-f", directory.resolve("mine").toString());
        House.keygen("-t", "ed25519", "-f", directory.resolve("theirs").toString());
        String mine = House.line(directory.resolve("mine"));
        PublicIdentity me = Objects.requireNonNull(KeyCheck.keyAt(mine));
        PublicIdentity stranger =
                Objects.requireNonNull(KeyCheck.keyAt(House.line(directory.resolve("theirs"))));
        Path home = directory.resolve("home");
        Files.createDirectories(home.resolve(".ssh"));
        House.Residents residents = new House.Residents(home);
        KeyCheck check =
                new KeyCheck(
                        residents,
                        ServerConfig.of(List.of("HostKey /none")).global(),
                        Objects.requireNonNull(residents.account("guest")),
                        "192.0.2.1",
                        () -> "192.0.2.1",
                        "192.0.2.1 1 192.0.2.2 22",
                        1_800_000_000L,
                        Log.silent(),
                        text -> {});
        for (int i = 0; i < 400; i++) {
            StringBuilder file = new StringBuilder();
            for (int line = random.nextInt(6); line >= 0; line--) {
                String good = text() + " " + mine;
                file.append(
                                random.nextInt(3) == 0
                                        ? text()
                                        : new String(
                                                mutated(good.getBytes(ISO_8859_1)), ISO_8859_1))
                        .append('\n');
            }
            Files.write(home.resolve(".ssh/authorized_keys"), file.toString().getBytes(ISO_8859_1));
            assertThat(check.allowed(stranger, null)).as("seed " + seed).isNull();
            check.allowed(me, null);
            Files.writeString(
                    home.resolve(".ssh/authorized_keys"),
                    "\n" + mine + "\n",
                    java.nio.file.StandardOpenOption.APPEND);
            assertThat(check.allowed(me, null)).as("seed " + seed + "\n" + file).isNotNull();
        }
    }

    @Test
    void options_either_mean_something_or_are_refused() {
        int understood = 0;
        for (int i = 0; i < 20_000; i++) {
            try {
                KeyOptions.parse(text());
                understood++;
            } catch (KeyOptions.Bad e) {
                assertThat(e.reason()).as("seed " + seed).isNotEmpty();
            }
        }
        assertThat(understood).isLessThan(20_000);
    }

    @Test
    void a_revocation_list_and_a_certificate_are_read_or_refused() throws Exception {
        Path key = directory.resolve("id");
        House.keygen("-t", "ed25519", "-f", key.toString());
        House.keygen("-s", key.toString(), "-I", "x", "-n", "guest", "-z", "5", key + ".pub");
        Path spec = directory.resolve("spec");
        Files.writeString(
                spec,
                "serial: 1-7\nserial: 9\nid: y\nkey: "
                        + House.line(key)
                        + "\nsha256: "
                        + House.line(key)
                        + "\n");
        Path krl = directory.resolve("krl");
        House.keygen("-k", "-f", krl.toString(), "-s", key + ".pub", spec.toString());
        byte[] good = Files.readAllBytes(krl);
        PublicIdentity certificate =
                Objects.requireNonNull(
                        PublicIdentity.ofText(Files.readString(Path.of(key + "-cert.pub"))));
        assertThat(Krl.of(good).revokes(certificate)).isTrue();
        for (int i = 0; i < 5_000; i++) {
            try {
                Krl.of(mutated(good)).revokes(certificate);
            } catch (Wire.Malformed refused) {
                assertThat(refused.getMessage()).isNotEmpty();
            }
            byte[] blob = mutated(certificate.blob());
            try {
                Certificate.of(PublicIdentity.of(blob));
                // Only what was not changed after all has a signature that holds.
                assertThat(blob).as("seed " + seed).isEqualTo(certificate.blob());
            } catch (Wire.Malformed refused) {
                assertThat(refused.getMessage()).isNotEmpty();
            }
        }
    }

    /** A client that has exchanged keys and then sends anything at all. */
    @Test
    void no_packet_before_login_lets_in_or_hurts_the_server() throws Exception {
        JdkCrypto.install();
        try (House house = House.open(directory, "MaxStartups 100", "LoginGraceTime 60")) {
            Path key = house.key("id");
            house.authorize(House.line(key));
            byte[] blob = Objects.requireNonNull(KeyCheck.keyAt(House.line(key))).blob();
            try (SshClient client = SshClient.setUpDefaultClient()) {
                client.setServerKeyVerifier((session, address, hostKey) -> true);
                client.start();
                for (int round = 0; round < 25; round++) {
                    ClientSession session =
                            client.connect("guest", "127.0.0.1", house.port)
                                    .verify(Duration.ofSeconds(20))
                                    .getSession();
                    assertThat(
                                    session.waitFor(
                                            List.of(ClientSession.ClientSessionEvent.WAIT_AUTH),
                                            Duration.ofSeconds(20)))
                            .isNotEmpty();
                    batter(session, blob);
                    session.close(true).await(5, TimeUnit.SECONDS);
                }
            }
            assertThat(house.logins).as("seed " + seed).isEmpty();
            assertThat(house.log()).as("seed " + seed).doesNotContain("Accepted publickey");
            assertThat(house.ssh("guest", List.of(key)).out())
                    .as("seed " + seed)
                    .isEqualTo("in as guest\n");
        }
    }

    private void batter(Session session, byte[] blob) throws Exception {
        for (int i = 0; i < 12 && session.isOpen(); i++) {
            Wire.Writer request =
                    new Wire.Writer()
                            .text(random.nextInt(3) == 0 ? text() : "guest")
                            .text(random.nextInt(5) == 0 ? text() : "ssh-connection");
            switch (random.nextInt(4)) {
                case 0 ->
                        request.text("publickey")
                                .u8(1)
                                .text("ssh-ed25519")
                                .string(blob)
                                .string(
                                        new Wire.Writer()
                                                .text("ssh-ed25519")
                                                .string(new byte[64])
                                                .bytes());
                case 1 ->
                        request.text("publickey-hostbound-v00@openssh.com")
                                .u8(random.nextInt(2))
                                .text("ssh-ed25519")
                                .string(blob)
                                .string(blob);
                case 2 -> request.text("password").u8(random.nextInt(2)).text(text());
                default -> request.text(text());
            }
            byte[] body = mutated(request.bytes());
            ByteArrayBuffer buffer = new ByteArrayBuffer(body.length + 64);
            buffer.rpos(5);
            buffer.wpos(5);
            int command = random.nextInt(4) == 0 ? 50 + random.nextInt(50) : 50;
            buffer.putByte((byte) command);
            buffer.putRawBytes(body);
            try {
                session.writePacket(buffer);
            } catch (IOException closing) {
                return; // the server has heard enough
            }
        }
        if (random.nextBoolean()) {
            Thread.sleep(random.nextInt(40));
        }
    }
}
