package holdfast.lab.middlebox;

/** One end of a connection; the client is the one that opened it. */
public enum End {
    CLIENT,
    SERVER;

    public End other() {
        return this == CLIENT ? SERVER : CLIENT;
    }

    /** The direction in which this end speaks. */
    public Direction speaks() {
        return this == CLIENT ? Direction.TO_SERVER : Direction.TO_CLIENT;
    }

    /** The end that packets in {@code direction} come from. */
    public static End speaker(Direction direction) {
        return direction == Direction.TO_SERVER ? CLIENT : SERVER;
    }
}
