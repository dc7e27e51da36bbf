package holdfast.ssh.client;

import holdfast.core.liveness.LinkEvent;
import holdfast.core.liveness.Phase;
import holdfast.core.time.Moment;
import holdfast.core.time.TimingWheel.Timer;
import holdfast.ssh.auth.HardwareSignature;
import holdfast.ssh.auth.HostProof;
import holdfast.ssh.crypto.Algorithms;
import holdfast.ssh.forward.ForwardChannel;
import holdfast.ssh.link.ClosedChannels;
import holdfast.ssh.link.Deadlines;
import holdfast.ssh.link.IdleChannels;
import holdfast.ssh.link.KeyAge;
import holdfast.ssh.link.KeyExchangeWords;
import holdfast.ssh.link.LinkLoop;
import holdfast.ssh.link.Wire;
import holdfast.ssh.log.Log;
import holdfast.ssh.tether.TetherStream;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import javax.crypto.AEADBadTagException;
import org.apache.sshd.client.ClientFactoryManager;
import org.apache.sshd.client.channel.AbstractClientChannel;
import org.apache.sshd.client.kex.DHGEXClient;
import org.apache.sshd.common.FactoryManager;
import org.apache.sshd.common.NamedFactory;
import org.apache.sshd.common.NamedResource;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.SshException;
import org.apache.sshd.common.channel.Channel;
import org.apache.sshd.common.compression.Compression;
import org.apache.sshd.common.future.KeyExchangeFuture;
import org.apache.sshd.common.io.IoSession;
import org.apache.sshd.common.io.IoWriteFuture;
import org.apache.sshd.common.kex.KexProposalOption;
import org.apache.sshd.common.kex.KexState;
import org.apache.sshd.common.kex.extension.KexExtensions;
import org.apache.sshd.common.session.SessionListener;
import org.apache.sshd.common.session.helpers.AbstractConnectionService;
import org.apache.sshd.common.signature.Signature;
import org.apache.sshd.common.util.Readable;
import org.apache.sshd.common.util.buffer.Buffer;
import org.jspecify.annotations.Nullable;

/**
 * MINA's client session with our eyes on it: it tells the link's loop what it hears, how far the
 * opening has come, and how it ended.
 */
class Transport extends PacketSession {

    /** OpenSSH's bounds on what may come before the identification line (kex.c). */
    private static final int LONGEST_LINE = 8192;

    private static final int MOST_LINES = 1024;

    /** What an authority may sign a certificate with, whatever the keys of hosts may be. */
    private static final List<String> AUTHORITIES =
            List.of(
                    "ssh-ed25519",
                    "ecdsa-sha2-nistp256",
                    "ecdsa-sha2-nistp384",
                    "ecdsa-sha2-nistp521",
                    "rsa-sha2-512",
                    "rsa-sha2-256",
                    "ssh-rsa");

    /** How the words for a server of another protocol begin. */
    static final String VERSIONS_DIFFER = "Protocol major versions differ: ";

    /** OpenSSH's client sends this request and takes any reply (OpenSSH PROTOCOL section 2). */
    private static final String KEEPALIVE = "keepalive@openssh.com";

    /** OpenSSH's SSH2_MSG_PING and SSH2_MSG_PONG, and what its client sends in them. */
    private static final byte PING = (byte) 192;

    private static final byte PONG = (byte) 193;

    /** A limit is to be passed, not met. */
    private static final Duration JUST_AFTER = Duration.ofMillis(1);

    private static final String CHAFF = "PING!";

    /** Of a SSH_MSG_CHANNEL_WINDOW_ADJUST: its number, the channel's, and by how much. */
    private static final int WIDEN_BYTES = 1 + 2 * Integer.BYTES;

    private final LinkLoop loop;
    private final @Nullable TetherStream tether;
    private final Naming naming;
    private final ClosedChannels closedChannels = new ClosedChannels();
    private final Log sshLog;
    private final AtomicReference<Ending> ending;
    private int preambleLines;
    private boolean keysEstablished;
    private boolean offended;
    private byte[] shownHostKey = new byte[0];

    /** Of the prime of a group exchange. */
    private int groupBits;

    private volatile @Nullable AbstractClientChannel sending;

    /** Clients of ours as a master whose packets we carry; null: there can be none. */
    private volatile @Nullable Downstreams downstreams;

    /** ChannelTimeout; null: no channel has a limit. */
    private volatile @Nullable IdleChannels idle;

