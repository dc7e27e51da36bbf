package holdfast.ssh.config;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * A first look at the lines of a configuration file, which passes over those that are right and
 * without effect: comments, the plain lines of blocks for other hosts, and their Host lines. Of
 * twenty thousand lines these are nearly all, and the rules for each keyword are not worth going
 * through for them. Whatever is not surely so is read. Owned by one thread.
 */
final class Skim {

    /** What becomes of a line. */
    enum Verdict {
        /** It may have an effect, or be wrong. */
        READ,
        /** It has none, and is right. */
        PASS,
        /** A Host line for others: what follows it is in no force. */
        OTHERS
    }

    /** How to tell that a keyword's value is right. */
    private enum Rule {
        UNSURE,
        ANYTHING,
        WORD,
        CHOICE,
        DIGITS,
        HOST
    }

    /** Keywords seen, by the hash of their name; another of the same place takes it. */
    private static final int SEEN = 256;

    /** Numbers of so many digits are right wherever a number or a time is. */
    private static final int SURE_DIGITS = 8;

    /** Ports, too. */
    private static final int SURE_PORT_DIGITS = 4;

    /** One keyword seen. */
    private record Known(byte[] name, Keyword keyword, Rule rule) {}

    /** Bytes that a plain line has none of: they may mean something in OpenSSH's syntax. */
    private static final boolean[] SPECIAL = new boolean[256];

    static {
        Arrays.fill(SPECIAL, true);
        Arrays.fill(SPECIAL, ' ', '~' + 1, false);
        SPECIAL['\t'] = false;
        SPECIAL['\n'] = false;
        for (char c : "\"'\\#=".toCharArray()) {
            SPECIAL[c] = true;
        }
    }

    private final byte[] bytes;
    private final @Nullable Known[] seen = new @Nullable Known[SEEN];
    private boolean plain;

    Skim(byte[] bytes) {
        this.bytes = bytes;
    }

    /** Where the line that begins there ends, its newline included. */
    int end(int from) {
        byte[] all = bytes;
        boolean special = false;
        int at = from;
        while (at < all.length) {
            byte c = all[at++];
            if (c == '\n') {
                break;
            }
            special |= SPECIAL[c & 0xff];
        }
        plain = !special;
        return at;
    }

    /**
     * Judges the line that {@link #end} has just found.
     *
     * @param active whether what stands here is in force
     * @param host whom Host lines are compared with
     */
    Verdict judge(int from, int end, boolean active, String host) {
        int last = end;
        while (last > from && isBlank(bytes[last - 1])) {
            last--;
        }
        int at = blanks(from, last);
        if (at == last || bytes[at] == '#') {
            return Verdict.PASS;
        }
        if (!plain) {
            return Verdict.READ;
        }
        int nameEnd = at;
        int hash = 0;
        while (nameEnd < last && !isBlank(bytes[nameEnd])) {
            hash = 31 * hash + (bytes[nameEnd++] | 0x20);
        }
        int value = blanks(nameEnd, last);
        if (value == last) {
            return Verdict.READ;
        }
        Known known = known(at, nameEnd, hash);
        if (known == null || (active && known.rule != Rule.HOST)) {
            return Verdict.READ;
        }
        boolean sure =
                switch (known.rule) {
                    case UNSURE -> false;
                    case ANYTHING -> true;
                    case WORD -> wordEnd(value, last) == last;
                    case CHOICE ->
                            wordEnd(value, last) == last
                                    && known.keyword.shape().choice(text(value, last)) != null;
                    case DIGITS ->
                            last - value
                                            <= (known.keyword == Keyword.PORT
                                                    ? SURE_PORT_DIGITS
                                                    : SURE_DIGITS)
                                    && areDigits(value, last);
                    case HOST -> areOthers(value, last, host);
                };
        if (!sure) {
            return Verdict.READ;
        }
        return known.rule == Rule.HOST ? Verdict.OTHERS : Verdict.PASS;
    }

