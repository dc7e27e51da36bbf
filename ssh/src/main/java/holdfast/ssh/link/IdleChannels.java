package holdfast.ssh.link;

import holdfast.ssh.config.Patterns;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.sshd.common.SshConstants;
import org.apache.sshd.common.channel.Channel;
import org.apache.sshd.common.util.buffer.Buffer;
import org.jspecify.annotations.Nullable;

/**
 * ChannelTimeout of one connection: since when each of its channels is idle, and which limit it
 * has. Traffic is noted by whichever thread sees it; looked at from one.
 */
public final class IdleChannels {

    /** Of all channels together: any traffic counts, and all end at once. Matched by no pattern. */
    private static final String GLOBAL = "global";

    private final Map<String, Duration> limits;

    // Both bounded by the channels that are open. Ours by our number, theirs by the peer's.
    private final ConcurrentHashMap<Long, Long> cameIn = new ConcurrentHashMap<>();
    private final ConcurrentHashMap<Long, Long> wentOut = new ConcurrentHashMap<>();
    private volatile long lastOfAll = System.nanoTime();

    /**
     * @param limits patterns of channel types, the first that matches counts
     */
    public IdleChannels(Map<String, Duration> limits) {
        this.limits = limits;
    }

    /** A packet has come. */
    public void came(Buffer packet) {
        note(cameIn, packet);
    }

    /** A packet is about to go. */
    public void went(Buffer packet) {
        note(wentOut, packet);
    }

    private void note(ConcurrentHashMap<Long, Long> traffic, Buffer packet) {
        int at = packet.rpos();
        if (packet.available() < 1 + Integer.BYTES) {
            return;
        }
        int command = packet.rawByte(at) & 0xff;
        if (command == SshConstants.SSH_MSG_CHANNEL_DATA
                || command == SshConstants.SSH_MSG_CHANNEL_EXTENDED_DATA) {
            long now = System.nanoTime();
            traffic.put(packet.rawUInt(at + 1), now);
            lastOfAll = now;
        }
    }

    public void opened(Channel channel) {
        long now = System.nanoTime();
        cameIn.put(channel.getChannelId(), now);
        lastOfAll = now;
    }

    public void closed(Channel channel) {
        cameIn.remove(channel.getChannelId());
        wentOut.remove(channel.getRecipient());
    }

    /**
     * What remains of a channel's time.
     *
     * @param kind as ChannelTimeout names it: {@code direct-tcpip}, {@code session:shell}; null: it
     *     has no limit but that of all
     * @return null: it has no limit; negative: it is over, and counts anew from now
     */
    public @Nullable Duration left(Channel channel, @Nullable String kind) {
        long now = System.nanoTime();
        Duration own = null;
        Duration limit = kind == null ? null : limit(limits, kind);
        if (limit != null && !limit.isZero()) {
            long touched = cameIn.computeIfAbsent(channel.getChannelId(), id -> now);
            Long sent = wentOut.get(channel.getRecipient());
            if (sent != null && sent - touched > 0) {
                touched = sent;
            }
            own = limit.minusNanos(now - touched);
        }
        Duration all = limits.get(GLOBAL);
        if (all != null && !all.isZero()) {
            Duration left = all.minusNanos(now - lastOfAll);
            own = own == null || left.compareTo(own) < 0 ? left : own;
        }
        if (own != null && own.isNegative()) {
            cameIn.put(channel.getChannelId(), now);
        }
        return own;
    }

    /** In OpenSSH's words, when a channel's time is over. */
    public String words(Channel channel, @Nullable String kind) {
        Duration limit = kind == null ? null : limit(limits, kind);
        return "channel "
                + channel.getChannelId()
                + ": closing after "
                + (limit == null ? 0 : limit.toSeconds())
                + " seconds of inactivity";
    }

    /** The limit of the first pattern that matches; null: none matches; zero: none. */
    static @Nullable Duration limit(Map<String, Duration> limits, String kind) {
        for (Map.Entry<String, Duration> limit : limits.entrySet()) {
            String pattern = limit.getKey();
            if (!pattern.equals(GLOBAL)
                    && (Patterns.matches(kind, pattern)
                            || (kind.startsWith("session:") && pattern.equals("session")))) {
                return limit.getValue();
            }
        }
        return null;
    }
}
