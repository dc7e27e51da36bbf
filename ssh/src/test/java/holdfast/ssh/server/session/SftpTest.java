package holdfast.ssh.server.session;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** internal-sftp and an external file server, with Debian's sftp, scp and rsync. */
@Timeout(120)
class SftpTest {

    private static final String USER = System.getProperty("user.name");

    @TempDir Path directory;

    private @Nullable SessionServer server;
    private Path here = Path.of("");
    private Path there = Path.of("");

    @BeforeEach
    void places() throws Exception {
        here = Files.createDirectory(directory.resolve("here"));
        there = Files.createDirectory(directory.resolve("there"));
    }

    @AfterEach
    void stop() throws Exception {
        if (server != null) {
            server.close();
        }
    }

    private SessionServer serve(String... lines) throws Exception {
        SessionServer made = new SessionServer(directory, lines);
        server = made;
        return made;
    }

    private SessionServer.Ran sftp(SessionServer server, String... commands) throws Exception {
        List<String> words = new ArrayList<>(List.of("sftp"));
        words.addAll(server.options());
        words.addAll(List.of("-P", String.valueOf(server.port), "-b", "-"));
        words.add(USER + "@127.0.0.1");
        return server.run(String.join("\n", commands).getBytes(UTF_8), words);
    }

    @Test
    void files_go_and_come_with_their_modes_and_times() throws Exception {
        SessionServer server = serve("Subsystem sftp internal-sftp");
        byte[] data = new byte[20 << 20];
        new Random(2).nextBytes(data);
        Path file = here.resolve("file");
        Files.write(file, data);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-x-w-"));
        FileTime time = FileTime.from(Instant.parse("2001-02-03T04:05:06Z"));
        Files.setLastModifiedTime(file, time);
        SessionServer.Ran ran =
                sftp(
                        server,
                        "put -p " + file + " " + there + "/copy",
                        "get -p " + there + "/copy " + here + "/back");
        assertThat(ran.status()).as(ran.err()).isZero();
        for (Path each : List.of(there.resolve("copy"), here.resolve("back"))) {
            assertThat(Arrays.equals(Files.readAllBytes(each), data)).isTrue();
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(each)))
                    .isEqualTo("rwxr-x-w-");
            assertThat(Files.getLastModifiedTime(each)).isEqualTo(time);
        }
    }

    @Test
    void names_are_changed_linked_listed_and_removed() throws Exception {
        SessionServer server = serve("Subsystem sftp internal-sftp");
        Files.writeString(there.resolve("a"), "one");
        Files.writeString(there.resolve("b"), "two");
        Files.writeString(here.resolve("empty"), "");
        SessionServer.Ran ran =
                sftp(
                        server,
                        "cd " + there,
                        "pwd",
                        "rename a c",
                        "rename b c",
                        "ln c hard",
                        "symlink c soft",
                        "chmod 640 c",
                        "mkdir sub",
                        "put " + here + "/empty sub/empty",
                        "-rmdir sub",
                        "rm sub/empty",
                        "rmdir sub",
                        "df",
                        "ls -ln");
        assertThat(ran.status()).as(ran.err()).isZero();
        assertThat(ran.text())
                .contains("Remote working directory: " + there.toRealPath())
                .containsPattern("-rw-r----- +. \\w+ +\\w+ +3 \\w+ +\\d+ [0-9:]+ c\n");
        assertThat(ran.err()).contains("rmdir").contains("Failure");
        assertThat(Files.readString(there.resolve("c"))).isEqualTo("two");
        assertThat(there.resolve("b")).doesNotExist();
        assertThat(Files.getAttribute(there.resolve("hard"), "unix:nlink")).isEqualTo(2);
        assertThat(Files.readSymbolicLink(there.resolve("soft"))).isEqualTo(Path.of("c"));
        assertThat(Files.exists(there.resolve("sub"), LinkOption.NOFOLLOW_LINKS)).isFalse();
    }

    @Test
    void a_name_of_any_bytes_is_kept() throws Exception {
        SessionServer server = serve("Subsystem sftp internal-sftp");
        Process made =
                server.start(
                        List.of(
                                "bash",
                                "-c",
                                "printf x > $'"
                                        + here
                                        + "/n\\xff\\xe4'; "
                                        + String.join(" ", scp(server, "-r"))
                                        + " "
                                        + here
                                        + " "
                                        + USER
                                        + "@127.0.0.1:"
                                        + there
                                        + "; ls "
                                        + there
                                        + "/here | od -An -tx1"));
        assertThat(new String(made.getInputStream().readAllBytes(), UTF_8).strip())
                .isEqualTo("6e ff e4 0a");
    }

    private static List<String> scp(SessionServer server, String option) {
        List<String> words = new ArrayList<>(List.of("scp", option));
        words.addAll(server.options());
        words.addAll(List.of("-P", String.valueOf(server.port)));
        return words;
    }

    @Test
    void a_directory_of_many_files_arrives_whole_by_scp_and_by_rsync() throws Exception {
        SessionServer server = serve("Subsystem sftp internal-sftp");
        Random random = new Random(3);
        for (int i = 0; i < 300; i++) {
            byte[] data = new byte[random.nextInt(70_000)];
            random.nextBytes(data);
            Files.write(here.resolve("file" + i), data);
        }
        List<String> words = scp(server, "-rp");
        words.addAll(List.of(here.toString(), USER + "@127.0.0.1:" + there));
        SessionServer.Ran ran = server.run(new byte[0], words);
        assertThat(ran.status()).as(ran.err()).isZero();
        same(there.resolve("here"));
        ran =
                server.run(
                        new byte[0],
                        List.of(
                                "rsync",
                                "-a",
                                "-e",
                                String.join(" ", server.ssh()),
                                here + "/",
                                USER + "@127.0.0.1:" + there + "/synced"));
        assertThat(ran.status()).as(ran.err()).isZero();
        same(there.resolve("synced"));
    }

    private void same(Path copy) throws Exception {
        Process diff = new ProcessBuilder("diff", "-r", here.toString(), copy.toString()).start();
        assertThat(diff.waitFor()).isZero();
    }

    @Test
    void a_read_only_server_changes_nothing_and_forbidden_requests_are_refused() throws Exception {
        SessionServer server = serve("Subsystem sftp internal-sftp -R -P opendir");
        Files.writeString(there.resolve("a"), "one");
        assertThat(sftp(server, "rm " + there + "/a").err()).contains("Permission denied");
        assertThat(sftp(server, "put /etc/hostname " + there + "/b").status()).isNotZero();
        assertThat(sftp(server, "get " + there + "/a " + here + "/a").status()).isZero();
        assertThat(sftp(server, "ls " + there).status()).isNotZero();
        assertThat(there.resolve("b")).doesNotExist();
    }

    @Test
    void forced_internal_sftp_serves_files_and_nothing_else() throws Exception {
        SessionServer server =
                serve("Subsystem sftp internal-sftp", "ForceCommand internal-sftp -d " + there);
        Files.writeString(there.resolve("a"), "one");
        assertThat(sftp(server, "get a " + here + "/a").status()).isZero();
        SessionServer.Ran ran = server.command("id");
        assertThat(ran.text()).isEqualTo("This service allows sftp connections only.\n");
        assertThat(ran.status()).isEqualTo(1);
    }

    @Test
    void a_program_may_serve_files_too() throws Exception {
        SessionServer server = serve("Subsystem sftp /usr/lib/openssh/sftp-server");
        SessionServer.Ran ran =
                sftp(server, "put /etc/hostname " + there + "/a", "get " + there + "/a " + here);
        assertThat(ran.status()).as(ran.err()).isZero();
        assertThat(server.logged("Starting session: subsystem 'sftp' for " + USER)).isTrue();
    }
}
