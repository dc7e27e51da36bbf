package holdfast.trials.terminal;

import holdfast.core.time.Moment;
import holdfast.ssh.terminal.StatusLine;
import holdfast.ssh.terminal.Terminal;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.HexFormat;

/**
 * A client without a network: shows on its terminal a shell that runs on another one, and doubts
 * when it is told to. Orders come one a line through a pipe named {@code orders}; how many are done
 * stands in {@code done}.
 */
public final class Doubter {

    private Doubter() {}

    public static void main(String[] args) throws Exception {
        Path directory = Path.of(args[0]);
        Terminal terminal = Terminal.ofProcess();
        Terminal.Size size = terminal.size();
        OutputStream screen = new FileOutputStream(FileDescriptor.out);
        StatusLine line =
                new StatusLine(screen, System.getenv("TERM"), size, () -> redraw(directory, size));
        terminal.enterRaw();
        if (args.length > 1) {
            Process shell =
                    new ProcessBuilder(
                                    "script",
                                    "-qfc",
                                    "tty >"
                                            + directory.resolve("tty")
                                            + "; stty rows "
                                            + size.rows()
                                            + " cols "
                                            + size.columns()
                                            + "; "
                                            + args[1],
                                    "/dev/null")
                            .start();
            Thread.ofPlatform().daemon().start(() -> pump(System.in, shell.getOutputStream()));
            Thread.ofPlatform().daemon().start(() -> pump(shell.getInputStream(), line));
        }
        Files.writeString(directory.resolve("pid"), Long.toString(ProcessHandle.current().pid()));
        obey(directory, line);
        line.abandon();
        System.exit(0);
    }

    private static void obey(Path directory, StatusLine line) throws IOException {
        Moment now = Moment.ZERO;
        int done = 0;
        try (BufferedReader orders = Files.newBufferedReader(directory.resolve("orders"))) {
            String order = orders.readLine();
            while (order != null && !order.equals("quit")) {
                // Orders are never too close to each other.
                now = now.plus(Duration.ofSeconds(2));
                if (order.startsWith("show ")) {
                    line.show(order.substring(5), now);
                } else if (order.equals("clear")) {
                    line.clear();
                } else if (order.equals("suspend")) {
                    Terminal.ofProcess().suspend();
                } else if (order.startsWith("write ")) {
                    byte[] bytes = HexFormat.of().parseHex(order.substring(6));
                    line.write(bytes, 0, bytes.length);
                }
                Path temporary = directory.resolve("done~");
                Files.writeString(temporary, Integer.toString(++done));
                Files.move(temporary, directory.resolve("done"), StandardCopyOption.ATOMIC_MOVE);
                order = orders.readLine();
            }
        }
    }

    /** What a client does by two window-changes. */
    private static void redraw(Path directory, Terminal.Size size) {
        Thread.ofPlatform()
                .daemon()
                .start(() -> {
                    try {
                        String tty = Files.readString(directory.resolve("tty")).strip();
                        rows(tty, size.rows() - 1);
                        Thread.sleep(100);
                        rows(tty, size.rows());
                    } catch (IOException | InterruptedException e) {
                        throw new IllegalStateException(e);
                    }
                });
    }

    private static void rows(String tty, int rows) throws IOException, InterruptedException {
        new ProcessBuilder("stty", "-F", tty, "rows", Integer.toString(rows)).start().waitFor();
    }

    private static void pump(InputStream from, OutputStream to) {
        byte[] bytes = new byte[8192];
        try {
            for (int n = from.read(bytes); n >= 0; n = from.read(bytes)) {
                to.write(bytes, 0, n);
                to.flush();
            }
        } catch (IOException over) {
            throw new IllegalStateException(over);
        }
    }

    private static void pump(InputStream from, StatusLine to) {
        byte[] bytes = new byte[8192];
        try {
            for (int n = from.read(bytes); n >= 0; n = from.read(bytes)) {
                to.write(bytes, 0, n);
            }
        } catch (IOException over) {
            throw new IllegalStateException(over);
        }
    }
}
