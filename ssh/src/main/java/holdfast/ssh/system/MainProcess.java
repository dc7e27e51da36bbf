package holdfast.ssh.system;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A small process that stands for a service in our place, so that whoever waits for the service's
 * end does not wait for us: we go on with the connections that we have.
 *
 * <p>It passes on the signals that are meant for the service, and ends when we let it, or with us.
 * systemd holds a service for stopped when its main process has ended, and lets another be named
 * for it only while the service runs ({@code MAINPID=}; up to version 252 not while it stops), so
 * that it is there from the start. It is a child of the first process, or of systemd where that has
 * started us: systemd hears only of its own children's ends.
 */
public final class MainProcess implements AutoCloseable {

    /** What is said to it by signals. */
    public enum Word {
        /** SIGHUP. */
        RELOAD,
        /** SIGTERM; or it was killed, which a signal to it cannot have meant otherwise. */
        TERMINATE
    }

    // A signal that comes just before the read would wait for it: every line is answered with an
    // empty one, so that one signal upon another is heard too. The last line is our status; an end
    // without one is our death.
    private static final String SCRIPT =
            """
            trap 'echo RELOAD >&3; told=1' HUP
            trap 'echo TERMINATE >&3; told=1' TERM
            echo $$ >&3
            told=1
            while [ "$told" ]; do
              told=
              if read -r status <&3; then [ "$status" ] && exit "$status"; told=1; fi
            done
            exit 1
            """;

    /** Where the script is, so that lists of processes stay legible. */
    private static final String VARIABLE = "HOLDFAST_MAIN";

    /** Its parent ends at once: who adopts it is the first process, or systemd. */
    private static final String ORPHANED =
            "/bin/sh -c 'eval \"$" + VARIABLE + "\"' 'holdfast sshd' &";

    private final LocalSocket line;
    private final long pid;
    private volatile boolean released;

    private MainProcess(LocalSocket line, long pid) {
        this.line = line;
        this.pid = pid;
    }

    /** Whether systemd itself has started this process, and waits for its word. */
    public static boolean systemdWaits() {
        return System.getenv().containsKey("NOTIFY_SOCKET") && Daemon.parentIsSystemd();
    }

    /**
     * Makes it.
     *
     * @param heard on a thread that reads what it says and does nothing else
     * @throws IOException if there can be none; then we are to be waited for
     */
    public static MainProcess start(Consumer<Word> heard) throws IOException {
        LocalSocket.Pair pair = LocalSocket.pair();
        boolean done = false;
        try {
            Child starter =
                    pair.far()
                            .start(
                                    Spawn.of(Path.of("/bin/sh"))
                                            .environment(Map.of(VARIABLE, SCRIPT))
                                            .argument("-c")
                                            .argument(ORPHANED));
            pair.far().letGo();
            CompletableFuture<Exit> adopted = new CompletableFuture<>();
            starter.onExit(adopted::complete);
            adopted.join();
            String said = said(pair.near());
            if (said == null) {
                throw new IOException("/bin/sh said nothing");
            }
            MainProcess made = new MainProcess(pair.near(), Long.parseLong(said));
            Thread.ofPlatform().daemon().name("main-process").start(() -> made.listen(heard));
            done = true;
            return made;
        } catch (NumberFormatException e) {
            throw new IOException("/bin/sh said something else", e);
        } finally {
            if (!done) {
                pair.near().close();
            }
        }
    }

    public long pid() {
        return pid;
    }

    private void listen(Consumer<Word> heard) {
        try {
            String said;
            while ((said = said(line)) != null) {
                heard.accept(Word.valueOf(said));
                line.write(new byte[] {'\n'});
            }
        } catch (IOException | IllegalArgumentException e) {
            // as if it had gone
        } finally {
            line.close();
        }
        if (!released) {
            heard.accept(Word.TERMINATE);
        }
    }

    /** One line, without its end; null when there is none. */
    private static @Nullable String said(LocalSocket line) throws IOException {
        StringBuilder text = new StringBuilder();
        byte[] one = new byte[1];
        while (line.read(one)) {
            if (one[0] == '\n') {
                return text.toString();
            }
            text.append((char) one[0]);
        }
        return null;
    }

    /** The service is over as far as others are concerned, and was well. */
    @Override
    public void close() {
        released = true;
        try {
            line.write("0\n".getBytes(StandardCharsets.US_ASCII));
        } catch (IOException e) {
            // it has gone before
        }
    }
}
