package holdfast.ssh.config;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** How OpenSSH cuts a line of a configuration file into words (misc.c strdelim, argv_split). */
final class Words {

    /** What is left of a line whose first words were taken off; null: nothing, not even "". */
    private @Nullable String rest;

    Words(String line) {
        rest = line;
    }

    @Nullable String rest() {
        return rest;
    }

    static boolean isBlank(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
    }

    /**
     * The next word, ended by white space and at most one "=". A quote begins anywhere and ends at
     * the next quote.
     *
     * @return null at the end of the line or where a quote is not closed
     */
    @Nullable String next() {
        String text = rest;
        if (text == null) {
            return null;
        }
        int end = 0;
        while (end < text.length()
                && !isBlank(text.charAt(end))
                && text.charAt(end) != '"'
                && text.charAt(end) != '=') {
            end++;
        }
        if (end == text.length()) {
            rest = null;
            return text;
        }
        if (text.charAt(end) == '"') {
            int close = text.indexOf('"', end + 1);
            if (close < 0) {
                rest = null;
                return null;
            }
            rest = text.substring(skipBlanks(text, close + 1));
            return text.substring(0, end) + text.substring(end + 1, close);
        }
        boolean equals = text.charAt(end) == '=';
        int from = skipBlanks(text, end + 1);
        if (!equals && from < text.length() && text.charAt(from) == '=') {
            from = skipBlanks(text, from + 1);
        }
        rest = text.substring(from);
        return text.substring(0, end);
    }

    static int skipBlanks(String text, int from) {
        int at = from;
        while (at < text.length() && isBlank(text.charAt(at))) {
            at++;
        }
        return at;
    }

    /**
     * The words of a value: quoted with ' or ", escaped with \, ended by # at the start of a word.
     *
     * @return null where a quote is not closed
     */
    static @Nullable List<String> split(String text) {
        return split(text, true);
    }

    /**
     * The same, where a # may be nothing special.
     *
     * @param comments whether # at the start of a word ends the text
     */
    static @Nullable List<String> split(String text, boolean comments) {
        List<String> words = new ArrayList<>(2);
        int length = text.length();
        StringBuilder word = null;
        for (int i = 0; i < length; i++) {
            char c = text.charAt(i);
            if (c == ' ' || c == '\t') {
                continue;
            }
            if (c == '#' && comments) {
                break;
            }
            int plainEnd = i;
            while (plainEnd < length && isPlain(text.charAt(plainEnd))) {
                plainEnd++;
            }
            if (plainEnd == length
                    || text.charAt(plainEnd) == ' '
                    || text.charAt(plainEnd) == '\t') {
                words.add(text.substring(i, plainEnd));
                i = plainEnd;
                continue;
            }
            word = new StringBuilder(length - i);
            char quote = 0;
            for (; i < length; i++) {
                c = text.charAt(i);
                if (c == '\\') {
                    char after = i + 1 < length ? text.charAt(i + 1) : 0;
                    if (after == '\''
                            || after == '"'
                            || after == '\\'
                            || (quote == 0 && after == ' ')) {
                        i++;
                        word.append(after);
                    } else {
                        word.append(c);
                    }
                } else if (quote == 0 && (c == ' ' || c == '\t')) {
                    break;
                } else if (quote == 0 && (c == '"' || c == '\'')) {
                    quote = c;
                } else if (quote != 0 && c == quote) {
                    quote = 0;
                } else {
                    word.append(c);
                }
            }
            if (quote != 0) {
                return null;
            }
            words.add(word.toString());
        }
        return words;
    }

    private static boolean isPlain(char c) {
        return c != ' ' && c != '\t' && c != '\\' && c != '"' && c != '\'';
    }

    /** Cuts white space off the end, and everything after a NUL, which ends a line in C. */
    static String trimEnd(String raw) {
        int nul = raw.indexOf('\0');
        int end = nul < 0 ? raw.length() : nul;
        while (end > 1 && (isBlank(raw.charAt(end - 1)) || raw.charAt(end - 1) == '\f')) {
            end--;
        }
        return raw.substring(0, end);
    }
}
