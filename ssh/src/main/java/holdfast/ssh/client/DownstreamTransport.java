package holdfast.ssh.client;

import holdfast.core.time.Moment;
import holdfast.ssh.link.LinkLoop;
import holdfast.ssh.log.Log;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.sshd.client.ClientFactoryManager;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.future.GlobalRequestFuture;
import org.apache.sshd.common.io.AbstractIoWriteFuture;
import org.apache.sshd.common.io.IoSession;
import org.apache.sshd.common.io.IoWriteFuture;
import org.apache.sshd.common.kex.KexState;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;

/**
 * The transport of a client that takes part in a master's connection ({@code -O proxy}, OpenSSH's
 * PROTOCOL.mux): packets of the connection protocol, neither encrypted nor authenticated, over the
 * master's socket. Keys and the login are the master's; this is done with both when it begins.
 */
final class DownstreamTransport extends Transport {

    /** What MINA leaves free before a packet's payload: the length and a byte for the padding. */
    private static final int HEAD = SshConstants.SSH_PACKET_HEADER_LEN;

    /** The one global request that OpenSSH's master passes on; any other is the client's end. */
    private static final String TCPIP_FORWARD = "tcpip-forward";

    private final boolean ours;
    private final Log debug;

    DownstreamTransport(
            ClientFactoryManager manager,
            IoSession io,
            LinkLoop loop,
            AtomicReference<Ending> ending,
            boolean ours,
            Naming naming,
            Log log)
            throws Exception {
        super(manager, io, loop, ending, null, naming, log);
        this.ours = ours;
        this.debug = log;
    }

    @Override
    public void start() throws Exception {
        clientVersion = "";
        serverVersion = "";
        initialKexDone = true;
        kexState.set(KexState.DONE);
        setAuthenticated();
        switchToNextService();
    }

    @Override
    protected void decode() throws Exception {
        decodeBare();
    }

    /** Keys are the master's. */
    @Override
    protected boolean isRekeyRequired() {
        return false;
    }

    @Override
    void rekey() {
        debug.debug("rekey refused: the connection is a master's");
    }

    @Override
    IoWriteFuture put(Buffer packet) throws IOException {
        int command = packet.rawByte(packet.rpos()) & 0xff;
        if (command < SshConstants.SSH_MSG_GLOBAL_REQUEST
                || (command == SshConstants.SSH_MSG_GLOBAL_REQUEST && !passedOn(packet))) {
            return AbstractIoWriteFuture.fulfilled("not for a master", true);
        }
        return super.put(packet);
    }

    /** In the place of the encryption; MINA notes here which requests are on their way. */
    @Override
    protected Buffer encode(Buffer buffer) throws IOException {
        Buffer packet = preProcessEncodeBuffer(buffer.rawByte(buffer.rpos()) & 0xff, buffer);
        int length = packet.available();
        int at = packet.rpos() - HEAD;
        Buffer framed = packet;
        if (at < 0) {
            framed = new ByteArrayBuffer(new byte[HEAD + length]);
            at = 0;
            framed.wpos(HEAD);
            framed.putRawBytes(packet.array(), packet.rpos(), length);
        }
        framed.wpos(at);
        framed.putUInt(1L + length);
        framed.putByte((byte) 0);
        framed.wpos(at + HEAD + length);
        framed.rpos(at);
        return framed;
    }

    private boolean passedOn(Buffer request) {
        if (ours) {
            return true;
        }
        int at = request.rpos();
        request.getUByte();
        String name = request.getString(StandardCharsets.UTF_8);
        request.rpos(at);
        return name.equals(TCPIP_FORWARD);
    }

    /** OpenSSH's master keeps the server's answers to itself: what it passes on we believe done. */
    @Override
    public GlobalRequestFuture request(
            Buffer buffer, String request, GlobalRequestFuture.ReplyHandler handler)
            throws IOException {
        if (ours) {
            return super.request(buffer, request, handler);
        }
        boolean sent = request.equals(TCPIP_FORWARD) && !portIsTheServersChoice(buffer);
        if (sent) {
            writePacket(buffer);
        }
        GlobalRequestFuture future = new GlobalRequestFuture(request, handler);
        future.setValue(new ByteArrayBuffer());
        if (handler != null) {
            handler.accept(
                    sent
                            ? SshConstants.SSH_MSG_REQUEST_SUCCESS
                            : SshConstants.SSH_MSG_REQUEST_FAILURE,
                    new ByteArrayBuffer());
        }
        return future;
    }

    private static boolean portIsTheServersChoice(Buffer request) {
        int at = request.rpos();
        request.getUByte();
        request.getString();
        request.getBoolean();
        request.getString();
        boolean chosen = request.getUInt() == 0;
        request.rpos(at);
        return chosen;
    }

    @Override
    void probe(Moment sent) {
        if (ours) {
            super.probe(sent);
        }
    }

    @Override
    void roundTrip(Runnable back) {
        if (ours) {
            super.roundTrip(back);
        } else {
            back.run();
        }
    }

    /** There may be many more on this connection. */
    @Override
    void noMoreSessions() {}
}