    private @Nullable Known known(int from, int end, int hash) {
        int place = (hash ^ (hash >>> 8)) & (SEEN - 1);
        Known known = seen[place];
        if (known != null && isNamed(known.name, from, end)) {
            return known;
        }
        byte[] name = new byte[end - from];
        for (int i = 0; i < name.length; i++) {
            name[i] = (byte) (bytes[from + i] | 0x20);
        }
        Keyword keyword = Keyword.named(new String(name, StandardCharsets.ISO_8859_1));
        if (keyword == null) {
            return null;
        }
        known = new Known(name, keyword, rule(keyword));
        seen[place] = known;
        return known;
    }

    /** Upper and lower case are the same; of what is no letter none stands in a keyword's name. */
    private boolean isNamed(byte[] name, int from, int end) {
        if (end - from != name.length) {
            return false;
        }
        for (int i = 0; i < name.length; i++) {
            if ((bytes[from + i] | 0x20) != name[i]) {
                return false;
            }
        }
        return true;
    }

    private static Rule rule(Keyword keyword) {
        return switch (keyword.support()) {
            case BUILT, REFUSED, MISSED, MOOT, ACCEPTED ->
                    switch (keyword.shape()) {
                        case FLAG,
                                ASK,
                                STRICT,
                                ADDRESS_FAMILY,
                                CONTROL_MASTER,
                                TUNNEL,
                                REQUEST_TTY,
                                SESSION_TYPE,
                                CANONICALIZE,
                                PUBKEY,
                                COMPRESSION,
                                TETHER ->
                                Rule.CHOICE;
                        case INTEGER, TIME -> Rule.DIGITS;
                        case TEXT -> Rule.WORD;
                        case COMMAND -> Rule.ANYTHING;
                        case WORDS ->
                                keyword == Keyword.CANONICAL_DOMAINS ? Rule.UNSURE : Rule.WORD;
                        case ALGORITHMS, FORWARD, RAW -> Rule.UNSURE;
                        case OWN -> own(keyword);
                    };
            case IGNORED, DEPRECATED, UNSUPPORTED -> Rule.UNSURE;
        };
    }

    private static Rule own(Keyword keyword) {
        if (keyword == Keyword.HOST) {
            return Rule.HOST;
        }
        if (keyword == Keyword.PORT) {
            return Rule.DIGITS;
        }
        return keyword == Keyword.IDENTITY_FILE ? Rule.WORD : Rule.UNSURE;
    }

    private boolean areDigits(int from, int end) {
        boolean zero = true;
        for (int i = from; i < end; i++) {
            if (bytes[i] < '0' || bytes[i] > '9') {
                return false;
            }
            zero &= bytes[i] == '0';
        }
        return !zero; // which is no port
    }

    /** Whether none of these patterns can match. */
    private boolean areOthers(int from, int end, String host) {
        int at = from;
        while (at < end) {
            int next = wordEnd(at, end);
            if (!isOther(at, next, host)) {
                return false;
            }
            at = blanks(next, end);
        }
        return true;
    }

    /** Compares what stands before the first wildcard, and what stands behind the last. */
    private boolean isOther(int from, int end, String host) {
        int at = bytes[from] == '!' ? from + 1 : from;
        for (int i = at, j = 0; i < end; i++, j++) {
            byte c = bytes[i];
            if (c == '*' || c == '?') {
                break;
            }
            if (j == host.length() || c != host.charAt(j)) {
                return true;
            }
        }
        for (int i = end - 1, j = host.length() - 1; i >= at; i--, j--) {
            byte c = bytes[i];
            if (c == '*' || c == '?') {
                break;
            }
            if (j < 0 || c != host.charAt(j)) {
                return true;
            }
        }
        return false;
    }

    private int wordEnd(int from, int end) {
        int at = from;
        while (at < end && !isBlank(bytes[at])) {
            at++;
        }
        return at;
    }

    private int blanks(int from, int end) {
        int at = from;
        while (at < end && isBlank(bytes[at])) {
            at++;
        }
        return at;
    }

    private static boolean isBlank(byte c) {
        return c == ' ' || c == '\t' || c == '\n';
    }

    private String text(int from, int end) {
        return new String(bytes, from, end - from, StandardCharsets.ISO_8859_1);
    }
}