    /**
     * What is said of the connection while it opens.
     *
     * @param software what we call ourselves
     * @param target whom we log in to, and as whom
     * @param warnsOfWeakCrypto WarnWeakCrypto
     */
    record Naming(String software, String target, boolean warnsOfWeakCrypto) {}

    Transport(
            ClientFactoryManager manager,
            IoSession io,
            LinkLoop loop,
            AtomicReference<Ending> ending,
            @Nullable TetherStream tether,
            Naming naming,
            Log log)
            throws Exception {
        super(manager, io);
        this.tether = tether;
        this.naming = naming;
        this.loop = loop;
        this.ending = ending;
        this.sshLog = log;
    }

    /**
     * Sends a probe; its reply comes back to the loop as an event. Never blocks: a re-key queues
     * it.
     */
    void probe(Moment sent) {
        Buffer request = createBuffer(SshConstants.SSH_MSG_GLOBAL_REQUEST, KEEPALIVE.length() + 16);
        request.putString(KEEPALIVE);
        request.putBoolean(true);
        try {
            request(
                    request,
                    KEEPALIVE,
                    (command, reply) -> loop.post(new LinkEvent.ProbeAnswered(sent)));
        } catch (IOException e) {
            sshLog.debug2(
                    "keepalive not sent: "
                            + e.getMessage()); // it is closing: the loop hears of that
        }
    }

    /** Our identification says whether we want a tether (PROTOCOL.md section 2). */
    @Override
    protected String resolveIdentificationString(String property) {
        TetherStream below = tether;
        String line = below == null ? "SSH-2.0-" + naming.software() : below.identification();
        sshLog.debug("Local version string " + line);
        return line;
    }

    /**
     * Sends a packet that looks like a keystroke and means nothing, if the server answers such
     * (OpenSSH's PROTOCOL section 1.8).
     */
    void chaff() throws IOException {
        if (getAttribute(ServerExtensions.PING) == null) {
            return;
        }
        Buffer buffer = createBuffer(PING, CHAFF.length() + 8);
        buffer.putString(CHAFF);
        // While there are new keys being made it would wait for them, and then be late.
        if (kexState.get() == KexState.DONE) {
            writePacket(buffer);
        }
    }

    /** Answers an empty question, and takes the answer to one of ours. */
    private boolean pinged(Buffer buffer) throws IOException {
        int command = buffer.rawByte(buffer.rpos()) & 0xff;
        if (command != (PING & 0xff) && command != (PONG & 0xff)) {
            return false;
        }
        buffer.getUByte();
        // As OpenSSH: none is answered before the login, nor while new keys are being made.
        if (command == (PING & 0xff) && isAuthenticated() && kexState.get() == KexState.DONE) {
            byte[] text = buffer.getBytes();
            Buffer answer = createBuffer(PONG, text.length + 8);
            answer.putBytes(text);
            writePacket(answer);
        }
        return true;
    }

    /** Calls {@code back} once the server has answered something that we ask now. */
    void roundTrip(Runnable back) {
        Buffer request = createBuffer(SshConstants.SSH_MSG_GLOBAL_REQUEST, KEEPALIVE.length() + 16);
        request.putString(KEEPALIVE);
        request.putBoolean(true);
        try {
            request(request, KEEPALIVE, (command, reply) -> back.run());
        } catch (IOException e) {
            sshLog.debug2("question not sent: " + e.getMessage()); // it is closing
            back.run();
        }
    }

    /** The stream underneath. */
    Wire wire() {
        return (Wire) getIoSession();
    }

    /** Has {@code clients} look at each packet that comes for a channel before we do. */
    void passOn(Downstreams clients) {
        downstreams = clients;
    }

    /** Takes {@code channel} into the connection; it is still to be opened. */
    void register(AbstractClientChannel channel) throws IOException {
        try {
            getConnectionService().registerChannel(channel);
        } catch (IllegalStateException e) {
            throw new IOException(e.getMessage(), e); // the connection ended after the login
        }
        sending = channel;
    }

