package holdfast.ssh.forward;

import holdfast.ssh.stream.SocketTap;
import holdfast.ssh.stream.Tap;
import java.io.IOException;
import java.nio.ByteBuffer;

/**
 * One client of a local SOCKS port ({@code -D}) until its connection is made: reads what it asks
 * for, and hands its tap to a channel. All on the selector's thread, but for the channel's outcome.
 */
final class SocksFront implements Tap.Ready, AutoCloseable {

    /** Opens the channel that was asked for. */
    interface Asks {
        void asks(SocketTap tap, String host, int port, ForwardChannel.Outcome outcome);
    }

    private final Forwarding forwarding;
    private final SocketTap tap;
    private final Asks asks;
    private final Socks socks = new Socks();

    SocksFront(Forwarding forwarding, SocketTap tap, Asks asks) {
        this.forwarding = forwarding;
        this.tap = tap;
        this.asks = asks;
    }

    void start() {
        if (forwarding.keep(this)) {
            tap.wantRead(this);
        }
    }

    @Override
    public void ready() throws IOException {
        // So small because what is read beyond the request has to be kept.
        ByteBuffer bytes = ByteBuffer.allocate(Socks.LONGEST);
        int count = tap.read(bytes);
        if (count < 0) {
            close();
            return;
        }
        bytes.flip();
        while (true) {
            switch (socks.take(bytes)) {
                case Socks.Step.More _ -> {
                    tap.wantRead(this);
                    return;
                }
                case Socks.Step.Say say -> write(say.bytes());
                case Socks.Step.Refuse refuse -> {
                    forwarding.log().debug("dynamic request: " + refuse.why());
                    write(refuse.bytes());
                    close();
                    return;
                }
                case Socks.Step.Connect connect -> {
                    forwarding
                            .log()
                            .debug2(
                                    "dynamic request: host "
                                            + ServerSide.printable(connect.host())
                                            + " port "
                                            + connect.port());
                    forwarding.forget(this);
                    asks.asks(tap, connect.host(), connect.port(), outcome(bytes));
                    return;
                }
            }
        }
    }

    private ForwardChannel.Outcome outcome(ByteBuffer rest) {
        return (channel, failure) -> {
            if (failure == null) {
                channel.toPeer(rest);
                channel.toTap(socks.connected());
            } else {
                try {
                    write(socks.failed(Socks.failure(failure.reason())));
                } catch (IOException e) {
                    forwarding.log().debug2("socks: " + e.getMessage()); // it is gone already
                }
            }
        };
    }

    /** A few bytes, which a socket that has written none before takes at once. */
    private void write(byte[] bytes) throws IOException {
        tap.write(ByteBuffer.wrap(bytes));
    }

    @Override
    public void failed(Throwable why) {
        forwarding.log().debug("dynamic request: " + why);
        close();
    }

    @Override
    public void close() {
        forwarding.forget(this);
        tap.close();
    }
}
