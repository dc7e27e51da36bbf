package holdfast.app;

import holdfast.ssh.octets.Octets;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The arguments as they were typed. In a locale that is not UTF-8 the VM replaces what it cannot
 * decode, and a remote command with an umlaut would arrive broken under {@code LANG=C}.
 */
final class Arguments {

    private Arguments() {}

    /** {@code decoded}, or the same arguments read again as UTF-8 where decoding lost something. */
    static String[] exact(String[] decoded) {
        boolean lost = false;
        for (String argument : decoded) {
            lost |= Octets.doubtful(argument);
        }
        return lost ? reread(decoded) : decoded;
    }

    private static String[] reread(String[] decoded) {
        byte[] raw;
        try {
            raw = Files.readAllBytes(Path.of("/proc/self/cmdline"));
        } catch (IOException e) {
            return decoded; // no such file here: the VM's decoding is the best there is
        }
        String[] all = Octets.text(raw).split("\0", -1);
        int count = all.length - 1; // the last one is ended by a NUL too
        if (count < decoded.length) {
            return decoded;
        }
        String[] exact = new String[decoded.length];
        System.arraycopy(all, count - decoded.length, exact, 0, decoded.length);
        return exact;
    }
}
