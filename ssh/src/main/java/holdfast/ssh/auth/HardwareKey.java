package holdfast.ssh.auth;

import holdfast.ssh.auth.Wire.Malformed;
import holdfast.ssh.auth.Wire.Reader;
import holdfast.ssh.auth.Wire.Writer;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.Reason;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.security.GeneralSecurityException;
import java.security.PrivateKey;

/**
 * A key on hardware (sk-…, PROTOCOL.u2f), whose file has no more than the name by which the
 * hardware knows it. OpenSSH's ssh-sk-helper has the hardware sign, as for OpenSSH's own client:
 * the protocol is that of ssh-sk-helper.c.
 */
final class HardwareKey implements PrivateKey {

    private static final long serialVersionUID = 1;

    /** The hardware wants a PIN, or another one. */
    static final class PinWanted extends GeneralSecurityException {
        private static final long serialVersionUID = 1;

        PinWanted() {
            super("incorrect passphrase supplied to decrypt private key");
        }
    }

    private static final String HELPER = "/usr/lib/openssh/ssh-sk-helper";
    private static final int VERSION = 5;
    private static final int FAILED = 0;
    private static final int SIGN = 1;

    /** Whoever has the hardware must touch it (SSH_SK_USER_PRESENCE_REQD). */
    private static final int PRESENCE = 1;

    /** More than any signature. */
    private static final int LONGEST = 256 * 1024;

    private final byte[] fields;
    private final int flags;

    /**
     * @param fields the private half as it is written, its type first
     */
    HardwareKey(byte[] fields, int flags) {
        this.fields = fields;
        this.flags = flags;
    }

    byte[] fields() {
        return fields;
    }

    boolean wantsTouch() {
        return (flags & PRESENCE) != 0;
    }

    /**
     * Waits until the hardware has signed, or does not want to.
     *
     * @param provider SecurityKeyProvider
     * @param pin empty: none
     * @return the signature as it travels
     * @throws IOException where the helper cannot be had, or does not say what it should
     */
    byte[] sign(String provider, String pin, byte[] data, Log log)
            throws IOException, GeneralSecurityException {
        byte[] request =
                new Writer()
                        .u8(VERSION)
                        .u32(SIGN)
                        .u8(1) // what it has to say goes to stderr
                        .u32(number(log.level()))
                        .string(fields)
                        .text(provider)
                        .string(data)
                        .text("") // the usual algorithm
                        .u32(0)
                        .text(pin)
                        .bytes();
        Process helper = start(log);
        try (OutputStream out = helper.getOutputStream();
                DataInputStream in = new DataInputStream(helper.getInputStream())) {
            out.write(new Writer().string(request).bytes());
            out.flush();
            int length = in.readInt();
            if (length < 1 || length > LONGEST) {
                throw new IOException("invalid format");
            }
            return signature(new Reader(in.readNBytes(length)));
        } catch (EOFException e) {
            throw new IOException("the helper ended without an answer", e);
        } catch (Malformed e) {
            throw new IOException("invalid format", e);
        } finally {
            helper.destroy();
        }
    }

    /** OpenSSH's number for it (log.h). */
    private static int number(Log.Level level) {
        return switch (level) {
            case QUIET -> 0;
            case FATAL -> 1;
            case ERROR -> 2;
            case INFO -> 3;
            case VERBOSE -> 4;
            case DEBUG1 -> 5;
            case DEBUG2 -> 6;
            case DEBUG3 -> 7;
        };
    }

    private static Process start(Log log) throws IOException {
        String named = System.getenv("SSH_SK_HELPER");
        String program = named == null || named.isEmpty() ? HELPER : named;
        log.debug3("start_helper: starting " + program);
        try {
            return new ProcessBuilder(program)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
        } catch (IOException e) {
            String words = Reason.ofProgram(e);
            throw new IOException(
                    "helper \""
                            + program
                            + "\" unusable: "
                            + (words == null ? Reason.of(e) : words),
                    e);
        }
    }

    private static byte[] signature(Reader answer)
            throws Malformed, IOException, GeneralSecurityException {
        if (answer.u8() != VERSION) {
            throw new IOException("the helper is of another version");
        }
        return switch (answer.u32()) {
            case SIGN -> answer.string();
            case FAILED -> {
                int why = answer.u32();
                // The numbers are ssherr.h's.
                throw switch (why) {
                    case 43 -> new PinWanted();
                    case 46 -> new GeneralSecurityException("key not found");
                    case 59 -> new GeneralSecurityException("requested feature not supported");
                    case 60 -> new GeneralSecurityException("device not found");
                    default -> new GeneralSecurityException("the helper's error is " + why);
                };
            }
            default -> throw new IOException("invalid format");
        };
    }

    @Override
    public String getAlgorithm() {
        return "sk";
    }

    // It leaves the hardware in no form.

    @Override
    public String getFormat() {
        return "";
    }

    @Override
    public byte[] getEncoded() {
        return new byte[0];
    }
}
