package holdfast.ssh.system;

import java.security.Security;

/**
 * How long a name that was looked up is remembered by this process. The JDK's own ten seconds for
 * one that was not found keep a client off for so long after its network is back; its thirty for
 * one that was keep it at an address that its server has left.
 */
public final class FreshNames {

    private FreshNames() {}

    /** To be said before the process looks up any name: the JDK reads it once. */
    public static void only() {
        Security.setProperty("networkaddress.cache.negative.ttl", "0");
        Security.setProperty(
                "networkaddress.cache.ttl", "1"); // in seconds: one dial is one look-up
    }
}
