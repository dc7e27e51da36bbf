package holdfast.ssh.crypto;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.time.Duration;
import java.util.List;
import org.apache.sshd.client.SshClient;
import org.apache.sshd.client.session.ClientSession;
import org.apache.sshd.common.NamedResource;
import org.apache.sshd.common.kex.KexProposalOption;
import org.apache.sshd.common.keyprovider.KeyPairProvider;
import org.apache.sshd.server.SshServer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class AlgorithmsTest {

    private static final List<String> MACS = List.of("hmac-sha2-256-etm@openssh.com");
    private static final List<String> SIGNATURES =
            List.of("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256");

    @BeforeAll
    static void install() {
        JdkCrypto.install();
    }

    @Test
    void a_connection_uses_the_key_exchange_and_cipher_it_was_told_to() throws Exception {
        List<List<String>> pairs =
                List.of(
                        List.of("mlkem768x25519-sha256", "chacha20-poly1305@openssh.com"),
                        List.of("sntrup761x25519-sha512", "aes128-ctr"),
                        List.of("sntrup761x25519-sha512@openssh.com", "aes256-ctr"),
                        List.of("curve25519-sha256", "aes256-gcm@openssh.com"),
                        List.of("curve25519-sha256@libssh.org", "aes128-gcm@openssh.com"),
                        List.of("ecdh-sha2-nistp256", "aes128-ctr"),
                        List.of("ecdh-sha2-nistp384", "aes192-ctr"),
                        List.of("ecdh-sha2-nistp521", "aes256-ctr"),
                        List.of("diffie-hellman-group14-sha256", "aes256-cbc"),
                        List.of("diffie-hellman-group-exchange-sha256", "aes128-cbc"),
                        List.of("curve25519-sha256", "3des-cbc"));
        for (List<String> pair : pairs) {
            connect(pair.get(0), pair.get(1), MACS.get(0), "Ed25519", "ssh-ed25519");
        }
    }

    @Test
    void a_group_is_as_strong_as_what_is_made_with_it() {
        assertThat(Algorithms.groupFor("3des-cbc", "umac-64@openssh.com")).isEqualTo(3072);
        assertThat(Algorithms.groupFor("aes128-gcm@openssh.com", "none of it")).isEqualTo(3072);
        assertThat(Algorithms.groupFor("aes128-ctr", "hmac-md5-96")).isEqualTo(3072);
        assertThat(Algorithms.groupFor("aes128-ctr", "hmac-sha1-96")).isEqualTo(7680);
        assertThat(Algorithms.groupFor("aes192-ctr", "umac-64-etm@openssh.com")).isEqualTo(7680);
        assertThat(Algorithms.groupFor("aes128-ctr", "hmac-sha2-256")).isEqualTo(8192);
        assertThat(Algorithms.groupFor("chacha20-poly1305@openssh.com", "")).isEqualTo(8192);
    }

    @Test
    void every_mac_carries_a_connection() throws Exception {
        for (String mac :
                List.of(
                        "umac-64-etm@openssh.com",
                        "umac-128-etm@openssh.com",
                        "umac-64@openssh.com",
                        "umac-128@openssh.com",
                        "hmac-sha2-256-etm@openssh.com",
                        "hmac-sha2-512-etm@openssh.com",
                        "hmac-sha1-etm@openssh.com",
                        "hmac-sha1-96-etm@openssh.com",
                        "hmac-md5-etm@openssh.com",
                        "hmac-md5-96-etm@openssh.com",
                        "hmac-sha2-256",
                        "hmac-sha2-512",
                        "hmac-sha1",
                        "hmac-sha1-96",
                        "hmac-md5",
                        "hmac-md5-96")) {
            connect("curve25519-sha256", "aes128-ctr", mac, "Ed25519", "ssh-ed25519");
        }
    }

    @Test
    void every_kind_of_host_key_is_verified() throws Exception {
        connect("curve25519-sha256", "aes128-ctr", MACS.get(0), "RSA", "rsa-sha2-512");
        connect("curve25519-sha256", "aes128-ctr", MACS.get(0), "EC", "ecdsa-sha2-nistp256");
    }

    @Test
    void names_stay_in_the_order_given_and_unknown_ones_are_left_out() {
        SshClient client = SshClient.setUpDefaultClient();
        Algorithms.install(
                client,
                Algorithms.Side.CLIENT,
                List.of("curve25519-sha256", "sntrup999x25519-sha512", "mlkem768x25519-sha256"),
                List.of("aes256-ctr", "aes999-ctr", "chacha20-poly1305@openssh.com"),
                List.of("umac-99@openssh.com", "hmac-sha2-512", "hmac-sha2-256"),
                List.of("rsa-sha2-256", "ssh-dss", "ssh-ed25519"));
        assertThat(NamedResource.getNameList(client.getKeyExchangeFactories()))
                .containsExactly("curve25519-sha256", "mlkem768x25519-sha256");
        assertThat(NamedResource.getNameList(client.getCipherFactories()))
                .containsExactly("aes256-ctr", "chacha20-poly1305@openssh.com");
        assertThat(NamedResource.getNameList(client.getMacFactories()))
                .containsExactly("hmac-sha2-512", "hmac-sha2-256");
        assertThat(NamedResource.getNameList(client.getSignatureFactories()))
                .containsExactly("rsa-sha2-256", "ssh-ed25519");
    }

    @Test
    void a_list_with_nothing_usable_is_an_error_of_one_line() {
        assertThatThrownBy(() -> Algorithms.signatures(List.of("ssh-dss")))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("Bad HostKeyAlgorithms \"ssh-dss\": none is available");
    }

    private static void connect(
            String kex, String cipher, String mac, String keyAlgorithm, String hostKey)
            throws Exception {
        KeyPair pair = KeyPairGenerator.getInstance(keyAlgorithm).generateKeyPair();
        if (keyAlgorithm.equals("EC")) {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
            generator.initialize(256);
            pair = generator.generateKeyPair();
        }
        SshServer server = SshServer.setUpDefaultServer();
        SshClient client = SshClient.setUpDefaultClient();
        try {
            server.setHost("127.0.0.1");
            server.setPort(0);
            server.setKeyPairProvider(KeyPairProvider.wrap(pair));
            server.setPasswordAuthenticator((user, password, session) -> password.equals("p"));
            Algorithms.install(
                    server,
                    Algorithms.Side.SERVER,
                    List.of(kex),
                    List.of(cipher),
                    List.of(mac),
                    SIGNATURES);
            server.start();
            client.setServerKeyVerifier((session, address, key) -> true);
            Algorithms.install(
                    client,
                    Algorithms.Side.CLIENT,
                    List.of(kex),
                    List.of(cipher),
                    List.of(mac),
                    List.of(hostKey));
            client.start();
            try (ClientSession session =
                    client.connect("u", "127.0.0.1", server.getPort())
                            .verify(Duration.ofSeconds(20))
                            .getSession()) {
                session.addPasswordIdentity("p");
                session.auth().verify(Duration.ofSeconds(20));
                assertThat(session.getNegotiatedKexParameter(KexProposalOption.ALGORITHMS))
                        .isEqualTo(kex);
                assertThat(session.getNegotiatedKexParameter(KexProposalOption.C2SENC))
                        .isEqualTo(cipher);
                assertThat(session.getNegotiatedKexParameter(KexProposalOption.SERVERKEYS))
                        .isEqualTo(hostKey);
                assertThat(new String(session.getSessionId(), StandardCharsets.ISO_8859_1))
                        .isNotEmpty();
                assertThat(session.reExchangeKeys().verify(Duration.ofSeconds(20)).isDone())
                        .isTrue();
            }
        } finally {
            client.stop();
            server.stop(true);
        }
    }
}
