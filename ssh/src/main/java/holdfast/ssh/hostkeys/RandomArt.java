package holdfast.ssh.hostkeys;

import holdfast.ssh.config.ServerSettings.FingerprintHash;

/**
 * A key as a picture that people recognise: OpenSSH's drunken bishop (sshkey.c,
 * fingerprint_randomart), who walks over a field of 17 by 9 as the bits of the key's hash tell him.
 */
public final class RandomArt {

    private static final int COLUMNS = 17;
    private static final int ROWS = 9;

    /** What stands where he came by so often; the last two are the start and the end. */
    private static final String MARKS = " .o+=*BOX@%&#/^SE";

    private static final int START = MARKS.length() - 2;
    private static final int END = MARKS.length() - 1;

    private RandomArt() {}

    /** The picture of the key's hash, eleven lines without an LF after the last. */
    public static String of(FingerprintHash hash, HostKey key) {
        return of(key.kind(), key.bits(), hash.name(), Fingerprint.digest(hash, key.blob()));
    }

    static String of(String kind, int bits, String hash, byte[] digest) {
        int[][] visits = new int[ROWS][COLUMNS];
        int x = COLUMNS / 2;
        int y = ROWS / 2;
        for (byte b : digest) {
            int input = b;
            for (int i = 0; i < 4; i++) {
                x = Math.clamp(x + ((input & 1) != 0 ? 1 : -1), 0, COLUMNS - 1);
                y = Math.clamp(y + ((input & 2) != 0 ? 1 : -1), 0, ROWS - 1);
                if (visits[y][x] < START - 1) {
                    visits[y][x]++;
                }
                input >>= 2;
            }
        }
        visits[ROWS / 2][COLUMNS / 2] = START;
        visits[y][x] = END;
        String title = "[" + kind + " " + bits + "]";
        StringBuilder art =
                new StringBuilder(edge(title.length() > COLUMNS ? "[" + kind + "]" : title));
        for (int[] row : visits) {
            art.append("\n|");
            for (int count : row) {
                art.append(MARKS.charAt(count));
            }
            art.append('|');
        }
        return art.append('\n').append(edge("[" + hash + "]")).toString();
    }

    private static String edge(String name) {
        int left = (COLUMNS - name.length()) / 2;
        return "+" + "-".repeat(left) + name + "-".repeat(COLUMNS - name.length() - left) + "+";
    }
}
