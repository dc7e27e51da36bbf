package holdfast.ssh.server.session;

import holdfast.ssh.log.Log;
import holdfast.ssh.stream.Inflow;
import holdfast.ssh.stream.Outflow;
import holdfast.ssh.stream.SocketTap;
import java.io.IOException;
import java.util.List;
import org.apache.sshd.client.channel.AbstractClientChannel;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.channel.Channel;
import org.apache.sshd.common.channel.ChannelAsyncOutputStream;
import org.apache.sshd.common.channel.RequestHandler;
import org.apache.sshd.common.session.ConnectionService;
import org.apache.sshd.common.session.Session;
import org.apache.sshd.common.util.EventNotifier;
import org.apache.sshd.common.util.buffer.Buffer;
import org.jspecify.annotations.Nullable;

/** Carries one program's talk with the client's agent. */
final class AgentChannel extends AbstractClientChannel {

    private static final String TYPE = "auth-agent@openssh.com";

    private final SocketTap tap;
    private volatile @Nullable ChannelAsyncOutputStream toClient;
    private volatile @Nullable Outflow outflow;
    private volatile @Nullable Inflow inflow;
    private boolean closeGone;
    private int flowing = 2;

    private AgentChannel(SocketTap tap) {
        super(TYPE, List.<RequestHandler<Channel>>of());
        this.tap = tap;
    }

    /** Asks the client for its agent on behalf of {@code tap}. Never waits. */
    static void open(Session session, ConnectionService service, SocketTap tap, Log log) {
        AgentChannel channel = new AgentChannel(tap);
        try {
            service.registerChannel(channel);
            channel.open();
        } catch (IOException | RuntimeException e) {
            log.debug("agent connection of " + session.getUsername() + ": " + e.getMessage());
            tap.close();
        }
    }

    @Override
    protected void addChannelSignalRequestHandlers(EventNotifier<String> notifier) {
        // An agent has no exit status.
    }

    @Override
    public void handleOpenSuccess(long recipient, long window, long packet, Buffer buffer) {
        super.handleOpenSuccess(
                recipient, window, Math.clamp(packet, 1, SessionChannel.PACKET_BYTES), buffer);
    }

    @Override
    protected void doOpen() {
        ChannelAsyncOutputStream to =
                new ChannelAsyncOutputStream(this, SshConstants.SSH_MSG_CHANNEL_DATA);
        Outflow out = new Outflow(tap, to, why -> ended(true));
        toClient = to;
        outflow = out;
        inflow = new Inflow(tap, getLocalWindow(), why -> ended(false));
        out.start();
    }

    /** One direction is over; when both are, so is the channel. */
    private void ended(boolean output) {
        boolean over;
        synchronized (this) {
            over = --flowing == 0 && !closeGone;
            closeGone |= over;
        }
        try {
            if (output) {
                sendEof();
            }
            if (over) {
                sendClose();
            }
        } catch (IOException e) {
            close(true);
        }
    }

    private void sendClose() throws IOException {
        Buffer packet =
                getSession().createBuffer(SshConstants.SSH_MSG_CHANNEL_CLOSE, Integer.BYTES);
        packet.putUInt(getRecipient());
        getSession().writePacket(packet);
    }

    @Override
    protected void doWriteData(byte[] data, int offset, long length) throws IOException {
        Inflow in = inflow;
        if (in != null) {
            in.data(data, offset, (int) length);
        }
    }

    @Override
    protected void doWriteExtendedData(byte[] data, int offset, long length) throws IOException {
        getLocalWindow().release(length);
    }

    @Override
    public void handleEof() throws IOException {
        super.handleEof();
        Inflow in = inflow;
        if (in != null) {
            in.finish();
        }
    }

    @Override
    public void handleWindowAdjust(Buffer buffer) throws IOException {
        super.handleWindowAdjust(buffer);
        ChannelAsyncOutputStream to = toClient;
        if (to != null) {
            to.onWindowExpanded();
        }
    }

    @Override
    public void handleClose() throws IOException {
        boolean reply;
        synchronized (this) {
            reply = !closeGone;
            closeGone = true;
        }
        if (reply) {
            sendClose();
        }
        close(true);
    }

    @Override
    protected boolean mayWrite() {
        return !isClosed();
    }

    @Override
    public void handleOpenFailure(Buffer buffer) {
        tap.close();
        super.handleOpenFailure(buffer);
    }

    @Override
    protected void preClose() {
        Outflow out = outflow;
        Inflow in = inflow;
        ChannelAsyncOutputStream to = toClient;
        if (out != null) {
            out.stop();
        }
        if (in != null) {
            in.stop();
        }
        if (to != null) {
            to.close(true);
        }
        tap.close();
        super.preClose();
    }
}
