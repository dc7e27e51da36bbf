package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Sshd;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** How keys are agreed on with OpenSSH at the other end. */
@ExtendWith(Staged.class)
final class KexTrial {

    private static final Duration SOON = Duration.ofSeconds(60);

    private static final String SNTRUP = "sntrup761x25519-sha512";

    private static final String[] RENEWING = {
        "-v", "-oRekeyLimit=1M", "trial", "head -c 5000000 /dev/zero"
    };

    @Test
    void a_server_that_has_nothing_but_sntrup761_is_spoken_to_and_keys_are_renewed(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd("KexAlgorithms " + SNTRUP + "@openssh.com");
        RandomBytes.thereAndBack(
                stage.own(sshd.client(Client.holdfast(), "-oRekeyLimit=1M", "trial", "cat")),
                10_000_000);
        renewed(
                stage.own(sshd.client(Client.holdfast(), RENEWING)).end(SOON),
                SNTRUP + "@openssh.com");
    }

    /** It is what the two choose by themselves, as OpenSSH 9.0 to 9.9 do among themselves. */
    @Test
    void openssh_s_client_has_sntrup761_of_our_server_and_keys_are_renewed(Stage stage)
            throws Exception {
        Sshd sshd = stage.holdfastSshd();
        RandomBytes.thereAndBack(
                stage.openSsh(sshd, "-oRekeyLimit=1M", "trial", "cat"), 10_000_000);
        renewed(stage.openSsh(sshd, RENEWING).end(SOON), SNTRUP);
    }

    private static void renewed(Ended ended, String by) {
        assertThat(ended.status()).as(ended.err()).isZero();
        assertThat(ended.out()).hasSize(5_000_000);
        List<String> exchanges =
                ended.err().lines().filter(line -> line.contains("kex: algorithm: ")).toList();
        // A renewal that takes long lets much through, on a busy machine nearly all.
        assertThat(exchanges).hasSizeGreaterThan(1).containsOnly("debug1: kex: algorithm: " + by);
    }
}
