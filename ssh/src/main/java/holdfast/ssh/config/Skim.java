package holdfast.ssh.config;

import holdfast.ssh.octets.Octets;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * A first look at the lines of a configuration file, which passes over those that are right and
 * without effect: comments, the lines of blocks for other hosts, Host and Match lines for others,
 * and values of what has one already. Of twenty thousand lines these are nearly all, and the rules
 * for each keyword are not worth going through for them. Whatever is not surely so is read. Owned
 * by one thread.
 *
 * <p>Nothing here has been compiled when it begins: it goes through the bytes once or twice, in few
 * methods, without an object for each line. The launcher tells the VM not to take great pains over
 * this class, which is done with before they would pay.
 */
final class Skim {

    /** What becomes of a line. */
    enum Verdict {
        /** It may have an effect, or be wrong. */
        READ,
        /** It has none, and is right. */
        PASS,
        /** A Host or Match line for others: what follows it is in no force. */
        OTHERS
    }

    /** How to tell that a keyword's value is right. */
    private enum Rule {
        UNSURE,
        ANYTHING,
        NAMES,
        WORD,
        CHOICE,
        DIGITS,
        FORWARD,
        HOST,
        MATCH
    }

    /** Keywords seen, by the hash of their name; another of the same place takes it. */
    private static final int SEEN = 1024;

    /** Lines passed over, by a hash; another of the same place takes it. */
    private static final int PASSED = 2048;

    /** Numbers of so many digits are right wherever a number or a time is. */
    private static final int SURE_DIGITS = 8;

    /** Lines that {@link #someComments} passes over in one go. */
    private static final int COMMENTS = 4;

    private static final int MOST_PORT = 65535;

    /** Longer than any name in a forwarding that is surely right (NI_MAXHOST is 1025). */
    private static final int SURE_HOST = 255;

    /** One keyword seen. */
    private static final class Known {
        final byte[] name;
        final Keyword keyword;
        final Rule rule;

        /** The words of a choice. */
        final byte[][] choices;

        /** Whether a second value changes nothing. */
        final boolean single;

        /** Whether a value that was right once is always. */
        final boolean constant;

        /** Whether it is single and has its value. */
        boolean settled;

        Known(byte[] name, Keyword keyword) {
            this.name = name;
            this.keyword = keyword;
            this.rule = rule(keyword);
            this.single = isSingle(keyword);
            this.constant = isConstant(keyword);
            Keyword.Shape shape =
                    keyword == Keyword.FORWARD_AGENT ? Keyword.Shape.FLAG : keyword.shape();
            List<String> words = rule == Rule.CHOICE ? shape.words() : List.of();
            choices = new byte[words.size()][];
            for (int i = 0; i < choices.length; i++) {
                choices[i] = words.get(i).getBytes(StandardCharsets.ISO_8859_1);
            }
        }
    }

    /** Bytes that a plain value has none of: they may mean something in OpenSSH's syntax. */
    private static final boolean[] SPECIAL = new boolean[256];

    /** What ends the name of a keyword, whether it may or not. */
    private static final boolean[] ENDS_NAME = new boolean[256];

    private static final byte[] HOST = {'h', 'o', 's', 't'};
    private static final byte[] ORIGINAL_HOST = "originalhost".getBytes(StandardCharsets.US_ASCII);
    private static final byte[] USER = {'u', 's', 'e', 'r'};
    private static final byte[] LOCAL_USER = "localuser".getBytes(StandardCharsets.US_ASCII);

    static {
        Arrays.fill(SPECIAL, true);
        Arrays.fill(SPECIAL, ' ', '~' + 1, false);
        SPECIAL['\t'] = false;
        SPECIAL['"'] = true;
        SPECIAL['\''] = true;
        SPECIAL['\\'] = true;
        Arrays.fill(ENDS_NAME, true);
        Arrays.fill(ENDS_NAME, '!', '~' + 1, false);
        ENDS_NAME['='] = true;
    }

