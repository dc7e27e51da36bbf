package holdfast.ssh.config;

import holdfast.ssh.octets.Octets;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What stands for what in a value: {@code %h} and its like, {@code ${NAME}}, {@code ~} (misc.c
 * percent_expand, dollar_expand, tilde_expand_filename).
 *
 * @param host where the connection goes
 * @param originalHost what was typed
 * @param port where the connection goes
 * @param user whom it logs in as
 * @param keyAlias the name of the host in known_hosts
 * @param jumpHost the host of ProxyJump that is next to the server, or ""
 */
record Tokens(
        Surroundings surroundings,
        String host,
        String originalHost,
        int port,
        String user,
        String keyAlias,
        String jumpHost) {

    /** The tokens of ssh_config(5) that nearly every expanding keyword takes. */
    static final String ALL = "%CdhijkLlnpru";

    /** Those of LocalCommand. */
    static final String LOCAL = ALL + "T";

    /** Those of ProxyCommand and ProxyJump. */
    static final String PROXY = "%hknpr";

    /** What {@code %j} stands for when this is the ProxyJump; null: none. */
    static String jumpHost(@Nullable String jump) {
        List<Destination> hops = jump == null ? null : Destination.jumps(jump);
        return hops == null || hops.isEmpty() ? "" : hops.getLast().host();
    }

    /** Replaces {@code %x} where x is one of {@code allowed}; and {@code ${NAME}} if so asked. */
    String expand(String text, String allowed, boolean variables) throws ConfigException {
        if (text.indexOf('%') < 0 && (!variables || text.indexOf('$') < 0)) {
            return text;
        }
        StringBuilder out = new StringBuilder(text.length() + 16);
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (variables && c == '$' && i + 1 < text.length() && text.charAt(i + 1) == '{') {
                int close = text.indexOf('}', i);
                out.append(variable(text, i + 2, close, surroundings));
                i = close;
            } else if (c == '%') {
                i++;
                if (i == text.length()) {
                    throw ConfigException.of("percent_expand: invalid format");
                }
                char key = text.charAt(i);
                if (allowed.indexOf(key) < 0) {
                    throw ConfigException.of("percent_expand: unknown key %" + key);
                }
                out.append(token(key));
            } else {
                out.append(c);
            }
        }
        return out.toString();
    }

    private static String variable(String text, int from, int close, Surroundings surroundings)
            throws ConfigException {
        if (close < 0) {
            throw ConfigException.of(
                    "environment variable '" + text.substring(from) + "' missing closing '}'");
        }
        if (close == from) {
            throw ConfigException.of("zero-length environment variable");
        }
        String name = text.substring(from, close);
        String value = surroundings.environment().get(name);
        if (value == null) {
            throw ConfigException.of("env var ${" + name + "} has no value");
        }
        return value;
    }

    /** What is wrong with the {@code ${NAME}} of a text, or null. */
    static @Nullable String variableError(String text, Surroundings surroundings) {
        for (int at = text.indexOf("${"); at >= 0; at = text.indexOf("${", at + 2)) {
            try {
                variable(text, at + 2, text.indexOf('}', at), surroundings);
            } catch (ConfigException e) {
                return e.text();
            }
        }
        return null;
    }

    /** What each of these tokens stands for. */
    Map<Character, String> values(String tokens) {
        Map<Character, String> values = new HashMap<>();
        for (int i = 0; i < tokens.length(); i++) {
            values.put(tokens.charAt(i), token(tokens.charAt(i)));
        }
        return values;
    }

    private String token(char key) {
        return switch (key) {
            case '%' -> "%";
            case 'C' -> connectionHash();
            case 'd' -> Octets.text(surroundings.home());
            case 'h' -> host;
            case 'i' -> Long.toString(surroundings.uid());
            case 'j' -> jumpHost;
            case 'k' -> keyAlias;
            case 'L' -> shortName(surroundings.hostName().get());
            case 'l' -> surroundings.hostName().get();
            case 'n' -> originalHost;
            case 'p' -> Integer.toString(port);
            case 'r' -> user;
            case 'T' -> "NONE"; // the interface of a tunnel, and there is none
            case 'u' -> surroundings.localUser();
            default -> throw new IllegalArgumentException("no such token: " + key);
        };
    }

    private static String shortName(String name) {
        int dot = name.indexOf('.');
        return dot < 0 ? name : name.substring(0, dot);
    }

    private String connectionHash() {
        try {
            MessageDigest sha1 = MessageDigest.getInstance("SHA-1");
            String text = surroundings.hostName().get() + host + port + user + jumpHost;
            return HexFormat.of().formatHex(sha1.digest(Octets.bytes(text)));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-1", e);
        }
    }

    /** Replaces {@code ~} and {@code ~user} at the start of a path; a slash follows the home. */
    static String tilde(String path, Surroundings surroundings) throws ConfigException {
        if (path.isEmpty() || path.charAt(0) != '~') {
            return path;
        }
        int slash = path.indexOf('/');
        String user = path.substring(1, slash < 0 ? path.length() : slash);
        String home =
                user.isEmpty() || user.equals(surroundings.localUser())
                        ? Octets.text(surroundings.home())
                        : homeOf(user);
        if (home == null) {
            throw ConfigException.of("tilde_expand: No such user " + user);
        }
        String below = slash < 0 ? "" : path.substring(slash + 1);
        return home.endsWith("/") ? home + below : home + "/" + below;
    }

    private static @Nullable String homeOf(String user) {
        try {
            String passwords = Octets.text(Files.readAllBytes(Path.of("/etc/passwd")));
            int at = passwords.startsWith(user + ":") ? 0 : passwords.indexOf("\n" + user + ":");
            if (at < 0) {
                return null;
            }
            int end = passwords.indexOf('\n', at + 1);
            String[] fields =
                    passwords.substring(at, end < 0 ? passwords.length() : end).split(":", -1);
            return fields.length > 5 ? fields[5] : null;
        } catch (IOException e) {
            return null;
        }
    }
}
