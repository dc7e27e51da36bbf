package holdfast.ssh.config;

import holdfast.ssh.octets.Octets;
import java.io.IOException;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** glob(3), as Include needs it: {@code * ? [a-z] [!a] \x}, names sorted, hidden ones not met. */
public final class PathGlob {

    private PathGlob() {}

    /** Whether a pattern says anything but itself. */
    public static boolean isPattern(String text) {
        return isWild(text) || text.indexOf('\\') >= 0;
    }

    /** The existing files that an absolute pattern names, sorted; empty: none. */
    public static List<String> files(String pattern) {
        return files(pattern, Integer.MAX_VALUE);
    }

    /**
     * The same; of a directory that somebody else fills.
     *
     * @param most names that are taken of a directory, whichever it tells first
     */
    public static List<String> files(String pattern, int most) {
        if (!isWild(pattern)) {
            String plain = unescape(pattern);
            return exists(plain) ? List.of(plain) : List.of();
        }
        List<String> found = new ArrayList<>();
        found.add("");
        int at = 0;
        while (at < pattern.length()) {
            int from = at;
            while (from < pattern.length() && pattern.charAt(from) == '/') {
                from++;
            }
            String slashes = pattern.substring(at, from);
            int slash = pattern.indexOf('/', from);
            int end = slash < 0 ? pattern.length() : slash;
            String part = pattern.substring(from, end);
            List<String> next = new ArrayList<>();
            for (String directory : found) {
                if (!isWild(part)) {
                    String plain = directory + slashes + unescape(part);
                    if (slash >= 0 || exists(plain)) {
                        next.add(plain);
                    }
                } else {
                    addMatching(next, directory + slashes, part, most);
                }
            }
            found = next;
            at = end;
        }
        return found;
    }

    private static boolean exists(String path) {
        try {
            return Files.exists(Octets.path(path), LinkOption.NOFOLLOW_LINKS);
        } catch (InvalidPathException e) {
            return false;
        }
    }

    private static void addMatching(List<String> into, String directory, String part, int most) {
        List<String> names = new ArrayList<>();
        try (DirectoryStream<Path> entries = Files.newDirectoryStream(Octets.path(directory))) {
            for (Path entry : entries) {
                if (names.size() + into.size() >= most) {
                    break;
                }
                Path file = entry.getFileName();
                String name = file == null ? "" : Octets.text(file);
                boolean hidden = name.startsWith(".") && !part.startsWith(".");
                if (!hidden && matches(name, 0, part, 0)) {
                    names.add(name);
                }
            }
        } catch (IOException | DirectoryIteratorException | InvalidPathException e) {
            // A directory that cannot be read has no matches, as for glob(3) without GLOB_ERR.
            return;
        }
        Collections.sort(names);
        for (String name : names) {
            into.add(directory + name);
        }
    }

    private static boolean isWild(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '*' || c == '?' || c == '[') {
                return true;
            }
            if (c == '\\') {
                i++;
            }
        }
        return false;
    }

    private static String unescape(String text) {
        if (text.indexOf('\\') < 0) {
            return text;
        }
        StringBuilder out = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '\\' && i + 1 < text.length()) {
                c = text.charAt(++i);
            }
            out.append(c);
        }
        return out.toString();
    }

    private static boolean matches(String name, int nameFrom, String pattern, int patternFrom) {
        int n = nameFrom;
        int p = patternFrom;
        while (p < pattern.length()) {
            char c = pattern.charAt(p);
            if (c == '*') {
                while (p < pattern.length() && pattern.charAt(p) == '*') {
                    p++;
                }
                if (p == pattern.length()) {
                    return true;
                }
                for (int from = n; from <= name.length(); from++) {
                    if (matches(name, from, pattern, p)) {
                        return true;
                    }
                }
                return false;
            }
            if (n == name.length()) {
                return false;
            }
            int close = c == '[' ? pattern.indexOf(']', p + 2) : -1;
            if (close > 0) {
                if (!inClass(name.charAt(n), pattern.substring(p + 1, close))) {
                    return false;
                }
                p = close + 1;
            } else {
                if (c == '\\' && p + 1 < pattern.length()) {
                    c = pattern.charAt(++p);
                } else if (c == '?') {
                    c = name.charAt(n);
                }
                if (c != name.charAt(n)) {
                    return false;
                }
                p++;
            }
            n++;
        }
        return n == name.length();
    }

    private static boolean inClass(char c, String set) {
        boolean negated = set.startsWith("!") || set.startsWith("^");
        boolean found = false;
        for (int i = negated ? 1 : 0; i < set.length(); i++) {
            char low = set.charAt(i);
            char high = low;
            if (i + 2 < set.length() && set.charAt(i + 1) == '-') {
                high = set.charAt(i + 2);
                i += 2;
            }
            found |= low <= c && c <= high;
        }
        return found != negated;
    }
}
