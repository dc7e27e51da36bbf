package holdfast.ssh.log;

import java.io.FileNotFoundException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.NoSuchFileException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Why a file cannot be had or a program not be started, in the system's words, as strerror(3). */
public final class Reason {

    private static final String LOOP = "Too many levels of symbolic links";

    private Reason() {}

    /** What the JDK says, less what it adds. */
    public static String of(Exception e) {
        // No switch over types: the first of a process costs more than a connection's hello.
        if (e instanceof NoSuchFileException) {
            return "No such file or directory";
        }
        if (e instanceof AccessDeniedException) {
            return "Permission denied";
        }
        if (e instanceof FileSystemLoopException) {
            return LOOP;
        }
        String text = e instanceof FileSystemException other ? other.getReason() : e.getMessage();
        if (text == null || text.isEmpty()) {
            return "Input/output error";
        }
        if (text.startsWith(LOOP)) {
            return LOOP; // the JDK adds what else it could be
        }
        return e instanceof FileNotFoundException ? bracketed(text) : text;
    }

    /** FILE (REASON). */
    private static String bracketed(String text) {
        int open = text.lastIndexOf('(');
        return open >= 0 && text.endsWith(")") ? text.substring(open + 1, text.length() - 1) : text;
    }

    /** Why {@link ProcessBuilder#start} could not execute the program; null: it is not that. */
    public static @Nullable String ofProgram(Exception e) {
        // Only now: most processes never come here.
        Matcher words =
                Pattern.compile("error: \\d+ \\((.*)\\)\\s*$")
                        .matcher(String.valueOf(e.getMessage()));
        return words.find() ? words.group(1) : null;
    }
}
