package holdfast.ssh.mux;

import holdfast.ssh.octets.Octets;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A message at a control socket: OpenSSH's PROTOCOL.mux, version 4, and what we add to it.
 *
 * <p>Each is a packet with a length of four bytes before it, which belongs to {@link MuxWire}. All
 * numbers are unsigned, of 32 bits, in network order, and are kept here as the ints they are sent
 * as. What is unknown to this version is a message too: {@link Unknown}.
 */
public sealed interface MuxMessage {

    /** The only version there is. */
    int VERSION = 4;

    /** For {@link Forward}: the port of what is no port but the path of a Unix socket. */
    int UNIX_PATH = -2;

    /** For {@link NewSession}: there is no escape character. */
    int NO_ESCAPE = -1;

    /**
     * Our own extension, named in our hello, which OpenSSH passes over: {@link Ask} is understood.
     */
    String ASKABLE = "ask@holdfast";

    /** OpenSSH's extension, from 10.3 on: {@link ExtInfo} is understood. */
    String INFO = "info";

    /** As many variables as OpenSSH takes of one request. */
    int MOST_VARIABLES = 4096;

    /** Its number on the wire. */
    int type();

    /** The whole packet, without its length. */
    byte[] bytes();

    /** The first of both sides. */
    record Hello(int version, Map<String, String> extensions) implements MuxMessage {
        public Hello {
            extensions = Map.copyOf(extensions);
        }

        @Override
        public int type() {
            return HELLO;
        }

        @Override
        public byte[] bytes() {
            Writer out = new Writer(HELLO).number(version);
            extensions.forEach((name, value) -> out.text(name).text(value));
            return out.bytes();
        }
    }

    // --- from a client

    /** What asks for an answer; {@code request} is a number of the asker's choice. */
    sealed interface Request extends MuxMessage {
        int request();
    }

    /**
     * Run something; the three descriptors follow, each with a byte of its own.
     *
     * @param environment NAME=VALUE
     */
    record NewSession(
            int request,
            boolean tty,
            boolean x11,
            boolean agent,
            boolean subsystem,
            int escape,
            String term,
            byte[] command,
            List<byte[]> environment)
            implements Request {
        public NewSession {
            environment = List.copyOf(environment);
        }

        @Override
        public int type() {
            return NEW_SESSION;
        }

        @Override
        public byte[] bytes() {
            Writer out =
                    new Writer(NEW_SESSION)
                            .number(request)
                            .text("")
                            .flag(tty)
                            .flag(x11)
                            .flag(agent)
                            .flag(subsystem)
                            .number(escape)
                            .text(term)
                            .string(command);
            environment.forEach(out::string);
            return out.bytes();
        }
    }

    /** Who are you? */
    record AliveCheck(int request) implements Request {
        @Override
        public int type() {
            return ALIVE_CHECK;
        }

        @Override
        public byte[] bytes() {
            return new Writer(ALIVE_CHECK).number(request).bytes();
        }
    }

    /** End, and all sessions with you. */
    record Terminate(int request) implements Request {
        @Override
        public int type() {
            return TERMINATE;
        }

        @Override
        public byte[] bytes() {
            return new Writer(TERMINATE).number(request).bytes();
        }
    }

    /** What is forwarded, as it is written here: hosts are "" where none was given. */
    record Forward(
            int kind, String listenHost, int listenPort, String connectHost, int connectPort) {
        /** -L. */
        public static final int LOCAL = 1;

        /** -R. */
        public static final int REMOTE = 2;

        /** -D. */
        public static final int DYNAMIC = 3;
    }

    /** Begin to forward. */
    record OpenForward(int request, Forward forward) implements Request {
        @Override
        public int type() {
            return OPEN_FORWARD;
        }

        @Override
        public byte[] bytes() {
            return new Writer(OPEN_FORWARD).number(request).forward(forward).bytes();
        }
    }

    /** Forward no more. */
    record CloseForward(int request, Forward forward) implements Request {
        @Override
        public int type() {
            return CLOSE_FORWARD;
        }

        @Override
        public byte[] bytes() {
            return new Writer(CLOSE_FORWARD).number(request).forward(forward).bytes();
        }
    }

