package holdfast.core.liveness;

/** How far the opening of a link has come, in the order in which it happens. */
public enum Phase {
    /** The peer's identification line has not come yet (RFC 4253 section 4.2). */
    BANNER,
    /** Exchanging keys for the first time (RFC 4253 section 7). */
    KEY_EXCHANGE,
    /** Proving who we are (RFC 4252). */
    AUTHENTICATION
}
