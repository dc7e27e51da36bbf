package holdfast.ssh.client;

import holdfast.ssh.log.Log;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;
import org.jspecify.annotations.Nullable;

/**
 * A master's clients that speak SSH's connection protocol themselves ({@code ssh -O proxy}), after
 * OpenSSH's channel_proxy_downstream and channel_proxy_upstream: their packets go to the server as
 * they are but for the number that we have for a channel, since each client counts for itself, and
 * what comes for such a channel goes to its client with the client's own number.
 *
 * <p>Beyond OpenSSH: the server's answers to their global requests go back to them, forwards can be
 * ended and be of Unix sockets, windows come to whoever was the last to ask for them, no client can
 * speak for a channel or a forward that is not its own, and a client that goes while the server
 * opens a channel to it leaves no question unanswered.
 *
 * <p>Each client's packets are read by its own thread, in {@link #carry}; what comes from the
 * server is looked at by the thread that reads the network, which never waits.
 */
final class Downstreams {

    /** Ours begin here: MINA numbers the connection's other channels from 0. */
    private static final long FIRST = 1L << 30;

    /** Of one client; the server has its own limit. */
    private static final int MOST_CHANNELS = 4096;

    /** Forwards of one client. */
    private static final int MOST_FORWARDS = 1024;

    /** OpenSSH's bound on a mux client's packets. */
    private static final int LONGEST = 256 * 1024;

    /**
     * What may wait for a client that does not read: far more than the windows of its channels as
     * long as they are of the usual size, which are its own to choose.
     */
    private static final long MOST_WAITING = 256L << 20;

    private static final int LENGTH = Integer.BYTES;

    /** OpenSSH's client takes no shorter packet than of five bytes. */
    private static final int LEAST_PAYLOAD = 4;

    private static final int RESOURCE_SHORTAGE = 4;

    private static final String X11_REQUEST = "x11-req";

    /** A channel of a client's. */
    private static final class Passage {
        final Client client;
        final String type;
        final long theirs;
        long server = -1;
        boolean closeSent;
        boolean closeCame;

        Passage(Client client, String type, long theirs) {
            this.client = client;
            this.type = type;
            this.theirs = theirs;
        }
    }

    private final Transport transport;
    private final Log log;

    // Guarded by this.
    private final Map<Long, Passage> passages = new HashMap<>();
    private final Map<String, Client> forwards = new HashMap<>();

    /** Their sessions that want windows shown, by our number, the last to ask last. */
    private final LinkedHashMap<Long, Client> displays = new LinkedHashMap<>();

    private long next = FIRST;

    Downstreams(Transport transport, Log log) {
        this.transport = transport;
        this.log = log;
    }

    /** Carries a client's packets until it is gone. */
    void carry(ByteChannel stream) {
        Client client = new Client(stream);
        try {
            client.read();
        } catch (IOException e) {
            log.debug2("mux proxy client: " + e.getMessage()); // it is gone, or the server is
        } finally {
            client.gone();
        }
    }

    /** A line for each channel, by its number, for {@code -O channels}. */
    synchronized Map<Long, String> describe() {
        Map<Long, String> all = new TreeMap<>();
        passages.forEach((number, passage) ->
                all.put(
                        number,
                        "  #"
                                + number
                                + " mux proxy (t19 ["
                                + Transport.printable(passage.type)
                                + "] r"
                                + passage.server
                                + " down "
                                + passage.theirs
                                + ")"));
        return all;
    }

    // --- from the server; on the thread that reads the network

