package holdfast.trials.harness;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Client, NAT and server in three network namespaces of this machine: a kernel that really forgets
 * idle flows. Needs root, iproute2 and nftables; touches no route or address of the machine itself.
 *
 * <p>The names carry the id of this process and when it started, so that a later run can sweep away
 * what a killed one left behind, even when somebody else has that id by then.
 */
public final class NatLab implements AutoCloseable {

    /** What a packet meets for which the NAT has no mapping. */
    public enum Mode {
        /** Dropped in silence: both ends send into nothing. */
        BLACKHOLE,
        /** Answered with a reset: whoever speaks learns at once. */
        RST,
        /**
         * Linux as it comes, without a firewall: a client's packet in mid-stream makes a new
         * mapping, a server's is answered by the NAT's own kernel with a reset.
         */
        LOOSE,
        /** A client's packet in mid-stream makes the same mapping again, a server's is dropped. */
        REVIVE,
        /** A client's packet in mid-stream gets another port outside, a server's is dropped. */
        REMAP
    }

    public static final String SERVER = "10.77.2.2";

    private static final String CLIENT = "10.77.1.2";
    private static final String NAT_LAN = "10.77.1.1";
    private static final String NAT_WAN = "10.77.2.1";
    private static final Pattern OURS = Pattern.compile("hft-(\\d+)-(\\d+)-\\d+-[cns]");
    private static final AtomicInteger NEXT = new AtomicInteger(1);

    private final String client;
    private final String nat;
    private final String server;
    private final Thread hook;
    private boolean closed;

    private NatLab(String prefix) {
        client = prefix + "-c";
        nat = prefix + "-n";
        server = prefix + "-s";
        hook = new Thread(this::remove, "remove-" + prefix);
    }

    private static final class Possible {
        static final Optional<String> REASON_AGAINST = probe();
    }

    /** Why there can be no lab here, if so. */
    public static Optional<String> impossible() {
        return Possible.REASON_AGAINST;
    }

    /**
     * Builds one.
     *
     * @param idle after how long without a packet the NAT forgets an established flow (whole
     *     seconds)
     */
    public static NatLab up(Mode mode, Duration idle) {
        NatLab lab = new NatLab(prefix() + "-" + NEXT.getAndIncrement());
        Runtime.getRuntime().addShutdownHook(lab.hook);
        try {
            lab.build(mode, idle);
        } catch (AssertionError e) {
            lab.close();
            throw e;
        }
        return lab;
    }

    /** What the names of this process's namespaces begin with. */
    static String prefix() {
        long pid = ProcessHandle.current().pid();
        return "hft-" + pid + "-" + startOf(pid);
    }

    /** Words that put a command into the client's namespace. */
    public List<String> client() {
        return Network.in(client);
    }

    public List<String> server() {
        return Network.in(server);
    }

    public void mode(Mode mode) {
        boolean loose =
                switch (mode) {
                    case BLACKHOLE, RST -> false;
                    case LOOSE, REVIVE, REMAP -> true;
                };
        // loose=0 makes a mid-stream packet without mapping INVALID instead of a new flow.
        Network.inside(
                nat,
                "sysctl",
                "-qw",
                "net.netfilter.nf_conntrack_tcp_loose=" + (loose ? "1" : "0"));
        String unknown =
                switch (mode) {
                    case BLACKHOLE -> strict("drop");
                    case RST -> strict("reject with tcp reset");
                    case LOOSE -> "";
                    case REVIVE, REMAP ->
                            // Before conntrack confirms it: or a server's retransmission would
                            // hold the very port that the client's next packet needs.
                            "add rule inet lab unknown_in iifname wan counter drop\n";
                };
        String masquerade = mode == Mode.REMAP ? "masquerade fully-random" : "masquerade";
        Network.nft(
                nat,
                """
                flush chain inet lab unknown_fwd
                flush chain inet lab unknown_in
                flush chain ip labnat postrouting
                add rule ip labnat postrouting oifname wan %s
                """
                                .formatted(masquerade)
                        + unknown);
    }

