package holdfast.core.tether;

/** Numbers on the wire: unsigned varints (LEB128) in frames, eight bytes big-endian in proofs. */
final class Numbers {

    private Numbers() {}

    /** Writes {@code number}, seven bits a byte, the lowest first; where it ends. */
    static int put(long number, byte[] into, int at) {
        long rest = number;
        int next = at;
        while (rest >= 0x80) {
            into[next++] = (byte) (rest | 0x80);
            rest >>>= 7;
        }
        into[next++] = (byte) rest;
        return next;
    }

    static int putLong(long number, byte[] into, int at) {
        for (int i = 0; i < 8; i++) {
            into[at + i] = (byte) (number >>> (56 - 8 * i));
        }
        return at + 8;
    }

    static long getLong(byte[] from, int at) {
        long number = 0;
        for (int i = 0; i < 8; i++) {
            number = number << 8 | (from[at + i] & 0xff);
        }
        return number;
    }
}
