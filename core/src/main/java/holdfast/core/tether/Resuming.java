package holdfast.core.tether;

import java.nio.ByteBuffer;
import org.jspecify.annotations.Nullable;

/**
 * A client's attempt to bring its tether a new carrier, from the first byte of the connection to
 * the proof of both ends. It sends nothing to a server that offers no tether.
 */
public final class Resuming {

    /** What came of it. */
    public sealed interface Outcome {

        /** Proved, and the current one from now on. What follows on the connection is its own. */
        record Resumed(Tether.Carrier carrier) implements Outcome {}

        /** It came to nothing. */
        record Failed(CarrierEvent.Failure why) implements Outcome {}
    }

    private final Tether tether;
    private final Prover prover;
    private final Bytes id;
    private final long generation;
    private final Bytes nonce;
    private final String software;
    private final Greeting greeting = Greeting.ofServerToResume();
    private final FrameReader reader = new FrameReader();
    // What a listener may have said after its offer, before it had our line; null: nothing more.
    private @Nullable Greeting rest;
    private boolean restBegun;
    private TetherLine.@Nullable Resume request;
    private String serverLine = "";
    private byte[] unsent = new byte[0];
    private @Nullable Outcome outcome;

    /**
     * @param generation as the decision called it
     * @param software what the line calls us after {@code SSH-2.0-}
     * @param nonce 16 fresh random bytes
     */
    public Resuming(Tether tether, Prover prover, long generation, String software, Bytes nonce) {
        Bytes name = tether.id();
        if (name == null) {
            throw new IllegalArgumentException("a tether without a name");
        }
        this.tether = tether;
        this.prover = prover;
        this.id = name;
        this.generation = generation;
        this.software = software;
        this.nonce = nonce;
    }

    /** What came of it; null: nothing yet. */
    public @Nullable Outcome outcome() {
        return outcome;
    }

    /** What is to be sent now, once; empty: nothing. */
    public byte[] toSend() {
        byte[] now = unsent;
        unsent = new byte[0];
        return now;
    }

    /** Reads what the server says until there is an outcome; how many bytes were consumed. */
    public int read(byte[] bytes, int offset, int length) {
        int used = 0;
        if (request == null) {
            used = greeting.read(bytes, offset, length);
            Greeting.Outcome said = greeting.outcome();
            if (said instanceof Greeting.Outcome.Said offer) {
                ask(offer.line());
                rest = offer.line().startsWith("SSH-") ? null : Greeting.ofServer();
            } else if (said != null) {
                outcome = new Outcome.Failed(CarrierEvent.Failure.FOREIGN);
            }
        }
        Greeting lines = rest;
        if (lines != null && used < length) {
            // A frame begins with its type, which is no letter of a line.
            if (restBegun || bytes[offset + used] > Frame.REFUSED) {
                restBegun = true;
                used += lines.read(bytes, offset + used, length - used);
                rest = lines.outcome() == null ? lines : null;
            } else {
                rest = null;
            }
        }
        if (request != null && rest == null && outcome == null) {
            used += reader.read(bytes, offset + used, length - used, new Answer(request));
            if (reader.fault() != null && outcome == null) {
                outcome = new Outcome.Failed(CarrierEvent.Failure.TURNED_AWAY);
            }
        }
        return used;
    }

    private void ask(String line) {
        serverLine = line;
        TetherLine.Resume made =
                Resumption.request(
                        prover,
                        id,
                        generation,
                        tether.received(),
                        tether.taken(),
                        nonce,
                        serverLine);
        unsent = Bytes.ascii("SSH-2.0-" + software + " " + made.word() + "\r\n");
        request = made;
    }

    private final class Answer implements FrameReader.Sink {
        private final TetherLine.Resume asked;

        Answer(TetherLine.Resume asked) {
            this.asked = asked;
        }

        @Override
        public @Nullable Fault data(ByteBuffer bytes) {
            return Fault.UNKNOWN_FRAME;
        }

        @Override
        public @Nullable Fault frame(Frame frame) {
            if (frame instanceof Frame.Refused refused) {
                outcome =
                        new Outcome.Failed(
                                refused.reason() == Frame.Refused.GONE
                                        ? CarrierEvent.Failure.GONE
                                        : CarrierEvent.Failure.TURNED_AWAY);
                return null;
            }
            if (!(frame instanceof Frame.Resumed answer)) {
                return Fault.UNKNOWN_FRAME;
            }
            if (!Resumption.proved(prover, asked, serverLine, answer)) {
                return Fault.BAD_PROOF;
            }
            if (generation <= tether.generation()) {
                // A later attempt was quicker: this one is of no more use.
                outcome = new Outcome.Failed(CarrierEvent.Failure.UNANSWERED);
                return null;
            }
            Fault fault = tether.check(asked, answer);
            if (fault == null) {
                outcome = new Outcome.Resumed(tether.resume(asked, answer));
            }
            return fault;
        }

        @Override
        public boolean more() {
            return outcome == null;
        }
    }
}
