package holdfast.lab.middlebox;

/**
 * One TCP connection, as a person would count them.
 *
 * @param number from 1; 0 is {@link #EVERY}
 */
public record Flow(int number) {

    /** Stands for all flows of a path where a trouble keeps one state for the whole of it. */
    public static final Flow EVERY = new Flow(0);

    @Override
    public String toString() {
        return "flow " + number;
    }
}