    private final byte[] bytes;
    private final Given given;
    private final byte[] host;
    private final byte[] matchHost;
    private final byte[] originalHost;
    private final byte[] localUser;

    /** Whether Match lines may be passed over, of each of which -vv has something to tell. */
    private final boolean matches;

    private final @Nullable Known[] seen = new @Nullable Known[SEEN];

    /** Where the lines stand that were passed over, and where they end: see {@link #place}. */
    private final int[] passed = new int[PASSED];

    private final int[] passedEnd = new int[PASSED];

    private int line;
    private int word;
    private int newline;
    private int end;

    /**
     * Where the line judged last is remembered once it has been read and is right; -1: it is not.
     */
    private int unsure = -1;

    /**
     * @param host whom Host lines are compared with
     * @param quiet whether nobody wants to be told of each Match line
     */
    Skim(
            byte[] bytes,
            Given given,
            String host,
            String originalHost,
            String localUser,
            boolean quiet) {
        this.bytes = bytes;
        this.given = given;
        this.host = Octets.bytes(host);
        this.matchHost = lower(host);
        this.originalHost = lower(originalHost);
        this.localUser = Octets.bytes(localUser);
        this.matches = quiet;
    }

    /** Where the line that was judged last ends, its newline included. */
    int end() {
        return end;
    }

    /** The number of the line that was judged last. */
    int line() {
        return line;
    }

    /** Says that the line judged last was read and is right. */
    void isRight() {
        if (unsure >= 0) {
            pass(unsure);
        }
    }

    /**
     * Judges the line that begins there, or all comments and empty lines that do.
     *
     * @param active whether what stands here is in force
     */
    Verdict judge(int from, boolean active) {
        end = comments(from);
        if (end > from) {
            return Verdict.PASS;
        }
        int place = place(scan(word), active);
        line++;
        end = Math.min(newline + 1, bytes.length);
        unsure = -1;
        if (newline - word == passedEnd[place] - passed[place]
                && isSame(word, newline, passed[place])) {
            return Verdict.PASS;
        }
        Verdict verdict = weigh(word, newline, active, place);
        if (verdict == Verdict.PASS) {
            pass(place);
        }
        return verdict;
    }

    /** Where the first line begins that is neither empty nor a comment, and its first word. */
    private int comments(int from) {
        int begin = from;
        do {
            begin = someComments(begin);
        } while (word < 0 && begin < bytes.length);
        return begin;
    }

    /**
     * The same, but for so many lines at most; {@link #word} is then negative. What is called often
     * is compiled long before a loop is that goes on as long.
     */
    private int someComments(int from) {
        byte[] all = bytes;
        int size = all.length;
        int begin = from;
        for (int many = 0; many < COMMENTS && begin < size; many++) {
            int at = begin;
            while (at < size && isBlank(all[at])) {
                at++;
            }
            if (at < size && all[at] != '\n') {
                if (all[at] != '#') {
                    word = at;
                    return begin;
                }
                while (at < size - 4
                        && all[at] != '\n'
                        && all[at + 1] != '\n'
                        && all[at + 2] != '\n'
                        && all[at + 3] != '\n') {
                    at += 4;
                }
                while (at < size && all[at] != '\n') {
                    at++;
                }
            }
            begin = Math.min(at + 1, size);
            line++;
        }
        word = -1;
        return begin;
    }

    /** The hash of the line from there on; finds its end. */
    private int scan(int from) {
        byte[] all = bytes;
        int at = from;
        int hash = 0;
        while (at < all.length && all[at] != '\n') {
            hash = 31 * hash + all[at++];
        }
        newline = at;
        return hash;
    }

    /** What is right in a block for others need not be without effect in one that is in force. */
    private static int place(int hash, boolean active) {
        int mixed = hash ^ (hash >>> 8) ^ (hash >>> 16);
        return (2 * mixed + (active ? 1 : 0)) & (PASSED - 1);
    }