    /** Connect to somewhere beyond the server; two descriptors follow. */
    record StdioForward(int request, String host, int port) implements Request {
        @Override
        public int type() {
            return STDIO_FORWARD;
        }

        @Override
        public byte[] bytes() {
            return new Writer(STDIO_FORWARD)
                    .number(request)
                    .text("")
                    .text(host)
                    .number(port)
                    .bytes();
        }
    }

    /** Take no more clients; end when those that there are have ended. */
    record StopListening(int request) implements Request {
        @Override
        public int type() {
            return STOP_LISTENING;
        }

        @Override
        public byte[] bytes() {
            return new Writer(STOP_LISTENING).number(request).bytes();
        }
    }

    /** From the answer on what is said is SSH, unencrypted. */
    record Proxy(int request) implements Request {
        @Override
        public int type() {
            return PROXY;
        }

        @Override
        public byte[] bytes() {
            return new Writer(PROXY).number(request).bytes();
        }
    }

    /** Our own: what do you know of {@code what}? Only to a master that says {@link #ASKABLE}. */
    record Ask(int request, String what) implements Request {
        /** The connection to the server: is it alive? */
        public static final String WIRE = "wire";

        /** The same, where a byte that came a moment ago is answer enough. */
        public static final String RECENT = "recent";

        @Override
        public int type() {
            return ASK;
        }

        @Override
        public byte[] bytes() {
            return new Writer(ASK).number(request).text(what).bytes();
        }
    }

    /** What is {@code what}, for a person? Only to a master that says {@link #INFO}. */
    record ExtInfo(int request, String what) implements Request {
        /** The connection to the server. */
        public static final String CONNECTION = "connection";

        /** What goes over it. */
        public static final String CHANNELS = "channels";

        @Override
        public int type() {
            return EXT_INFO;
        }

        @Override
        public byte[] bytes() {
            return new Writer(EXT_INFO).number(request).text(what).bytes();
        }
    }

    // --- from a master

    /** An answer; {@code request} is the number of what it answers. */
    sealed interface Reply extends MuxMessage {
        int request();
    }

    /** It was done. */
    record Ok(int request) implements Reply {
        @Override
        public int type() {
            return OK;
        }

        @Override
        public byte[] bytes() {
            return new Writer(OK).number(request).bytes();
        }
    }

    /** The person said no. */
    record PermissionDenied(int request, String reason) implements Reply {
        @Override
        public int type() {
            return PERMISSION_DENIED;
        }

        @Override
        public byte[] bytes() {
            return new Writer(PERMISSION_DENIED).number(request).text(reason).bytes();
        }
    }

    /** It could not be done. */
    record Failure(int request, String reason) implements Reply {
        @Override
        public int type() {
            return FAILURE;
        }

        @Override
        public byte[] bytes() {
            return new Writer(FAILURE).number(request).text(reason).bytes();
        }
    }

    /** A session has ended with this status. */
    record ExitMessage(int session, int status) implements MuxMessage {
        @Override
        public int type() {
            return EXIT_MESSAGE;
        }

        @Override
        public byte[] bytes() {
            return new Writer(EXIT_MESSAGE).number(session).number(status).bytes();
        }
    }

    /** The answer to {@link AliveCheck}. */
    record Alive(int request, int pid) implements Reply {
        @Override
        public int type() {
            return ALIVE;
        }

        @Override
        public byte[] bytes() {
            return new Writer(ALIVE).number(request).number(pid).bytes();
        }
    }

    /** A session runs, or a connection to beyond the server is made. */
    record SessionOpened(int request, int session) implements Reply {
        @Override
        public int type() {
            return SESSION_OPENED;
        }

        @Override
        public byte[] bytes() {
            return new Writer(SESSION_OPENED).number(request).number(session).bytes();
        }
    }

    /** A forward was begun, at this port of the server's choice. */
    record RemotePort(int request, int port) implements Reply {
        @Override
        public int type() {
            return REMOTE_PORT;
        }

        @Override
        public byte[] bytes() {
            return new Writer(REMOTE_PORT).number(request).number(port).bytes();
        }
    }

    /** A session has no terminal at the server after all. */
    record TtyAllocFail(int session) implements MuxMessage {
        @Override
        public int type() {
            return TTY_ALLOC_FAIL;
        }