    /** Rules of a NAT that takes up no flow in mid-stream. */
    private static String strict(String fate) {
        return """
        add rule inet lab unknown_fwd ct state invalid meta l4proto tcp counter %1$s
        add rule inet lab unknown_fwd ct state invalid counter drop
        add rule inet lab unknown_in iifname wan meta l4proto tcp counter %1$s
        add rule inet lab unknown_in iifname wan counter drop
        """
                .formatted(fate);
    }

    /** Drops everything that crosses the NAT, in silence, until {@link #heal}. */
    public void cut() {
        fault("counter drop");
    }

    /** Answers everything that crosses with a reset, until {@link #heal}. */
    public void kill() {
        fault("meta l4proto tcp counter reject with tcp reset");
    }

    /** Loses so many of a hundred packets each way, at random, until {@link #heal}. */
    public void loss(int percent) {
        fault("numgen random mod 100 < " + percent + " counter drop");
    }

    /** Ends {@link #cut}, {@link #kill} and {@link #loss}. */
    public void heal() {
        Network.nft(nat, "flush chain inet lab fault_fwd\n");
    }

    /** The NAT restarts: every mapping is lost, its address stays. */
    public void forget() {
        // Masquerade drops its entries when the address goes away: no conntrack-tools needed.
        rewan(NAT_WAN);
    }

    /** The NAT gets another address outside, as after a DSL reconnect. */
    public void rewan(String address) {
        Network.inside(nat, "ip", "addr", "flush", "dev", "wan");
        Network.inside(nat, "ip", "addr", "add", address + "/24", "dev", "wan");
    }

    /** The client gets another address, as after a move from Wi-Fi to mobile. */
    public void roam(String address) {
        Network.run("ip", "-n", client, "addr", "flush", "dev", "eth0");
        Network.run("ip", "-n", client, "addr", "add", address + "/24", "dev", "eth0");
        Network.run("ip", "-n", client, "route", "replace", "default", "via", NAT_LAN);
    }

    /** A slow line both ways, for instance {@code 256kbit} with a queue of so many milliseconds. */
    public void rate(String rate, int queueMillis) {
        for (String device : List.of("lan", "wan")) {
            Network.inside(
                    nat,
                    "tc",
                    "qdisc",
                    "replace",
                    "dev",
                    device,
                    "root",
                    "tbf",
                    "rate",
                    rate,
                    "burst",
                    "4kb",
                    "latency",
                    queueMillis + "ms");
        }
    }

    /** A setting of the kernel for both ends, as {@code net.ipv4.tcp_keepalive_time=144}. */
    public void ends(String... settings) {
        for (String side : List.of(client, server)) {
            List<String> words = new ArrayList<>(List.of("sysctl", "-qw"));
            words.addAll(List.of(settings));
            Network.inside(side, words.toArray(String[]::new));
        }
    }

