package holdfast.ssh.crypto;

import java.io.BufferedReader;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.random.RandomGenerator;
import org.apache.sshd.common.kex.DHGroupData;
import org.jspecify.annotations.Nullable;

/**
 * The groups of a moduli(5) file, and the choice among them that OpenSSH's server makes (dh.c).
 *
 * <p>The file is read when a client first asks, and again when it has changed: half a megabyte,
 * some milliseconds. At most {@link #MOST} groups are kept.
 */
public final class Moduli {

    /**
     * One group of Diffie and Hellman's.
     *
     * @param bits the length of the prime
     */
    record Group(int bits, BigInteger generator, BigInteger prime) {}

    /** DH_GRP_MIN and DH_GRP_MAX of OpenSSH. */
    static final int LEAST_BITS = 2048;

    static final int MOST_BITS = 8192;

    /** OpenSSH's own file has some four hundred. */
    private static final int MOST = 10_000;

    private static final int SAFE = 2;
    private static final int COMPOSITE = 1;

    private final Path file;
    private final Consumer<String> warn;

    // guarded by this
    private @Nullable FileTime read;
    private List<Group> groups = List.of();

    /**
     * Those of {@code file}.
     *
     * @param warn is told, in OpenSSH's words, when a fixed group has to do
     */
    public Moduli(Path file, Consumer<String> warn) {
        this.file = file;
        this.warn = warn;
    }

    /** A group for what a client asks, in bits; null: it asks for what is out of range. */
    @Nullable Group choose(int min, int wanted, int max) {
        int least = Math.max(LEAST_BITS, min);
        int most = Math.min(MOST_BITS, max);
        int bits = Math.clamp(wanted, LEAST_BITS, MOST_BITS);
        if (most < least || bits < least || most < bits) {
            return null;
        }
        List<Group> all;
        try {
            all = groups();
        } catch (IOException e) {
            String why =
                    e instanceof NoSuchFileException
                            ? "No such file or directory"
                            : String.valueOf(e.getMessage());
            warn.accept("WARNING: could not open " + file + " (" + why + "), using fixed modulus");
            return fallback(most);
        }
        List<Group> best = best(all, least, bits, most);
        if (best.isEmpty()) {
            warn.accept("WARNING: no suitable primes in " + file);
            return fallback(most);
        }
        // Everybody may know which: the groups are public.
        return best.get(RandomGenerator.getDefault().nextInt(best.size()));
    }

    /** The shortest that are longer than wanted, or else the longest. */
    private static List<Group> best(List<Group> all, int least, int wanted, int most) {
        int best = 0;
        for (Group group : all) {
            int bits = group.bits;
            if (bits <= most
                    && bits >= least
                    && ((bits > wanted && bits < best) || (bits > best && best < wanted))) {
                best = bits;
            }
        }
        List<Group> chosen = new ArrayList<>();
        for (Group group : all) {
            if (group.bits == best) {
                chosen.add(group);
            }
        }
        return chosen;
    }

    /** dh_new_group_fallback: groups 14, 16 and 18 of RFC 3526. */
    static Group fallback(int most) {
        byte[] prime;
        if (most < 3072) {
            prime = DHGroupData.getP14();
        } else if (most < 6144) {
            prime = DHGroupData.getP16();
        } else {
            prime = DHGroupData.getP18();
        }
        BigInteger p = new BigInteger(1, prime);
        return new Group(p.bitLength(), new BigInteger(1, DHGroupData.getG()), p);
    }

    private synchronized List<Group> groups() throws IOException {
        FileTime now = Files.getLastModifiedTime(file);
        if (!now.equals(read)) {
            List<Group> found = new ArrayList<>();
            try (BufferedReader lines =
                    Files.newBufferedReader(file, StandardCharsets.ISO_8859_1)) {
                String line;
                while (found.size() < MOST && (line = lines.readLine()) != null) {
                    Group group = group(line);
                    if (group != null) {
                        found.add(group);
                    }
                }
            }
            groups = List.copyOf(found);
            read = now;
        }
        return groups;
    }

    /** The group of a line; null: a comment, or none that is known to be safe. */
    static @Nullable Group group(String line) {
        String[] words = line.strip().split("[ \t]+", -1);
        if (words.length != 7 || line.stripLeading().startsWith("#")) {
            return null;
        }
        try {
            int tests = Integer.parseInt(words[2]);
            // Of the prime, the number of bits less one.
            int bits = Integer.parseInt(words[4]) + 1;
            BigInteger generator = new BigInteger(words[5], 16);
            BigInteger prime = new BigInteger(words[6], 16);
            boolean proven =
                    Integer.parseInt(words[1]) == SAFE
                            && (tests & COMPOSITE) == 0
                            && (tests & ~COMPOSITE) != 0;
            boolean fits =
                    bits >= 512
                            && bits <= 65_536
                            && prime.bitLength() == bits
                            && generator.compareTo(BigInteger.ONE) > 0
                            && generator.compareTo(prime) < 0;
            return proven && fits ? new Group(bits, generator, prime) : null;
        } catch (NumberFormatException e) {
            return null;
        }
    }
}
