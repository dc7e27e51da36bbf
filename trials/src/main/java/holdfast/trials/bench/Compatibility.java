package holdfast.trials.bench;

import holdfast.ssh.ProtocolExtension;
import holdfast.ssh.config.CommandLine;
import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.Keyword;
import holdfast.ssh.config.ServerCommandLine;
import holdfast.ssh.config.ServerKeyword;
import holdfast.ssh.config.Surroundings;
import holdfast.ssh.terminal.Escapes;
import holdfast.trials.harness.Client;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * docs/compatibility.md: every option, keyword, escape and extension of OpenSSH, and what becomes
 * of it. Nothing of it is written here but headings: the tables in the code say it, and the parsers
 * are asked.
 */
public final class Compatibility {

    private static final String SAME = "as OpenSSH";

    private Compatibility() {}

    /** Writes the page. */
    static void run() throws IOException {
        Path page = file();
        Files.writeString(page, page());
        System.out.println("written: " + page);
    }

    /** Where it lies. */
    public static Path file() {
        return Client.checkout().resolve("docs").resolve("compatibility.md");
    }

    /** What it has to say. */
    public static String page() {
        StringBuilder page = new StringBuilder(32 * 1024);
        page.append(
                """
                # Compatibility with OpenSSH

                Made by `trials/bench compatibility` from the tables in the code; a trial of `./check` fails when this page and the parsers disagree.
                Measured against OpenSSH 10; what Debian's patches change is said where it matters.

                Each entry is *as OpenSSH*, *better* (and how), or *refused* (and what it says). Nothing is ignored in silence.
                What else differs on purpose is told in the manual pages, under OTHER DIFFERENCES FROM OPENSSH.

                """);
        page.append("## `holdfast ssh`: options\n\n");
        options(page, CommandLine.OPTIONS, true);
        page.append("\n## `holdfast ssh`: keywords of ssh_config(5)\n\n");
        clientKeywords(page);
        page.append("\n## `holdfast ssh`: escapes\n\n");
        escapes(page);
        page.append("\n## `holdfast sshd`: options\n\n");
        options(page, ServerCommandLine.OPTIONS, false);
        page.append("\n## `holdfast sshd`: keywords of sshd_config(5)\n\n");
        serverKeywords(page);
        page.append("\n## Extensions of the protocol\n\n");
        extensions(page);
        return page.toString();
    }

    private static void row(StringBuilder page, String... cells) {
        page.append('|');
        for (String cell : cells) {
            page.append(' ').append(cell.replace("|", "\\|")).append(" |");
        }
        page.append('\n');
    }

    private static void head(StringBuilder page, String... cells) {
        row(page, cells);
        page.append("|---".repeat(cells.length)).append("|\n");
    }

    private static String refused(String says) {
        return "refused: `" + says.strip().lines().findFirst().orElse("") + "`";
    }

    // --- options

    private static void options(StringBuilder page, String letters, boolean client) {
        head(page, "option", "");
        Map<String, String> rows = new TreeMap<>();
        for (int i = 0; i < letters.length(); i++) {
            char letter = letters.charAt(i);
            if (letter == ':') {
                continue;
            }
            boolean valued = i + 1 < letters.length() && letters.charAt(i + 1) == ':';
            String complaint = complaint(letter, valued, client);
            boolean refused =
                    complaint.contains(" is not supported") || complaint.contains("no longer");
            // By letter, the small one first.
            String order = Character.toLowerCase(letter) + (letter < 'a' ? "2" : "1");
            String same =
                    client && letter == 'O'
                            ? SAME
                                    + "; our master also passes on to an `-O proxy` client what"
                                    + " the server answers, ends its forwards with it, and takes"
                                    + " those of Unix sockets"
                            : SAME;
            rows.put(
                    order + letter,
                    refused
                            ? refused(complaint)
                                    + (complaint.startsWith("holdfast ssh: ") ? PRINTED : "")
                            : same);
        }
        rows.forEach(
                (letter, text) -> row(page, "`-" + letter.charAt(letter.length() - 1) + "`", text));
    }

    private static final String PRINTED = "; with `-G` it is printed, as by OpenSSH";

    /**
     * What the parser has against an option; what it says of a value that does not suit is moot.
     */
    private static String complaint(char letter, boolean valued, boolean client) {
        List<String> words = new ArrayList<>(List.of("-" + letter));
        if (valued) {
            words.add(client && letter == 'w' ? "any" : "word");
        }
        try {
            if (client) {
                words.addAll(List.of("host", "command"));
                CommandLine.parse(words, machine());
            } else {
                ServerCommandLine.parse(words, machine());
            }
            return "";
        } catch (ConfigException e) {
            return e.text();
        }
    }

