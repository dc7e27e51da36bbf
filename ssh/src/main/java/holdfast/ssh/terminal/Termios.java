package holdfast.ssh.terminal;

import java.io.ByteArrayOutputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The modes of a terminal: {@code struct termios} as the Linux kernel has it (asm-generic), not as
 * glibc wraps it, so that one ioctl reads and writes it on every libc.
 *
 * <p>Four 32-bit flag words, one byte of line discipline, 19 control characters.
 */
public final class Termios {

    private static final int CHARS = 19;
    private static final int CHARS_AT = 17;
    private static final int BYTES = 36;

    // c_iflag
    private static final int IGNPAR = 0x4;
    private static final int PARMRK = 0x8;
    private static final int INPCK = 0x10;
    private static final int ISTRIP = 0x20;
    private static final int INLCR = 0x40;
    private static final int IGNCR = 0x80;
    private static final int ICRNL = 0x100;
    private static final int IUCLC = 0x200;
    private static final int IXON = 0x400;
    private static final int IXANY = 0x800;
    private static final int IXOFF = 0x1000;
    private static final int IMAXBEL = 0x2000;
    private static final int IUTF8 = 0x4000;

    // c_oflag
    private static final int OPOST = 0x1;
    private static final int OLCUC = 0x2;
    private static final int ONLCR = 0x4;
    private static final int OCRNL = 0x8;
    private static final int ONOCR = 0x10;
    private static final int ONLRET = 0x20;

    // c_cflag
    private static final int CBAUD = 0x100F;
    private static final int CBAUDEX = 0x1000;
    private static final int CS7 = 0x20;
    private static final int CS8 = 0x30;
    private static final int PARENB = 0x100;
    private static final int PARODD = 0x200;
    private static final int CIBAUD_SHIFT = 16;

    // c_lflag
    private static final int ISIG = 0x1;
    private static final int ICANON = 0x2;
    private static final int XCASE = 0x4;
    private static final int ECHO = 0x8;
    private static final int ECHOE = 0x10;
    private static final int ECHOK = 0x20;
    private static final int ECHONL = 0x40;
    private static final int NOFLSH = 0x80;
    private static final int TOSTOP = 0x100;
    private static final int ECHOCTL = 0x200;
    private static final int ECHOKE = 0x800;
    private static final int PENDIN = 0x4000;
    private static final int IEXTEN = 0x8000;

    // c_cc
    private static final int VINTR = 0;
    private static final int VQUIT = 1;
    private static final int VERASE = 2;
    private static final int VKILL = 3;
    private static final int VEOF = 4;
    private static final int VTIME = 5;
    private static final int VMIN = 6;
    private static final int VSTART = 8;
    private static final int VSTOP = 9;
    private static final int VSUSP = 10;
    private static final int VEOL = 11;
    private static final int VREPRINT = 12;
    private static final int VDISCARD = 13;
    private static final int VWERASE = 14;
    private static final int VLNEXT = 15;
    private static final int VEOL2 = 16;

    /** A control character that is switched off, here and on the wire. */
    private static final byte DISABLED_HERE = 0;

    private static final int DISABLED_THERE = 255;

    private static final int TTY_OP_END = 0;
    private static final int TTY_OP_ISPEED = 128;
    private static final int TTY_OP_OSPEED = 129;

    /** Bits a second for the values of B0 … B38400. */
    private static final int[] BAUD = {
        0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400
    };

    /** The same for B57600 … B4000000, which have CBAUDEX set. */
    private static final int[] BAUD_EXTENDED = {
        0, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000,
        2000000, 2500000, 3000000, 3500000, 4000000
    };

    private final int input;
    private final int output;
    private final int control;
    private final int local;
    private final byte line;
    private final byte[] chars;

    private Termios(int input, int output, int control, int local, byte line, byte[] chars) {
        this.input = input;
        this.output = output;
        this.control = control;
        this.local = local;
        this.line = line;
        this.chars = chars;
    }