    /**
     * From here channels that are idle for too long are closed, and keys that are too old renewed
     * whether anything is sent or not.
     *
     * @param limits ChannelTimeout's: none where it is empty. A channel counts from its last byte;
     *     one of a machine that slept has not been idle less
     * @param interval RekeyLimit's second word: keys do not age where it is zero
     * @param deadlines ends with the connection
     */
    void keepTime(Map<String, Duration> limits, Duration interval, Deadlines deadlines) {
        getIoSession().addCloseFutureListener(future -> deadlines.close());
        if (!limits.isEmpty()) {
            IdleChannels watched = new IdleChannels(limits);
            idle = watched;
            deadlines.post(new IdleWatch(watched, limits, deadlines));
        }
        if (!interval.isZero()) {
            deadlines.post(new KeyWatch(interval, deadlines));
        }
    }

    /** Looks at the age of the keys whenever they may be too old; on the deadlines' thread. */
    private final class KeyWatch implements Runnable {
        private final Duration interval;
        private final Deadlines deadlines;
        private final Timer<Runnable> timer = new Timer<>(this);

        KeyWatch(Duration interval, Deadlines deadlines) {
            this.interval = interval;
            this.deadlines = deadlines;
        }

        @Override
        public void run() {
            if (!isOpen()) {
                return;
            }
            Duration left = KeyAge.left(lastKeyTimeValue, interval);
            if (!left.isPositive()) {
                try {
                    checkRekey();
                } catch (Exception e) {
                    sshLog.debug("rekey refused: " + e.getMessage());
                }
                left = interval;
            }
            deadlines.set(timer, deadlines.clock().now().plus(left).plus(JUST_AFTER));
        }
    }

    /** Looks at the channels whenever one of them may be over; on the deadlines' thread. */
    private final class IdleWatch implements Runnable {
        private final IdleChannels watched;
        private final Deadlines deadlines;
        private final Timer<Runnable> timer = new Timer<>(this);

        /** A channel that opens between two looks has at least this still before it. */
        private Duration shortest = Duration.ofDays(1);

        IdleWatch(IdleChannels watched, Map<String, Duration> limits, Deadlines deadlines) {
            this.watched = watched;
            this.deadlines = deadlines;
            for (Duration limit : limits.values()) {
                if (!limit.isZero() && limit.compareTo(shortest) < 0) {
                    shortest = limit;
                }
            }
        }

        @Override
        public void run() {
            Duration next = shortest;
            for (Channel channel : getService(AbstractConnectionService.class).getChannels()) {
                String kind = kind(channel);
                Duration left = channel.isClosing() ? null : watched.left(channel, kind);
                if (left == null) {
                    continue;
                }
                if (left.isNegative()) {
                    sshLog.verbose(watched.words(channel, kind));
                    // What it sends may have to wait for a key exchange.
                    Thread.ofPlatform()
                            .daemon()
                            .name("idle-channel")
                            .start(() -> channel.close(false));
                } else if (left.compareTo(next) < 0) {
                    next = left;
                }
            }
            deadlines.set(timer, deadlines.clock().now().plus(next).plus(JUST_AFTER));
        }
    }

    /** A channel's type as ChannelTimeout names it. */
    private static String kind(Channel channel) {
        return switch (channel) {
            case SessionChannel session -> session.kind();
            case ForwardChannel forward -> forward.kind();
            default -> "";
        };
    }

    /**
     * Says that no further session will be opened on this connection (OpenSSH PROTOCOL section
     * 2.2), so that a server can refuse one if we should be made to ask.
     */
    void noMoreSessions() {
        sshLog.debug("Requesting no-more-sessions@openssh.com");
        Buffer request = createBuffer(SshConstants.SSH_MSG_GLOBAL_REQUEST);
        request.putString("no-more-sessions@openssh.com");
        request.putBoolean(false);
        try {
            writePacket(request);
        } catch (IOException e) {
            sshLog.debug2("no-more-sessions not sent: " + e.getMessage()); // it is closing
        }
    }

    /** Asks for new keys (escape {@code ~R}). */
    void rekey() {
        try {
            reExchangeKeys();
        } catch (IOException e) {
            sshLog.debug("rekey refused: " + e.getMessage());
        }
    }

    /**
     * Says that we leave, and closes when that is written. MINA's own way tells listeners that it
     * does not have and sets a timer, which costs a short command 20 ms of code used only there.
     */
    void disconnectByUser() throws IOException {
        Buffer packet = createBuffer(SshConstants.SSH_MSG_DISCONNECT, 64);
        packet.putInt(SshConstants.SSH2_DISCONNECT_BY_APPLICATION);
        packet.putString("disconnected by user");
        packet.putString("");
        writePacket(packet).addListener(written -> close(true));
    }

