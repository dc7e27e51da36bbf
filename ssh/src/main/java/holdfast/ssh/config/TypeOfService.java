package holdfast.ssh.config;

import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The names IPQoS gives to bytes of the IP header (misc.c ipqos). */
final class TypeOfService {

    /** Leave what the system sets. */
    static final int NONE = -1;

    private static final String[] NAMES = {
        "af11", "af12", "af13", "af21", "af22", "af23", "af31", "af32", "af33", "af41", "af42",
        "af43", "cs0", "cs1", "cs2", "cs3", "cs4", "cs5", "cs6", "cs7", "ef", "le", "va",
    };

    private static final Set<String> OF_TOS = Set.of("lowdelay", "throughput", "reliability");

    private static final int[] BYTES = {
        0x28, 0x30, 0x38, 0x48, 0x50, 0x58, 0x68, 0x70, 0x78, 0x88, 0x90, 0x98, 0x00, 0x20, 0x40,
        0x60, 0x80, 0xa0, 0xc0, 0xe0, 0xb8, 0x04, 0xb0,
    };

    private TypeOfService() {}

    /** The name that stands for a name or number; null if it is neither. */
    static @Nullable String canonical(String word) {
        String lower = word.toLowerCase(Locale.ROOT);
        // OpenSSH 10 passes over the names of the old TOS field, which DSCP took over.
        if (lower.equals("none") || OF_TOS.contains(lower)) {
            return "none";
        }
        for (String name : NAMES) {
            if (name.equals(lower)) {
                return name;
            }
        }
        int value = number(lower);
        if (value < 0) {
            return null;
        }
        for (int i = 0; i < BYTES.length; i++) {
            if (BYTES[i] == value) {
                return NAMES[i];
            }
        }
        return String.format(Locale.ROOT, "0x%02x", value);
    }

    /** The byte of a canonical name; {@link #NONE} for none. */
    static int value(String canonical) {
        for (int i = 0; i < NAMES.length; i++) {
            if (NAMES[i].equals(canonical)) {
                return BYTES[i];
            }
        }
        return canonical.startsWith("0x") ? Integer.parseInt(canonical.substring(2), 16) : NONE;
    }

    private static int number(String text) {
        try {
            int value = Integer.parseInt(text);
            return value >= 0 && value <= 255 ? value : -1;
        } catch (NumberFormatException e) {
            return -1;
        }
    }
}
