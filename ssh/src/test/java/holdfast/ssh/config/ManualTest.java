package holdfast.ssh.config;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Holds the manual page and the parser to the same words: each is read, neither is copied here. */
class ManualTest {

    /** Characters that could be an option; getopt takes no others. */
    private static final String LETTERS =
            "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    private static Page page = new Page(List.of());

    @TempDir private Path root;

    @BeforeAll
    static void read() throws IOException {
        page = Page.read("holdfast-ssh.1");
    }

    @Test
    void every_keyword_that_is_built_has_one_entry_and_no_other_has() {
        List<String> built = new ArrayList<>();
        for (Keyword keyword : built()) {
            built.add(keyword.spelled());
        }
        assertThat(entryNames()).containsExactlyInAnyOrderElementsOf(built);
    }

    @Test
    void the_entries_stand_in_the_order_of_the_alphabet() {
        assertThat(entryNames()).isSortedAccordingTo(String.CASE_INSENSITIVE_ORDER);
    }

    @Test
    void every_entry_tells_the_default_that_the_parser_has() {
        for (Keyword keyword : built()) {
            List<String> lines = entry(keyword);
            int at = lines.indexOf("Default:");
            assertThat(at).as("Default: of " + keyword.spelled()).isNotNegative();
            assertThat(lines.subList(at + 1, lines.size())).doesNotContain("Default:");
            String fallback = keyword.fallback();
            if (fallback != null) {
                String said = lines.get(at + 1);
                assertThat(said).as(keyword.spelled()).startsWith(".Cm ");
                assertThat(withoutEnd(said.substring(".Cm ".length())))
                        .as("default of " + keyword.spelled())
                        .isEqualTo(asWritten(fallback));
            }
        }
    }

    @Test
    void every_entry_names_the_choices_that_the_parser_takes() {
        for (Keyword keyword : built()) {
            TreeSet<String> said = new TreeSet<>();
            for (String line : entry(keyword)) {
                if (line.startsWith(".Cm ")) {
                    said.addAll(List.of(line.split(" ", -1)));
                }
            }
            for (String word :
                    new String[] {
                        "yes",
                        "no",
                        "ask",
                        "off",
                        "accept-new",
                        "inet",
                        "inet6",
                        "any",
                        "force",
                        "auto",
                        "none",
                        "subsystem",
                        "default",
                        "unbound",
                        "host-bound"
                    }) {
                if (keyword.shape().choice(word) != null && !isSaidOnceForAll(keyword, word)) {
                    assertThat(said).as("choices of " + keyword.spelled()).contains(word);
                }
            }
        }
    }

    @Test
    void every_option_that_is_taken_has_one_entry_and_no_other_has() {
        Map<Character, Boolean> told = options();
        Map<Character, Boolean> taken = new TreeMap<>();
        for (int i = 0; i < LETTERS.length(); i++) {
            char letter = LETTERS.charAt(i);
            if (complaint("-" + letter, wordFor(letter)).isEmpty()) {
                boolean argument =
                        complaint("-" + letter).startsWith("option requires an argument");
                taken.put(letter, argument);
            }
        }
        assertThat(told).as("option, and whether it has an argument").isEqualTo(taken);
    }

    @Test
    void the_synopsis_names_every_option_that_has_an_entry_once() {
        Map<Character, Boolean> told = new TreeMap<>();
        for (String line : page.section("SYNOPSIS")) {
            if (line.startsWith(".Op Fl ")) {
                for (char option : line.split(" ", -1)[2].toCharArray()) {
                    assertThat(told.put(option, line.contains(" Ar ")))
                            .as("-" + option + " once more")
                            .isNull();
                }
            }
        }
        assertThat(told).as("option, and whether it has an argument").isEqualTo(options());
    }

    @Test
    void every_option_that_is_refused_is_named_as_such_and_no_other_is() {
        TreeSet<Character> told = new TreeSet<>();
        for (String line : page.section("NOT BUILT YET")) {
            if (line.startsWith(".Pp")) {
                break;
            }
            if (line.startsWith(".Fl ")) {
                told.addAll(optionsIn(line));
            }
        }
        TreeSet<Character> refused = new TreeSet<>();
        for (int i = 0; i < LETTERS.length(); i++) {
            char letter = LETTERS.charAt(i);
            String complaint = complaint("-" + letter, wordFor(letter));
            if (complaint.contains(" is not supported")
                    || complaint.endsWith("no longer supported")) {
                refused.add(letter);
            }
        }
        assertThat(told).isEqualTo(refused);
    }

