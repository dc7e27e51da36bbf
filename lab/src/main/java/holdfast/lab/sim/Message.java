package holdfast.lab.sim;

import holdfast.core.time.Moment;

/**
 * What one segment of the simulated stream means to the program that reads it.
 *
 * @param step which step of the opening, for {@link Kind#HELLO}
 * @param sent when a probe was asked for; its reply brings it back
 */
record Message(Kind kind, int step, Moment sent) {

    enum Kind {
        /** SYN or FIN: nothing that a program reads. */
        NOTHING,
        /** One step of the opening: identification, key exchange, authentication. */
        HELLO,
        PROBE,
        REPLY,
        /** Something typed: the other side answers with a LINE. */
        KEY,
        /** Output, a whole packet. */
        LINE,
        /** A piece of a packet that ends in a later segment. */
        PIECE
    }

    static final Message NOTHING = of(Kind.NOTHING);
    static final Message KEY = of(Kind.KEY);
    static final Message LINE = of(Kind.LINE);
    static final Message PIECE = of(Kind.PIECE);

    static Message hello(int step) {
        return new Message(Kind.HELLO, step, Moment.ZERO);
    }

    static Message probe(Moment sent) {
        return new Message(Kind.PROBE, 0, sent);
    }

    Message answered() {
        return new Message(Kind.REPLY, 0, sent);
    }

    /** Payload bytes: what OpenSSH's packets of this kind come to, roughly. */
    int bytes() {
        return switch (kind) {
            case NOTHING -> 0;
            case HELLO -> 600;
            case PROBE -> 80;
            case REPLY -> 36;
            case KEY -> 36;
            case LINE -> 120;
            case PIECE -> 1400;
        };
    }

    private static Message of(Kind kind) {
        return new Message(kind, 0, Moment.ZERO);
    }
}
