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

    /** Where a session keeps its own. */
    public static final AttributeKey<HostProof> OF = new AttributeKey<>();
}
