package holdfast.ssh.log;

import java.util.List;
import java.util.function.BiPredicate;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

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
        DEBUG3;

        /** As OpenSSH's log_level_name has it, in {@code ssh -G} and for {@code ~v}. */
        public String spelled() {
            return switch (this) {
                case QUIET -> "SILENT";
                case DEBUG1 -> "DEBUG";
                case FATAL, ERROR, INFO, VERBOSE, DEBUG2, DEBUG3 -> name();
            };
        }

        /** The next that says more, or this where none does. */
        public Level louder() {
            return switch (this) {
                case QUIET -> FATAL;
                case FATAL -> ERROR;
                case ERROR -> INFO;
                case INFO -> VERBOSE;
                case VERBOSE -> DEBUG1;
                case DEBUG1 -> DEBUG2;
                case DEBUG2, DEBUG3 -> DEBUG3;
            };
        }

        /** The next that says less, or this where none does. */
        public Level quieter() {
            return switch (this) {
                case QUIET, FATAL -> QUIET;
                case ERROR -> FATAL;
                case INFO -> ERROR;
                case VERBOSE -> INFO;
                case DEBUG1 -> VERBOSE;
                case DEBUG2 -> DEBUG1;
                case DEBUG3 -> DEBUG2;
            };
        }
    }

    /** Where lines go that are not for a terminal: their level is told, and they have no end. */
    public interface Sink {
        void take(Level level, String line);

        /**
         * The same where it is of use who speaks.
         *
         * @param speaker a number that stands for a process of its own; 0: this process
         */
        default void take(Level level, String line, long speaker) {
            take(level, line);
        }
    }

    /** How much is said, by all that speak under one configuration. */
    private static final class Loudness {
        volatile Level level;
        volatile @Nullable Places places;

        Loudness(Level level) {
            this.level = level;
        }
    }

    private final Sink sink;
    private final boolean forTerminal;
    private final long speaker;
    private final Loudness loudness;

    /**
     * LogVerbose: what is said at those places of the program is said whatever the level.
     *
     * @param among whether a place is in a list of patterns
     */
    private record Places(List<String> patterns, BiPredicate<String, String> among) {
        boolean have(String place) {
            return patterns.stream().anyMatch(list -> among.test(place, list));
        }
    }

    /**
     * @param sink takes each finished line, its CR LF included
     */
    public Log(Level level, Consumer<String> sink) {
        this((at, line) -> sink.accept(line), true, 0, new Loudness(level));
    }

    private Log(Sink sink, boolean forTerminal, long speaker, Loudness loudness) {
        this.sink = sink;
        this.forTerminal = forTerminal;
        this.speaker = speaker;
        this.loudness = loudness;
    }

    /** A log whose lines are for a terminal, and whose sink is told their level too. */
    public static Log ofTerminal(Level level, Sink sink) {
        return new Log(sink, true, 0, new Loudness(level));
    }

    /** A log whose lines go to the system's, with {@code error: } before those that are errors. */
    public static Log ofSystem(Level level, Sink sink) {
        return new Log(sink, false, 0, new Loudness(level));
    }

    /** A log that says nothing. */
    public static Log silent() {
        return new Log(Level.QUIET, line -> {});
    }

    /** A log of its own level that writes to the same place. */
    public Log at(Level other) {
        Loudness own = new Loudness(other);
        own.places = loudness.places;
        return new Log(sink, forTerminal, speaker, own);
    }

    /** The same log, as loud as this is, for somebody with a number of his own. */
    public Log of(long speaker) {
        return new Log(sink, forTerminal, speaker, loudness);
    }

    /**
     * LogVerbose: from now on, what is said at a place named by one of these lists of patterns is
     * said at every level, with the place before it: {@code Dialer.java:dial():88 (pid=4711)}.
     *
     * @param among whether a place is in a list of patterns
     */
    public void verboseAt(List<String> patterns, BiPredicate<String, String> among) {
        loudness.places = patterns.isEmpty() ? null : new Places(List.copyOf(patterns), among);
    }

    public Level level() {
        return loudness.level;
    }

    /** Changes the level from now on (escape {@code ~v}, {@code LogLevel} of a later file). */
    public void level(Level now) {
        loudness.level = now;
    }

    /** Whether something at that level may be shown: what is costly to say need not be made. */
    public boolean shows(Level wanted) {
        return wanted != Level.QUIET && (shown(wanted) || loudness.places != null);
    }

    private boolean shown(Level wanted) {
        return loudness.level.compareTo(wanted) >= 0;
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
        Places verbose = loudness.places;
        String place = verbose == null ? "" : place();
        boolean forced = verbose != null && verbose.have(place);
        if (!forced && !shown(at)) {
            return;
        }
        String prefix =
                switch (at) {
                    case DEBUG1 -> "debug1: ";
                    case DEBUG2 -> "debug2: ";
                    case DEBUG3 -> "debug3: ";
                    case FATAL -> forTerminal ? "" : "fatal: ";
                    case ERROR -> forTerminal ? "" : "error: ";
                    case QUIET, INFO, VERBOSE -> "";
                };
        String line = prefix + (forced ? place + ": " : "") + text;
        sink.take(at, forTerminal ? Printable.line(line, Printable.UTF_8) + "\r\n" : line, speaker);
    }

    /** Who speaks, in the form of OpenSSH's log.c: file, method, line, process. */
    private String place() {
        return StackWalker.getInstance()
                .walk(frames ->
                        frames.filter(frame -> !frame.getClassName().equals(NAME))
                                .findFirst()
                                .map(frame ->
                                        frame.getFileName()
                                                + ":"
                                                + method(frame.getMethodName())
                                                + "():"
                                                + frame.getLineNumber()
                                                + " (pid="
                                                + (speaker == 0
                                                        ? ProcessHandle.current().pid()
                                                        : speaker)
                                                + ")")
                                .orElse(""));
    }

    /** The compiler's name for code inside a method, {@code lambda$dial$0}, means that method. */
    private static String method(String name) {
        String[] parts = name.split("\\$", -1);
        return parts.length == 3 && parts[0].equals("lambda") ? parts[1] : name;
    }

    private static final String NAME = Log.class.getName();
}