    // --- the parser

    /** What yes and no mean for a switch needs no saying in each entry. */
    private static boolean isSaidOnceForAll(Keyword keyword, String word) {
        return switch (keyword.shape()) {
            case FLAG, COMPRESSION, PUBKEY -> word.equals("yes") || word.equals("no");
            default -> false;
        };
    }

    private static List<Keyword> built() {
        List<Keyword> built = new ArrayList<>();
        for (Keyword keyword : Keyword.values()) {
            if (keyword.support() == Keyword.Support.BUILT) {
                built.add(keyword);
            }
        }
        return built;
    }

    /** What the parser has against an option, followed by a value that suits it; empty: nothing. */
    private String complaint(String option, String... value) {
        List<String> arguments = new ArrayList<>(List.of(option));
        if (value.length > 0) {
            arguments.add(
                    switch (option) {
                        case "-c" -> "aes128-ctr";
                        case "-m" -> "hmac-sha2-256";
                        case "-e" -> "~";
                        case "-p" -> "22";
                        case "-o" -> "Port=22";
                        case "-O" -> "check";
                        default -> value[0];
                    });
            arguments.addAll(List.of("host", "command"));
        }
        try {
            CommandLine.parse(arguments, new ConfigFixture(root).surroundings());
            return "";
        } catch (ConfigException e) {
            return e.text();
        }
    }

    /** {@code ssh -G} prints some defaults by other words than a person writes. */
    private static String asWritten(String fallback) {
        return switch (fallback) {
            case "true" -> "yes";
            case "false" -> "no";
            default -> fallback;
        };
    }

    // --- the page

    /** Every option that has an entry, and whether it has an argument. */
    private static Map<Character, Boolean> options() {
        Map<Character, Boolean> told = new TreeMap<>();
        for (String line : page.section("OPTIONS")) {
            if (line.startsWith(".It Fl ")) {
                for (char option : optionsIn(line)) {
                    assertThat(told.put(option, line.contains(" Ar ")))
                            .as("second entry of -" + option)
                            .isNull();
                }
            }
        }
        return told;
    }

    private static List<String> entryNames() {
        List<String> names = new ArrayList<>();
        for (String line : page.section("KEYWORDS")) {
            if (line.startsWith(".It ")) {
                assertThat(line).as("the only list in KEYWORDS").startsWith(".It Cm ");
                names.add(line.substring(".It Cm ".length()));
            }
        }
        return names;
    }

    /** An argument that the option takes, if it takes any. */
    private static String wordFor(char letter) {
        return switch (letter) {
            case 'L', 'R' -> "1:h:2";
            case 'D' -> "1";
            case 'W' -> "h:1";
            case 'Q' -> "cipher";
            case 'w' -> "any";
            default -> "word";
        };
    }

    private static List<String> entry(Keyword keyword) {
        List<String> lines = page.section("KEYWORDS");
        int from = lines.indexOf(".It Cm " + keyword.spelled());
        assertThat(from).as("entry of " + keyword.spelled()).isNotNegative();
        int to = from + 1;
        while (!lines.get(to).startsWith(".It ") && !lines.get(to).equals(".El")) {
            to++;
        }
        return lines.subList(from + 1, to);
    }

    /** {@code .It Fl a , Fl b Ar file}: a and b. */
    private static List<Character> optionsIn(String line) {
        List<Character> options = new ArrayList<>();
        boolean flag = false;
        for (String word : line.split(" ", -1)) {
            if (flag) {
                assertThat(word).as(line).hasSize(1);
                options.add(word.charAt(0));
            }
            flag = word.equals("Fl") || word.equals(".Fl");
        }
        return options;
    }

    /** Without the full stop or colon that mdoc sets apart. */
    private static String withoutEnd(String words) {
        return words.endsWith(" .") || words.endsWith(" :")
                ? words.substring(0, words.length() - 2)
                : words;
    }
}