        @Override
        public byte[] bytes() {
            return new Writer(TTY_ALLOC_FAIL).number(session).bytes();
        }
    }

    /** The answer to {@link Proxy}. */
    record ProxyGranted(int request) implements Reply {
        @Override
        public int type() {
            return PROXY_GRANTED;
        }

        @Override
        public byte[] bytes() {
            return new Writer(PROXY_GRANTED).number(request).bytes();
        }
    }

    /**
     * The answer to {@link ExtInfo}.
     *
     * @param known whether the master knows of such a thing
     * @param text for a person; or why not
     */
    record ExtInfoText(int request, boolean known, String text) implements Reply {
        @Override
        public int type() {
            return EXT_INFO_TEXT;
        }

        @Override
        public byte[] bytes() {
            return new Writer(EXT_INFO_TEXT).number(request).flag(known).text(text).bytes();
        }
    }

    /**
     * Our own: the answer to {@link Ask}.
     *
     * @param roundTripMillis how long the server took to answer just now; -1: it did not
     * @param silentMillis since the last byte from it, before it was asked
     */
    record Told(int request, int roundTripMillis, int silentMillis) implements Reply {
        @Override
        public int type() {
            return TOLD;
        }

        @Override
        public byte[] bytes() {
            return new Writer(TOLD)
                    .number(request)
                    .number(roundTripMillis)
                    .number(silentMillis)
                    .bytes();
        }
    }

    /** Something that this version of the protocol does not have. */
    record Unknown(int type, int request, byte[] rest) implements Request {
        @Override
        public byte[] bytes() {
            return new Writer(type).number(request).raw(rest).bytes();
        }
    }

    int HELLO = 0x00000001;
    int NEW_SESSION = 0x10000002;
    int ALIVE_CHECK = 0x10000004;
    int TERMINATE = 0x10000005;
    int OPEN_FORWARD = 0x10000006;
    int CLOSE_FORWARD = 0x10000007;
    int STDIO_FORWARD = 0x10000008;
    int STOP_LISTENING = 0x10000009;
    int PROXY = 0x1000000f;
    int OK = 0x80000001;
    int PERMISSION_DENIED = 0x80000002;
    int FAILURE = 0x80000003;
    int EXIT_MESSAGE = 0x80000004;
    int ALIVE = 0x80000005;
    int SESSION_OPENED = 0x80000006;
    int REMOTE_PORT = 0x80000007;
    int TTY_ALLOC_FAIL = 0x80000008;
    int PROXY_GRANTED = 0x8000000f;
    int EXT_INFO = 0x20000001;
    int EXT_INFO_TEXT = 0x90000001;

    /** Far from what OpenSSH numbers. */
    int ASK = 0x1f486f01;

    int TOLD = 0x8f486f01;

    /**
     * Reads a packet, without its length. What comes after the fields that are known is passed
     * over, as OpenSSH does.
     *
     * @throws MalformedMessage for what ends too soon or has a zero in a string
     */
    static MuxMessage read(byte[] packet) throws MalformedMessage {
        Reader in = new Reader(packet);
        int type = in.number();
        return switch (type) {
            case HELLO -> {
                int version = in.number();
                Map<String, String> extensions = new LinkedHashMap<>();
                while (in.more()) {
                    extensions.put(in.text(), in.anyText());
                }
                yield new Hello(version, extensions);
            }
            case NEW_SESSION -> newSession(in);
            case ALIVE_CHECK -> new AliveCheck(in.number());
            case TERMINATE -> new Terminate(in.number());
            case OPEN_FORWARD -> new OpenForward(in.number(), in.forward());
            case CLOSE_FORWARD -> new CloseForward(in.number(), in.forward());
            case STDIO_FORWARD -> {
                int request = in.number();
                in.string(); // reserved
                yield new StdioForward(request, in.text(), in.number());
            }
            case STOP_LISTENING -> new StopListening(in.number());
            case PROXY -> new Proxy(in.number());
            case ASK -> new Ask(in.number(), in.text());
            case OK -> new Ok(in.number());
            case PERMISSION_DENIED -> new PermissionDenied(in.number(), in.text());
            case FAILURE -> new Failure(in.number(), in.text());
            case EXIT_MESSAGE -> new ExitMessage(in.number(), in.number());
            case ALIVE -> new Alive(in.number(), in.number());
            case SESSION_OPENED -> new SessionOpened(in.number(), in.number());
            case REMOTE_PORT -> new RemotePort(in.number(), in.number());
            case TTY_ALLOC_FAIL -> new TtyAllocFail(in.number());
            case PROXY_GRANTED -> new ProxyGranted(in.number());
            case EXT_INFO -> new ExtInfo(in.number(), in.text());
            case EXT_INFO_TEXT -> new ExtInfoText(in.number(), in.flag(), in.text());
            case TOLD -> new Told(in.number(), in.number(), in.number());
            default -> new Unknown(type, in.number(), in.rest());
        };
    }