    /** Takes a packet that is for one of them; false: it is not. */
    boolean came(Buffer packet) {
        int at = packet.rpos();
        int command = packet.rawByte(at) & 0xff;
        if (command == SshConstants.SSH_MSG_CHANNEL_OPEN) {
            return opened(packet);
        }
        if (command < SshConstants.SSH_MSG_CHANNEL_OPEN_CONFIRMATION
                || command > SshConstants.SSH_MSG_CHANNEL_FAILURE
                || packet.available() < 1 + Integer.BYTES) {
            return false;
        }
        long number = packet.rawUInt(at + 1);
        if (number < FIRST) {
            return false;
        }
        Client to;
        Passage passage;
        boolean ends = false;
        boolean over;
        synchronized (this) {
            passage = passages.get(number);
            if (passage == null) {
                return false;
            }
            to = passage.client;
            over = to.over;
            switch (command) {
                case SshConstants.SSH_MSG_CHANNEL_OPEN_CONFIRMATION -> {
                    if (passage.server >= 0 || packet.available() < 1 + 2 * Integer.BYTES) {
                        return false;
                    }
                    passage.server = packet.rawUInt(at + 1 + Integer.BYTES);
                    if (over) {
                        ends = ends(passage);
                    } else {
                        to.open.put(passage.server, number);
                    }
                }
                case SshConstants.SSH_MSG_CHANNEL_OPEN_FAILURE -> forget(number, passage);
                case SshConstants.SSH_MSG_CHANNEL_CLOSE -> {
                    passage.closeCame = true;
                    if (over) {
                        ends = ends(passage);
                    }
                    if (passage.closeSent) {
                        forget(number, passage);
                    }
                }
                default -> {}
            }
            renumber(packet, at + 1, passage.theirs);
        }
        if (ends) {
            end(passage.server);
        }
        if (!over) {
            to.tell(packet);
        }
        return true;
    }

    /** A connection to where one of them has the server listen, or a window for one of them. */
    private boolean opened(Buffer packet) {
        int at = packet.rpos();
        Client to;
        try {
            packet.getUByte();
            String type = packet.getString();
            long server = packet.getUInt();
            packet.getUInt();
            packet.getUInt();
            String key =
                    switch (type) {
                        case "forwarded-tcpip" -> tcp(packet.getString(), packet.getUInt());
                        case "forwarded-streamlocal@openssh.com" -> unix(packet.getString());
                        default -> "";
                    };
            synchronized (this) {
                // Nothing in it tells whose window it is.
                to =
                        !type.equals("x11")
                                ? forwards.get(key)
                                : displays.isEmpty() ? null : displays.lastEntry().getValue();
                if (to == null) {
                    return false;
                }
                to.asked.add(server);
            }
        } finally {
            packet.rpos(at);
        }
        to.tell(packet);
        return true;
    }

    /** Puts a number in the place of another. */
    private static void renumber(Buffer packet, int at, long number) {
        ByteBuffer.wrap(packet.array()).putInt(at, (int) number);
    }

    private static String tcp(String host, long port) {
        return "tcp " + host + " " + port;
    }

    private static String unix(String path) {
        return "unix " + path;
    }

    /** Whether a channel whose client is gone is still to be closed; guarded by this. */
    private static boolean ends(Passage passage) {
        boolean ends = !passage.closeSent;
        passage.closeSent = true;
        return ends;
    }

    private void end(long server) {
        Buffer close = transport.createBuffer(SshConstants.SSH_MSG_CHANNEL_CLOSE, 16);
        close.putUInt(server);
        write(close);
    }

    /** Guarded by this. */
    private void forget(long number, Passage passage) {
        passages.remove(number);
        displays.remove(number);
        passage.client.channels--;
        if (passage.server >= 0) {
            passage.client.open.remove(passage.server, number);
        }
    }

    private void write(Buffer packet) {
        try {
            transport.writePacket(packet);
        } catch (IOException e) {
            log.debug2("not sent for mux proxy client: " + e.getMessage()); // it is closing
        }
    }

    /** One of them. */
    private final class Client implements Drain.Owner {
        private final ByteChannel stream;
        private final Drain out;

        // Guarded by the Downstreams.
        private boolean over;
        private int channels;

        /** The server's numbers of what is open, and ours. */
        private final Map<Long, Long> open = new HashMap<>();

        /** The server's numbers of what it has asked to open, and is still to be told of. */
        private final Set<Long> asked = new HashSet<>();

        private final Set<String> listening = new HashSet<>();

        // Guarded by this.
        private long waiting;

        Client(ByteChannel stream) {
            this.stream = stream;
            this.out = new Drain(stream, this);
        }

        // --- to the client

        /** Never waits. The packet's payload begins at its read position. */
        void tell(Buffer packet) {
            tell(packet.array(), packet.rpos(), packet.available());
        }

