package holdfast.ssh.forward;

import holdfast.ssh.config.ClientProtocol;
import holdfast.ssh.log.Log;
import holdfast.ssh.system.BoundedOutput;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * X11 forwarding as the client sees it: the display here, the cookie that opens it, and another
 * that is made up for the server, so that nobody there ever learns the real one (OpenSSH's
 * clientloop.c client_x11_get_proto, channels.c x11_open_helper). Immutable.
 */
public final class X11 {

    private static final String COOKIE = "MIT-MAGIC-COOKIE-1";

    /**
     * OpenSSH's X11_TIMEOUT_SLACK: the cookie outlives our willingness, so that nothing fails open.
     */
    private static final long SLACK_SECONDS = 60;

    private static final int COOKIE_BYTES = 16;
    private static final int FIRST_PORT = 6000;

    /** A display that does not answer holds the login up for no longer. */
    private static final Duration XAUTH_LIMIT = Duration.ofSeconds(20);

    private static final int MOST_OUTPUT = 64 * 1024;

    /** Where the X server listens. */
    sealed interface Place {
        record Local(String path) implements Place {}

        record Remote(String host, int port) implements Place {}
    }

    private final Place place;
    private final int screen;
    private final String protocol;
    private final byte[] real;
    private final byte[] fake;

    /** In nanoseconds of System.nanoTime; null: for ever. */
    private final @Nullable Long refusedFrom;

    private X11(
            Place place,
            int screen,
            String protocol,
            byte[] real,
            byte[] fake,
            @Nullable Long refusedFrom) {
        this.place = place;
        this.screen = screen;
        this.protocol = protocol;
        this.real = real;
        this.fake = fake;
        this.refusedFrom = refusedFrom;
    }

    /**
     * Finds out what there is to forward. Runs xauth, and so may wait.
     *
     * @param display DISPLAY of the environment
     * @return null: nothing, the log says why
     */
    public static @Nullable X11 of(ClientProtocol.X11 wanted, @Nullable String display, Log log) {
        if (display == null) {
            log.debug("X11 forwarding requested but DISPLAY not set");
            return null;
        }
        if (!isValid(display)) {
            log.info("DISPLAY \"" + display + "\" invalid; disabling X11 forwarding");
            return null;
        }
        Place place = place(display, log);
        if (place == null) {
            return null;
        }
        Long refusedFrom = null;
        Duration timeout = wanted.timeout();
        if (!wanted.trusted() && !timeout.isZero()) {
            refusedFrom = System.nanoTime() + timeout.toNanos();
        }
        String[] cookie = null;
        if (Files.exists(wanted.xauth())) {
            try {
                cookie = cookie(wanted, display, log);
            } catch (IOException e) {
                log.debug("xauth: " + e.getMessage());
            }
        } else {
            log.debug("No xauth program.");
        }
        byte[] real = cookie == null ? null : bytes(cookie[1]);
        if (cookie == null || real == null) {
            if (!wanted.trusted()) {
                log.error(
                        "Warning: untrusted X11 forwarding setup failed: xauth key data not"
                                + " generated");
                return null;
            }
            // The X server does not look at it where it has other ways to know who may come.
            log.info("Warning: No xauth data; using fake authentication data for X11 forwarding.");
            cookie = new String[] {COOKIE, ""};
            real = random(COOKIE_BYTES);
        }
        return new X11(place, screen(display), cookie[0], real, random(real.length), refusedFrom);
    }

    private static byte[] random(int length) {
        byte[] bytes = new byte[length];
        new SecureRandom().nextBytes(bytes);
        return bytes;
    }

    private static byte @Nullable [] bytes(String hex) {
        try {
            byte[] bytes = HexFormat.of().parseHex(hex);
            return bytes.length == 0 ? null : bytes;
        } catch (IllegalArgumentException e) {
            return null;
        }
    }

