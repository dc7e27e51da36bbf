package holdfast.ssh.config;

import holdfast.ssh.octets.Octets;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * What stands for what in the values of sshd_config: {@code %u} and its like (misc.c
 * percent_expand). Which tokens a keyword takes is for its user to say, by the map it gives.
 */
public final class ServerTokens {

    private ServerTokens() {}

    /**
     * The tokens of AuthorizedKeysFile, AuthorizedPrincipalsFile and ChrootDirectory: {@code %h},
     * {@code %u} and {@code %U}.
     */
    public static Map<Character, String> ofUser(String user, long uid, String home) {
        return Map.of('u', user, 'U', Long.toString(uid), 'h', home);
    }

    /**
     * Replaces the tokens of a text; {@code %%} is always a percent sign.
     *
     * @throws ConfigException a token that is not among them: "vdollar_percent_expand: unknown key
     *     %x"
     */
    public static String expand(String text, Map<Character, String> tokens) throws ConfigException {
        if (text.indexOf('%') < 0) {
            return text;
        }
        StringBuilder out = new StringBuilder(text.length() + 32);
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c != '%') {
                out.append(c);
                continue;
            }
            if (++i == text.length()) {
                throw ConfigException.of("vdollar_percent_expand: invalid format");
            }
            char key = text.charAt(i);
            String value = key == '%' ? "%" : tokens.get(key);
            if (value == null) {
                throw ConfigException.of("vdollar_percent_expand: unknown key %" + key);
            }
            out.append(value);
        }
        return out.toString();
    }

    /**
     * A file of the user: tokens replaced, and below the user's home where it is not absolute
     * (auth.c expand_authorized_keys).
     */
    public static Path file(String text, Map<Character, String> ofUser) throws ConfigException {
        String expanded = expand(text, ofUser);
        String home = ofUser.getOrDefault('h', "/");
        try {
            return expanded.startsWith("/")
                    ? Octets.path(expanded)
                    : Octets.path(home + "/" + expanded);
        } catch (InvalidPathException e) {
            throw ConfigException.of("Invalid file name");
        }
    }

    /**
     * The words of AuthorizedKeysCommand or AuthorizedPrincipalsCommand, each with its tokens
     * replaced after the words were told apart, so that no value can become two of them. The first
     * is the program and takes none. No words: its quotes do not match.
     *
     * @throws ConfigException a token that is not among them
     */
    public static List<String> command(String text, Map<Character, String> tokens)
            throws ConfigException {
        List<String> words = Words.split(text, false);
        if (words == null || words.isEmpty()) {
            return List.of();
        }
        List<String> expanded = new ArrayList<>(words.size());
        expanded.add(words.getFirst());
        for (String word : words.subList(1, words.size())) {
            expanded.add(expand(word, tokens));
        }
        return expanded;
    }

    /** A word as it must be written to be read as one (misc.c argv_assemble). */
    public static String quoted(String word) {
        StringBuilder out = new StringBuilder(word.length());
        boolean blank = false;
        for (int i = 0; i < word.length(); i++) {
            char c = word.charAt(i);
            blank |= c == ' ' || c == '\t';
            if (c == '\\' || c == '\'' || c == '"') {
                out.append('\\');
            }
            out.append(c);
        }
        return blank ? "\"" + out + "\"" : out.toString();
    }

    /** Words as one line that would be split into them again. */
    public static String joined(List<String> words) {
        return String.join(" ", words.stream().map(ServerTokens::quoted).toList());
    }
}