        private void tell(byte[] payload, int offset, int length) {
            int padding = Math.max(0, LEAST_PAYLOAD + 1 - length);
            byte[] head = new byte[LENGTH + 1];
            ByteBuffer.wrap(head).putInt(1 + length + padding).put((byte) padding);
            boolean tooMuch;
            synchronized (this) {
                waiting += head.length + length + padding;
                tooMuch = waiting > MOST_WAITING;
                out.put(head, 0, head.length);
                out.put(payload, offset, length);
                if (padding > 0) {
                    out.put(new byte[padding], 0, padding);
                }
            }
            if (tooMuch) {
                log.error("mux proxy client does not read; dropped");
                close();
            }
        }

        @Override
        public void drained(int count) {
            synchronized (this) {
                waiting -= count;
            }
        }

        @Override
        public void broken(IOException error) {
            log.debug2("mux proxy client: " + error.getMessage());
            close();
        }

        private void close() {
            try {
                stream.close();
            } catch (IOException e) {
                log.debug2("mux proxy client: " + e.getMessage()); // it is gone either way
            }
        }

        void gone() {
            List<String> left;
            List<Long> unanswered;
            List<Long> ended = new ArrayList<>();
            synchronized (Downstreams.this) {
                over = true;
                // Those that the server has not agreed to yet end when it does.
                for (Map.Entry<Long, Passage> one : List.copyOf(passages.entrySet())) {
                    Passage passage = one.getValue();
                    if (this.equals(passage.client) && passage.server >= 0) {
                        if (ends(passage)) {
                            ended.add(passage.server);
                        }
                        if (passage.closeCame) {
                            forget(one.getKey(), passage);
                        }
                    }
                }
                displays.values().removeIf(this::equals);
                left = new ArrayList<>(listening);
                listening.clear();
                left.forEach(forwards::remove);
                unanswered = List.copyOf(asked);
                asked.clear();
            }
            ended.forEach(Downstreams.this::end);
            unanswered.forEach(Downstreams.this::refuse);
            left.forEach(Downstreams.this::cancel);
            out.finish();
            close();
            log.debug("mux proxy client is gone");
        }

        // --- from the client; on its own thread

        void read() throws IOException {
            byte[] room = new byte[LENGTH + LONGEST];
            ByteBuffer bytes = ByteBuffer.wrap(room);
            while (stream.read(bytes) >= 0) {
                bytes.flip();
                // Written by this thread, which may wait, as much at a time as has come.
                transport.wire().hold();
                try {
                    if (!take(room, bytes)) {
                        return;
                    }
                } finally {
                    transport.wire().flush();
                }
                bytes.compact();
            }
        }

        private boolean take(byte[] room, ByteBuffer bytes) throws IOException {
            while (bytes.remaining() >= LENGTH) {
                int length = bytes.getInt(bytes.position());
                if (length < 2 || length > LONGEST) {
                    log.error("channel_proxy_downstream: malformed message: length " + length);
                    return false;
                }
                if (bytes.remaining() < LENGTH + length) {
                    return true;
                }
                int body = bytes.position() + LENGTH;
                int padding = bytes.get(body) & 0xff;
                int size = padding < length - 1 ? length - 1 - padding : length - 1;
                Buffer packet = new ByteArrayBuffer(room, body + 1, size);
                bytes.position(body + length);
                if (!handle(packet)) {
                    return false;
                }
            }
            return true;
        }

        private boolean handle(Buffer packet) throws IOException {
            int command = packet.rawByte(packet.rpos()) & 0xff;
            return switch (command) {
                case SshConstants.SSH_MSG_DISCONNECT -> false;
                case SshConstants.SSH_MSG_GLOBAL_REQUEST -> request(packet);
                case SshConstants.SSH_MSG_CHANNEL_OPEN -> open(packet);
                case SshConstants.SSH_MSG_CHANNEL_OPEN_CONFIRMATION,
                        SshConstants.SSH_MSG_CHANNEL_OPEN_FAILURE,
                        SshConstants.SSH_MSG_CHANNEL_WINDOW_ADJUST,
                        SshConstants.SSH_MSG_CHANNEL_DATA,
                        SshConstants.SSH_MSG_CHANNEL_EXTENDED_DATA,
                        SshConstants.SSH_MSG_CHANNEL_EOF,
                        SshConstants.SSH_MSG_CHANNEL_CLOSE,
                        SshConstants.SSH_MSG_CHANNEL_REQUEST,
                        SshConstants.SSH_MSG_CHANNEL_SUCCESS,
                        SshConstants.SSH_MSG_CHANNEL_FAILURE ->
                        say(command, packet);
                default -> {
                    log.debug2("mux proxy client: type " + command + " is not passed on");
                    yield true;
                }
            };
        }