    @Override
    public IoWriteFuture writePacket(Buffer buffer) throws IOException {
        IdleChannels watched = idle;
        if (watched != null) {
            watched.went(buffer);
        }
        if (kex != null && sshLog.shows(Log.Level.DEBUG1)) {
            tellGroupExchange(buffer);
        }
        return super.writePacket(buffer);
    }

    /** Called for every packet, also for those that a key exchange has held back. */
    @Override
    protected IoWriteFuture doWritePacket(Buffer buffer) throws IOException {
        encodeLock.lock();
        try {
            return closedChannels.permits(buffer) ? put(buffer) : ClosedChannels.dropped();
        } finally {
            encodeLock.unlock();
        }
    }

    /** Hands a packet to the stream; under the lock that orders packets. */
    IoWriteFuture put(Buffer packet) throws IOException {
        return super.doWritePacket(packet);
    }

    /** A peer that breaks the protocol is no stream that broke, though both are IOExceptions. */
    @Override
    public void messageReceived(Readable bytes) throws Exception {
        if (offended) {
            return;
        }
        try {
            super.messageReceived(bytes);
        } catch (SshException e) {
            offended = true;
            exceptionCaught(e);
        }
    }

    @Override
    protected void handleMessage(Buffer buffer) throws Exception {
        loop.heardPacket();
        closedChannels.came(buffer);
        IdleChannels watched = idle;
        if (watched != null) {
            watched.came(buffer);
        }
        Downstreams beyond = downstreams;
        if (!widened(buffer) && !pinged(buffer) && (beyond == null || !beyond.came(buffer))) {
            super.handleMessage(buffer);
        }
    }

    /**
     * Takes the shortest way with what is most frequent while we send in bulk: OpenSSH's server
     * gives the window back in parts of 96 KiB.
     */
    private boolean widened(Buffer buffer) throws Exception {
        int at = buffer.rpos();
        AbstractClientChannel channel = sending;
        if (channel == null
                || buffer.available() < WIDEN_BYTES
                || buffer.rawByte(at) != SshConstants.SSH_MSG_CHANNEL_WINDOW_ADJUST
                || buffer.rawUInt(at + 1) != channel.getChannelId()) {
            return false;
        }
        channel.getRemoteWindow().expand(buffer.rawUInt(at + 1 + Integer.BYTES));
        checkRekey();
        return true;
    }

    /**
     * A thread that sends in bulk may be the one that begins a key exchange, and then waits for its
     * end: what it holds has to go out before.
     */
    @Override
    protected @Nullable KeyExchangeFuture requestNewKeysExchange() throws Exception {
        KeyExchangeFuture begun = super.requestNewKeysExchange();
        wire().release();
        return begun;
    }

    /**
     * Reads the lines before and the identification line itself (RFC 4253 section 4.2), each
     * consumed as it comes, so that a server that never ends its banner costs no memory.
     */
    @Override
    protected boolean readIdentification(Buffer buffer) throws Exception {
        while (true) {
            byte[] bytes = buffer.array();
            int start = buffer.rpos();
            int end = start;
            while (end < buffer.wpos() && bytes[end] != '\n') {
                end++;
            }
            if (end - start > LONGEST_LINE) {
                throw refused("kex_exchange_identification: banner line too long");
            }
            if (end == buffer.wpos()) {
                buffer.compact();
                return false;
            }
            int length = end - start;
            if (length > 0 && bytes[end - 1] == '\r') {
                length--;
            }
            String line = new String(bytes, start, length, StandardCharsets.UTF_8);
            buffer.rpos(end + 1);
            if (line.startsWith("SSH-")) {
                identified(line);
                return true;
            }
            if (++preambleLines >= MOST_LINES) {
                throw refused(
                        "kex_exchange_identification: No SSH version received in first "
                                + MOST_LINES
                                + " lines from server");
            }
            for (int i = 0; i < line.length(); i++) {
                if (line.charAt(i) == 0) {
                    throw refused(
                            "kex_exchange_identification: banner line contains invalid characters");
                }
            }
            sshLog.debug(
                    "kex_exchange_identification: banner line "
                            + (preambleLines - 1)
                            + ": "
                            + printable(line));
        }
    }

