package holdfast.ssh.system;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A group that nobody is in but one user, such as Debian makes for each: what it may write, nobody
 * else may (secure_permissions of Debian's OpenSSH).
 */
public final class PrivateGroup {

    /** Fields of passwd(5) and group(5). */
    private static final int NUMBER = 2;

    private static final int GROUP = 3;
    private static final int MEMBERS = 3;

    private PrivateGroup() {}

    /**
     * Whether group {@code gid} has user {@code uid} in it and nobody else, as far as files say.
     */
    public static boolean of(long gid, long uid) {
        try {
            return of(gid, uid, lines("/etc/passwd"), lines("/etc/group"));
        } catch (IOException e) {
            return false; // nobody knows, then
        }
    }

    /**
     * The same.
     *
     * @param passwd lines of passwd(5)
     * @param groups lines of group(5)
     */
    static boolean of(long gid, long uid, List<String> passwd, List<String> groups) {
        String number = Long.toString(gid);
        String user = Long.toString(uid);
        boolean member = false;
        String name = null;
        for (String line : passwd) {
            String[] fields = line.split(":", -1);
            if (fields.length <= GROUP) {
                continue;
            }
            if (fields[NUMBER].equals(user) && name == null) {
                name = fields[0];
            }
            if (fields[GROUP].equals(number)) {
                if (!fields[NUMBER].equals(user)) {
                    return false;
                }
                member = true;
            }
        }
        for (String line : groups) {
            String[] fields = line.split(":", -1);
            if (fields.length > MEMBERS && fields[NUMBER].equals(number)) {
                String members = fields[MEMBERS].strip();
                return members.isEmpty() ? member : members.equals(name);
            }
        }
        return false;
    }

    private static List<String> lines(String file) throws IOException {
        // Names of persons are in any charset.
        return Files.readAllLines(Path.of(file), StandardCharsets.ISO_8859_1);
    }
}