        /** What is said to a channel. */
        private boolean say(int command, Buffer packet) throws IOException {
            if (packet.available() < 1 + Integer.BYTES) {
                log.error("channel_proxy_downstream: short message");
                return false;
            }
            if (permits(command, packet)) {
                pass(packet);
            } else {
                log.debug2(
                        "mux proxy client: type "
                                + command
                                + " for channel "
                                + packet.rawUInt(packet.rpos() + 1)
                                + ", which is not open");
            }
            return true;
        }

        /** Whether the client may say this to the channel that it names; notes what it says. */
        private boolean permits(int command, Buffer packet) {
            int at = packet.rpos();
            long server = packet.rawUInt(at + 1);
            synchronized (Downstreams.this) {
                if (command == SshConstants.SSH_MSG_CHANNEL_OPEN_CONFIRMATION) {
                    if (packet.available() < 1 + 2 * Integer.BYTES || !asked.remove(server)) {
                        return false;
                    }
                    Passage passage =
                            new Passage(
                                    this,
                                    "mux-down-connect",
                                    packet.rawUInt(at + 1 + Integer.BYTES));
                    passage.server = server;
                    long number = number(passage);
                    open.put(server, number);
                    renumber(packet, at + 1 + Integer.BYTES, number);
                    return true;
                }
                if (command == SshConstants.SSH_MSG_CHANNEL_OPEN_FAILURE) {
                    return asked.remove(server);
                }
                Long number = open.get(server);
                Passage passage = number == null ? null : passages.get(number);
                if (number == null || passage == null || passage.closeSent) {
                    return false;
                }
                if (command == SshConstants.SSH_MSG_CHANNEL_CLOSE) {
                    passage.closeSent = true;
                    if (passage.closeCame) {
                        forget(number, passage);
                    }
                }
                if (command == SshConstants.SSH_MSG_CHANNEL_REQUEST && isForDisplay(packet)) {
                    displays.putLast(number, this);
                }
                return true;
            }
        }

        /** Asks for windows to be shown (RFC 4254 section 6.3.1). */
        private static boolean isForDisplay(Buffer packet) {
            int at = packet.rpos() + 1 + Integer.BYTES;
            int length = X11_REQUEST.length();
            return packet.wpos() - at >= Integer.BYTES + length
                    && packet.rawUInt(at) == length
                    && X11_REQUEST.equals(
                            new String(
                                    packet.array(),
                                    at + Integer.BYTES,
                                    length,
                                    StandardCharsets.ISO_8859_1));
        }

        private long number(Passage passage) {
            long number = next++;
            passages.put(number, passage);
            channels++;
            return number;
        }

        private boolean open(Buffer packet) throws IOException {
            int at = packet.rpos();
            packet.getUByte();
            String type = packet.getString();
            int place = packet.rpos();
            long theirs = packet.getUInt();
            packet.rpos(at);
            synchronized (Downstreams.this) {
                if (channels < MOST_CHANNELS) {
                    renumber(packet, place, number(new Passage(this, type, theirs)));
                } else {
                    theirs = -theirs - 1;
                }
            }
            if (theirs < 0) {
                Buffer failure = new ByteArrayBuffer();
                failure.putByte(SshConstants.SSH_MSG_CHANNEL_OPEN_FAILURE);
                failure.putUInt(-theirs - 1);
                failure.putUInt(RESOURCE_SHORTAGE);
                failure.putString("too many channels");
                failure.putString("");
                tell(failure);
                return true;
            }
            pass(packet);
            return true;
        }

        private void pass(Buffer packet) throws IOException {
            transport.writePacket(copied(packet));
        }

        /** As MINA will have it: with room before and behind. */
        private Buffer copied(Buffer packet) {
            int at = packet.rpos();
            Buffer copy = transport.createBuffer(packet.rawByte(at), packet.available());
            copy.putRawBytes(packet.array(), at + 1, packet.available() - 1);
            return copy;
        }