    /** client_x11_display_valid: nothing that a program could take for anything else. */
    static boolean isValid(String display) {
        for (int i = 0; i < display.length(); i++) {
            char c = display.charAt(i);
            boolean letter =
                    (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
            if (!letter && ":/.-_".indexOf(c) < 0) {
                return false;
            }
        }
        return true;
    }

    /** channels.c x11_connect_display. */
    static @Nullable Place place(String display, Log log) {
        int colon = display.startsWith("unix:") ? display.lastIndexOf(':') : display.indexOf(':');
        if (colon < 0) {
            log.error("Could not find ':' in DISPLAY: " + display);
            return null;
        }
        int number = number(display, colon + 1);
        if (number < 0 || number > 65535 - FIRST_PORT) {
            log.error("Could not parse display number from DISPLAY: " + display);
            return null;
        }
        String host = display.substring(0, colon);
        return host.isEmpty() || host.equals("unix")
                ? new Place.Local("/tmp/.X11-unix/X" + number)
                : new Place.Remote(host, FIRST_PORT + number);
    }

    private static int number(String text, int from) {
        int end = from;
        while (end < text.length()
                && end - from < 6
                && text.charAt(end) >= '0'
                && text.charAt(end) <= '9') {
            end++;
        }
        return end == from ? -1 : Integer.parseInt(text.substring(from, end));
    }

    private static int screen(String display) {
        int dot = display.indexOf('.', display.indexOf(':'));
        int number = dot < 0 ? 0 : number(display, dot + 1);
        return number < 0 || number > 400 ? 0 : number;
    }

    // --- xauth

    /** The protocol and the cookie in hexadecimal; null: xauth knows none. */
    private static String @Nullable [] cookie(ClientProtocol.X11 wanted, String display, Log log)
            throws IOException {
        String xauth = wanted.xauth().toString();
        String named =
                display.startsWith("localhost:")
                        ? "unix:" + display.substring("localhost:".length())
                        : display;
        if (wanted.trusted()) {
            return listed(run(List.of(xauth, "list", named), log));
        }
        Path directory =
                Files.createTempDirectory(
                        "ssh-",
                        PosixFilePermissions.asFileAttribute(
                                PosixFilePermissions.fromString("rwx------")));
        Path file = directory.resolve("xauthfile");
        try {
            List<String> words =
                    new java.util.ArrayList<>(
                            List.of(
                                    xauth,
                                    "-f",
                                    file.toString(),
                                    "generate",
                                    named,
                                    COOKIE,
                                    "untrusted"));
            if (!wanted.timeout().isZero()) {
                words.add("timeout");
                words.add(Long.toString(wanted.timeout().toSeconds() + SLACK_SECONDS));
            }
            run(words, log);
            return listed(run(List.of(xauth, "-f", file.toString(), "list", named), log));
        } finally {
            Files.deleteIfExists(file);
            Files.deleteIfExists(directory);
        }
    }

    /** The first line of {@code xauth list}: display, protocol, data. */
    private static String @Nullable [] listed(String output) {
        String[] words = output.lines().findFirst().orElse("").strip().split("\\s+", -1);
        return words.length < 3 ? null : new String[] {words[1], words[2]};
    }

    /** What xauth says. No cookie is among the words. */
    private static String run(List<String> words, Log log) throws IOException {
        log.debug2("x11_get_proto: " + String.join(" ", words));
        return new String(
                BoundedOutput.of(
                        "xauth", words, ProcessBuilder.Redirect.DISCARD, XAUTH_LIMIT, MOST_OUTPUT),
                StandardCharsets.ISO_8859_1);
    }

    // --- what is told to the server

    /** The name of the way to prove that one may use the display. */
    public String protocol() {
        return protocol;
    }

    /** The cookie that was made up, in hexadecimal. */
    public String madeUp() {
        return HexFormat.of().formatHex(fake);
    }

    public int screen() {
        return screen;
    }

    // --- a connection

    Place place() {
        return place;
    }

    /** Whether ForwardX11Timeout has passed. */
    boolean expired() {
        return refusedFrom != null && System.nanoTime() - refusedFrom >= 0;
    }

    /** What the beginning of an X11 connection comes to. */
    sealed interface Opening {
        /** More of it has to come. */
        record More() implements Opening {}

        /**
         * It showed the cookie that was made up.
         *
         * @param bytes the same beginning with the real one
         * @param taken how many of its bytes that were
         */
        record Good(byte[] bytes, int taken) implements Opening {}

        /** It did not. */
        record Bad(String why) implements Opening {}
    }

    /** Takes the first {@code length} bytes of a connection: byte order, versions, who it is. */
    Opening opening(byte[] bytes, int length) {
        if (length < 12) {
            return new Opening.More();
        }
        int protocolLength;
        int dataLength;
        if (bytes[0] == 'B') {
            protocolLength = (bytes[6] & 0xff) << 8 | (bytes[7] & 0xff);
            dataLength = (bytes[8] & 0xff) << 8 | (bytes[9] & 0xff);
        } else if (bytes[0] == 'l') {
            protocolLength = (bytes[7] & 0xff) << 8 | (bytes[6] & 0xff);
            dataLength = (bytes[9] & 0xff) << 8 | (bytes[8] & 0xff);
        } else {
            return new Opening.Bad(
                    "Initial X11 packet contains bad byte order byte: 0x"
                            + Integer.toHexString(bytes[0] & 0xff));
        }
        byte[] name = protocol.getBytes(StandardCharsets.ISO_8859_1);
        if (protocolLength != name.length) {
            return new Opening.Bad("X11 connection uses different authentication protocol.");
        }
        if (dataLength != fake.length) {
            return new Opening.Bad("X11 auth data does not match fake data.");
        }
        int dataAt = 12 + (protocolLength + 3 & ~3);
        int end = dataAt + (dataLength + 3 & ~3);
        if (length < end) {
            return new Opening.More();
        }
        if (!Arrays.equals(bytes, 12, 12 + protocolLength, name, 0, name.length)) {
            return new Opening.Bad("X11 connection uses different authentication protocol.");
        }
        int different = 0; // looked at to the end, whatever differs
        for (int i = 0; i < fake.length; i++) {
            different |= bytes[dataAt + i] ^ fake[i];
        }
        if (different != 0) {
            return new Opening.Bad("X11 auth data does not match fake data.");
        }
        byte[] good = Arrays.copyOf(bytes, end);
        System.arraycopy(real, 0, good, dataAt, real.length);
        return new Opening.Good(good, end);
    }

    /** The longest beginning that can be good. */
    int longest() {
        return 12 + protocol.length() + fake.length + 8;
    }
}
