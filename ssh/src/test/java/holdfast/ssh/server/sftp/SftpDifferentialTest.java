package holdfast.ssh.server.sftp;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import holdfast.ssh.log.Log;
import holdfast.ssh.system.Accounts;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * The same requests, good ones and bad ones, to OpenSSH's sftp-server and to ours, on the same
 * files: the same answers, the same end and the same files afterwards. {@code
 * -Dsftp.seed=N,-Dsftp.sessions=N} repeat a run or make a longer one.
 *
 * <p>Left out of the comparison: requests of an unknown type, which OpenSSH does not answer, and
 * then waits until more is said (we answer that we do not know them); times that are those of the
 * run, how full the file system is, and how many files may be open.
 */
@Timeout(240)
final class SftpDifferentialTest {

    private static final List<Path> THEIRS =
            List.of(
                    Path.of("/usr/lib/openssh/sftp-server"),
                    Path.of("/usr/libexec/openssh/sftp-server"),
                    Path.of("/usr/libexec/sftp-server"),
                    Path.of("/usr/lib/ssh/sftp-server"));

    private static final int REQUESTS = 80;

    /** Times before are somebody's choice, times after are the run's. */
    private static final long LONG_AGO = 1_400_000_000;

    private static final int LAST = 9_999_999;

    private static final String LONG_NAME = "n".repeat(300);

    /** Names that may be written to. The last ones cannot be. */
    private static final List<String> INSIDE =
            List.of(
                    "a",
                    "b",
                    "d",
                    "d/x",
                    "d/y",
                    "l",
                    "dl",
                    "lo",
                    "empty",
                    "new",
                    "new2",
                    "d/new",
                    "d/../a",
                    "d//x",
                    "./a",
                    "a/x",
                    "none/x",
                    "\u00ff\u00fe",
                    "ld/x",
                    "ld",
                    "d/",
                    LONG_NAME,
                    "d/" + "p/".repeat(2500) + "x");

    /** Those that are only looked at, too. */
    private static final List<String> AROUND =
            List.of("", ".", "..", "/", "/dev/null", "~", "~/x", "~root", "~nobody-here", "../..");

    /** Of links that are made: nothing outside may be reached through them, by root above all. */
    private static final List<String> TARGETS = List.of("", "a", "d", "nowhere", "new", "./b");

    private static final List<String> EXTENSIONS =
            List.of(
                    "posix-rename@openssh.com",
                    "statvfs@openssh.com",
                    "fstatvfs@openssh.com",
                    "hardlink@openssh.com",
                    "fsync@openssh.com",
                    "lsetstat@openssh.com",
                    "limits@openssh.com",
                    "expand-path@openssh.com",
                    "copy-data",
                    "home-directory",
                    "users-groups-by-id@openssh.com",
                    "unheard-of@example.com");

    @TempDir Path directory;

    /**
     * What one client says.
     *
     * @param good whole requests, the number of whose last is {@link #LAST}
     * @param bad what follows, a message that is none; may be empty
     */
    private record Talk(byte[] good, byte[] bad) {

        /** The request that an answer is to, by its number. */
        String shown(String answer) {
            int id =
                    Integer.parseInt(
                            answer.substring(answer.indexOf(' ') + 1, answer.indexOf(':')));
            ByteBuffer all = ByteBuffer.wrap(good);
            while (all.hasRemaining()) {
                byte[] request = new byte[all.getInt()];
                all.get(request);
                if (ByteBuffer.wrap(request, 1, 4).getInt() == id) {
                    return "request " + request[0] + " " + rest(ByteBuffer.wrap(request));
                }
            }
            return "no request";
        }
    }

    /** A session that writes no bytes to a file that is open for reading. */
    private static final long WRITES_NOTHING = 19_077_833_658_442L;

    /** What one server answered, how it ended, and what it left. */
    private record Outcome(List<String> answers, int status, Map<String, String> files) {}

