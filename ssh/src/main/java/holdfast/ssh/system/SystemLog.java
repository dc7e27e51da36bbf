package holdfast.ssh.system;

import holdfast.ssh.log.Log;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** The system's log, by syslog(3). Thread-safe. */
public final class SystemLog {

    private static final int LOG_PID = 1;

    /** Facilities of sys/syslog.h that SyslogFacility knows, already shifted. */
    private static final Map<String, Integer> FACILITIES =
            Map.ofEntries(
                    Map.entry("USER", 1 << 3),
                    Map.entry("DAEMON", 3 << 3),
                    Map.entry("AUTH", 4 << 3),
                    Map.entry("AUTHPRIV", 10 << 3),
                    Map.entry("LOCAL0", 16 << 3),
                    Map.entry("LOCAL1", 17 << 3),
                    Map.entry("LOCAL2", 18 << 3),
                    Map.entry("LOCAL3", 19 << 3),
                    Map.entry("LOCAL4", 20 << 3),
                    Map.entry("LOCAL5", 21 << 3),
                    Map.entry("LOCAL6", 22 << 3),
                    Map.entry("LOCAL7", 23 << 3));

    private static final MemorySegment OPENLOG = Native.symbol("openlog");
    private static final MemorySegment SYSLOG = Native.symbol("syslog");

    // The C library keeps the pointers it is given.
    private static final MemorySegment FORMAT =
            Arena.global().allocateFrom("%s", StandardCharsets.US_ASCII);

    private final String name;
    private final MemorySegment plain;
    private final int facility;

    // The C library has one tag for the whole process, and keeps the pointer. PAM's modules write
    // with it too, when they like: it stays plain, in memory that is never written again, but for
    // the lines of a connection. Guarded by the class.
    private static final int LONGEST_TAG = 64;
    private static final MemorySegment TAG = Arena.global().allocate(LONGEST_TAG);

    /**
     * @param name what lines are marked with, {@code sshd}
     * @param facility as SyslogFacility names it; one it does not know is AUTH
     */
    public SystemLog(String name, String facility) {
        this.name = name;
        plain = Arena.global().allocateFrom(name, StandardCharsets.US_ASCII);
        this.facility = FACILITIES.getOrDefault(facility, 4 << 3);
        synchronized (SystemLog.class) {
            speaksPlainly();
        }
    }

    private void speaksPlainly() {
        Native.raw(OPENLOG, plain.address(), LOG_PID, facility);
    }

    private void speaks(long speaker) {
        TAG.setString(0, name + "[" + speaker + "]", StandardCharsets.US_ASCII);
        Native.raw(OPENLOG, TAG.address(), 0, facility);
    }

    /** Writes one line at the priority that OpenSSH's log.c gives to its level. */
    public void write(Log.Level level, String line) {
        write(level, line, 0);
    }

    /**
     * The same.
     *
     * @param speaker what stands where else the number of this process is; 0: that
     */
    public void write(Log.Level level, String line, long speaker) {
        int priority =
                switch (level) {
                    case QUIET, FATAL -> 2;
                    case ERROR -> 3;
                    case INFO, VERBOSE -> 6;
                    case DEBUG1, DEBUG2, DEBUG3 -> 7;
                };
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = Native.string(arena, line.replace('\0', '?'));
            synchronized (SystemLog.class) {
                if (speaker != 0) {
                    speaks(speaker);
                }
                Native.raw(SYSLOG, facility | priority, FORMAT.address(), text.address());
                if (speaker != 0) {
                    speaksPlainly();
                }
            }
        }
    }
}
