package holdfast.trials.harness;

import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A process about to be started: its words, environment, what it reads and where its output goes.
 * Standard input is {@code /dev/null} unless said otherwise.
 */
public final class Command {

    private final List<String> argv;
    private final Map<String, String> env = new LinkedHashMap<>();
    private @Nullable InputStream input;
    private boolean inputOpen;
    private @Nullable OutputStream out;
    private @Nullable OutputStream err;
    private @Nullable Path directory;
    private Consumer<Running> started = running -> {};

    private Command(List<String> argv) {
        this.argv = List.copyOf(argv);
    }

    public static Command of(List<String> argv) {
        return new Command(argv);
    }

    public static Command of(String... argv) {
        return new Command(List.of(argv));
    }

    /** These words before its own: {@code ip netns exec …}. */
    public Command behind(List<String> words) {
        List<String> all = new ArrayList<>(words);
        all.addAll(argv);
        Command command = new Command(all);
        command.env.putAll(env);
        command.input = input;
        command.inputOpen = inputOpen;
        command.out = out;
        command.err = err;
        command.directory = directory;
        command.started = started;
        return command;
    }

    public List<String> argv() {
        return argv;
    }

    public Command env(String name, String value) {
        env.put(name, value);
        return this;
    }

    public Command input(String text) {
        return input(new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8)));
    }

    /** Fed to standard input as fast as it is taken, then end of file. */
    public Command input(InputStream stream) {
        input = stream;
        return this;
    }

    /** Standard input is a pipe that stays open; the trial writes to {@link Running#stdin}. */
    public Command inputOpen() {
        inputOpen = true;
        return this;
    }

    /** Standard output goes here instead of into memory, as fast as the stream takes it. */
    public Command outTo(OutputStream stream) {
        out = stream;
        return this;
    }

    public Command errTo(OutputStream stream) {
        err = stream;
        return this;
    }

    public Command in(Path workingDirectory) {
        directory = workingDirectory;
        return this;
    }

    /** Called with every process started from this command, so that somebody can end it. */
    public Command onStart(Consumer<Running> listener) {
        started = listener;
        return this;
    }

    public Running start() {
        ProcessBuilder builder = new ProcessBuilder(argv);
        Map<String, String> environment = builder.environment();
        // Nothing of the person who runs the trials reaches them: their agent, terminal, locale.
        environment.keySet().removeIf(Command::personal);
        environment.put("LC_ALL", "C.UTF-8");
        environment.putAll(env);
        if (input == null && !inputOpen) {
            builder.redirectInput(new File("/dev/null"));
        }
        if (directory != null) {
            builder.directory(directory.toFile());
        }
        Captured outCaptured = new Captured();
        Captured errCaptured = new Captured();
        try {
            long startedAt = System.nanoTime();
            Process process = builder.start();
            Running running =
                    new Running(
                            argv, process, startedAt, outCaptured, errCaptured, input, out, err);
            started.accept(running);
            return running;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Starts it and waits for its end: a failed trial if that takes longer. */
    public Ended end(Duration patience) throws InterruptedException {
        return start().end(patience);
    }

    private static boolean personal(String name) {
        return name.startsWith("SSH_")
                || name.startsWith("LC_")
                || name.startsWith("GIT_")
                || name.startsWith("TMUX")
                || name.equals("LANG")
                || name.equals("DISPLAY");
    }
}
