package holdfast.trials.bench;

import java.util.List;

/**
 * The words after a benchmark's name.
 *
 * @param words as given
 */
record Options(List<String> words) {

    /** The number after this word, or the usual one. */
    int number(String word, int usual) {
        int at = words.indexOf(word);
        if (at < 0) {
            return usual;
        }
        if (at + 1 == words.size() || !words.get(at + 1).chars().allMatch(Character::isDigit)) {
            throw new IllegalArgumentException(word + ": expected a number");
        }
        return Integer.parseInt(words.get(at + 1));
    }

    /** The words after this one, separated by commas. */
    List<String> list(String word, List<String> usual) {
        int at = words.indexOf(word);
        return at < 0 || at + 1 == words.size() ? usual : List.of(words.get(at + 1).split(",", -1));
    }

    /** Whether this word is there. */
    boolean has(String word) {
        return words.contains(word);
    }

    boolean markdown() {
        return has("--markdown");
    }
}
