package holdfast.ssh;

/**
 * Every extension of the SSH protocol and of SFTP that OpenSSH speaks, and ours, with what becomes
 * of each at either end: the one place where that is said. The order is that of OpenSSH's PROTOCOL.
 */
public enum ProtocolExtension {
    STRICT_KEX("kex-strict-c-v00@openssh.com, kex-strict-s-v00@openssh.com", At.BOTH, ""),
    EXT_INFO("ext-info-c, server-sig-algs", At.BOTH, ""),
    HOST_BOUND("publickey-hostbound@openssh.com", At.BOTH, ""),
    PING(
            "ping@openssh.com",
            At.CLIENT,
            "the server does not announce it, and a client then sends none"),
    ML_KEM("mlkem768x25519-sha256", At.BOTH, ""),
    SNTRUP("sntrup761x25519-sha512", At.BOTH, ""),
    CHACHA("chacha20-poly1305@openssh.com", At.BOTH, ""),
    GCM("aes128-gcm@openssh.com, aes256-gcm@openssh.com", At.BOTH, ""),
    ETM("hmac-…-etm@openssh.com", At.BOTH, ""),
    UMAC("umac-64, umac-128 and their -etm", At.BOTH, ""),
    ZLIB("zlib@openssh.com", At.BOTH, ""),
    CERTIFICATES(
            "…-cert-v01@openssh.com",
            At.BOTH,
            "one that names no principal certifies nobody; OpenSSH up to 10.2 takes it for any host, and for"
                    + " any user where authorized_keys names its authority"),
    HARDWARE_KEYS(
            "sk-ssh-ed25519@openssh.com, sk-ecdsa-sha2-nistp256@openssh.com",
            At.BOTH,
            "a person's; a server's key, not its certificate, is known to the client"),
    DSA("ssh-dss", At.NEITHER, "as in OpenSSH 10.0, which has it no longer"),
    KEEPALIVE("keepalive@openssh.com", At.BOTH, ""),
    NO_MORE_SESSIONS("no-more-sessions@openssh.com", At.BOTH, ""),
    HOST_KEYS("hostkeys-00@openssh.com, hostkeys-prove-00@openssh.com", At.BOTH, ""),
    END_OF_WRITE("eow@openssh.com", At.BOTH, ""),
    STREAM_LOCAL(
            "direct-streamlocal, forwarded-streamlocal, streamlocal-forward (@openssh.com)",
            At.BOTH,
            ""),
    AGENT("auth-agent@openssh.com, auth-agent-req@openssh.com", At.BOTH, ""),
    SESSION_BIND("session-bind@openssh.com", At.CLIENT, ""),
    TUN("tun@openssh.com", At.NEITHER, "refused: network devices cannot be tunnelled"),
    INFO_SIGNAL("INFO@openssh.com", At.NEITHER, "a signal that Linux does not have"),
    EXIT_SIGNAL("exit-signal, exit-status, window-change, xon-xoff", At.BOTH, ""),
    BREAK("break (RFC 4335)", At.BOTH, ""),
    SFTP(
            "SFTP: posix-rename, statvfs, fstatvfs, hardlink, fsync, lsetstat, limits,"
                    + " expand-path, copy-data, home-directory, users-groups-by-id",
            At.SERVER,
            ""),
    TETHER_1("tether-1", At.BOTH, "ours: a session outlives its connection, PROTOCOL.md");

    private enum At {
        BOTH,
        CLIENT,
        SERVER,
        NEITHER
    }

    private final String names;
    private final At at;
    private final String note;

    ProtocolExtension(String names, At at, String note) {
        this.names = names;
        this.at = at;
        this.note = note;
    }

    /** As they stand in the protocol. */
    public String names() {
        return names;
    }

    public boolean atClient() {
        return at == At.BOTH || at == At.CLIENT;
    }

    public boolean atServer() {
        return at == At.BOTH || at == At.SERVER;
    }

    /** What there is to say beyond that; "" mostly. */
    public String note() {
        return note;
    }

    /** Whether OpenSSH does not know it. */
    public boolean isOurs() {
        return this == TETHER_1;
    }
}
