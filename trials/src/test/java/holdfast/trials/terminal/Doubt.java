package holdfast.trials.terminal;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Terminal;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** A terminal with a {@link Doubter} in it. */
final class Doubt implements AutoCloseable {
    private static final Duration SOON = Duration.ofSeconds(10);

    final Terminal terminal;
    private final Path directory;
    private final OutputStream orders;
    private int given;

    Doubt(Path directory, String command) throws IOException, InterruptedException {
        this.directory = directory;
        terminal = Terminal.open(directory, Map.of("LC_ALL", "C.UTF-8"), 60, 24);
        Path pipe = directory.resolve("orders");
        new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor();
        Path script = directory.resolve("doubter.sh");
        Files.writeString(
                script,
                "tty >"
                        + directory.resolve("outer")
                        + "; clear; exec "
                        + Path.of(System.getProperty("java.home"), "bin", "java")
                        + " -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
                        + " --enable-native-access=ALL-UNNAMED -cp "
                        + System.getProperty("java.class.path")
                        + " "
                        + Doubter.class.getName()
                        + " "
                        + directory
                        + (command.isEmpty() ? "" : " \"" + command + "\"")
                        + "\n");
        terminal.line("sh " + script);
        // opens as soon as the other side does
        orders = Files.newOutputStream(pipe);
    }

    /** Gives an order and waits until it is carried out. */
    void order(String order) throws IOException, InterruptedException {
        give(order);
        done();
    }

    void give(String order) throws IOException {
        orders.write(utf8(order + "\n"));
        orders.flush();
        given++;
    }

    /** Waits until all orders are carried out. */
    void done() throws IOException, InterruptedException {
        String wanted = Integer.toString(given);
        Path done = directory.resolve("done");
        Eventually.holds(
                SOON,
                () -> Files.exists(done) && Files.readString(done).equals(wanted),
                () -> "order %s".formatted(given));
        settled();
    }

    /**
     * What is to be seen, each character after the colours it has where they change; tmux tells
     * colours by what it last said, and says more where a blank was once something else.
     */
    String picture() {
        StringBuilder picture = new StringBuilder();
        TreeSet<String> now = new TreeSet<>();
        String painted = "[]";
        String text = terminal.picture();
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '\033' && text.startsWith("[", i + 1)) {
                int end = text.indexOf('m', i);
                paint(now, text.substring(i + 2, end));
                i = end;
                continue;
            }
            if (c == 0x0e) {
                now.add("graphics");
                continue;
            }
            if (c == 0x0f) {
                now.remove("graphics");
                continue;
            }
            boolean visible = c != ' ' || now.contains("4") || now.contains("7") || background(now);
            String wanted = c == '\n' || !visible ? "[]" : now.toString();
            if (!wanted.equals(painted)) {
                picture.append(wanted);
                painted = wanted;
            }
            picture.append(c);
        }
        return picture.toString().replaceAll("(?m) +$", "");
    }

    private static void paint(Set<String> now, String codes) {
        if (codes.startsWith("38;") || codes.startsWith("48;")) {
            now.removeIf(code -> code.startsWith(codes.substring(0, 1)));
            now.add(codes);
            return;
        }
        for (String code : codes.split(";", -1)) {
            if (code.isEmpty() || code.equals("0")) {
                // Not the character set: tmux says of that when it changes, and a reset is no
                // change.
                now.removeIf(set -> !set.equals("graphics"));
            } else if (code.length() == 2) {
                now.removeIf(other -> other.length() > 1 && other.charAt(0) == code.charAt(0));
                if (code.charAt(1) != '9') {
                    now.add(code);
                }
            } else {
                now.add(code);
            }
        }
    }

    private static boolean background(Set<String> now) {
        return now.stream().anyMatch(code -> code.length() > 1 && code.charAt(0) == '4');
    }

    /** The picture once it stands still. */
    String settled() throws InterruptedException {
        String last = picture();
        int still = 0;
        while (still < 3) {
            Thread.sleep(15);
            String next = picture();
            still = next.equals(last) ? still + 1 : 0;
            last = next;
        }
        return last;
    }

    void await(String picture) throws InterruptedException {
        long deadline = System.nanoTime() + SOON.toNanos();
        String now = settled();
        while (!now.equals(picture) && System.nanoTime() < deadline) {
            now = settled();
        }
        assertThat(now).isEqualTo(picture);
    }

    Path directory() {
        return directory;
    }

    /** The process in the terminal. */
    long pid() throws IOException {
        return Long.parseLong(Files.readString(directory.resolve("pid")));
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
        try (OutputStream last = orders) {
            last.write(utf8("quit\n"));
        } catch (IOException ended) {
            // as some trials want it
        }
        terminal.close();
    }
}
