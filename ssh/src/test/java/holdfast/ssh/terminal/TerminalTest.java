package holdfast.ssh.terminal;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Under real pseudo-terminals made by script(1), with stty(1) as the judge. */
class TerminalTest {

    @TempDir Path dir;

    @ParameterizedTest
    @CsvSource({
        "/dev/pts/0, TERMINAL",
        "/dev/pts/117, TERMINAL",
        "/dev/pts/ptmx, UNCLEAR",
        "/dev/pts/3 (deleted), UNCLEAR",
        "/dev/pts/, UNCLEAR",
        "/dev/tty, UNCLEAR",
        "/dev/ttyS0, UNCLEAR",
        "/dev/console, UNCLEAR",
        "/7, UNCLEAR",
        "/, OTHER",
        "/dev/null, OTHER",
        "/dev/shm/x, OTHER",
        "pipe:[12], OTHER",
        "socket:[12], OTHER",
        "anon_inode:[eventpoll], OTHER",
        "/tmp/dev/pts/0, OTHER"
    })
    void the_name_of_what_is_open_tells_terminals_from_the_rest(String name, Terminal.Kind kind) {
        assertThat(Terminal.Kind.of(name)).isEqualTo(kind);
    }

    @Test
    void a_terminal_is_known_as_one_and_a_file_and_a_closed_descriptor_are_not() throws Exception {
        String notes = inTerminal("java istty >out.txt 9>&-");
        assertThat(notes).contains("istty truefalsefalse");
        assertThat(inTerminal("java istty 9</dev/tty")).contains("istty truetruetrue");
    }