    private void pass(int place) {
        passed[place] = word;
        passedEnd[place] = newline;
    }

    private boolean isSame(int from, int last, int other) {
        byte[] all = bytes;
        for (int i = from, j = other; i < last; i++, j++) {
            if (all[i] != all[j]) {
                return false;
            }
        }
        return true;
    }

    private Verdict weigh(int from, int last, boolean active, int place) {
        byte[] all = bytes;
        int at = from;
        int hash = 0;
        while (at < last && !ENDS_NAME[all[at] & 0xff]) {
            hash = 31 * hash + (all[at++] | 0x20);
        }
        int nameEnd = at;
        at = blanks(at, last);
        if (at < last && all[at] == '=') {
            at = blanks(at + 1, last);
        }
        int value = at;
        at = last;
        while (at > value && isBlank(all[at - 1])) {
            at--;
        }
        if (value == nameEnd || value == at || all[value] == '=') {
            return Verdict.READ;
        }
        Known known = known(from, nameEnd, hash);
        if (known == null) {
            return Verdict.READ;
        }
        boolean special = isSpecial(value, at);
        return switch (known.rule) {
            case HOST -> !special && areOthers(value, at) ? Verdict.OTHERS : Verdict.READ;
            case MATCH ->
                    matches && !special && isForOthers(value, at) ? Verdict.OTHERS : Verdict.READ;
            case UNSURE, ANYTHING, NAMES, WORD, CHOICE, DIGITS, FORWARD -> {
                if (active && !isSettled(known)) {
                    yield Verdict.READ;
                }
                if (special ? isQuoted(known, value, at) : isRight(known, value, at, false)) {
                    yield Verdict.PASS;
                }
                if (known.constant) {
                    unsure = place;
                }
                yield Verdict.READ;
            }
        };
    }

    private boolean isSpecial(int from, int last) {
        byte[] all = bytes;
        for (int i = from; i < last; i++) {
            if (SPECIAL[all[i] & 0xff]) {
                return true;
            }
        }
        return false;
    }

    private boolean isSettled(Known known) {
        if (!known.settled && known.single) {
            known.settled = given.has(known.keyword);
        }
        return known.settled;
    }

    /**
     * Whether a plain value is right.
     *
     * @param whole whether it is one word, whatever is in it
     */
    private boolean isRight(Known known, int value, int last, boolean whole) {
        Rule rule = known.rule;
        if (rule == Rule.ANYTHING) {
            return !whole;
        }
        int wordEnd = whole ? last : wordEnd(value, last);
        if (rule == Rule.FORWARD) {
            return !whole && isForward(value, wordEnd, last);
        }
        if (rule == Rule.NAMES) {
            return !whole && hasNone(value, last, (byte) '=');
        }
        if (rule == Rule.UNSURE || bytes[value] == '#') {
            return false;
        }
        if (wordEnd != last && bytes[blanks(wordEnd, last)] != '#') {
            return false;
        }
        if (rule == Rule.WORD) {
            return true;
        }
        if (rule == Rule.DIGITS) {
            int most = known.keyword == Keyword.PORT ? MOST_PORT : Integer.MAX_VALUE;
            return isNumber(value, wordEnd, most);
        }
        for (byte[] choice : known.choices) {
            if (isNamed(choice, value, wordEnd)) {
                return true;
            }
        }
        return false;
    }

    /** One word in quotes, and nothing else. */
    private boolean isQuoted(Known known, int value, int last) {
        int from = value + 1;
        int to = last - 1;
        if (from >= to || bytes[value] != '"' || bytes[to] != '"') {
            return false;
        }
        for (int i = from; i < to; i++) {
            if (SPECIAL[bytes[i] & 0xff]) {
                return false;
            }
        }
        // A blank or # in a number or a choice is none of theirs.
        return isRight(known, from, to, true);
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
        known = new Known(name, keyword);
        seen[place] = known;
        return known;
    }

