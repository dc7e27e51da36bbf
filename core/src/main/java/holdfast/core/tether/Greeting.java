package holdfast.core.tether;

import org.jspecify.annotations.Nullable;

/**
 * The lines with which a connection begins, read until it is known what it is to carry (PROTOCOL.md
 * section 2). It consumes nothing beyond them and keeps no more than one short line.
 */
public final class Greeting {

    /** What the lines came to. */
    public sealed interface Outcome {

        /** Plain SSH. */
        record Plain() implements Outcome {}

        /** The other end's line, without its end, and what it says. */
        record Said(String line, TetherLine what) implements Outcome {}
    }

    private enum Until {
        /** The client's first line, whatever it is. */
        FIRST_LINE,
        /** The server's identification line. */
        IDENTIFICATION,
        /** The server's offer, wherever it stands. */
        OFFER
    }

    private final Until until;
    private final StringBuilder line = new StringBuilder();
    private Outcome.@Nullable Said offer;
    private @Nullable Outcome outcome;

    private Greeting(Until until) {
        this.until = until;
    }

    /** A server reading what a client begins with. */
    public static Greeting ofClient() {
        return new Greeting(Until.FIRST_LINE);
    }

    /** A client reading what a server begins with, its identification included. */
    public static Greeting ofServer() {
        return new Greeting(Until.IDENTIFICATION);
    }

    /** A client that wants its tether again: it needs the server's offer and nothing else. */
    public static Greeting ofServerToResume() {
        return new Greeting(Until.OFFER);
    }

    /** What it is; null: not known yet. */
    public @Nullable Outcome outcome() {
        return outcome;
    }

    /** The server's offer as soon as it has come, before its identification; null: none yet. */
    public Outcome.@Nullable Said offer() {
        return offer;
    }

    /** Reads on until the outcome is known; how many bytes were consumed. */
    public int read(byte[] bytes, int offset, int length) {
        int at = offset;
        while (at < offset + length && outcome == null) {
            char c = (char) (bytes[at++] & 0xff);
            if (c == '\n') {
                whole();
                line.setLength(0);
            } else if (until == Until.FIRST_LINE && (c == 0 || returned())) {
                // No line of SSH's, TLS perhaps: nobody waits for its end.
                outcome = new Outcome.Plain();
            } else if (line.length() < TetherLine.LONGEST) {
                line.append(c);
            } else if (until == Until.FIRST_LINE) {
                outcome = new Outcome.Plain();
            }
        }
        return at - offset;
    }

    private boolean returned() {
        return !line.isEmpty() && line.charAt(line.length() - 1) == '\r';
    }

    private void whole() {
        int end = line.length();
        String text = line.substring(0, end > 0 && line.charAt(end - 1) == '\r' ? end - 1 : end);
        TetherLine what = TetherLine.of(text);
        boolean identification = text.startsWith("SSH-");
        switch (until) {
            case FIRST_LINE ->
                    // Before its identification a client says nothing: RFC 4253 section 4.2.
                    outcome =
                            what == null || !identification
                                    ? new Outcome.Plain()
                                    : new Outcome.Said(text, what);
            case IDENTIFICATION, OFFER -> {
                if (offer == null && what instanceof TetherLine.Offer) {
                    offer = new Outcome.Said(text, what);
                }
                if (identification || (until == Until.OFFER && offer != null)) {
                    outcome = offer == null ? new Outcome.Plain() : offer;
                }
            }
        }
    }
}