    private static NewSession newSession(Reader in) throws MalformedMessage {
        int request = in.number();
        in.string(); // reserved
        boolean tty = in.flag();
        boolean x11 = in.flag();
        boolean agent = in.flag();
        boolean subsystem = in.flag();
        int escape = in.number();
        String term = in.text();
        byte[] command = in.cstring();
        List<byte[]> environment = new ArrayList<>();
        while (in.more() && environment.size() < MOST_VARIABLES) {
            environment.add(in.cstring());
        }
        return new NewSession(
                request, tty, x11, agent, subsystem, escape, term, command, environment);
    }

    /** Takes fields from a packet. */
    final class Reader {
        private final ByteBuffer in;

        Reader(byte[] packet) {
            in = ByteBuffer.wrap(packet);
        }

        boolean more() {
            return in.hasRemaining();
        }

        int number() throws MalformedMessage {
            if (in.remaining() < Integer.BYTES) {
                throw new MalformedMessage("a number is cut off");
            }
            return in.getInt();
        }

        boolean flag() throws MalformedMessage {
            return number() != 0;
        }

        byte[] string() throws MalformedMessage {
            int length = number();
            if (length < 0 || length > in.remaining()) {
                throw new MalformedMessage("a string is cut off");
            }
            byte[] bytes = new byte[length];
            in.get(bytes);
            return bytes;
        }

        /** A string for C: a zero is allowed at its end only. */
        byte[] cstring() throws MalformedMessage {
            byte[] bytes = string();
            for (int i = 0; i < bytes.length; i++) {
                if (bytes[i] == 0) {
                    if (i < bytes.length - 1) {
                        throw new MalformedMessage("a zero inside a string");
                    }
                    return Arrays.copyOf(bytes, i);
                }
            }
            return bytes;
        }

        String text() throws MalformedMessage {
            return Octets.text(cstring());
        }

        String anyText() throws MalformedMessage {
            return Octets.text(string());
        }

        Forward forward() throws MalformedMessage {
            Forward forward = new Forward(number(), text(), number(), text(), number());
            if (!isPort(forward.listenPort()) || !isPort(forward.connectPort())) {
                throw new MalformedMessage("no port");
            }
            return forward;
        }

        private static boolean isPort(int number) {
            return number == UNIX_PATH || (number >= 0 && number <= 65535);
        }

        byte[] rest() {
            byte[] bytes = new byte[in.remaining()];
            in.get(bytes);
            return bytes;
        }
    }

    /** Puts fields into a packet. */
    final class Writer {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream(64);

        Writer(int type) {
            number(type);
        }

        Writer number(int value) {
            out.write(value >>> 24);
            out.write(value >>> 16);
            out.write(value >>> 8);
            out.write(value);
            return this;
        }

        Writer flag(boolean value) {
            return number(value ? 1 : 0);
        }

        Writer raw(byte[] bytes) {
            out.write(bytes, 0, bytes.length);
            return this;
        }

        Writer string(byte[] bytes) {
            return number(bytes.length).raw(bytes);
        }

        Writer text(String text) {
            return string(Octets.bytes(text));
        }

        Writer forward(Forward forward) {
            return number(forward.kind())
                    .text(forward.listenHost())
                    .number(forward.listenPort())
                    .text(forward.connectHost())
                    .number(forward.connectPort());
        }

        byte[] bytes() {
            return out.toByteArray();
        }
    }
}
