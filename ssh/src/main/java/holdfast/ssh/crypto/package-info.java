/**
 * The algorithms offered and their order; Ed25519, ML-KEM and ChaCha20-Poly1305 from the JDK, UMAC
 * and Streamlined NTRU Prime our own.
 */
@NullMarked
package holdfast.ssh.crypto;

import org.jspecify.annotations.NullMarked;