    @Test
    void every_request_is_answered_as_OpenSSHs_server_answers_it() throws Exception {
        Path theirs = THEIRS.stream().filter(Files::isExecutable).findFirst().orElse(null);
        assumeTrue(theirs != null, "needs OpenSSH's sftp-server");
        SftpServer.prepare();
        long seed = Long.getLong("sftp.seed", System.nanoTime());
        int sessions = Integer.getInteger("sftp.sessions", 100);
        Path root = directory.resolve("r");
        for (int i = -1; i < sessions; i++) {
            long one = i < 0 ? WRITES_NOTHING : seed + i;
            Talk talk = new Generator(new Random(one), root).talk();
            plant(root);
            Outcome expected = openSsh(theirs, root, talk);
            plant(root);
            Outcome ours = ours(root, talk);
            String how = "-Dsftp.seed=" + one + " -Dsftp.sessions=1";
            boolean itself = false;
            for (int k = 0; k < Math.min(ours.answers.size(), expected.answers.size()); k++) {
                String wanted = expected.answers.get(k);
                String asked = talk.shown(wanted);
                if (asked.contains("copy-data") && wanted.endsWith(" 0 Success ")) {
                    // OpenSSH says so of whatever became of the last 64 KiB; the files tell. Or it
                    // has copied a file to itself, which goes by two names: we never do.
                    itself |= ours.answers.get(k).endsWith(" 4 Failure ");
                    continue;
                }
                if (itself) {
                    break;
                }
                assertThat(ours.answers.get(k)).as("%s, %s", how, asked).isEqualTo(wanted);
            }
            assertThat(ours.answers).as(how).hasSameSizeAs(expected.answers);
            assertThat(ours.status).as(how).isEqualTo(expected.status);
            assertThat(ours.files.keySet()).as(how).isEqualTo(expected.files.keySet());
            if (itself) {
                continue;
            }
            expected.files.forEach((name, facts) ->
                    assertThat(ours.files.get(name)).as(how + " " + name).isEqualTo(facts));
        }
    }

    // --- the files

    private static void plant(Path root) throws IOException {
        remove(root);
        Files.createDirectory(root);
        Files.writeString(root.resolve("a"), "0123456789");
        byte[] pattern = new byte[100_000];
        for (int i = 0; i < pattern.length; i++) {
            pattern[i] = (byte) (i * 31 + i / 256);
        }
        Files.write(root.resolve("b"), pattern);
        Files.createDirectories(root.resolve("d/deep"));
        Files.createDirectory(root.resolve("empty"));
        Files.writeString(root.resolve("d/x"), "x");
        Files.writeString(root.resolve("d/y"), "yy");
        Files.createSymbolicLink(root.resolve("l"), Path.of("a"));
        Files.createSymbolicLink(root.resolve("dl"), Path.of("nowhere"));
        Files.createSymbolicLink(root.resolve("lo"), Path.of("lo"));
        Files.createSymbolicLink(root.resolve("ld"), Path.of("d"));
        for (String file : List.of("a", "b", "d/x", "d/y")) {
            Files.setLastModifiedTime(root.resolve(file), FileTime.fromMillis(1_000_000_000_000L));
            Files.setPosixFilePermissions(
                    root.resolve(file), PosixFilePermissions.fromString("rw-r-----"));
        }
    }

    private static void remove(Path root) throws IOException {
        if (Files.exists(root, LinkOption.NOFOLLOW_LINKS)) {
            try (Stream<Path> all = Files.walk(root)) {
                for (Path each : all.sorted(java.util.Comparator.reverseOrder()).toList()) {
                    Files.delete(each);
                }
            }
        }
    }

    private static Map<String, String> files(Path root) throws IOException {
        Map<String, String> found = new TreeMap<>();
        try (Stream<Path> all = Files.walk(root)) {
            for (Path each : all.toList()) {
                Map<String, Object> facts =
                        Files.readAttributes(
                                each, "unix:mode,uid,gid,nlink,size", LinkOption.NOFOLLOW_LINKS);
                long second =
                        Files.getLastModifiedTime(each, LinkOption.NOFOLLOW_LINKS)
                                .to(TimeUnit.SECONDS);
                boolean link = Files.isSymbolicLink(each);
                boolean plain = Files.isRegularFile(each, LinkOption.NOFOLLOW_LINKS);
                found.put(
                        root.relativize(each).toString(),
                        new TreeMap<>(facts)
                                + " "
                                + (second < LONG_AGO ? second : "now")
                                + " "
                                + (link ? Files.readSymbolicLink(each) : "")
                                + (plain && Files.size(each) < 1 << 24
                                        ? Arrays.hashCode(Files.readAllBytes(each))
                                        : ""));
            }
        }
        return found;
    }