        // --- global requests

        private boolean request(Buffer packet) {
            int at = packet.rpos();
            packet.getUByte();
            String name = packet.getString();
            boolean wantsReply = packet.getBoolean();
            String key =
                    switch (name) {
                        case "tcpip-forward", "cancel-tcpip-forward" -> {
                            String host = packet.getString(StandardCharsets.UTF_8);
                            yield tcp(host, packet.getUInt());
                        }
                        case "streamlocal-forward@openssh.com",
                                "cancel-streamlocal-forward@openssh.com" ->
                                unix(packet.getString());
                        default -> "";
                    };
            packet.rpos(at);
            boolean cancels = name.startsWith("cancel-");
            boolean permitted;
            synchronized (Downstreams.this) {
                if (key.isEmpty()) {
                    // Others will want sessions on this connection.
                    permitted = !name.equals("no-more-sessions@openssh.com");
                } else if (cancels) {
                    permitted = listening.remove(key);
                    if (permitted) {
                        forwards.remove(key);
                    }
                } else {
                    permitted = listening.size() < MOST_FORWARDS;
                    if (permitted && !wantsReply) {
                        listens(key);
                    }
                }
            }
            if (!permitted) {
                if (wantsReply) {
                    refused();
                }
                return true;
            }
            String begins = key.isEmpty() || cancels || !wantsReply ? null : key;
            try {
                transport.request(
                        copied(packet), name, (command, reply) -> answered(begins, command, reply));
            } catch (IOException e) {
                log.debug2("mux proxy client: " + name + ": " + e.getMessage()); // it is closing
                if (wantsReply) {
                    refused();
                }
            }
            return true;
        }

        private void refused() {
            byte[] failure = {SshConstants.SSH_MSG_REQUEST_FAILURE};
            tell(failure, 0, 1);
        }

        /** Guarded by the Downstreams. */
        private void listens(String key) {
            if (forwards.putIfAbsent(key, this) == null) {
                listening.add(key);
            }
        }

        /** On the thread that reads the network: before the first connection that comes of it. */
        private void answered(@Nullable String begins, int command, Buffer reply) {
            boolean success = command == SshConstants.SSH_MSG_REQUEST_SUCCESS;
            String late = null;
            if (success && begins != null) {
                String key = begins;
                if (begins.endsWith(" 0") && reply.available() >= Integer.BYTES) {
                    key = begins.substring(0, begins.length() - 1) + reply.rawUInt(reply.rpos());
                }
                synchronized (Downstreams.this) {
                    if (over) {
                        late = key;
                    } else {
                        listens(key);
                    }
                }
            }
            if (late != null) {
                cancel(late);
                return;
            }
            Buffer told = new ByteArrayBuffer(1 + reply.available());
            told.putByte(
                    success
                            ? SshConstants.SSH_MSG_REQUEST_SUCCESS
                            : SshConstants.SSH_MSG_REQUEST_FAILURE);
            if (success) {
                told.putRawBytes(reply.array(), reply.rpos(), reply.available());
            }
            tell(told);
        }
    }

    /** What the server asks to open finds nobody. */
    private void refuse(long server) {
        Buffer failure = transport.createBuffer(SshConstants.SSH_MSG_CHANNEL_OPEN_FAILURE, 64);
        failure.putUInt(server);
        failure.putUInt(SshConstants.SSH_OPEN_CONNECT_FAILED);
        failure.putString("open failed");
        failure.putString("");
        write(failure);
    }

    /** Ends a forward whose client is gone; connections that go over it end with the client. */
    private void cancel(String key) {
        Buffer request = transport.createBuffer(SshConstants.SSH_MSG_GLOBAL_REQUEST, 256);
        if (key.startsWith("tcp ")) {
            int port = key.lastIndexOf(' ');
            request.putString("cancel-tcpip-forward");
            request.putBoolean(false);
            request.putString(key.substring("tcp ".length(), port));
            request.putUInt(Long.parseLong(key.substring(port + 1)));
        } else {
            request.putString("cancel-streamlocal-forward@openssh.com");
            request.putBoolean(false);
            request.putString(key.substring("unix ".length()));
        }
        write(request);
    }
}
