package holdfast.ssh.terminal;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The escapes a person types in a session with a terminal ({@code ~.}), taken out of what is typed:
 * process_escapes of OpenSSH's clientloop.c as a pure state machine.
 *
 * <p>The escape character is one only at the start of the session and after CR or LF, and what
 * follows a command that was carried out stands there again. Escapes of OpenSSH that are not built
 * here are kept from the remote side all the same, since nobody who types them means it.
 *
 * <p>One thread owns it: the one that reads the terminal.
 */
public final class Escapes {

    /** For {@link #Escapes}: there is no escape character. */
    public static final int NONE = -1;

    private static final String NOT_BUILT = "#BCVv&I";

    /** What was typed, in order. */
    public sealed interface Piece {}

    /** Bytes for the remote side. */
    public static final class Typed implements Piece {
        private final byte[] bytes;

        Typed(byte[] bytes) {
            this.bytes = bytes;
        }

        /** The bytes themselves, not a copy: yours from now on. */
        public byte[] bytes() {
            return bytes;
        }

        @Override
        public String toString() {
            // What is typed may be a password.
            return "Typed[" + bytes.length + " bytes]";
        }
    }

    /** Something for us to do. */
    public sealed interface Command extends Piece {

        /** {@code ~.}: end the connection. Nothing that is typed after it counts. */
        record Close() implements Command {}

        /** {@code ~?}: print {@link Escapes#help}. */
        record Help() implements Command {}

        /** {@code ~^Z}: stop this process. */
        record Suspend() implements Command {}

        /** {@code ~R}: new keys. */
        record Rekey() implements Command {}

        /** An escape that OpenSSH has and we have not. */
        record Unsupported(char letter) implements Command {}
    }

    private final int escape;
    private boolean lineStart = true;
    private boolean pending;
    private boolean closed;

    /**
     * @param escape the escape character (EscapeChar of ssh_config), or {@link #NONE}
     */
    public Escapes(int escape) {
        this.escape = escape;
    }

    /** Takes {@code length} typed bytes from {@code from}; what becomes of them, in order. */
    public List<Piece> typed(byte[] input, int from, int length) {
        if (closed || length == 0) {
            return List.of();
        }
        if (escape == NONE) {
            return List.of(new Typed(Arrays.copyOfRange(input, from, from + length)));
        }
        List<Piece> pieces = new ArrayList<>(1);
        ByteArrayOutputStream plain = new ByteArrayOutputStream(length + 1);
        for (int i = from; i < from + length; i++) {
            int b = Byte.toUnsignedInt(input[i]);
            if (pending) {
                pending = false;
                Command command = command(b);
                if (command != null) {
                    flush(plain, pieces);
                    pieces.add(command);
                    if (command instanceof Command.Close) {
                        closed = true;
                        return pieces;
                    }
                    continue;
                }
                if (b != escape) {
                    plain.write(escape);
                }
            } else if (lineStart && b == escape) {
                pending = true;
                continue;
            }
            lineStart = b == '\r' || b == '\n';
            plain.write(b);
        }
        flush(plain, pieces);
        return pieces;
    }

    private static @Nullable Command command(int b) {
        return switch (b) {
            case '.' -> new Command.Close();
            case '?' -> new Command.Help();
            case 'Z' - 64 -> new Command.Suspend();
            case 'R' -> new Command.Rekey();
            default -> NOT_BUILT.indexOf(b) >= 0 ? new Command.Unsupported((char) b) : null;
        };
    }

    private static void flush(ByteArrayOutputStream plain, List<Piece> pieces) {
        if (plain.size() > 0) {
            pieces.add(new Typed(plain.toByteArray()));
            plain.reset();
        }
    }

    /**
     * What OpenSSH prints on the terminal (stderr) when it obeys {@code command}; empty where it
     * prints nothing.
     */
    public byte[] says(Command command) {
        String text =
                switch (command) {
                    case Command.Help() -> help();
                    case Command.Suspend() -> name() + "^Z [suspend ssh]\r\n";
                    case Command.Close(), Command.Rekey() -> "";
                    case Command.Unsupported(char letter) ->
                            name() + letter + " escape not supported yet\r\n";
                };
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    /** The list of {@code ~?}, in OpenSSH's form, of what is built. */
    private String help() {
        String e = name();
        return e
                + "?\r\nSupported escape sequences:\r\n"
                + help(e, ".", "terminate connection")
                + help(e, "R", "request rekey")
                + help(e, "^Z", "suspend ssh")
                + help(e, "?", "this message")
                + " "
                + e
                + e
                + "   - send the escape character by typing it twice\r\n"
                + "(Note that escapes are only recognized immediately after newline.)\r\n";
    }

    private static String help(String escape, String key, String text) {
        return " " + escape + key + " ".repeat(3 - key.length()) + " - " + text + "\r\n";
    }

    private String name() {
        return String.valueOf((char) escape);
    }
}