    // --- the servers

    private static Outcome ours(Path root, Talk talk) throws IOException {
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        all.write(talk.good);
        all.write(talk.bad);
        SftpServer server =
                new SftpServer(
                        SftpOptions.parse("internal-sftp"),
                        Accounts.named(System.getProperty("user.name")).orElseThrow(),
                        root.toString(),
                        "test",
                        new Log(Log.Level.QUIET, line -> {}),
                        new ByteArrayInputStream(all.toByteArray()),
                        said);
        int status = Objects.requireNonNull(server.turn(() -> true), "no end");
        server.close();
        return new Outcome(answers(said.toByteArray()), status, files(root));
    }

    private static Outcome openSsh(Path program, Path root, Talk talk) throws Exception {
        Process process =
                new ProcessBuilder(program.toString(), "-l", "QUIET")
                        .directory(root.toFile())
                        .redirectError(ProcessBuilder.Redirect.DISCARD)
                        .start();
        OutputStream in = process.getOutputStream();
        try (DataInputStream out = new DataInputStream(process.getInputStream())) {
            ByteArrayOutputStream said = new ByteArrayOutputStream();
            Thread writer =
                    Thread.ofPlatform()
                            .start(() -> {
                                try {
                                    in.write(talk.good);
                                    in.flush();
                                } catch (IOException e) {
                                    throw new UncheckedIOException(e);
                                }
                            });
            // What it has not yet sent when it ends is lost: so the bad message comes after.
            DataOutputStream copy = new DataOutputStream(said);
            int id;
            do {
                byte[] answer = out.readNBytes(out.readInt());
                copy.writeInt(answer.length);
                copy.write(answer);
                id = ByteBuffer.wrap(answer, 1, 4).getInt();
            } while (id != LAST);
            writer.join();
            try {
                in.write(talk.bad);
                in.close();
            } catch (IOException e) {
                // It has seen enough.
            }
            out.transferTo(said);
            assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
            return new Outcome(answers(said.toByteArray()), process.exitValue(), files(root));
        } finally {
            process.destroyForcibly();
        }
    }

    // --- the answers

    private static List<String> answers(byte[] said) throws IOException {
        List<String> all = new ArrayList<>();
        ByteBuffer from = ByteBuffer.wrap(said);
        while (from.hasRemaining()) {
            byte[] answer = new byte[from.getInt()];
            from.get(answer);
            all.add(told(ByteBuffer.wrap(answer)));
        }
        return all;
    }

    private static String told(ByteBuffer answer) {
        int type = Byte.toUnsignedInt(answer.get());
        String head = type + " " + answer.getInt() + ": ";
        return switch (type) {
            case 2 -> {
                List<String> extensions = new ArrayList<>();
                while (answer.hasRemaining()) {
                    extensions.add(text(answer) + "=" + text(answer));
                }
                yield head + extensions;
            }
            case 101 -> head + answer.getInt() + " " + text(answer) + " " + text(answer);
            case 104 -> {
                int count = answer.getInt();
                List<String> names = new ArrayList<>();
                for (int i = 0; i < count; i++) {
                    String name = text(answer);
                    String line = text(answer);
                    String attributes = attributes(answer);
                    // Its time is that of the attributes, in words, and of fixed length.
                    int before = line.length() - name.length() - 13;
                    boolean timed = attributes.endsWith("now");
                    names.add(
                            name
                                    + " "
                                    + (timed && before > 0 ? line.substring(0, before) : line)
                                    + attributes);
                }
                names.sort(null);
                yield head + names;
            }
            case 105 -> head + attributes(answer);
            case 201 -> head + extended(answer);
            default -> head + rest(answer);
        };
    }

    private static String text(ByteBuffer from) {
        byte[] bytes = new byte[from.getInt()];
        from.get(bytes);
        return new String(bytes, ISO_8859_1);
    }