    private void identified(String line) throws Exception {
        int software = line.indexOf('-', 4);
        String protocol = software < 0 ? "" : line.substring(4, software);
        if (software < 0 || software == line.length() - 1) {
            throw refused("Bad remote protocol version identification: '" + printable(line) + "'");
        }
        if (!protocol.equals("2.0") && !protocol.equals("1.99")) {
            throw refused(VERSIONS_DIFFER + "2 vs. " + printable(protocol.split("\\.", 2)[0]));
        }
        serverVersion = line;
        sshLog.debug(
                "Remote protocol version "
                        + protocol
                        + ", remote software version "
                        + printable(line.substring(software + 1)));
        sshLog.debug("Authenticating to " + naming.target());
        loop.post(new LinkEvent.Reached(Phase.KEY_EXCHANGE));
        signalExtraServerVersionInfo(line, new ArrayList<>());
    }

    /** What is offered to the server, and what its certificate may be signed with besides. */
    @Override
    public List<NamedFactory<Signature>> getSignatureFactories() {
        List<NamedFactory<Signature>> all = new ArrayList<>();
        for (NamedFactory<Signature> offered : super.getSignatureFactories()) {
            String name = offered.getName();
            all.add(
                    name.startsWith("sk-")
                            ? new NamedSignature(
                                    name, () -> new HardwareSignature(name, this::shownHostKey))
                            : offered);
        }
        String negotiated = getNegotiatedKexParameter(KexProposalOption.SERVERKEYS);
        if (negotiated != null && negotiated.contains("-cert-")) {
            // Which of these the person wants of an authority is HostKeyCheck's to say.
            all.addAll(Algorithms.signatures(AUTHORITIES));
        }
        return all;
    }

    @Override
    protected String resolveAvailableSignaturesProposal(FactoryManager client) {
        return NamedResource.getNames(super.getSignatureFactories());
    }

    private record NamedSignature(String getName, Supplier<Signature> make)
            implements NamedFactory<Signature> {
        @Override
        public Signature create() {
            return make.get();
        }
    }

    /** The host key or certificate of the latest key exchange, byte for byte as it came. */
    byte[] shownHostKey() {
        return shownHostKey;
    }

    /** Keeps what the server shows and, of the first key exchange, proves: {@link HostProof}. */
    @Override
    protected void handleKexMessage(int command, Buffer buffer) throws Exception {
        // In a group exchange the reply has another number, and its own means the group.
        boolean group = kex instanceof DHGEXClient;
        if (group && command == SshConstants.SSH_MSG_KEX_DH_GEX_GROUP) {
            sshLog.debug("SSH2_MSG_KEX_DH_GEX_GROUP received");
            int at = buffer.rpos();
            groupBits = number(buffer.getBytes()).bitLength();
            buffer.rpos(at);
        }
        if (command
                == (group
                        ? SshConstants.SSH_MSG_KEX_DH_GEX_REPLY
                        : SshConstants.SSH_MSG_KEXDH_REPLY)) {
            sshLog.debug(
                    group
                            ? "SSH2_MSG_KEX_DH_GEX_REPLY received"
                            : "SSH2_MSG_KEX_ECDH_REPLY received");
            int at = buffer.rpos();
            byte[] hostKey = buffer.getBytes();
            byte[] half = buffer.getBytes(); // the server's, of the agreement
            if (group) {
                tellBits(half);
            }
            shownHostKey = hostKey;
            if (getSessionId() == null) {
                setAttribute(HostProof.OF, new HostProof(hostKey, buffer.getBytes()));
            }
            buffer.rpos(at);
        }
        super.handleKexMessage(command, buffer);
    }

    // --- the lines of -v that scripts look for

    @Override
    protected byte[] sendKexInit() throws Exception {
        byte[] sent = super.sendKexInit();
        sshLog.debug("SSH2_MSG_KEXINIT sent");
        return sent;
    }

    @Override
    protected void handleKexInit(Buffer buffer) throws Exception {
        sshLog.debug("SSH2_MSG_KEXINIT received");
        super.handleKexInit(buffer);
    }

    @Override
    protected IoWriteFuture sendNewKeys() throws Exception {
        IoWriteFuture sent = super.sendNewKeys();
        if (sshLog.shows(Log.Level.DEBUG1)) {
            sshLog.debug2("ssh_set_newkeys: mode 1");
            sshLog.debug("rekey out after " + rekeyBlocks(outCipherSize) + " blocks");
            sshLog.debug("SSH2_MSG_NEWKEYS sent");
            sshLog.debug("expecting SSH2_MSG_NEWKEYS");
        }
        return sent;
    }

