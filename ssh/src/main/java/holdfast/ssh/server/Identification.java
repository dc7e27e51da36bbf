package holdfast.ssh.server;

import holdfast.ssh.log.Printable;
import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a client's first bytes come to: its identification line (RFC 4253 section 4.2), or what is
 * wrong with it, in the words of OpenSSH's kex_exchange_identification (kex.c).
 */
sealed interface Identification {

    /** OpenSSH's bound on the line (kex.c, SSH_MAX_BANNER_LEN). */
    int LONGEST = 8192;

    /** More of what a client says goes into no line of the log. */
    int LONGEST_WORDS = 256;

    /** More has to come. */
    record More() implements Identification {}

    /**
     * A client that can be spoken with.
     *
     * @param line without its end
     * @param protocol {@code 2.0}
     * @param software what follows that and its hyphen
     * @param taken how many bytes it was, with its end
     */
    record Client(String line, String protocol, String software, int taken)
            implements Identification {}

    /**
     * One that only looks who is there: OpenSSH knows two such programs and lets them go.
     *
     * @param words for the log: {@code probed} or {@code scanned}
     */
    record Passing(String words, String line) implements Identification {}

    /**
     * Nothing that can be spoken with.
     *
     * @param detail for the log
     * @param answer for the client, without its end
     * @param words what it amounts to, as ssh_err has it
     */
    record Bad(String detail, String answer, String words) implements Identification {}

    /** {@code SSH-%d.%d-%[^\n]}. */
    Pattern FORM = Pattern.compile("SSH-(\\d{1,9})\\.(\\d{1,9})-(.+)", Pattern.DOTALL);

    /** What {@code length} bytes from {@code from} on come to. */
    static Identification of(byte[] bytes, int from, int length) {
        byte[] line = new byte[Math.min(length, LONGEST)];
        int filled = 0;
        boolean returned = false;
        for (int i = 0; i < length; i++) {
            byte next = bytes[from + i];
            if (next == '\n') {
                return whole(new String(line, 0, filled, StandardCharsets.ISO_8859_1), i + 1);
            }
            if (next == '\r') {
                returned = true;
            } else if (next == 0 || returned) {
                return invalid(
                        "kex_exchange_identification: banner line contains invalid characters");
            } else if (filled == LONGEST) {
                return invalid("kex_exchange_identification: banner line too long");
            } else {
                line[filled++] = next;
            }
        }
        return new More();
    }

    private static Identification whole(String line, int taken) {
        if (line.length() <= 4 || !line.startsWith("SSH-")) {
            return invalid(
                    "kex_exchange_identification: client sent invalid protocol identifier \""
                            + Printable.octal(line, LONGEST_WORDS)
                            + "\"");
        }
        Matcher form = FORM.matcher(line);
        if (!form.matches()) {
            return invalid(
                    "Bad remote protocol version identification: '"
                            + Printable.octal(line, 100)
                            + "'");
        }
        int major = Integer.parseInt(form.group(1));
        int minor = Integer.parseInt(form.group(2));
        if (major != 2 && (major != 1 || minor != 99)) {
            return new Bad(
                    "Protocol major versions differ: 2 vs. " + major,
                    "Protocol major versions differ.",
                    "could not read protocol version");
        }
        String software = form.group(3);
        if (software.startsWith("Probe-")) {
            return new Passing("probed", line);
        }
        if (software.contains("SSH_Version_Mapper")) {
            return new Passing("scanned", line);
        }
        // The key exchange signs it: MINA turns it into bytes again, as UTF-8.
        String said =
                new String(line.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
        return new Client(said, major + "." + minor, software, taken);
    }

    private static Bad invalid(String detail) {
        return new Bad(detail, "Invalid SSH identification string.", "invalid format");
    }
}
