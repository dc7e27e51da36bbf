package holdfast.ssh.octets;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class OctetsTest {

    @Test
    void what_is_utf_8_is_read_as_that() {
        for (String text : List.of("", "ls -l", "äöü €", "\ud83d\ude00")) {
            assertThat(Octets.text(text.getBytes(StandardCharsets.UTF_8))).isEqualTo(text);
        }
    }

    @Test
    void bytes_that_are_no_text_come_out_as_they_went_in() {
        long seed = System.nanoTime();
        Random random = new Random(seed);
        for (int i = 0; i < 2000; i++) {
            byte[] bytes = new byte[random.nextInt(12)];
            random.nextBytes(bytes);
            String read = Octets.text(bytes);
            assertThat(Octets.bytes(read))
                    .as("seed %d: %s as %s", seed, HexFormat.of().formatHex(bytes), read)
                    .isEqualTo(bytes);
        }
    }

    @Test
    void a_file_is_found_by_the_bytes_of_its_name(@TempDir Path directory) throws Exception {
        // Made by a shell: what Java makes of the names is what is tried.
        String script =
                "cd \"$0\" && mkdir \"$(printf 'd\\344')\" && cd d* && "
                        + "echo one >\"$(printf 'k\\344y')\" && echo two >\"$(printf 'k\\303\\244y')\"";
        assertThat(
                        new ProcessBuilder("/bin/sh", "-c", script, directory.toString())
                                .inheritIO()
                                .start()
                                .waitFor())
                .isZero();
        String below = directory + "/" + Octets.text(new byte[] {'d', (byte) 0xe4});
        String latin = below + "//" + Octets.text(new byte[] {'k', (byte) 0xe4, 'y'});
        assertThat(Files.readString(Octets.path(latin))).isEqualTo("one\n");
        assertThat(Files.readString(Octets.path(below + "/k\u00e4y"))).isEqualTo("two\n");
        assertThat(Octets.text(Octets.path(latin))).isEqualTo(latin.replace("//", "/"));
        assertThat(Octets.text(Octets.path(below))).isEqualTo(below);
        String relative = "x/../" + Octets.text(new byte[] {(byte) 0xff, ' ', '%', '?'});
        assertThat(Octets.path(relative).isAbsolute()).isFalse();
        assertThat(Octets.text(Octets.path(relative))).isEqualTo(relative);
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(Octets.path(below))) {
            List<String> names = new ArrayList<>();
            entries.forEach(entry -> names.add(Octets.text(entry)));
            assertThat(names)
                    .containsExactlyInAnyOrder(latin.replace("//", "/"), below + "/k\u00e4y");
        }
    }

    @Test
    void a_program_gets_its_words_as_they_were() throws Exception {
        List<String> words =
                List.of(
                        "/bin/sh",
                        "-c",
                        "printf '<%s>' \"$0\" \"$@\"",
                        Octets.text(new byte[] {'k', (byte) 0xe4, '7', '\\', 'n'}),
                        "\u00e4\n\n",
                        "",
                        "-n $x '`%s\"");
        Process process = new ProcessBuilder(Octets.words(words)).start();
        String said = Octets.text(process.getInputStream().readAllBytes());
        assertThat(process.waitFor()).isZero();
        assertThat(said).isEqualTo("<" + String.join("><", words.subList(3, words.size())) + ">");
        assertThat(Octets.words(words.subList(0, 3))).isEqualTo(words.subList(0, 3));
    }
}