    @Override
    protected void handleNewKeys(int command, Buffer buffer) throws Exception {
        sshLog.debug("SSH2_MSG_NEWKEYS received");
        super.handleNewKeys(command, buffer);
    }

    @Override
    protected void setInputEncoding() throws Exception {
        super.setInputEncoding();
        if (sshLog.shows(Log.Level.DEBUG1)) {
            sshLog.debug2("ssh_set_newkeys: mode 0");
            sshLog.debug("rekey in after " + rekeyBlocks(inCipherSize) + " blocks");
        }
    }

    /**
     * A server that is asked for new keys before the login is over may know no such thing, as
     * OpenSSH's.
     */
    @Override
    protected boolean isRekeyRequired() {
        return isAuthenticated() && super.isRekeyRequired();
    }

    /** After how many blocks of that size there are new keys, by whichever limit comes first. */
    private long rekeyBlocks(int size) {
        long blocks = size < 16 ? (1L << 30) / Math.max(8, size) : 1L << (2 * size);
        return Math.min(blocks, maxRekeyBytes / Math.max(8, size));
    }

    @Override
    protected void handleKexExtension(int command, Buffer buffer) throws Exception {
        if (command == KexExtensions.SSH_MSG_EXT_INFO) {
            sshLog.debug("SSH2_MSG_EXT_INFO received");
        }
        super.handleKexExtension(command, buffer);
    }

    /** The server can do this. */
    void extension(String name, byte[] value) {
        if (sshLog.shows(Log.Level.DEBUG1)) {
            String text = new String(value, StandardCharsets.UTF_8);
            sshLog.debug("kex_input_ext_info: " + printable(name) + "=<" + printable(text) + ">");
        }
    }

    @Override
    protected void doInvokeDebugMessageHandler(Buffer buffer) {
        buffer.getBoolean();
        sshLog.debug("Remote: " + printable(buffer.getString()));
    }

    /** What a group exchange asks for and sends: RFC 4419 section 3. */
    private void tellGroupExchange(Buffer buffer) {
        int at = buffer.rpos();
        if (kex instanceof DHGEXClient && buffer.available() > 0) {
            int command = buffer.rawByte(at) & 0xff;
            if (command == SshConstants.SSH_MSG_KEX_DH_GEX_REQUEST && buffer.available() >= 13) {
                sshLog.debug(
                        "SSH2_MSG_KEX_DH_GEX_REQUEST("
                                + buffer.rawUInt(at + 1)
                                + "<"
                                + buffer.rawUInt(at + 5)
                                + "<"
                                + buffer.rawUInt(at + 9)
                                + ") sent");
                sshLog.debug("expecting SSH2_MSG_KEX_DH_GEX_GROUP");
            } else if (command == SshConstants.SSH_MSG_KEX_DH_GEX_INIT) {
                buffer.rpos(at + 1);
                tellBits(buffer.getBytes());
                buffer.rpos(at);
                sshLog.debug("SSH2_MSG_KEX_DH_GEX_INIT sent");
                sshLog.debug("expecting SSH2_MSG_KEX_DH_GEX_REPLY");
            }
        }
    }

    /** Of a half of a group exchange, how many bits are set: OpenSSH's dh_pub_is_valid. */
    private void tellBits(byte[] half) {
        sshLog.debug2("bits set: " + number(half).bitCount() + "/" + groupBits);
    }

    private static BigInteger number(byte[] mpint) {
        return mpint.length == 0 ? BigInteger.ZERO : new BigInteger(mpint);
    }

    private SshException refused(String text) {
        ending.compareAndSet(null, new Ending.Refused(text));
        return new SshException(text);
    }