    /** A machine that is the same everywhere. */
    private static Surroundings machine() {
        return new Surroundings(
                Map.of(),
                Path.of("/nonexistent"),
                "jdoe",
                1000,
                () -> "here",
                Path.of("/nonexistent"),
                () -> true);
    }

    // --- keywords

    private static void clientKeywords(StringBuilder page) {
        head(page, "keyword", "");
        Map<String, String> rows = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        for (Keyword keyword : Keyword.values()) {
            String note = keyword.note();
            String name = keyword.spelled();
            String where = " (FILE line N)";
            rows.put(
                    name,
                    keyword.isOurs()
                            ? "ours; OpenSSH does not know it"
                            : switch (keyword.support()) {
                                case BUILT -> built(note);
                                case ACCEPTED -> "not built yet; `-v` says so";
                                case REFUSED ->
                                        "refused when switched on: `holdfast ssh: "
                                                + name
                                                + " is not supported: "
                                                + note
                                                + where
                                                + "`";
                                case MISSED ->
                                        "refused when switched on, and the connection made without"
                                                + " it, which weakens nothing: `Warning: "
                                                + name
                                                + " is not supported, going on without it: "
                                                + note
                                                + where
                                                + "`";
                                case MOOT ->
                                        note.isEmpty()
                                                ? "refused with what it belongs to, which is not"
                                                        + " there; no value of it asks for anything"
                                                : "refused: " + note;
                                case IGNORED, DEPRECATED, UNSUPPORTED -> passedOver();
                            });
        }
        rows.forEach((name, text) -> row(page, name, text));
    }

    private static String built(String note) {
        if (note.isEmpty()) {
            return SAME;
        }
        return note.startsWith("better: ") ? note : SAME + "; " + note;
    }

    private static String passedOver() {
        return SAME + ", which passes over it in the same way";
    }

    private static void serverKeywords(StringBuilder page) {
        head(page, "keyword", "");
        Map<String, String> rows = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
        for (ServerKeyword keyword : ServerKeyword.values()) {
            String name = keyword.spelled();
            rows.put(
                    name,
                    keyword.isOurs()
                            ? "ours; OpenSSH does not know it"
                            : switch (keyword.support()) {
                                case BUILT -> built(keyword.note());
                                case ACCEPTED ->
                                        "refused when switched on, and the server started without"
                                                + " it, which weakens nothing: `FILE line N: "
                                                + name
                                                + " is not supported yet, ignored`";
                                case MOOT ->
                                        "refused with what it belongs to, which is not there; every"
                                                + " value of it is fulfilled";
                                case REFUSED ->
                                        "refused when set to anything but the default: the server"
                                                + " does not start";
                                case IGNORED, DEPRECATED, UNSUPPORTED -> passedOver();
                            });
        }
        rows.forEach((name, text) -> row(page, name, text));
    }

    // --- escapes

    private static void escapes(StringBuilder page) {
        head(page, "escape", "");
        for (String key :
                List.of(".", "B", "C", "I", "R", "V", "v", "\u001a", "#", "&", "?", "~")) {
            byte[] typed = ("~" + key).getBytes(StandardCharsets.ISO_8859_1);
            Escapes.Piece piece = new Escapes('~', true).typed(typed, 0, typed.length).getFirst();
            boolean built = piece instanceof Escapes.Command || key.equals("~");
            String text = built ? SAME : refused("not built");
            row(page, "`~" + (key.equals("\u001a") ? "^Z" : key) + "`", text);
        }
    }

    // --- extensions

    private static void extensions(StringBuilder page) {
        head(page, "extension", "client", "server", "");
        for (ProtocolExtension extension : ProtocolExtension.values()) {
            row(
                    page,
                    extension.names(),
                    side(extension, extension.atClient()),
                    side(extension, extension.atServer()),
                    extension.note());
        }
        boolean x11 = ServerKeyword.X11_FORWARDING.support() == ServerKeyword.Support.BUILT;
        row(page, "x11, x11-req (RFC 4254)", SAME, x11 ? SAME : "refused", "");
    }

    private static String side(ProtocolExtension extension, boolean spoken) {
        return spoken ? (extension.isOurs() ? "ours" : SAME) : "–";
    }
}
