package holdfast.trials.harness;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/** A real terminal with a shell in it, seen and typed into as a person would: a tmux of its own. */
public final class Terminal implements AutoCloseable {

    /** How often the screen is looked at. */
    private static final Duration GLANCE = Duration.ofMillis(40);

    private static final AtomicInteger NEXT = new AtomicInteger(1);

    private final Path directory;
    private final Path socket;
    private int commands;

    private Terminal(Path directory, Path socket) {
        this.directory = directory;
        this.socket = socket;
    }

    /**
     * Opens one.
     *
     * @param directory for its socket and what its shell leaves behind
     * @param env what its shell has in its environment, beyond the usual
     */
    public static Terminal open(Path directory, Map<String, String> env, int columns, int rows) {
        Path own = directory.resolve("tty" + NEXT.getAndIncrement());
        try {
            Files.createDirectories(own);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        Terminal terminal = new Terminal(own, own.resolve("tmux"));
        terminal.tmux(
                env,
                "-f",
                "/dev/null",
                "new-session",
                "-d",
                "-x",
                Integer.toString(columns),
                "-y",
                Integer.toString(rows),
                // A plain shell: no line editor that changes the terminal's modes by itself.
                "exec env ENV= PS1='@@ ' /bin/sh -i",
                ";",
                "set-option",
                "-g",
                "status",
                "off",
                ";",
                "set-option",
                "-g",
                "window-size",
                "manual",
                ";",
                "resize-window",
                "-x",
                Integer.toString(columns),
                "-y",
                Integer.toString(rows));
        terminal.await("@@", Duration.ofSeconds(10));
        return terminal;
    }

    public Path directory() {
        return directory;
    }

    /** What is to be seen now, and up to 500 lines above it. */
    public String screen() {
        return tmux(Map.of(), "capture-pane", "-p", "-J", "-S", "-500").stripTrailing();
    }

    /** The place of the cursor and all that is to be seen, with its colours. */
    public String picture() {
        return tmux(
                Map.of(),
                "display-message",
                "-p",
                "cursor #{cursor_x},#{cursor_y} alternate #{alternate_on}",
                ";",
                "capture-pane",
                "-p",
                "-e",
                "-N");
    }

    public void type(String text) {
        tmux(Map.of(), "send-keys", "-l", "--", text);
    }

    /** A key by tmux's name for it: {@code Enter}, {@code C-c}. */
    public void key(String name) {
        tmux(Map.of(), "send-keys", name);
    }

    public void line(String text) {
        type(text);
        key("Enter");
    }

    public void resize(int columns, int rows) {
        tmux(
                Map.of(),
                "resize-window",
                "-x",
                Integer.toString(columns),
                "-y",
                Integer.toString(rows));
    }

    /** Waits until this is to be seen. */
    public void await(String wanted, Duration patience) {
        long deadline = System.nanoTime() + patience.toNanos();
        String screen = screen();
        while (!screen.contains(wanted)) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError(
                        "not to be seen within " + patience + ": ‹" + wanted + "›\n" + screen);
            }
            pause();
            screen = screen();
        }
    }

    /** Waits until the shell asks for the next command. */
    public void awaitPrompt(Duration patience) {
        long deadline = System.nanoTime() + patience.toNanos();
        while (!screen().endsWith("\n@@")) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("no prompt within " + patience + "\n" + screen());
            }
            pause();
        }
    }

    /** Starts a command line in the shell; {@link Foreground#end} waits for it. */
    public Foreground begin(String commandLine) {
        int number = ++commands;
        Path script = directory.resolve("command" + number);
        Path status = directory.resolve("status" + number);
        try {
            // In a file, so that the screen does not already show what is waited for.
            Files.writeString(script, commandLine + "\n");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        line(". " + script + "; echo $? >" + status + "~ && mv " + status + "~ " + status);
        return new Foreground(status, commandLine);
    }

    /** Runs a command line in the shell and gives its exit status. */
    public int run(String commandLine, Duration patience) {
        return begin(commandLine).end(patience);
    }

    /** The terminal's modes as {@code stty -g} says them. Only while the shell is in front. */
    public String modes() {
        Path file = directory.resolve("modes");
        run("stty -g >" + file, Duration.ofSeconds(10));
        try {
            return Files.readString(file).strip();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Override
    public void close() {
        try {
            tmux(Map.of(), "kill-server");
        } catch (AssertionError gone) {
            // It ends by itself when its shell does.
        }
    }

    /** A command line that runs in front. */
    public final class Foreground {
        private final Path status;
        private final String commandLine;

        private Foreground(Path status, String commandLine) {
            this.status = status;
            this.commandLine = commandLine;
        }

        public boolean ended() {
            return Files.exists(status);
        }

        /** Waits for the exit status. */
        public int end(Duration patience) {
            long deadline = System.nanoTime() + patience.toNanos();
            while (!ended()) {
                if (System.nanoTime() > deadline) {
                    throw new AssertionError(
                            "still running after "
                                    + patience
                                    + ": "
                                    + commandLine
                                    + "\n"
                                    + screen());
                }
                pause();
            }
            try {
                return Integer.parseInt(Files.readString(status).strip());
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    }

    private static void pause() {
        try {
            Thread.sleep(GLANCE);
        } catch (InterruptedException e) {
            throw new AssertionError("interrupted before a terminal", e);
        }
    }

    private String tmux(Map<String, String> env, String... words) {
        List<String> argv = new ArrayList<>(List.of("tmux", "-S", socket.toString()));
        argv.addAll(List.of(words));
        Command command = Command.of(argv);
        env.forEach(command::env);
        try {
            Ended ended = command.end(Duration.ofSeconds(20));
            if (ended.status() != 0) {
                throw new AssertionError(argv + ": " + ended.err());
            }
            return ended.out();
        } catch (InterruptedException e) {
            throw new AssertionError("interrupted before a terminal", e);
        }
    }
}
