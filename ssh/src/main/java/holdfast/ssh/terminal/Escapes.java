package holdfast.ssh.terminal;

import holdfast.ssh.log.Log;
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
 * follows a command that was carried out stands there again.
 *
 * <p>One thread owns it: the one that reads the terminal.
 */
public final class Escapes {

    /** For {@link #Escapes}: there is no escape character. */
    public static final int NONE = -1;

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

        /** {@code ~B}: a BREAK for the other side's line. */
        record Break() implements Command {}

        /** {@code ~#}: list what goes over the connection. */
        record Connections() implements Command {}

        /** {@code ~C}: ask for a line, and do what it says. */
        record CommandLine() implements Command {}

        /** {@code ~v}: say more of what is being done. */
        record Louder() implements Command {}

        /** {@code ~V}: say less. */
        record Quieter() implements Command {}

        /** {@code ~&}: end the input, and go on in the background. */
        record Background() implements Command {}

        /** {@code ~I}: what the connection is (OpenSSH 10.3). */
        record Information() implements Command {}
    }

    private final int escape;
    private final boolean commandLine;
    private final boolean multiplexed;
    private boolean lineStart = true;
    private boolean pending;
    private boolean closed;

    /**
     * @param escape the escape character (EscapeChar of ssh_config), or {@link #NONE}
     * @param commandLine whether {@code ~C} may be used (EnableEscapeCommandline)
     */
    public Escapes(int escape, boolean commandLine) {
        this(escape, commandLine, false);
    }

    private Escapes(int escape, boolean commandLine, boolean multiplexed) {
        this.escape = escape;
        this.commandLine = commandLine;
        this.multiplexed = multiplexed;
    }

    /** Those of a session that shares its connection: what concerns that is not for it. */
    public static Escapes multiplexed(int escape) {
        return new Escapes(escape, false, true);
    }

    /** Whether {@code command} is for this session. */
    public boolean has(Command command) {
        return !multiplexed
                || switch (command) {
                    case Command.Suspend _,
                            Command.Background _,
                            Command.CommandLine _,
                            Command.Louder _,
                            Command.Quieter _ ->
                            false;
                    case Command.Close _,
                            Command.Help _,
                            Command.Rekey _,
                            Command.Break _,
                            Command.Connections _,
                            Command.Information _ ->
                            true;
                };
    }

    private static String letter(Command command) {
        return switch (command) {
            case Command.Suspend _ -> "^Z";
            case Command.Background _ -> "&";
            case Command.CommandLine _ -> "C";
            case Command.Louder _ -> "v";
            case Command.Quieter _ -> "V";
            case Command.Information _ -> "I";
            case Command.Close _ -> ".";
            case Command.Help _ -> "?";
            case Command.Rekey _ -> "R";
            case Command.Break _ -> "B";
            case Command.Connections _ -> "#";
        };
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
            case 'B' -> new Command.Break();
            case '#' -> new Command.Connections();
            case 'C' -> new Command.CommandLine();
            case 'v' -> new Command.Louder();
            case 'V' -> new Command.Quieter();
            case '&' -> new Command.Background();
            case 'I' -> new Command.Information();
            default -> null;
        };
    }

    private static void flush(ByteArrayOutputStream plain, List<Piece> pieces) {
        if (plain.size() > 0) {
            pieces.add(new Typed(plain.toByteArray()));
            plain.reset();
        }
    }

    /**
     * What OpenSSH prints on the terminal (stderr) when it obeys {@code command}, or begins to;
     * empty where it prints nothing.
     *
     * @param level of the log once the command is obeyed; null where its lines go elsewhere
     */
    public byte[] says(Command command, Log.@Nullable Level level) {
        if (!has(command)) {
            return (name() + letter(command) + " escape not available to multiplexed sessions\r\n")
                    .getBytes(StandardCharsets.ISO_8859_1);
        }
        String text =
                switch (command) {
                    case Command.Help() -> help();
                    case Command.Suspend() -> name() + "^Z [suspend ssh]\r\n";
                    case Command.Background() -> name() + "& [backgrounded]\r\n";
                    case Command.Close() -> multiplexed ? name() + ".\r\n" : "";
                    case Command.Rekey() -> "";
                    case Command.Break() -> name() + "B\r\n";
                    case Command.Connections() -> name() + "#\r\n";
                    case Command.CommandLine() -> commandLine ? "" : "commandline disabled\r\n";
                    case Command.Louder() -> name() + "v " + logging(level);
                    case Command.Quieter() -> name() + "V " + logging(level);
                    case Command.Information() -> name() + "I\r\n";
                };
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    private static String logging(Log.@Nullable Level level) {
        return level == null ? "[Logging to syslog]\r\n" : "[LogLevel " + level.spelled() + "]\r\n";
    }

    /** The list of {@code ~?}, in OpenSSH's form, of what is built. */
    private String help() {
        String e = name();
        return e
                + "?\r\nSupported escape sequences:\r\n"
                + help(
                        e,
                        ".",
                        multiplexed
                                ? "terminate session"
                                : "terminate connection (and any multiplexed sessions)")
                + help(e, "B", "send a BREAK to the remote system")
                + (commandLine ? help(e, "C", "open a command line") : "")
                + help(e, "I", "show connection information")
                + help(e, "R", "request rekey")
                + (multiplexed
                        ? ""
                        : help(e, "V/v", "decrease/increase verbosity (LogLevel)")
                                + help(e, "^Z", "suspend ssh"))
                + help(e, "#", "list forwarded connections")
                + (multiplexed
                        ? ""
                        : help(
                                e,
                                "&",
                                "background ssh (when waiting for connections to terminate)"))
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