    private static String attributes(ByteBuffer from) {
        int flags = from.getInt();
        if (flags != 0xF) {
            return " flags " + flags;
        }
        String facts =
                " size "
                        + from.getLong()
                        + " "
                        + from.getInt()
                        + " "
                        + from.getInt()
                        + " "
                        + Integer.toOctalString(from.getInt());
        from.getInt(); // read some time
        long modified = Integer.toUnsignedLong(from.getInt());
        return facts + " " + (modified < LONG_AGO ? modified : "now");
    }

    private static String extended(ByteBuffer from) {
        return switch (from.remaining()) {
            // statvfs: what fills up is left out
            case 88 -> {
                long[] v = new long[11];
                from.asLongBuffer().get(v);
                yield "statvfs " + List.of(v[0], v[1], v[2], v[8], v[9], v[10]);
            }
            case 32 -> "limits " + from.getLong() + " " + from.getLong() + " " + from.getLong();
            default -> rest(from);
        };
    }

    private static String rest(ByteBuffer from) {
        byte[] bytes = new byte[from.remaining()];
        from.get(bytes);
        return bytes.length > 200
                ? bytes.length + " bytes " + Arrays.hashCode(bytes)
                : new String(bytes, ISO_8859_1);
    }

    // --- the client

    /** Thinks up what a client could say. */
    private static final class Generator {

        private final Random random;
        private final Path root;
        private int id = 100;

        Generator(Random random, Path root) {
            this.random = random;
            this.root = root;
        }

        Talk talk() {
            Message all = new Message();
            all.bytes(new Message().type(1).number(3).framed());
            for (int i = 0; i < REQUESTS; i++) {
                all.bytes(request().framed());
            }
            all.bytes(new Message().type(16).number(LAST).text(".").framed());
            return new Talk(all.whole(), random.nextInt(3) == 0 ? bad() : new byte[0]);
        }

        private Message head(int type) {
            return new Message().type(type).number(id++);
        }

        private Message request() {
            return switch (random.nextInt(28)) {
                case 0, 1, 2, 3 ->
                        attributes(
                                head(3).text(inside())
                                        .number(
                                                pick(
                                                        1,
                                                        2,
                                                        3,
                                                        0xA,
                                                        0x1A,
                                                        0x2A,
                                                        0x1B,
                                                        0xE,
                                                        6,
                                                        0x12,
                                                        0,
                                                        random.nextInt(64))),
                                false);
                case 4 -> handle(head(4));
                case 5, 6 ->
                        handle(head(5))
                                .large(offset())
                                .number(pick(0, 1, 10, 4000, 300_000, -1, 100_000));
                case 7, 8 -> handle(head(6)).large(offset()).data(random.nextInt(3000));
                case 9 -> head(7).text(anywhere());
                case 10 -> handle(head(8));
                case 11 -> attributes(head(9).text(inside()), true);
                case 12 -> attributes(handle(head(10)), true);
                case 13 -> head(11).text(random.nextInt(6) == 0 ? "." : inside());
                case 14, 15 -> handle(head(12));
                case 16 -> head(13).text(inside());
                case 17 -> attributes(head(14).text(inside()), false);
                case 18 -> head(15).text(inside());
                case 19 -> head(16).text(anywhere());
                case 20 -> head(17).text(anywhere());
                case 21 -> head(18).text(oneOfTwo()).text(oneOfTwo());
                case 22 -> head(19).text(anywhere());
                case 23 ->
                        head(20).text(TARGETS.get(random.nextInt(TARGETS.size()))).text(oneOfTwo());
                default -> extended();
            };
        }

        private Message extended() {
            String name = EXTENSIONS.get(random.nextInt(EXTENSIONS.size()));
            Message message = head(200).text(name);
            return switch (name) {
                case "posix-rename@openssh.com", "hardlink@openssh.com" ->
                        message.text(oneOfTwo()).text(oneOfTwo());
                case "statvfs@openssh.com", "expand-path@openssh.com" -> message.text(anywhere());
                case "fstatvfs@openssh.com", "fsync@openssh.com" -> handle(message);
                case "lsetstat@openssh.com" -> attributes(message.text(inside()), true);
                // Never to the end of the file: OpenSSH copies a file to itself for ever.
                case "copy-data" ->
                        handle(
                                        handle(message)
                                                .large(random.nextInt(2000))
                                                .large(1 + random.nextInt(3) * 7000L))
                                .large(random.nextInt(2000));
                case "home-directory" ->
                        // An empty name means oneself only since OpenSSH 9.3.
                        message.text(random.nextBoolean() ? "root" : "nobody-here");
                case "users-groups-by-id@openssh.com" ->
                        message.data(new Message().number(0).number(1).number(60_000).whole())
                                .data(new Message().number(0).number(65534).whole());
                default -> message;
            };
        }

