package holdfast.core.tether;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

final class TetherLineTest {

    private static final TetherLine.Offer OFFER =
            new TetherLine.Offer(4096, some(32, 1), some(16, 2));
    private static final TetherLine.Resume RESUME =
            new TetherLine.Resume(
                    some(16, 3), 7, 1L << 40, 12, some(16, 4), some(Resumption.PROOF, 5));

    private static Bytes some(int length, int value) {
        byte[] bytes = new byte[length];
        Arrays.fill(bytes, (byte) value);
        return Bytes.of(bytes);
    }

    @Test
    void each_word_says_what_was_written() {
        assertThat(OFFER.word()).hasSize("tether-1=".length() + 67);
        assertThat(RESUME.word()).hasSize("tether-1-resume=".length() + 118);
        assertThat(TetherLine.of("SSH-2.0-Holdfast_0.1 " + OFFER.word())).isEqualTo(OFFER);
        assertThat(TetherLine.of(OFFER.word())).as("a line of its own").isEqualTo(OFFER);
        assertThat(TetherLine.of("SSH-2.0-Holdfast_0.1 " + OFFER.carryWord()))
                .isEqualTo(new TetherLine.Carry(OFFER));
        assertThat(TetherLine.of("SSH-2.0-Holdfast_0.1 " + RESUME.word())).isEqualTo(RESUME);
        assertThat(TetherLine.of("SSH-2.0-Holdfast_0.1 Debian-1 tether-2=x " + OFFER.word()))
                .as("among other words")
                .isEqualTo(OFFER);
    }

    @Test
    void the_longest_line_that_we_write_is_a_lawful_one() {
        assertThat("SSH-2.0-Holdfast_0.1 " + RESUME.word() + "\r\n")
                .hasSizeLessThanOrEqualTo(TetherLine.LONGEST);
    }

    @Test
    void anybody_elses_line_says_nothing() {
        String word = OFFER.word();
        for (String line :
                new String[] {
                    "",
                    "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3",
                    "SSH-2.0-" + word,
                    "SSH-1.99-x " + word,
                    "SSH-2.0-x " + word + "A",
                    "SSH-2.0-x " + word.substring(0, word.length() - 1),
                    "SSH-2.0-x " + word + "=",
                    "SSH-2.0-x\t" + word,
                    "SSH-2.0-x \u0000 " + word,
                    "SSH-2.0-x tether-2" + word.substring(8),
                    RESUME.word(),
                    "SSH-2.0-x " + "y".repeat(200) + " " + word,
                    "SSH-2.0-x " + "y".repeat(1 << 20),
                }) {
            assertThat(TetherLine.of(line)).as(line).isNull();
        }
    }

    @Test
    void a_window_too_small_and_offsets_out_of_order_are_no_words_of_ours() {
        assertThat(said(new TetherLine.Offer(63, some(32, 1), some(16, 2)).word())).isNull();
        assertThat(said(resume(0, 5, 5))).as("generation 0").isNull();
        assertThat(said(resume(-1, 5, 5))).as("beyond 63 bits").isNull();
        assertThat(said(resume(1, 5, 6))).as("taken before received").isNull();
        assertThat(said(resume(1, -5, -6))).isNull();
        assertThat(said(resume(1, 5, 5))).isNotNull();
    }

    private static String resume(long generation, long received, long taken) {
        return new TetherLine.Resume(
                        some(16, 3),
                        generation,
                        received,
                        taken,
                        some(16, 4),
                        some(Resumption.PROOF, 5))
                .word();
    }

    private static @Nullable TetherLine said(String word) {
        return TetherLine.of("SSH-2.0-x " + word);
    }

    @Test
    void there_is_one_way_to_write_each_word() {
        long seed = new SplittableRandom().nextLong();
        System.out.println("TetherLineTest seed " + seed);
        SplittableRandom dice = new SplittableRandom(seed);
        String[] words = {OFFER.word(), OFFER.carryWord(), RESUME.word()};
        for (int run = 0; run < 20_000; run++) {
            StringBuilder line = new StringBuilder("SSH-2.0-x " + words[dice.nextInt(3)]);
            for (int i = dice.nextInt(3); i >= 0; i--) {
                line.setCharAt(dice.nextInt(line.length()), (char) dice.nextInt(256));
            }
            TetherLine said = TetherLine.of(line.toString());
            String again =
                    switch (said) {
                        case null -> null;
                        case TetherLine.Offer offer -> offer.word();
                        case TetherLine.Carry carry -> carry.offer().carryWord();
                        case TetherLine.Resume resume -> resume.word();
                    };
            if (again != null) {
                assertThat(line.toString()).as("seed " + seed).contains(again);
            }
        }
    }

    @Test
    void a_greeting_consumes_its_lines_and_not_one_byte_more() {
        Greeting client = Greeting.ofClient();
        byte[] bytes = Bytes.ascii("SSH-2.0-x " + OFFER.word() + "\r\n\u0003\u0001");
        assertThat(fed(client, bytes)).isEqualTo(bytes.length - 2);
        assertThat(client.outcome())
                .isEqualTo(new Greeting.Outcome.Said("SSH-2.0-x " + OFFER.word(), OFFER));

        Greeting listener = Greeting.ofServer();
        byte[] lines = Bytes.ascii("hello\r\n" + OFFER.word() + "\r\nSSH-2.0-OpenSSH_9.2\r\nrest");
        assertThat(fed(listener, lines)).isEqualTo(lines.length - 4);
        assertThat(listener.outcome()).isEqualTo(new Greeting.Outcome.Said(OFFER.word(), OFFER));

        Greeting resuming = Greeting.ofServerToResume();
        assertThat(fed(resuming, lines))
                .isEqualTo(lines.length - "SSH-2.0-OpenSSH_9.2\r\nrest".length());

        Greeting plain = Greeting.ofServer();
        assertThat(fed(plain, Bytes.ascii("SSH-2.0-OpenSSH_9.2\r\n"))).isEqualTo(21);
        assertThat(plain.outcome()).isEqualTo(new Greeting.Outcome.Plain());
    }

    @Test
    void a_line_of_a_megabyte_is_plain_after_255_bytes() {
        Greeting client = Greeting.ofClient();
        byte[] bytes = new byte[1 << 20];
        Arrays.fill(bytes, (byte) 'a');
        assertThat(fed(client, bytes)).isEqualTo(256);
        assertThat(client.outcome()).isEqualTo(new Greeting.Outcome.Plain());
    }

    @Test
    void what_cannot_be_a_line_is_plain_at_once() {
        Greeting tls = Greeting.ofClient();
        assertThat(fed(tls, new byte[] {0x16, 3, 1, 0, (byte) 0xf1, 1, 0, 0, (byte) 0xed}))
                .isEqualTo(4);
        assertThat(tls.outcome()).isEqualTo(new Greeting.Outcome.Plain());
        Greeting returned = Greeting.ofClient();
        assertThat(fed(returned, Bytes.ascii("SSH-2.0-x\ry"))).isEqualTo(11);
        assertThat(returned.outcome()).isEqualTo(new Greeting.Outcome.Plain());
    }

    private static int fed(Greeting greeting, byte[] bytes) {
        int used = 0;
        while (used < bytes.length && greeting.outcome() == null) {
            used += greeting.read(bytes, used, 1);
        }
        return used;
    }
}
