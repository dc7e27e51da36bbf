package holdfast.lab.middlebox;

/** Which way a packet travels; the client is the end that opened the connection. */
public enum Direction {
    TO_SERVER,
    TO_CLIENT;

    public Direction opposite() {
        return this == TO_SERVER ? TO_CLIENT : TO_SERVER;
    }
}
