package holdfast.lab.sim;

import holdfast.lab.middlebox.IdleNat.Expiry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * How long real devices let a TCP connection be idle, each with the source it was taken from: the
 * population that the simulated weather is drawn from.
 *
 * @param rows in the file's order, never empty
 */
public record NatTimeouts(List<Row> rows) {

    /** The first line of the file. */
    static final String HEADER =
            "name,category,idle_timeout_s,range,on_expiry,source_url_or_citation,year,confidence";

    /** How well a row is known. */
    public enum Confidence {
        LOW,
        MEDIUM,
        HIGH
    }

    /**
     * One device, or one group of them.
     *
     * @param onExpiry what its source says of what an end meets afterwards, in words
     * @param year of the source; null: not known
     */
    public record Row(
            String name,
            String category,
            Duration timeout,
            String range,
            String onExpiry,
            String source,
            @Nullable Integer year,
            Confidence confidence) {

        /**
         * What the words say that an end meets; {@link Expiry#SILENT}, the most frequent, where
         * they say nothing that is known here.
         */
        public Expiry expiry() {
            String words = onExpiry.toLowerCase(Locale.ROOT);
            if (words.startsWith("silent") || words.startsWith("mostly silent")) {
                return Expiry.SILENT;
            }
            if (words.startsWith("rst_both") || words.startsWith("rst both")) {
                return Expiry.RESET_BOTH;
            }
            if (words.startsWith("rst")) {
                return Expiry.RESET_SPEAKER;
            }
            if (words.startsWith("close")) {
                return Expiry.CLOSE;
            }
            return words.startsWith("revive") ? Expiry.REVIVE : Expiry.SILENT;
        }
    }

    public NatTimeouts {
        rows = List.copyOf(rows);
        if (rows.isEmpty()) {
            throw new IllegalArgumentException("no rows");
        }
    }

    /**
     * Reads the file's text: comma-separated values with a header, quoted as RFC 4180 has it.
     *
     * @param file its name, for the error
     * @throws IllegalArgumentException on the first bad row, with its line
     */
    public static NatTimeouts parse(String file, String text) {
        List<String> lines = text.lines().toList();
        if (lines.isEmpty() || !lines.getFirst().equals(HEADER)) {
            throw bad(file, 1, "expected the header " + HEADER);
        }
        List<Row> rows = new ArrayList<>();
        for (int i = 1; i < lines.size(); i++) {
            rows.add(row(file, i + 1, lines.get(i)));
        }
        if (rows.isEmpty()) {
            throw bad(file, 1, "no rows after the header");
        }
        return new NatTimeouts(rows);
    }

    private static Row row(String file, int line, String text) {
        List<String> fields = fields(file, line, text);
        if (fields.size() != 8) {
            throw bad(file, line, "expected 8 fields, got " + fields.size());
        }
        if (fields.get(0).isBlank() || fields.get(1).isBlank()) {
            throw bad(file, line, "name and category are not empty");
        }
        if (fields.get(5).isBlank()) {
            throw bad(file, line, "source_url_or_citation: no source");
        }
        return new Row(
                fields.get(0),
                fields.get(1),
                Duration.ofSeconds(seconds(file, line, fields.get(2))),
                fields.get(3),
                fields.get(4),
                fields.get(5),
                year(file, line, fields.get(6)),
                confidence(file, line, fields.get(7)));
    }

    private static long seconds(String file, int line, String word) {
        if (!digits(word) || word.length() > 9 || Long.parseLong(word) == 0) {
            throw bad(file, line, "idle_timeout_s: expected seconds, got \"" + word + "\"");
        }
        return Long.parseLong(word);
    }

    private static @Nullable Integer year(String file, int line, String word) {
        if (word.isEmpty()) {
            return null;
        }
        if (!digits(word) || word.length() != 4) {
            throw bad(file, line, "year: expected a year or nothing, got \"" + word + "\"");
        }
        return Integer.valueOf(word);
    }

    private static Confidence confidence(String file, int line, String word) {
        return switch (word) {
            case "low" -> Confidence.LOW;
            case "medium" -> Confidence.MEDIUM;
            case "high" -> Confidence.HIGH;
            default ->
                    throw bad(
                            file,
                            line,
                            "confidence: expected low, medium or high, got \"" + word + "\"");
        };
    }

    private static boolean digits(String word) {
        return !word.isEmpty() && word.chars().allMatch(c -> c >= '0' && c <= '9');
    }

    private static List<String> fields(String file, int line, String text) {
        List<String> fields = new ArrayList<>();
        StringBuilder field = new StringBuilder();
        boolean quoted = false;
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (quoted && c == '"' && i + 1 < text.length() && text.charAt(i + 1) == '"') {
                field.append('"');
                i++;
            } else if (c == '"') {
                if (!quoted && !field.isEmpty()) {
                    throw bad(file, line, "a quote within a field that does not begin with one");
                }
                quoted = !quoted;
            } else if (c == ',' && !quoted) {
                fields.add(field.toString());
                field.setLength(0);
            } else {
                field.append(c);
            }
        }
        if (quoted) {
            throw bad(file, line, "a quote is not closed");
        }
        fields.add(field.toString());
        return fields;
    }

    private static IllegalArgumentException bad(String file, int line, String what) {
        return new IllegalArgumentException(file + " line " + line + ": " + what);
    }
}
