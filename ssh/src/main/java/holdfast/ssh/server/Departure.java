package holdfast.ssh.server;

/** Why a connection ended; what the counts of {@code holdfast sshd status} are kept by. */
public enum Departure {
    /** Keepalives stayed unanswered. */
    SILENT("silent"),
    /** LoginGraceTime ran out. */
    GRACE_EXCEEDED("login-grace-exceeded"),
    /** UnusedConnectionTimeout ran out. */
    UNUSED("unused"),
    /** The client said goodbye. */
    DISCONNECTED("disconnected"),
    /** The client's end was closed without a word. */
    CLOSED("closed"),
    /** The system reported an error: a reset, a keepalive of the kernel's unanswered. */
    BROKEN("broken"),
    /** We ended it for what the client sent, or for failed logins. */
    EXPELLED("expelled"),
    /** The server stopped. */
    STOPPED("stopped"),
    /** The client came back for a session that was there: this connection carries it now. */
    RESUMED("resumed"),
    /** It asked for a session that is not there, or not its own. */
    RESUME_REFUSED("resume-refused"),
    /** Nobody came back for the session within TetherHold. */
    HOLD_OVER("hold-over"),
    /** Turned away before a word was said, or before a login: MaxStartups, RefuseConnection. */
    REFUSED("refused");

    private final String label;

    Departure(String label) {
        this.label = label;
    }

    /** How status and metrics name it. */
    public String label() {
        return label;
    }
}