    /** What a peer said, fit for a terminal: control characters as octal escapes. */
    static String printable(String text) {
        StringBuilder out = new StringBuilder(text.length());
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if ((c < ' ' && c != '\t') || (c >= 0x7f && c < 0xa0)) {
                out.append('\\').append((char) ('0' + (c >> 6)));
                out.append((char) ('0' + (c >> 3 & 7))).append((char) ('0' + (c & 7)));
            } else {
                out.append(c);
            }
        }
        return out.toString();
    }

    @Override
    protected Map<KexProposalOption, String> negotiate() throws Exception {
        Map<KexProposalOption, String> agreed;
        try {
            agreed = super.negotiate();
        } catch (Exception e) {
            String none =
                    KeyExchangeWords.nothingInCommon(
                            getClientKexProposals(), getServerKexProposals());
            if (none != null) {
                ending.compareAndSet(null, new Ending.Refused(printable(none)));
            }
            throw e;
        }
        String exchange = agreed.get(KexProposalOption.ALGORITHMS);
        if (naming.warnsOfWeakCrypto() && getSessionId() == null && !isPostQuantum(exchange)) {
            sshLog.info(
                    "** WARNING: connection is not using a post-quantum key exchange algorithm.");
            sshLog.info(
                    "** This session may be vulnerable to \"store now, decrypt later\" attacks.");
            sshLog.info("** The server may need to be upgraded. See https://openssh.com/pq.html");
        }
        if (sshLog.shows(Log.Level.DEBUG2)) {
            tellProposal("local client", getClientKexProposals());
            tellProposal("peer server", getServerKexProposals());
        }
        if (sshLog.shows(Log.Level.DEBUG1)) {
            KeyExchangeWords.agreed(agreed).forEach(sshLog::debug);
            if (exchange == null || !exchange.contains("group-exchange")) {
                sshLog.debug("expecting SSH2_MSG_KEX_ECDH_REPLY");
            }
        }
        return agreed;
    }

    private void tellProposal(String whose, Map<KexProposalOption, String> proposal) {
        sshLog.debug2(whose + " KEXINIT proposal");
        for (KexProposalOption option : KexProposalOption.VALUES) {
            String what =
                    switch (option) {
                        case ALGORITHMS -> "KEX algorithms";
                        case SERVERKEYS -> "host key algorithms";
                        case C2SENC -> "ciphers ctos";
                        case S2CENC -> "ciphers stoc";
                        case C2SMAC -> "MACs ctos";
                        case S2CMAC -> "MACs stoc";
                        case C2SCOMP -> "compression ctos";
                        case S2CCOMP -> "compression stoc";
                        case C2SLANG -> "languages ctos";
                        case S2CLANG -> "languages stoc";
                    };
            String list = proposal.get(option);
            sshLog.debug2(what + ": " + (list == null ? "" : printable(list)));
        }
        sshLog.debug2("first_kex_follows 0 ");
        sshLog.debug2("reserved 0 ");
    }

    /** How well packets were compressed, where they are: a line for a person. */
    List<String> compressed() {
        Compression in = inCompression;
        Compression out = outCompression;
        return in == null || out == null
                ? List.of()
                : List.of(
                        "    compressed "
                                + CountedZlib.told(in)
                                + " in, "
                                + CountedZlib.told(out)
                                + " out");
    }

    private static boolean isPostQuantum(@Nullable String exchange) {
        return exchange != null && (exchange.startsWith("mlkem") || exchange.startsWith("sntrup"));
    }

    @Override
    protected void signalSessionEvent(SessionListener.Event event) throws Exception {
        switch (event) {
            case KeyEstablished -> {
                if (!keysEstablished) {
                    keysEstablished = true;
                    loop.post(new LinkEvent.Reached(Phase.AUTHENTICATION));
                }
            }
            case Authenticated -> loop.post(new LinkEvent.Authenticated());
            case KexCompleted -> {}
        }
        super.signalSessionEvent(event);
    }

    @Override
    protected void handleDisconnect(int code, String text, String language, Buffer buffer)
            throws Exception {
        ending.compareAndSet(null, new Ending.Disconnected(code, text));
        super.handleDisconnect(code, text, language, buffer);
    }

    @Override
    public void exceptionCaught(Throwable error) {
        if (error instanceof Corrupt corrupt) {
            refuse(corrupt.finding(), corrupt.verdict());
        } else if (isBadMac(error)) {
            refuse("Corrupted MAC on input.", Corrupt.BAD_MAC);
        } else if (!(error instanceof IOException) || error instanceof SshException) {
            String text = error.getMessage();
            refuse(null, printable(text == null ? "protocol error" : text));
        }
        sshLog.debug3("session: " + error);
        super.exceptionCaught(error);
    }

    private static boolean isBadMac(Throwable error) {
        return error instanceof AEADBadTagException
                || (error instanceof SshException bad
                        && bad.getDisconnectCode() == SshConstants.SSH2_DISCONNECT_MAC_ERROR);
    }

    private void refuse(@Nullable String finding, String text) {
        if (ending.compareAndSet(null, new Ending.Refused(text)) && finding != null) {
            sshLog.info(finding);
        }
    }
}
