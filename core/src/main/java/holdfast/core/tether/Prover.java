package holdfast.core.tether;

/** The tether's key, as far as this package may know of it: HMAC-SHA256 under it. */
@FunctionalInterface
public interface Prover {

    /** The 32 bytes that only a holder of the key can make of {@code message}. */
    byte[] mac(byte[] message);
}