    /** Buffers of TCP so small that a peer who stops reading is felt at once. */
    public void smallBuffers() {
        ends("net.ipv4.tcp_rmem=4096 16384 32768", "net.ipv4.tcp_wmem=4096 16384 32768");
    }

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
        if (!closed) {
            closed = true;
            removeAll(List.of(client, nat, server));
        }
    }

    /**
     * Under the same lock as {@link #remove}: a lab half built when the JVM goes is removed whole.
     */
    private synchronized void build(Mode mode, Duration idle) {
        if (closed) {
            throw new AssertionError("the trials are ending");
        }
        for (String name : List.of(client, nat, server)) {
            Network.run("ip", "netns", "add", name);
            Network.run("ip", "-n", name, "link", "set", "lo", "up");
        }
        Network.run(
                "ip", "-n", nat, "link", "add", "lan", "type", "veth", "peer", "name", "eth0",
                "netns", client);
        Network.run(
                "ip", "-n", nat, "link", "add", "wan", "type", "veth", "peer", "name", "eth0",
                "netns", server);
        address(client, CLIENT, "eth0");
        address(server, SERVER, "eth0");
        address(nat, NAT_LAN, "lan");
        address(nat, NAT_WAN, "wan");
        // The server gets no route back to the client's network: all must pass the NAT's mapping.
        Network.run("ip", "-n", client, "route", "add", "default", "via", NAT_LAN);
        Network.inside(nat, "sysctl", "-qw", "net.ipv4.ip_forward=1");
        Network.nft(
                nat,
                """
                table inet lab {
                  chain fault_fwd { }
                  chain unknown_fwd { }
                  chain unknown_in { }
                  chain forward { type filter hook forward priority filter; policy accept; jump fault_fwd; jump unknown_fwd; }
                  chain input { type filter hook input priority filter; policy accept; jump unknown_in; }
                }
                table ip labnat {
                  chain postrouting { type nat hook postrouting priority srcnat; policy accept; }
                }
                """);
        Network.inside(
                nat,
                "sysctl",
                "-qw",
                "net.netfilter.nf_conntrack_tcp_timeout_established=" + idle.toSeconds());
        mode(mode);
    }

    /** When a process started, in the kernel's ticks since boot: empty if there is none. */
    private static String startOf(long pid) {
        try {
            String stat = Files.readString(Path.of("/proc/" + pid + "/stat"));
            // Field 22, counted behind the name, which may hold blanks and brackets.
            return stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1)[19];
        } catch (IOException gone) {
            return "";
        }
    }

    private static void address(String namespace, String address, String device) {
        Network.run("ip", "-n", namespace, "addr", "add", address + "/24", "dev", device);
        Network.run("ip", "-n", namespace, "link", "set", device, "up");
    }

    private void fault(String rule) {
        Network.nft(
                nat, "flush chain inet lab fault_fwd\nadd rule inet lab fault_fwd " + rule + "\n");
    }

    private static Optional<String> probe() {
        if (!Sshd.user().equals("root")) {
            return Optional.of("network namespaces need root");
        }
        try {
            sweep();
            try (NatLab lab = up(Mode.REMAP, Duration.ofSeconds(10))) {
                lab.mode(Mode.RST);
                lab.loss(1);
            }
            return Optional.empty();
        } catch (AssertionError | UncheckedIOException | InterruptedException e) {
            return Optional.of("no namespaces with NAT on this machine: " + e.getMessage());
        }
    }

    /** Removes the labs of runs whose process is no more. */
    private static void sweep() throws InterruptedException {
        Ended list = Command.of("ip", "netns", "list").end(Duration.ofSeconds(20));
        List<String> stale = new ArrayList<>();
        Matcher names = OURS.matcher(list.out());
        while (names.find()) {
            if (!startOf(Long.parseLong(names.group(1))).equals(names.group(2))) {
                stale.add(names.group());
            }
        }
        removeAll(stale);
    }

    /** Ends the processes in our namespaces, then removes them. Waits for nothing of Java's. */
    static void removeAll(List<String> names) {
        for (String name : names) {
            try {
                List<Long> pids = new ArrayList<>();
                for (String pid : output("ip", "netns", "pids", name).split("\\s+", -1)) {
                    if (!pid.isEmpty()) {
                        pids.add(Long.parseLong(pid));
                    }
                }
                Signals.send("KILL", pids);
                output("ip", "netns", "del", name);
            } catch (IOException e) {
                // Nothing more can be done about it here; the next run sweeps.
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }

    private static String output(String... argv) throws IOException, InterruptedException {
        Process process =
                new ProcessBuilder(argv).redirectError(ProcessBuilder.Redirect.DISCARD).start();
        String out =
                new String(
                        process.getInputStream().readAllBytes(),
                        java.nio.charset.StandardCharsets.UTF_8);
        return process.waitFor() == 0 ? out : "";
    }
}
