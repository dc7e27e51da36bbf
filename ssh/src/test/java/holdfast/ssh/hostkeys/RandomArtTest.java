package holdfast.ssh.hostkeys;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.config.ServerSettings.FingerprintHash;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;

class RandomArtTest {

    @Test
    void a_picture_is_what_ssh_keygen_draws() {
        assertThat(
                        RandomArt.of(
                                "RSA",
                                2048,
                                "SHA256",
                                HexFormat.of()
                                        .parseHex(
                                                "c8142e937fe997e6d4ba744ff43b6a98"
                                                        + "fd87ae531a5b62b3cc25e4122ba9fd1c")))
                .isEqualTo(
                        """
                        +---[RSA 2048]----+
                        |      .          |
                        |     o .         |
                        |    + o          |
                        |     * . .. .    |
                        |      + S. =  .  |
                        |       oo ooB.+. |
                        |       o..E=*%...|
                        |      . .B *B=..o|
                        |         .*.o==oo|
                        +----[SHA256]-----+\
                        """);
    }

    @Test
    void the_field_has_nine_rows_of_seventeen_whatever_the_hash() {
        for (int b = 0; b < 256; b++) {
            byte[] digest = new byte[32];
            java.util.Arrays.fill(digest, (byte) b);
            String[] lines = RandomArt.of("RSA", 16384, "SHA256", digest).split("\n", -1);
            assertThat(lines).hasSize(11).allMatch(line -> line.length() == 19);
        }
    }

    @Test
    void the_picture_is_of_the_hash_that_was_asked_for() {
        HostKey key = Given.key(Given.ED25519);
        assertThat(RandomArt.of(FingerprintHash.MD5, key)).endsWith("+------[MD5]------+");
        assertThat(RandomArt.of(FingerprintHash.SHA256, key)).endsWith("+----[SHA256]-----+");
    }

    @Test
    void a_corner_that_he_never_leaves_has_the_last_mark() {
        String art = RandomArt.of("X", 1, "MD5", HexFormat.of().parseHex("00".repeat(32)));
        assertThat(art.split("\n", -1)[1]).startsWith("|E");
    }
}