        private Message handle(Message message) {
            if (random.nextInt(12) == 0) {
                return message.data(random.nextInt(8));
            }
            // The first that are given out are these; some of them are closed by now.
            return message.number(4).number(random.nextInt(random.nextInt(20) == 0 ? 2000 : 5));
        }

        private long offset() {
            return switch (random.nextInt(8)) {
                case 0, 1, 2 -> 0;
                case 3, 4 -> random.nextInt(20);
                case 5, 6 -> random.nextInt(200_000);
                default -> -1L - random.nextInt(5);
            };
        }

        private String inside() {
            if (random.nextInt(20) == 0) {
                return root + "/" + INSIDE.get(random.nextInt(INSIDE.size()));
            }
            // The longest ones seldom.
            return INSIDE.get(random.nextInt(INSIDE.size() - (random.nextInt(5) == 0 ? 0 : 2)));
        }

        /** No name is too long for the system, which may complain of the other one first. */
        private String oneOfTwo() {
            return INSIDE.get(random.nextInt(INSIDE.size() - 2));
        }

        private String anywhere() {
            return random.nextInt(3) == 0 ? AROUND.get(random.nextInt(AROUND.size())) : inside();
        }

        private Message attributes(Message message, boolean owned) {
            int flags = random.nextInt(16);
            if (!owned) {
                flags &= ~2;
            }
            boolean more = random.nextInt(10) == 0;
            message.number(more ? flags | 0x8000_0000 : flags);
            if ((flags & 1) != 0) {
                message.large(random.nextInt(8) == 0 ? -1 : random.nextInt(150_000));
            }
            if ((flags & 2) != 0) {
                message.number(pick(0, 1, 65534, -1)).number(pick(0, 1, 100, -1));
            }
            if ((flags & 4) != 0) {
                message.number(pick(0644, 0600, 0777, 04755, 0, 0100644, -1, 01777));
            }
            if ((flags & 8) != 0) {
                message.number(random.nextInt(1_000_000_000)).number(random.nextInt(1_000_000_000));
            }
            if (more) {
                message.number(1).text("colour").text("blue");
            }
            return message;
        }

        /** A message that ends the session: cut short, or of an impossible length. */
        private byte[] bad() {
            return switch (random.nextInt(4)) {
                case 0 -> new Message().number(256 * 1024 + 1).number(7).whole();
                case 1 -> new Message().number(-1).number(7).whole();
                case 2 -> head(3).text("a\0b").number(1).number(0).framed();
                default -> {
                    byte[] whole = request().whole();
                    int length = 5 + random.nextInt(Math.max(1, Math.min(8, whole.length - 5)));
                    yield new Message()
                            .number(Math.min(length, whole.length))
                            .bytes(Arrays.copyOf(whole, Math.min(length, whole.length)))
                            .whole();
                }
            };
        }

        private int pick(int... of) {
            return of[random.nextInt(of.length)];
        }
    }

    private static final class Message {

        private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

        Message type(int type) {
            bytes.write(type);
            return this;
        }

        Message number(int value) {
            return bytes(ByteBuffer.allocate(4).putInt(value).array());
        }

        Message large(long value) {
            return bytes(ByteBuffer.allocate(8).putLong(value).array());
        }

        Message text(String text) {
            boolean latin = text.chars().allMatch(c -> c < 256);
            return data(text.getBytes(latin ? ISO_8859_1 : UTF_8));
        }

        Message data(byte[] data) {
            return number(data.length).bytes(data);
        }

        Message data(int length) {
            byte[] data = new byte[length];
            Arrays.fill(data, (byte) ('A' + length % 26));
            return data(data);
        }

        Message bytes(byte[] some) {
            bytes.writeBytes(some);
            return this;
        }

        byte[] whole() {
            return bytes.toByteArray();
        }

        byte[] framed() {
            return new Message().data(whole()).whole();
        }
    }
}
