package holdfast.ssh.config;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** The words of one line, taken one after another. */
final class Arguments {
    private final List<String> words;
    private int at;

    Arguments(List<String> words) {
        this.words = words;
    }

    @Nullable String next() {
        return at < words.size() ? words.get(at++) : null;
    }

    /** The next word, or "" where there is none: OpenSSH treats both alike nearly always. */
    String nextOrEmpty() {
        String word = next();
        return word == null ? "" : word;
    }

    /** The next word, which stays; "" where there is none. */
    String peek() {
        return atEnd() ? "" : words.get(at);
    }

    boolean atEnd() {
        return at >= words.size();
    }

    List<String> takeAll() {
        List<String> all = List.copyOf(words.subList(at, words.size()));
        at = words.size();
        return all;
    }
}
