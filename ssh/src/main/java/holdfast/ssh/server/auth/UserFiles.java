package holdfast.ssh.server.auth;

import holdfast.ssh.log.Log;
import holdfast.ssh.log.Reason;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.system.Account;
import holdfast.ssh.system.PrivateGroup;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** Files that say who may log in: opened only if nobody but their owner could have written them. */
final class UserFiles {

    private static final int GROUP_WRITES = 020;
    private static final int OTHERS_WRITE = 02;
    private static final int TYPE = 0170000;
    private static final int REGULAR = 0100000;

    /** Of a line; what is longer is passed over. RSA keys of 16384 bits take 3 KiB. */
    private static final int LONGEST_LINE = 64 * 1024;

    /** Of a file; what lies behind is not read. */
    private static final int LONGEST_FILE = 16 * 1024 * 1024;

    private UserFiles() {}

    /** One line at a time, its number counted from one; false: no more lines are wanted. */
    interface Reader {
        boolean line(int number, String text);
    }

    /**
     * Opens a file of a user's with the user's rights, or says in the log why not.
     *
     * @param kind how messages name it: {@code authorized keys}
     * @return null if there is none or it is not to be trusted
     */
    static @Nullable InputStream open(
            Machine machine, Account account, Path file, boolean strict, String kind, Log log) {
        try {
            Opened opened = machine.as(account, () -> opened(account, file, strict, kind));
            if (opened.in == null) {
                log.info(opened.refusal);
            }
            return opened.in;
        } catch (NoSuchFileException e) {
            log.debug(
                    "Could not open user '"
                            + account.name()
                            + "' "
                            + kind
                            + " '"
                            + file
                            + "': No such file or directory");
        } catch (Exception e) {
            log.info(
                    "Could not open user '"
                            + account.name()
                            + "' "
                            + kind
                            + " '"
                            + file
                            + "': "
                            + Reason.of(e));
        }
        return null;
    }

    /** What came of opening a file, {@code refusal} for the log where it was not opened. */
    private record Opened(@Nullable InputStream in, String refusal) {}

    /** With the user's rights: nothing here may wake or start a thread, so nothing is logged. */
    private static Opened opened(Account account, Path file, boolean strict, String kind)
            throws IOException {
        // Asked before opening: opening a pipe would wait for its writer.
        if (!isRegular(attributes(file))) {
            return new Opened(
                    null,
                    "User '"
                            + account.name()
                            + "' "
                            + kind
                            + " '"
                            + file
                            + "' is not a regular file");
        }
        InputStream in = Files.newInputStream(file);
        if (strict) {
            String unsafe = unsafe(file, account.uid(), account.home());
            if (unsafe != null) {
                in.close();
                return new Opened(null, "Authentication refused: " + unsafe);
            }
        }
        return new Opened(in, "");
    }

    /**
     * Why others than {@code uid} and root could have changed a file, in OpenSSH's words (misc.c,
     * safe_path), or null.
     *
     * @param home where the way up may end, of somebody whose own group may write what is theirs;
     *     null: it ends at the root only, and no group may
     */
    static @Nullable String unsafe(Path file, int uid, @Nullable Path home) {
        Path real;
        try {
            real = file.toRealPath();
        } catch (IOException e) {
            return "realpath " + file + " failed: " + Reason.of(e);
        }
        Path realHome = null;
        try {
            realHome = home == null ? null : home.toRealPath();
        } catch (IOException absent) {
            realHome = null; // then every directory counts
        }
        try {
            Attributes attributes = attributes(real);
            if (!isRegular(attributes)) {
                return real + " is not a regular file";
            }
            if (!isSafe(attributes, uid, home != null)) {
                return "bad ownership or modes for file " + real;
            }
        } catch (IOException e) {
            return "bad ownership or modes for file " + real;
        }
        for (Path up = real.getParent(); up != null; up = up.getParent()) {
            try {
                if (!isSafe(attributes(up), uid, home != null)) {
                    return "bad ownership or modes for directory " + up;
                }
            } catch (IOException e) {
                return "bad ownership or modes for directory " + up;
            }
            if (up.equals(realHome)) {
                break;
            }
        }
        return null;
    }

    /** Whose a file is, and what it is. */
    private record Attributes(int uid, int gid, int mode) {}

    private static Attributes attributes(Path file) throws IOException {
        Map<String, Object> read = Files.readAttributes(file, "unix:uid,gid,mode");
        return new Attributes(
                (int) Objects.requireNonNull(read.get("uid")),
                (int) Objects.requireNonNull(read.get("gid")),
                (int) Objects.requireNonNull(read.get("mode")));
    }

    private static boolean isRegular(Attributes attributes) {
        return (attributes.mode & TYPE) == REGULAR;
    }

    /**
     * As Debian's, whose users may have a umask of 002: what a group of their own writes is theirs.
     */
    private static boolean isSafe(Attributes attributes, int uid, boolean ownGroup) {
        return (attributes.uid == 0 || attributes.uid == uid)
                && (attributes.mode & OTHERS_WRITE) == 0
                && ((attributes.mode & GROUP_WRITES) == 0
                        || (ownGroup
                                && PrivateGroup.of(
                                        Integer.toUnsignedLong(attributes.gid),
                                        Integer.toUnsignedLong(uid))));
    }

    /** Hands over line by line what {@code in} has, and closes it. */
    static void read(InputStream in, Reader reader) throws IOException {
        try (in) {
            byte[] chunk = new byte[8192];
            StringBuilder line = new StringBuilder();
            boolean tooLong = false;
            int number = 1;
            int total = 0;
            int got;
            while ((got = in.read(chunk)) >= 0 && total < LONGEST_FILE) {
                total += got;
                String text = new String(chunk, 0, got, StandardCharsets.ISO_8859_1);
                int from = 0;
                int end;
                while ((end = text.indexOf('\n', from)) >= 0) {
                    line.append(text, from, end);
                    if (!reader.line(number++, tooLong ? "" : utf8(line))) {
                        return;
                    }
                    line.setLength(0);
                    tooLong = false;
                    from = end + 1;
                }
                line.append(text, from, text.length());
                if (line.length() > LONGEST_LINE) {
                    line.setLength(0);
                    tooLong = true;
                }
            }
            if (!line.isEmpty() && !tooLong) {
                reader.line(number, utf8(line));
            }
        }
    }

    private static String utf8(StringBuilder bytes) {
        return Octets.text(bytes.toString().getBytes(StandardCharsets.ISO_8859_1));
    }
}
