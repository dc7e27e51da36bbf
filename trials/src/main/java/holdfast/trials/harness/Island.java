package holdfast.trials.harness;

import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A network namespace of this machine that holds nothing but its own loopback: whoever is in it can
 * be cut off in silence, and no packet leaves it. Needs root, iproute2 and nftables.
 *
 * <p>Named as {@link NatLab}'s are, whose next probe sweeps away what a killed run left behind.
 */
public final class Island implements AutoCloseable {

    /** From there connections are made that stay. */
    public static final String STAYING = "127.0.0.3";

    /** From there connections are made that {@link #cut} is about. */
    public static final String GOING = "127.0.0.2";

    private static final AtomicInteger NEXT = new AtomicInteger(1);

    private final String name = NatLab.prefix() + "-9" + NEXT.getAndIncrement() + "-s";
    private final Thread hook = new Thread(this::remove, "remove-" + name);
    private boolean removed;

    private Island() {}

    /** Makes one. */
    public static Island up() {
        Island island = new Island();
        Runtime.getRuntime().addShutdownHook(island.hook);
        try {
            Network.run("ip", "netns", "add", island.name);
            Network.run("ip", "-n", island.name, "link", "set", "lo", "up");
            // All ports for each address: a crowd comes from few.
            Network.inside(island.name, "sysctl", "-qw", "net.ipv4.ip_local_port_range=4000 65535");
            Network.nft(
                    island.name,
                    """
                    table inet island {
                      chain in { type filter hook input priority 0; }
                    }
                    """);
        } catch (AssertionError e) {
            island.close();
            throw e;
        }
        return island;
    }

    /** Words that put a command into it, with as many open files as it may ever need. */
    public List<String> behind(int files) {
        return List.of(
                "ip",
                "netns",
                "exec",
                name,
                "sh",
                "-c",
                "ulimit -n " + files + " && exec \"$@\"",
                "sh");
    }

    /** From now on nothing from or to this address arrives, and nobody is told. */
    public void cut(String address) {
        Network.nft(
                name,
                """
                add rule inet island in ip saddr %1$s counter drop
                add rule inet island in ip daddr %1$s counter drop
                """
                        .formatted(address));
    }

    /** What was cut can be reached again. */
    public void mend() {
        Network.nft(name, "flush chain inet island in\n");
    }

    /** Ends whoever is still in it, and removes it. */
    @Override
    public void close() {
        try {
            Runtime.getRuntime().removeShutdownHook(hook);
        } catch (IllegalStateException shuttingDown) {
            // Then the hook itself is at work, or will be.
        }
        remove();
    }

    private synchronized void remove() {
        if (!removed) {
            removed = true;
            NatLab.removeAll(List.of(name));
        }
    }
}