    /** Upper and lower case are the same; of what is no letter none stands in these names. */
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
                        case FORWARD ->
                                keyword == Keyword.DYNAMIC_FORWARD ? Rule.UNSURE : Rule.FORWARD;
                        case ALGORITHMS, RAW -> Rule.UNSURE;
                        case OWN -> own(keyword);
                    };
            case IGNORED, DEPRECATED, UNSUPPORTED -> Rule.UNSURE;
        };
    }

    private static Rule own(Keyword keyword) {
        return switch (keyword) {
            case HOST -> Rule.HOST;
            case MATCH -> Rule.MATCH;
            case PORT -> Rule.DIGITS;
            case IDENTITY_FILE, CERTIFICATE_FILE -> Rule.WORD;
            case FORWARD_AGENT -> Rule.CHOICE;
            case PROXY_COMMAND -> Rule.ANYTHING;
            case SEND_ENV -> Rule.NAMES;
            default -> Rule.UNSURE;
        };
    }

    /** Whether its first value wins, whatever follows. */
    private static boolean isSingle(Keyword keyword) {
        return switch (keyword.shape()) {
            case FORWARD -> false;
            case OWN ->
                    switch (keyword) {
                        case PORT,
                                LOG_LEVEL,
                                SYSLOG_FACILITY,
                                ESCAPE_CHAR,
                                IP_QOS,
                                CONTROL_PERSIST,
                                FINGERPRINT_HASH,
                                SET_ENV,
                                FORWARD_AGENT,
                                PROXY_COMMAND,
                                PROXY_JUMP,
                                ADD_KEYS_TO_AGENT,
                                IDENTITY_AGENT,
                                CHANNEL_TIMEOUT,
                                CANONICALIZE_PERMITTED_CNAMES,
                                OBSCURE_KEYSTROKE_TIMING,
                                WARN_WEAK_CRYPTO,
                                TETHER_BUFFER ->
                                true;
                        default -> false;
                    };
            default -> true;
        };
    }

    /**
     * Whether a value once right is right again, and without effect where there is one already.
     * ForwardAgent takes its flag from one line and its socket from another.
     */
    private static boolean isConstant(Keyword keyword) {
        return switch (keyword.support()) {
            case BUILT, REFUSED, MISSED, MOOT, ACCEPTED ->
                    keyword != Keyword.HOST
                            && keyword != Keyword.MATCH
                            && keyword != Keyword.INCLUDE
                            && keyword != Keyword.FORWARD_AGENT;
            case IGNORED, DEPRECATED, UNSUPPORTED -> false;
        };
    }

    /** A number from 1 on, of few digits. */
    private boolean isNumber(int from, int end, int most) {
        if (from == end || end - from > SURE_DIGITS) {
            return false;
        }
        int number = 0;
        for (int i = from; i < end; i++) {
            int digit = bytes[i] - '0';
            if (digit < 0 || digit > 9) {
                return false;
            }
            number = 10 * number + digit;
        }
        return number > 0 && number <= most;
    }

    private boolean hasNone(int from, int end, byte unwanted) {
        for (int i = from; i < end; i++) {
            if (bytes[i] == unwanted) {
                return false;
            }
        }
        return true;
    }

    /** {@code [name:]port name:port}, and nothing else. */
    private boolean isForward(int from, int wordEnd, int last) {
        int second = blanks(wordEnd, last);
        return second < last
                && wordEnd(second, last) == last
                && isPlace(from, wordEnd, true)
                && isPlace(second, last, false);
    }

    /** A name of letters, digits, dots and hyphens, a colon, a port. */
    private boolean isPlace(int from, int end, boolean portAlone) {
        int colon = from;
        while (colon < end) {
            byte c = bytes[colon];
            boolean plain =
                    (c >= 'a' && c <= 'z')
                            || (c >= 'A' && c <= 'Z')
                            || (c >= '0' && c <= '9')
                            || c == '.'
                            || c == '-';
            if (!plain) {
                break;
            }
            colon++;
        }
        if (colon == end) {
            return portAlone && isNumber(from, end, MOST_PORT);
        }
        return bytes[colon] == ':'
                && colon > from
                && colon - from <= SURE_HOST
                && isNumber(colon + 1, end, MOST_PORT);
    }

    /** Whether none of the patterns of a Host line matches. */
    private boolean areOthers(int from, int end) {
        int at = from;
        while (at < end && bytes[at] != '#') {
            int next = wordEnd(at, end);
            if (!isOther(bytes[at] == '!' ? at + 1 : at, next, host, false)) {
                return false;
            }
            at = blanks(next, end);
        }
        return at > from;
    }

    /** Whether a Match line compares names only, and one of them is another's. */
    private boolean isForOthers(int from, int end) {
        boolean others = false;
        int at = from;
        while (at < end) {
            int next = wordEnd(at, end);
            int list = blanks(next, end);
            int listEnd = wordEnd(list, end);
            byte[] with = compared(at, next);
            if (with == null
                    || list == listEnd
                    || bytes[list] == '#'
                    || !hasNone(list, listEnd, (byte) '=')) {
                return false;
            }
            // Names of hosts have no case; the names of both criteria that compare them end in t.
            others |= areOthers(list, listEnd, with, (bytes[next - 1] | 0x20) == 't');
            at = blanks(listEnd, end);
        }
        return others;
    }

    /** Whom this criterion compares with; null where that is not so simple. */
    private byte @Nullable [] compared(int from, int end) {
        if (isNamed(HOST, from, end)) {
            Given.Value name = given.value(Keyword.HOST_NAME);
            if (name == null) {
                return matchHost;
            }
            return name.text().indexOf('%') < 0 ? lower(name.text()) : null;
        }
        if (isNamed(USER, from, end)) {
            Given.Value user = given.value(Keyword.USER);
            return user == null ? localUser : Octets.bytes(user.text());
        }
        if (isNamed(ORIGINAL_HOST, from, end)) {
            return originalHost;
        }
        return isNamed(LOCAL_USER, from, end) ? localUser : null;
    }

    /** Whether no pattern of a list with commas matches. */
    private boolean areOthers(int from, int end, byte[] name, boolean fold) {
        int at = from;
        while (at < end) {
            int comma = at;
            while (comma < end && bytes[comma] != ',') {
                comma++;
            }
            if (!isOther(at < comma && bytes[at] == '!' ? at + 1 : at, comma, name, fold)) {
                return false;
            }
            at = comma + 1;
        }
        return true;
    }

    /**
     * Whether one pattern does not match (see {@link Patterns#matches}).
     *
     * @param fold whether upper case in the pattern means lower case
     */
    private boolean isOther(int from, int end, byte[] name, boolean fold) {
        int t = 0;
        int p = from;
        int star = -1;
        int resume = 0;
        // What stands behind the last wildcard most often tells.
        for (int i = end - 1, j = name.length - 1; i >= from; i--, j--) {
            byte c = bytes[i];
            if (c == '*' || c == '?') {
                break;
            }
            if (j < 0 || (fold ? lower(c) : c) != name[j]) {
                return true;
            }
        }
        while (t < name.length) {
            byte wanted = p < end ? bytes[p] : 0;
            if (p < end && wanted == '*') {
                star = p++;
                resume = t;
            } else if (p < end && (wanted == '?' || (fold ? lower(wanted) : wanted) == name[t])) {
                t++;
                p++;
            } else if (star >= 0) {
                p = star + 1;
                t = ++resume;
            } else {
                return true;
            }
        }
        while (p < end && bytes[p] == '*') {
            p++;
        }
        return p < end;
    }

    private static byte[] lower(String name) {
        return Octets.bytes(name.toLowerCase(Locale.ROOT));
    }

    private static byte lower(byte c) {
        return c >= 'A' && c <= 'Z' ? (byte) (c | 0x20) : c;
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
        return c == ' ' || c == '\t' || c == '\r';
    }
}
