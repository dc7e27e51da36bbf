package holdfast.ssh.auth;

import org.apache.sshd.common.AttributeRepository.AttributeKey;

/**
 * What a server proved in the first key exchange of a connection, byte for byte as it sent it; with
 * the session's identifier anybody can check it, as an agent does whose keys are for some hosts
 * only.
 *
 * @param hostKey the public key or certificate
 * @param signature over the exchange hash, which is the session's identifier
 */
@SuppressWarnings("ArrayRecordComponent") // handed on, never compared
public record HostProof(byte[] hostKey, byte[] signature) {

    /**
     * What tells an agent which server a connection to it is for (OpenSSH's PROTOCOL.agent,
     * session-bind): a message without its length.
     *
     * @param forwarding whether programs at the server will speak with the agent, not only we
     */
    public byte[] binding(byte[] sessionId, boolean forwarding) {
        return new Wire.Writer()
                .u8(SSH_AGENTC_EXTENSION)
                .text("session-bind@openssh.com")
                .string(hostKey)
                .string(sessionId)
                .string(signature)
                .u8(forwarding ? 1 : 0)
                .bytes();
    }

    private static final int SSH_AGENTC_EXTENSION = 27;

    /** Where a session keeps its own. */
    public static final AttributeKey<HostProof> OF = new AttributeKey<>();
}
