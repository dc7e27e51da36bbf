package holdfast.ssh.link;

/**
 * A stream that keeps what it is given until the other end has it, and so can take it before it is
 * sent. Its bytes are the ones before what is written to it next.
 */
public interface KeepingChannel extends InstantChannel {

    /**
     * Takes a copy of all of these bytes, without waiting and without sending them.
     *
     * @return false: there is no room for all of them now, and none was taken
     */
    boolean keep(byte[] from, int offset, int length);

    /**
     * Sends what was taken.
     *
     * @param waits whether the calling thread may wait for that; else another sends what does not
     *     go at once
     */
    void send(boolean waits);
}
