package holdfast.ssh.mux;

import java.io.IOException;

/** Bytes at a control socket that are no message of the protocol; whoever sent them is dropped. */
final class MalformedMessage extends IOException {

    private static final long serialVersionUID = 1;

    MalformedMessage(String what) {
        super(what);
    }
}
