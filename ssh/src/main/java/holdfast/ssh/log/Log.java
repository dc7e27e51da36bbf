package holdfast.ssh.log;

import java.util.function.Consumer;

/**
 * What a person sees of the inner workings, at the levels and in the form of OpenSSH's log.c:
 * {@code debug1: text}, each line ended by CR LF because the terminal may be raw.
 *
 * <p>Thread-safe as far as its sink is: one call of the sink for each line.
 */
public final class Log {

    /** LogLevel of ssh_config(5), quietest first. */
    public enum Level {
        QUIET,
        FATAL,
        ERROR,
        INFO,
        VERBOSE,
        DEBUG1,
        DEBUG2,
        DEBUG3
    }

    private final Consumer<String> sink;
    private volatile Level level;

    /**
     * @param sink takes each finished line, its CR LF included
     */
    public Log(Level level, Consumer<String> sink) {
        this.level = level;
        this.sink = sink;
    }

    /** A log that says nothing. */
    public static Log silent() {
        return new Log(Level.QUIET, line -> {});
    }

    /** A log of its own level that writes to the same place. */
    public Log at(Level other) {
        return new Log(other, sink);
    }

    public Level level() {
        return level;
    }

    /** Changes the level from now on (escape {@code ~v}, {@code LogLevel} of a later file). */
    public void level(Level now) {
        level = now;
    }

    public boolean shows(Level wanted) {
        return level.compareTo(wanted) >= 0 && wanted != Level.QUIET;
    }

    public void fatal(String text) {
        write(Level.FATAL, text);
    }

    public void error(String text) {
        write(Level.ERROR, text);
    }

    public void info(String text) {
        write(Level.INFO, text);
    }

    public void verbose(String text) {
        write(Level.VERBOSE, text);
    }

    public void debug(String text) {
        write(Level.DEBUG1, text);
    }

    public void debug2(String text) {
        write(Level.DEBUG2, text);
    }

    public void debug3(String text) {
        write(Level.DEBUG3, text);
    }

    /** Writes {@code text} if the level shows it, with OpenSSH's prefix for that level. */
    public void write(Level at, String text) {
        if (!shows(at)) {
            return;
        }
        String prefix =
                switch (at) {
                    case DEBUG1 -> "debug1: ";
                    case DEBUG2 -> "debug2: ";
                    case DEBUG3 -> "debug3: ";
                    case QUIET, FATAL, ERROR, INFO, VERBOSE -> "";
                };
        sink.accept(prefix + text + "\r\n");
    }
}
