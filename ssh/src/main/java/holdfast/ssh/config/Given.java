package holdfast.ssh.config;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What the command line and the files have given so far, in the form {@code ssh -G} prints it: the
 * first value of a keyword wins, except where OpenSSH lets values add up. Owned by one thread.
 */
final class Given {

    /**
     * One keyword's value and where it came from.
     *
     * @param words the value; for most keywords one word
     * @param file "command-line" or the file's name
     */
    record Value(List<String> words, String file, int line) {
        String text() {
            return words.isEmpty() ? "" : words.get(0);
        }

        String where() {
            return file + " line " + line;
        }
    }

    /** Whose IdentityFile it is. OpenSSH drops duplicates only among those of one giver. */
    enum Giver {
        SYSTEM_FILE,
        OPTION,
        USER_FILE
    }

    /** One IdentityFile. */
    record Identity(String path, Giver giver, String where) {}

    /** In the place of a line: not a setting. */
    private static final int TYPED = -1;

    private final Map<Keyword, Value> values;
    private final List<Identity> identities;
    private final List<ForwardSpec> localForwards;
    private final List<ForwardSpec> remoteForwards;
    private @Nullable Endpoint stdio;

    Given() {
        values = new EnumMap<>(Keyword.class);
        identities = new ArrayList<>(4);
        localForwards = new ArrayList<>(0);
        remoteForwards = new ArrayList<>(0);
    }

    private Given(Given other) {
        values = new EnumMap<>(other.values);
        identities = new ArrayList<>(other.identities);
        localForwards = new ArrayList<>(other.localForwards);
        remoteForwards = new ArrayList<>(other.remoteForwards);
        stdio = other.stdio;
    }

    Given copy() {
        return new Given(this);
    }

    @Nullable Value value(Keyword keyword) {
        return values.get(keyword);
    }

    boolean has(Keyword keyword) {
        return values.containsKey(keyword);
    }

    /** The first word given, or the default, or null. */
    @Nullable String text(Keyword keyword) {
        Value value = values.get(keyword);
        return value == null ? keyword.fallback() : value.text();
    }

    boolean isYes(Keyword keyword) {
        return "yes".equals(text(keyword));
    }

    void putIfAbsent(Keyword keyword, Value value) {
        values.putIfAbsent(keyword, value);
    }

    /** For the options that beat what came before them: -4 -6 -b -B -c -e -m -n -q -s -t -T -v. */
    void override(Keyword keyword, String word) {
        values.put(keyword, new Value(List.of(word), "command-line", 0));
    }

    /** The user of the destination or of {@code -l}, in which nothing is expanded. */
    void typedUser(String name) {
        values.put(Keyword.USER, new Value(List.of(name), "command-line", TYPED));
    }

    /** Whether the user was typed as such, and not as a setting. */
    boolean isUserTyped() {
        Value user = values.get(Keyword.USER);
        return user != null && user.line() == TYPED;
    }

    /**
     * {@code -A} and {@code -a}: whether the agent is forwarded is one setting, which agent
     * another.
     */
    void forwardAgent(boolean forwarded) {
        Value before = values.get(Keyword.FORWARD_AGENT);
        List<String> words = new ArrayList<>(2);
        words.add(forwarded ? "yes" : "no");
        if (before != null && before.words().size() > 1) {
            words.add(before.words().get(1));
        }
        values.put(Keyword.FORWARD_AGENT, new Value(words, "command-line", 0));
    }

    void remove(Keyword keyword) {
        values.remove(keyword);
    }

    /** Adds words to those that earlier lines gave. */
    void append(Keyword keyword, Value more) {
        Value before = values.get(keyword);
        if (before == null) {
            values.put(keyword, more);
        } else {
            List<String> words = new ArrayList<>(before.words());
            words.addAll(more.words());
            values.put(keyword, new Value(words, before.file(), before.line()));
        }
    }

    void replaceWords(Keyword keyword, List<String> words) {
        Value before = values.get(keyword);
        if (before != null) {
            values.put(keyword, new Value(words, before.file(), before.line()));
        }
    }

    List<Identity> identities() {
        return identities;
    }

    void addIdentity(Identity identity) {
        for (Identity known : identities) {
            if (known.giver() == identity.giver() && known.path().equals(identity.path())) {
                return;
            }
        }
        identities.add(identity);
    }

    /** LocalForward and DynamicForward. */
    List<ForwardSpec> localForwards() {
        return localForwards;
    }

    List<ForwardSpec> remoteForwards() {
        return remoteForwards;
    }

    /** One more forwarding; the same again counts once. */
    void addForward(ForwardSpec spec, ForwardSpec.Kind kind) {
        List<ForwardSpec> list = kind == ForwardSpec.Kind.REMOTE ? remoteForwards : localForwards;
        if (!list.contains(spec)) {
            list.add(spec);
        }
    }

    @Nullable Endpoint stdio() {
        return stdio;
    }

    void stdio(Endpoint to) {
        stdio = to;
    }
}
