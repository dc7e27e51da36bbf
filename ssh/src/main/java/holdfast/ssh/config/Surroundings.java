package holdfast.ssh.config;

import holdfast.ssh.octets.Octets;
import holdfast.ssh.system.Resolver;
import java.io.IOException;
import java.net.InetAddress;
import java.net.NetworkInterface;
import java.net.SocketException;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * What the configuration needs to know of the process and the machine it runs on. Files are read
 * from the real file system; everything else comes from here.
 *
 * @param environment the environment variables
 * @param home the home directory of the user, from the password file and not from HOME
 * @param localUser the name of the user
 * @param uid the number of the user
 * @param hostName the name of this machine, asked for only if a token needs it
 * @param systemDirectory where the system's ssh_config lies
 * @param aesProcessor whether the processor has AES instructions, asked for only if Ciphers is not
 *     given
 * @param names looks names up, for CanonicalizeHostname only
 * @param localAddresses this machine's, numeric, of interfaces that are up; for Match localnetwork
 *     only
 */
public record Surroundings(
        Map<String, String> environment,
        Path home,
        String localUser,
        long uid,
        Supplier<String> hostName,
        Path systemDirectory,
        BooleanSupplier aesProcessor,
        Names names,
        Supplier<List<String>> localAddresses) {

    /** Looks up a name of a host. */
    public interface Names {
        /** Its canonical form, which may be itself; null where there is no such name. */
        @Nullable String canonical(String name, ClientSettings.AddressFamily family);
    }

    /** The same with this machine's own names and addresses. */
    public Surroundings(
            Map<String, String> environment,
            Path home,
            String localUser,
            long uid,
            Supplier<String> hostName,
            Path systemDirectory,
            BooleanSupplier aesProcessor) {
        this(
                environment,
                home,
                localUser,
                uid,
                hostName,
                systemDirectory,
                aesProcessor,
                Surroundings::lookUp,
                Surroundings::interfaceAddresses);
    }

    /** The surroundings of this process. */
    public static Surroundings ofProcess() {
        return new Surroundings(
                exact(System.getenv()),
                Path.of(System.getProperty("user.home", "/")),
                System.getProperty("user.name", ""),
                processUid(),
                Surroundings::machineName,
                Path.of("/etc/ssh"),
                Surroundings::processorHasAes);
    }

    /** Whether the system knows nobody of that number: the VM has no name for them then. */
    public boolean nobody() {
        return localUser.equals("?");
    }

    /** The same environment read again where the VM may have lost something in decoding it. */
    private static Map<String, String> exact(Map<String, String> decoded) {
        boolean lost = false;
        for (Map.Entry<String, String> entry : decoded.entrySet()) {
            lost |= Octets.doubtful(entry.getKey()) || Octets.doubtful(entry.getValue());
        }
        if (!lost) {
            return decoded;
        }
        Map<String, String> exact = new LinkedHashMap<>(decoded);
        exact.keySet().removeIf(Octets::doubtful);
        try {
            byte[] all = Files.readAllBytes(Path.of("/proc/self/environ"));
            for (String entry : Octets.text(all).split("\0", -1)) {
                int equals = entry.indexOf('=');
                String name = entry.substring(0, Math.max(equals, 0));
                // One that the launcher or the VM has changed since stays as it is now.
                if (equals > 0
                        && (Octets.doubtful(name)
                                || Octets.doubtful(decoded.getOrDefault(name, "")))) {
                    exact.put(name, entry.substring(equals + 1));
                }
            }
        } catch (IOException e) {
            return decoded; // no such file here: the VM's decoding is the best there is
        }
        return exact;
    }

    private static @Nullable String lookUp(String name, ClientSettings.AddressFamily family) {
        return Resolver.canonicalName(
                name,
                switch (family) {
                    case ANY -> Resolver.Family.ANY;
                    case INET -> Resolver.Family.INET;
                    case INET6 -> Resolver.Family.INET6;
                });
    }

    private static List<String> interfaceAddresses() {
        List<String> addresses = new ArrayList<>();
        try {
            for (NetworkInterface one : Collections.list(NetworkInterface.getNetworkInterfaces())) {
                if (!one.isUp()) {
                    continue;
                }
                for (InetAddress address : Collections.list(one.getInetAddresses())) {
                    String text = address.getHostAddress();
                    int zone = text.indexOf('%');
                    addresses.add(zone < 0 ? text : text.substring(0, zone));
                }
            }
        } catch (SocketException e) {
            // No interface can be asked, so that none is in any network.
        }
        return addresses;
    }

    /** The user that this process runs as: the owner of its entry in /proc. */
    private static long processUid() {
        for (String path : new String[] {"/proc/self", System.getProperty("user.home", "/")}) {
            try {
                Object uid = Files.getAttribute(Path.of(path), "unix:uid");
                if (uid instanceof Integer number) {
                    return Integer.toUnsignedLong(number);
                }
            } catch (IOException | UnsupportedOperationException e) {
                // Not Linux: the owner of the home directory is the next best answer.
            }
        }
        return 0;
    }

    private static String machineName() {
        try {
            return Files.readString(Path.of("/proc/sys/kernel/hostname"), StandardCharsets.UTF_8)
                    .strip();
        } catch (IOException e) {
            try {
                return InetAddress.getLocalHost().getHostName();
            } catch (UnknownHostException unknown) {
                return "localhost";
            }
        }
    }

    /** Reads the first processor's flags; where there are none to read, AES is taken as present. */
    private static boolean processorHasAes() {
        try (var in = Files.newInputStream(Path.of("/proc/cpuinfo"))) {
            String text = new String(in.readNBytes(8192), StandardCharsets.ISO_8859_1);
            int flags = text.indexOf("\nflags");
            if (flags < 0) {
                flags = text.indexOf("\nFeatures");
            }
            if (flags < 0) {
                return true;
            }
            int end = text.indexOf('\n', flags + 1);
            String line = text.substring(flags, end < 0 ? text.length() : end) + " ";
            return line.contains(" aes ");
        } catch (IOException e) {
            return true;
        }
    }
}
