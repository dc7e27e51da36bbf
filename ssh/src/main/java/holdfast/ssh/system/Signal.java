package holdfast.ssh.system;

import org.jspecify.annotations.Nullable;

/** The signals of RFC 4254 section 6.9, and what else a server sends, by Linux's numbers. */
public enum Signal {
    HUP(1),
    INT(2),
    QUIT(3),
    ILL(4),
    ABRT(6),
    FPE(8),
    KILL(9),
    USR1(10),
    SEGV(11),
    USR2(12),
    PIPE(13),
    ALRM(14),
    TERM(15),
    CONT(18),
    STOP(19);

    private final int number;

    Signal(int number) {
        this.number = number;
    }

    public int number() {
        return number;
    }

    public static @Nullable Signal numbered(int number) {
        for (Signal one : values()) {
            if (one.number == number) {
                return one;
            }
        }
        return null;
    }

    /** By the name of the RFC, without SIG; null for a name that is not known. */
    public static @Nullable Signal named(String name) {
        for (Signal one : values()) {
            if (one.name().equals(name)) {
                return one;
            }
        }
        return null;
    }
}
