package holdfast.lab.middlebox;

/**
 * What a middlebox made of one event.
 *
 * @param next the state it is in now
 * @param note what somebody looking at its table would have seen happen
 */
public record Turn<S>(S next, Verdict verdict, Note note) {

    /** A change in a box's table that no packet shows. */
    public enum Note {
        NOTHING,
        /** The flow is no longer in the table. */
        FORGOTTEN,
        /** The flow is in the table again, as if it had never left. */
        REVIVED,
        /** The flow is in the table under another public address or port. */
        REMAPPED
    }

    public Turn(S next, Verdict verdict) {
        this(next, verdict, Note.NOTHING);
    }

    /** Nothing happened. */
    public static <S> Turn<S> quiet(S state) {
        return new Turn<>(state, Verdict.QUIET);
    }

    /** The packet passes at once and nothing else happened. */
    public static <S> Turn<S> pass(S state) {
        return new Turn<>(state, Verdict.PASS);
    }
}
