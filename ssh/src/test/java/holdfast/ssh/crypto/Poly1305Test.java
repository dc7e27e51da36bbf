package holdfast.ssh.crypto;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Random;
import org.apache.sshd.common.mac.Poly1305Mac;
import org.junit.jupiter.api.Test;

class Poly1305Test {

    private static final String ZERO = "00".repeat(16);
    private static final String IETF =
            "Any submission to the IETF intended by the Contributor for publication as all or part"
                    + " of an IETF Internet-Draft or RFC and any statement made within the context of"
                    + " an IETF activity is considered an \"IETF Contribution\". Such statements"
                    + " include oral statements in IETF sessions, as well as written and electronic"
                    + " communications made at any time or place, which are addressed to";
    private static final String JABBERWOCKY =
            """
            'Twas brillig, and the slithy toves
            Did gyre and gimble in the wabe:
            All mimsy were the borogoves,
            And the mome raths outgrabe.\
            """;

    @Test
    void the_example_of_rfc_8439_section_2_5_2() {
        assertThat(
                        tag(
                                "85d6be7857556d337f4452fe42d506a80103808afb0db2fd4abff6af4149f51b",
                                text("Cryptographic Forum Research Group")))
                .isEqualTo("a8061dc1305136c6c22b8baf0c0127a9");
    }

    @Test
    void the_vectors_of_rfc_8439_appendix_a_3() {
        String ietf = "36e5f6b5c5e06070f0efca96227a863e";
        assertThat(tag(ZERO + ZERO, hex("00".repeat(64)))).isEqualTo(ZERO);
        assertThat(tag(ZERO + ietf, text(IETF))).isEqualTo(ietf);
        assertThat(tag(ietf + ZERO, text(IETF))).isEqualTo("f3477e7cd95417af89a6b8794c310cf0");
        assertThat(
                        tag(
                                "1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0",
                                text(JABBERWOCKY)))
                .isEqualTo("4541669a7eaaee61e708dc7cbcc5eb62");
    }

    @Test
    void the_sums_around_the_prime_of_rfc_8439_appendix_a_3() {
        String one = "01" + "00".repeat(15);
        String two = "02" + "00".repeat(15);
        String three = "03" + "00".repeat(15);
        String ones = "ff".repeat(16);
        assertThat(tag(two + ZERO, hex(ones))).isEqualTo(three);
        assertThat(tag(two + ones, hex(two))).isEqualTo(three);
        assertThat(tag(one + ZERO, hex(ones + "f0" + "ff".repeat(15) + "11" + "00".repeat(15))))
                .isEqualTo("05" + "00".repeat(15));
        assertThat(tag(one + ZERO, hex(ones + "fb" + "fe".repeat(15) + "01".repeat(16))))
                .isEqualTo(ZERO);
        assertThat(tag(two + ZERO, hex("fd" + "ff".repeat(15)))).isEqualTo("fa" + "ff".repeat(15));
        String r = "01" + "00".repeat(7) + "04" + "00".repeat(7);
        String blocks =
                "e33594d7505e43b900000000000000003394d7505e4379cd0100000000000000"
                        + "00000000000000000000000000000000";
        assertThat(tag(r + ZERO, hex(blocks + one))).isEqualTo("14000000000000005500000000000000");
        assertThat(tag(r + ZERO, hex(blocks))).isEqualTo("13" + "00".repeat(15));
    }

    @Test
    void every_message_has_the_tag_another_implementation_gives_it() throws Exception {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        Poly1305 ours = new Poly1305();
        Poly1305Mac theirs = new Poly1305Mac();
        for (int round = 0; round < 20_000; round++) {
            byte[] key = new byte[Poly1305.KEY_BYTES];
            byte[] message = new byte[random.nextInt(300)];
            random.nextBytes(key);
            random.nextBytes(message);
            // Long runs of ones reach the carries that random bytes never reach.
            if (round % 4 == 0) {
                Arrays.fill(key, 0, random.nextInt(33), (byte) 0xff);
                Arrays.fill(message, 0, random.nextInt(message.length + 1), (byte) 0xff);
            }
            theirs.init(key);
            theirs.update(message, 0, message.length);
            byte[] expected = theirs.doFinal();
            ours.init(key, 0);
            int cut = random.nextInt(message.length + 1);
            ours.update(message, 0, cut);
            ours.update(message, cut, message.length - cut);
            byte[] tag = new byte[Poly1305.TAG_BYTES];
            ours.finish(tag, 0);
            assertThat(tag).as("seed %d, round %d", seed, round).isEqualTo(expected);
        }
    }

    private static String tag(String key, byte[] message) {
        Poly1305 poly = new Poly1305();
        poly.init(hex(key), 0);
        poly.update(message, 0, message.length);
        byte[] tag = new byte[Poly1305.TAG_BYTES];
        poly.finish(tag, 0);
        return HexFormat.of().formatHex(tag);
    }

    private static byte[] hex(String digits) {
        return HexFormat.of().parseHex(digits);
    }

    private static byte[] text(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }
}