    @Test
    void raw_mode_is_that_of_openssh() throws Exception {
        String notes = inTerminal("stty inlcr igncr ixany ixoff iuclc; java raw stty");
        assertThat(notes).contains("raw true");
        assertThat(notes.substring(notes.indexOf("stty ")))
                .contains(" ignpar ")
                .contains("-istrip", "-inlcr", "-igncr", "-icrnl")
                .contains("-ixon", "-ixoff", "-iuclc", "-ixany")
                .contains("-isig", "-icanon", "-iexten", "-echo", "-echoe", "-echok", "-echonl")
                .contains("-opost", "min = 1; time = 0")
                // left as they are
                .contains(" onlcr ", " echoctl ", " cs8 ");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "restore",
                "restore restore",
                "exit",
                "throw",
                "kill TERM sleep 5000",
                "kill HUP sleep 5000",
                "kill INT sleep 5000"
            })
    void the_terminal_is_as_it_was_however_we_end(String end) throws Exception {
        String notes =
                inTerminal(
                        "stty -echok erase ^H; echo before $(stty -g) >>$NOTES; java raw sttyg "
                                + end
                                + "; echo after $(stty -g) >>$NOTES");
        assertThat(line(notes, "sttyg ")).isNotEqualTo(line(notes, "before "));
        assertThat(line(notes, "after ")).isEqualTo(line(notes, "before "));
    }

    @Test
    void the_size_is_that_of_the_window() throws Exception {
        assertThat(inTerminal("stty cols 101 rows 33; java size"))
                .contains("size Size[columns=101, rows=33, width=0, height=0]");
    }

    @Test
    void without_a_terminal_there_is_nothing_to_tell_or_to_change() throws Exception {
        assertThat(inTerminal("java raw size modes </dev/null"))
                .contains("raw false")
                .contains("size Size[columns=0, rows=0, width=0, height=0]")
                .contains("modes 00\n");
    }

    @Test
    void a_change_of_size_is_told() throws Exception {
        String notes =
                inTerminal(
                        "(sleep 1; stty cols 90 rows 20 </dev/tty) & java watch sleep 2500 size");
        assertThat(notes).contains("resized\nsize Size[columns=90, rows=20,");
    }

    @Test
    void the_modes_are_encoded_as_RFC_4254_has_them() throws Exception {
        String notes =
                inTerminal(
                        "stty 9600 intr ^X quit undef erase ^H -ixon iutf8 -echok noflsh onlcr"
                                + " parenb; java modes raw modes");
        String first = line(notes, "modes ");
        // raw mode does not show: what counts is how the terminal was before it
        assertThat(notes.lines().filter(l -> l.equals("modes " + first)).count()).isEqualTo(2);
        Map<Integer, Integer> modes = decode(HexFormat.of().parseHex(first));
        assertThat(modes.keySet())
                .containsExactly(
                        129, 128, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 18, 30, 31, 32, 33, 34,
                        35, 36, 37, 38, 39, 40, 41, 42, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60,
                        61, 62, 70, 71, 72, 73, 74, 75, 90, 91, 92, 93);
        assertThat(modes)
                .containsEntry(129, 9600)
                .containsEntry(128, 9600)
                .containsEntry(1, 24)
                .containsEntry(2, 255)
                .containsEntry(3, 8)
                .containsEntry(5, 4)
                .containsEntry(36, 1)
                .containsEntry(38, 0)
                .containsEntry(42, 1)
                .containsEntry(50, 1)
                .containsEntry(53, 1)
                .containsEntry(55, 0)
                .containsEntry(57, 1)
                .containsEntry(70, 1)
                .containsEntry(72, 1)
                .containsEntry(91, 1);
    }

    @Test
    void a_secret_is_asked_on_the_terminal_without_echo() throws Exception {
        Path seen = dir.resolve("seen");
        String notes =
                inTerminal(
                        "echo before $(stty -g) >>$NOTES; java ask </dev/null >out.txt; echo after"
                                + " $(stty -g) >>$NOTES",
                        "hunter2\n",
                        seen);
        assertThat(notes).contains("answer hunter2");
        assertThat(line(notes, "after ")).isEqualTo(line(notes, "before "));
        assertThat(Files.readString(seen)).contains("Password: \r\n").doesNotContain("hunter2");
        assertThat(dir.resolve("out.txt")).isEmptyFile();
    }

    @Test
    void what_is_no_secret_is_echoed() throws Exception {
        Path seen = dir.resolve("seen");
        assertThat(inTerminal("java askaloud", "jdoe\n", seen)).contains("answer jdoe");
        assertThat(Files.readString(seen)).contains("Name: jdoe\r\n");
    }

    @Test
    void the_echo_comes_back_when_a_signal_ends_the_question() throws Exception {
        String notes =
                inTerminal(
                        "echo before $(stty -g) >>$NOTES; java killsoon TERM ask; echo after"
                                + " $(stty -g) >>$NOTES");
        assertThat(notes).doesNotContain("answer");
        assertThat(line(notes, "after ")).isEqualTo(line(notes, "before "));
    }

    @Test
    void nobody_is_asked_in_batch_mode_or_without_a_terminal() throws Exception {
        Path seen = dir.resolve("seen");
        assertThat(
                        inTerminal(
                                "java batch; setsid -w $JAVA $NOTES.2 ask; cat $NOTES.2 >>$NOTES",
                                "",
                                seen))
                .contains("answer null\nanswer null\n");
        assertThat(Files.readString(seen)).doesNotContain("Name:").doesNotContain("Password:");
    }

    /** Runs a shell script in a new terminal; {@code java} is the driver. What was noted. */
    private String inTerminal(String script) throws IOException, InterruptedException {
        return inTerminal(script, "", dir.resolve("seen"));
    }

    private String inTerminal(String script, String typed, Path seen)
            throws IOException, InterruptedException {
        Path notes = dir.resolve("notes");
        Files.deleteIfExists(notes);
        String java =
                Path.of(System.getProperty("java.home"), "bin", "java")
                        + " -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto"
                        + " --enable-native-access=ALL-UNNAMED -cp "
                        + System.getProperty("java.class.path")
                        + " "
                        + TerminalDriver.class.getName();
        Path file = dir.resolve("script.sh");
        Files.writeString(
                file,
                "cd "
                        + dir
                        + "; NOTES="
                        + notes
                        + "; JAVA='"
                        + java
                        + "'; java() { $JAVA $NOTES.1 \"$@\"; s=$?; cat $NOTES.1 >>$NOTES; return $s;"
                        + " }\n"
                        + script
                        + "\nwait\n");
        Process process =
                new ProcessBuilder("script", "-qec", "sh " + file, "/dev/null")
                        .redirectErrorStream(true)
                        .redirectOutput(seen.toFile())
                        .start();
        try {
            if (!typed.isEmpty()) {
                long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(20);
                while (!Files.readString(seen, StandardCharsets.ISO_8859_1).contains(": ")) {
                    assertThat(System.nanoTime()).as("no prompt").isLessThan(end);
                    Thread.sleep(20);
                }
                process.getOutputStream().write(typed.getBytes(StandardCharsets.UTF_8));
                process.getOutputStream().flush();
            }
            assertThat(process.waitFor(30, TimeUnit.SECONDS)).as("ended").isTrue();
        } finally {
            process.destroyForcibly();
        }
        return Files.readString(notes);
    }

    private static String line(String notes, String start) {
        return notes.lines()
                .filter(l -> l.startsWith(start))
                .findFirst()
                .orElseThrow()
                .substring(start.length());
    }

    private static Map<Integer, Integer> decode(byte[] modes) {
        Map<Integer, Integer> values = new LinkedHashMap<>();
        int at = 0;
        while (modes[at] != 0) {
            int value = 0;
            for (int i = 1; i <= 4; i++) {
                value = value << 8 | Byte.toUnsignedInt(modes[at + i]);
            }
            values.put(Byte.toUnsignedInt(modes[at]), value);
            at += 5;
        }
        assertThat(at).isEqualTo(modes.length - 1);
        return values;
    }
}
