package holdfast.ssh.link;

import static org.assertj.core.api.Assertions.assertThat;

import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.util.buffer.Buffer;
import org.apache.sshd.common.util.buffer.ByteArrayBuffer;
import org.junit.jupiter.api.Test;

class ClosedChannelsTest {

    private final ClosedChannels closed = new ClosedChannels();

    private static Buffer packet(int command, long... numbers) {
        Buffer packet = new ByteArrayBuffer();
        packet.putByte((byte) command);
        for (long number : numbers) {
            packet.putUInt(number);
        }
        return packet;
    }

    private static Buffer open(long sender) {
        Buffer packet = new ByteArrayBuffer();
        packet.putByte(SshConstants.SSH_MSG_CHANNEL_OPEN);
        packet.putString("forwarded-tcpip");
        packet.putUInt(sender);
        packet.putUInt(1 << 21);
        packet.putUInt(1 << 15);
        return packet;
    }

    private boolean data(long channel) {
        return closed.permits(packet(SshConstants.SSH_MSG_CHANNEL_DATA, channel, 1, 65));
    }

    @Test
    void nothing_follows_a_close_and_no_other_channel_is_held_back() {
        assertThat(data(2)).isTrue();
        assertThat(closed.permits(packet(SshConstants.SSH_MSG_CHANNEL_CLOSE, 2))).isTrue();
        assertThat(data(2)).isFalse();
        assertThat(closed.permits(packet(SshConstants.SSH_MSG_CHANNEL_EOF, 2))).isFalse();
        assertThat(closed.permits(packet(SshConstants.SSH_MSG_CHANNEL_WINDOW_ADJUST, 2, 9)))
                .isFalse();
        assertThat(closed.permits(packet(SshConstants.SSH_MSG_CHANNEL_CLOSE, 2))).isFalse();
        assertThat(data(3)).isTrue();
        assertThat(closed.permits(packet(SshConstants.SSH_MSG_IGNORE, 2))).isTrue();
        assertThat(closed.permits(packet(SshConstants.SSH_MSG_CHANNEL_OPEN_CONFIRMATION, 2, 2)))
                .isTrue();
    }

    @Test
    void a_number_given_to_a_new_channel_is_open_again_whoever_opened_it() {
        closed.permits(packet(SshConstants.SSH_MSG_CHANNEL_CLOSE, 2));
        closed.permits(packet(SshConstants.SSH_MSG_CHANNEL_CLOSE, 7));
        closed.came(packet(SshConstants.SSH_MSG_CHANNEL_DATA, 2, 1, 65));
        assertThat(data(2)).isFalse();
        closed.came(open(2));
        assertThat(data(2)).isTrue();
        closed.came(packet(SshConstants.SSH_MSG_CHANNEL_OPEN_CONFIRMATION, 99, 7, 1, 1));
        assertThat(data(7)).isTrue();
        assertThat(data(99)).isTrue();
    }

    @Test
    void a_broken_packet_is_no_reason_to_fail_here() {
        closed.permits(packet(SshConstants.SSH_MSG_CHANNEL_CLOSE, 2));
        closed.came(packet(SshConstants.SSH_MSG_CHANNEL_OPEN, 0xffffffffL, 2));
        closed.came(packet(SshConstants.SSH_MSG_CHANNEL_OPEN));
        assertThat(data(2)).isFalse();
    }
}
