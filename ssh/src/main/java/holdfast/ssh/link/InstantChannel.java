package holdfast.ssh.link;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;

/** A blocking stream that can also be asked to take no more than it takes at once. */
public interface InstantChannel extends ByteChannel {

    /**
     * Writes as much as goes without waiting; whoever writes must be the stream's only writer
     * meanwhile, as with {@link #write}.
     *
     * @return how many bytes; 0: none now, or only by waiting
     */
    int writeNow(ByteBuffer from) throws IOException;
}