    /** The modes now, or null where {@code fd} is no terminal. */
    public static @Nullable Termios of(int fd) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment c = arena.allocate(BYTES + 28, Long.BYTES);
            if (Libc.ioctl(fd, Libc.TCGETS, c) != 0) {
                return null;
            }
            byte[] chars = new byte[CHARS];
            MemorySegment.copy(c, ValueLayout.JAVA_BYTE, CHARS_AT, chars, 0, CHARS);
            return new Termios(
                    c.get(ValueLayout.JAVA_INT, 0),
                    c.get(ValueLayout.JAVA_INT, 4),
                    c.get(ValueLayout.JAVA_INT, 8),
                    c.get(ValueLayout.JAVA_INT, 12),
                    c.get(ValueLayout.JAVA_BYTE, 16),
                    chars);
        }
    }

    /**
     * Sets these modes.
     *
     * @param when TCSETS, TCSETSW or TCSETSF
     * @return false where it could not be done
     */
    boolean to(int fd, long when) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment c = arena.allocate(BYTES + 28, Long.BYTES);
            c.set(ValueLayout.JAVA_INT, 0, input);
            c.set(ValueLayout.JAVA_INT, 4, output);
            c.set(ValueLayout.JAVA_INT, 8, control);
            c.set(ValueLayout.JAVA_INT, 12, local);
            c.set(ValueLayout.JAVA_BYTE, 16, line);
            MemorySegment.copy(chars, 0, c, ValueLayout.JAVA_BYTE, CHARS_AT, CHARS);
            if (Libc.ioctl(fd, when, c) == 0) {
                return true;
            }
            // A signal may have broken the wait for output to drain: now without waiting.
            return Libc.ioctl(fd, Libc.TCSETS, c) == 0;
        }
    }

    /** Sets these modes at once; false where it could not be done. */
    public boolean set(int fd) {
        return to(fd, Libc.TCSETS);
    }

    /**
     * These modes with the encoded ones of RFC 4254 section 8 over them, as OpenSSH's server takes
     * them: what is not known is passed over, and what is malformed ends the list.
     */
    public Termios with(byte[] encoded) {
        Change change = new Change(this);
        ByteBuffer from = ByteBuffer.wrap(encoded);
        while (from.hasRemaining()) {
            int opcode = Byte.toUnsignedInt(from.get());
            // 160 and above have no agreed length: RFC 4254 says to stop there.
            if (opcode == TTY_OP_END || opcode >= 160 || from.remaining() < Integer.BYTES) {
                break;
            }
            change.apply(opcode, from.getInt());
        }
        return new Termios(
                change.input, change.output, change.control, change.local, line, change.chars);
    }

    /** What {@link #with} works on. */
    private static final class Change {
        int input;
        int output;
        int control;
        int local;
        final byte[] chars;

        Change(Termios from) {
            input = from.input;
            output = from.output;
            control = from.control;
            local = from.local;
            chars = from.chars.clone();
        }

        void apply(int opcode, int value) {
            switch (opcode) {
                case 1 -> key(VINTR, value);
                case 2 -> key(VQUIT, value);
                case 3 -> key(VERASE, value);
                case 4 -> key(VKILL, value);
                case 5 -> key(VEOF, value);
                case 6 -> key(VEOL, value);
                case 7 -> key(VEOL2, value);
                case 8 -> key(VSTART, value);
                case 9 -> key(VSTOP, value);
                case 10 -> key(VSUSP, value);
                case 12 -> key(VREPRINT, value);
                case 13 -> key(VWERASE, value);
                case 14 -> key(VLNEXT, value);
                case 18 -> key(VDISCARD, value);
                case 30 -> input = bit(input, IGNPAR, value);
                case 31 -> input = bit(input, PARMRK, value);
                case 32 -> input = bit(input, INPCK, value);
                case 33 -> input = bit(input, ISTRIP, value);
                case 34 -> input = bit(input, INLCR, value);
                case 35 -> input = bit(input, IGNCR, value);
                case 36 -> input = bit(input, ICRNL, value);
                case 37 -> input = bit(input, IUCLC, value);
                case 38 -> input = bit(input, IXON, value);
                case 39 -> input = bit(input, IXANY, value);
                case 40 -> input = bit(input, IXOFF, value);
                case 41 -> input = bit(input, IMAXBEL, value);
                case 42 -> input = bit(input, IUTF8, value);
                case 50 -> local = bit(local, ISIG, value);
                case 51 -> local = bit(local, ICANON, value);
                case 52 -> local = bit(local, XCASE, value);
                case 53 -> local = bit(local, ECHO, value);
                case 54 -> local = bit(local, ECHOE, value);
                case 55 -> local = bit(local, ECHOK, value);
                case 56 -> local = bit(local, ECHONL, value);
                case 57 -> local = bit(local, NOFLSH, value);
                case 58 -> local = bit(local, TOSTOP, value);
                case 59 -> local = bit(local, IEXTEN, value);
                case 60 -> local = bit(local, ECHOCTL, value);
                case 61 -> local = bit(local, ECHOKE, value);
                case 62 -> local = bit(local, PENDIN, value);
                case 70 -> output = bit(output, OPOST, value);
                case 71 -> output = bit(output, OLCUC, value);
                case 72 -> output = bit(output, ONLCR, value);
                case 73 -> output = bit(output, OCRNL, value);
                case 74 -> output = bit(output, ONOCR, value);
                case 75 -> output = bit(output, ONLRET, value);
                // In the client's order CS8 comes after CS7, which its bits include.
                case 90 -> control = bit(control, CS7, value);
                case 91 -> control = bit(control, CS8, value);
                case 92 -> control = bit(control, PARENB, value);
                case 93 -> control = bit(control, PARODD, value);
                case TTY_OP_OSPEED -> speed(value, 0);
                case TTY_OP_ISPEED -> speed(value, CIBAUD_SHIFT);
                default -> {}
            }
        }

        private void key(int which, int value) {
            chars[which] = value == DISABLED_THERE ? DISABLED_HERE : (byte) value;
        }

        private static int bit(int word, int mask, int value) {
            return value == 0 ? word & ~mask : word | mask;
        }

        /** A speed that this system does not have changes nothing. */
        private void speed(int bits, int shift) {
            int code = -1;
            for (int i = 0; i < BAUD.length; i++) {
                if (BAUD[i] == bits) {
                    code = i;
                }
                // BOTHER and CBAUDEX alone are index 0 of the second table: no speed.
                if (i > 0 && BAUD_EXTENDED[i] == bits) {
                    code = CBAUDEX | i;
                }
            }
            if (code > 0) {
                control = (control & ~(CBAUD << shift)) | (code << shift);
            }
        }
    }

    /** What OpenSSH's sshtty.c makes of these modes for a session. */
    Termios raw() {
        byte[] now = chars.clone();
        now[VMIN] = 1;
        now[VTIME] = 0;
        return new Termios(
                (input | IGNPAR) & ~(ISTRIP | INLCR | IGNCR | ICRNL | IXON | IXANY | IXOFF | IUCLC),
                output & ~OPOST,
                control,
                local & ~(ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHONL | IEXTEN),
                line,
                now);
    }

    /**
     * These modes for a secret to be typed in. The quit character is off besides the echo: it would
     * make the VM print all its threads, where it ends any other program.
     */
    Termios hidden() {
        byte[] now = chars.clone();
        now[VQUIT] = DISABLED_HERE;
        return new Termios(
                input, output, control, local & ~(ECHO | ECHOE | ECHOK | ECHONL), line, now);
    }

    /** For a prompt with echo: as it is, but for the quit character. */
    Termios shown() {
        byte[] now = chars.clone();
        now[VQUIT] = DISABLED_HERE;
        return new Termios(input, output, control, local, line, now);
    }

    /** Equal in everything that a program sets. */
    boolean sameAs(Termios other) {
        return input == other.input
                && output == other.output
                && control == other.control
                && local == other.local
                && line == other.line
                && Arrays.equals(chars, other.chars);
    }

    /** Only the end mark: what is sent where stdin is no terminal. */
    static byte[] noModes() {
        return new byte[] {TTY_OP_END};
    }

    /**
     * Encoded terminal modes of RFC 4254 section 8: what OpenSSH's ttymodes.c sends on Linux, in
     * its order. VDSUSP, VFLUSH, VSWTCH and VSTATUS do not exist here.
     */
    byte[] modes() {
        Modes to = new Modes();
        to.value(TTY_OP_OSPEED, baud(control & CBAUD));
        int inputSpeed = (control >>> CIBAUD_SHIFT) & CBAUD;
        to.value(TTY_OP_ISPEED, baud(inputSpeed == 0 ? control & CBAUD : inputSpeed));
        to.key(1, chars[VINTR]);
        to.key(2, chars[VQUIT]);
        to.key(3, chars[VERASE]);
        to.key(4, chars[VKILL]);
        to.key(5, chars[VEOF]);
        to.key(6, chars[VEOL]);
        to.key(7, chars[VEOL2]);
        to.key(8, chars[VSTART]);
        to.key(9, chars[VSTOP]);
        to.key(10, chars[VSUSP]);
        to.key(12, chars[VREPRINT]);
        to.key(13, chars[VWERASE]);
        to.key(14, chars[VLNEXT]);
        to.key(18, chars[VDISCARD]);
        to.flag(30, input, IGNPAR);
        to.flag(31, input, PARMRK);
        to.flag(32, input, INPCK);
        to.flag(33, input, ISTRIP);
        to.flag(34, input, INLCR);
        to.flag(35, input, IGNCR);
        to.flag(36, input, ICRNL);
        to.flag(37, input, IUCLC);
        to.flag(38, input, IXON);
        to.flag(39, input, IXANY);
        to.flag(40, input, IXOFF);
        to.flag(41, input, IMAXBEL);
        to.flag(42, input, IUTF8);
        to.flag(50, local, ISIG);
        to.flag(51, local, ICANON);
        to.flag(52, local, XCASE);
        to.flag(53, local, ECHO);
        to.flag(54, local, ECHOE);
        to.flag(55, local, ECHOK);
        to.flag(56, local, ECHONL);
        to.flag(57, local, NOFLSH);
        to.flag(58, local, TOSTOP);
        to.flag(59, local, IEXTEN);
        to.flag(60, local, ECHOCTL);
        to.flag(61, local, ECHOKE);
        to.flag(62, local, PENDIN);
        to.flag(70, output, OPOST);
        to.flag(71, output, OLCUC);
        to.flag(72, output, ONLCR);
        to.flag(73, output, OCRNL);
        to.flag(74, output, ONOCR);
        to.flag(75, output, ONLRET);
        // As OpenSSH: any bit in common, so that CS8 sends a 1 for CS7 too.
        to.flag(90, control, CS7);
        to.flag(91, control, CS8);
        to.flag(92, control, PARENB);
        to.flag(93, control, PARODD);
        return to.end();
    }

    private static int baud(int speed) {
        return (speed & CBAUDEX) == 0 ? BAUD[speed] : BAUD_EXTENDED[speed & 0xF];
    }

    private static final class Modes {
        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream(300);

        void value(int opcode, int value) {
            bytes.write(opcode);
            bytes.write(value >>> 24);
            bytes.write(value >>> 16);
            bytes.write(value >>> 8);
            bytes.write(value);
        }

        void key(int opcode, byte key) {
            value(opcode, key == DISABLED_HERE ? DISABLED_THERE : Byte.toUnsignedInt(key));
        }

        void flag(int opcode, int word, int mask) {
            value(opcode, (word & mask) != 0 ? 1 : 0);
        }

        byte[] end() {
            bytes.write(TTY_OP_END);
            return bytes.toByteArray();
        }
    }
}
