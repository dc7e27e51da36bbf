package holdfast.ssh.system;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.FileInputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Sockets over which open files pass, and those files, for real. */
@Timeout(60)
class LocalSocketTest {

    @TempDir private Path directory;

    private String path = "";
    private @Nullable LocalSocket listener;
    private @Nullable LocalSocket near;
    private @Nullable LocalSocket far;

    @BeforeEach
    void connect() throws Exception {
        path = directory.resolve("s").toString();
        listener = LocalSocket.listen(path, ".new");
        near = LocalSocket.connect(path);
        far = here(listener).accept();
    }

    @AfterEach
    void close() {
        for (LocalSocket one : new LocalSocket[] {far, near, listener}) {
            if (one != null) {
                one.close();
            }
        }
    }

    private static LocalSocket here(@Nullable LocalSocket socket) {
        if (socket == null) {
            throw new AssertionError("no socket");
        }
        return socket;
    }

    private LocalSocket near() {
        return here(near);
    }

    private LocalSocket far() {
        return here(far);
    }

    private static PassedFile here(@Nullable PassedFile file) {
        if (file == null) {
            throw new AssertionError("nothing was passed");
        }
        return file;
    }

    @Test
    void only_the_owner_may_connect_and_no_other_name_is_left() throws Exception {
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(Path.of(path))))
                .isEqualTo("rw-------");
        try (var all = Files.list(directory)) {
            assertThat(all.map(file -> file.getFileName().toString())).containsExactly("s");
        }
        assertThat(far().peer()).isEqualTo(Processes.user());
    }

    @Test
    void a_name_that_is_taken_is_left_alone() throws Exception {
        assertThat(LocalSocket.listen(path, ".new")).isNull();
        try (var all = Files.list(directory)) {
            assertThat(all.count()).isEqualTo(1);
        }
        try (LocalSocket again = LocalSocket.connect(path)) {
            assertThat(again.peer()).isEqualTo(Processes.user());
        }
    }

    @Test
    void a_name_that_is_too_long_is_told() {
        String longer = directory.resolve("x".repeat(120)).toString();
        assertThat(LocalSocket.fits(longer)).isFalse();
        assertThatThrownBy(() -> LocalSocket.connect(longer)).hasMessageContaining("too long");
        assertThatThrownBy(() -> LocalSocket.connect(directory + "/none"))
                .isInstanceOfSatisfying(
                        SystemException.class, e -> assertThat(e.noSuchFile()).isTrue());
    }

    @Test
    void bytes_and_files_come_in_the_order_they_were_sent() throws Exception {
        Path text = Files.writeString(directory.resolve("text"), "from a file");
        try (FileInputStream in = new FileInputStream(text.toFile())) {
            near().write("one".getBytes(UTF_8));
            near().pass(number(in));
            near().write("two".getBytes(UTF_8));
        }
        byte[] three = new byte[3];
        assertThat(far().read(three)).isTrue();
        assertThat(three).isEqualTo("one".getBytes(UTF_8));
        try (PassedFile file = here(far().receive(PassedFile.Use.INPUT))) {
            ByteBuffer bytes = ByteBuffer.allocate(100);
            assertThat(file.isTerminal()).isFalse();
            assertThat(file.read(bytes)).isEqualTo(11);
            assertThat(file.read(bytes)).isEqualTo(-1);
            assertThat(new String(bytes.array(), 0, 11, UTF_8)).isEqualTo("from a file");
        }
        assertThat(far().read(three)).isTrue();
        assertThat(three).isEqualTo("two".getBytes(UTF_8));
        near().close();
        assertThat(far().read(three)).isFalse();
    }

    /** Found by what it is, since Java does not tell. */
    private static int number(FileInputStream in) throws IOException {
        Path wanted = Path.of("/proc/self/fd");
        String name = null;
        try (var all = Files.list(wanted)) {
            for (Path one : all.toList()) {
                Path target = target(one);
                if (target != null
                        && target.getFileName() != null
                        && target.getFileName().toString().equals("text")) {
                    name = one.getFileName().toString();
                }
            }
        }
        assertThat(in.available()).isPositive();
        if (name == null) {
            throw new AssertionError("not open");
        }
        return Integer.parseInt(name);
    }

    private static @Nullable Path target(Path descriptor) {
        try {
            return Files.readSymbolicLink(descriptor);
        } catch (IOException gone) {
            return null;
        }
    }

    @Test
    void a_byte_without_a_file_is_no_file() throws Exception {
        near().write(new byte[1]);
        assertThat(far().receive(PassedFile.Use.INPUT)).isNull();
        near().passNothing();
        try (PassedFile nothing = here(far().receive(PassedFile.Use.INPUT))) {
            assertThat(nothing.read(ByteBuffer.allocate(1))).isEqualTo(-1);
            assertThat(nothing.size().columns()).isZero();
        }
        near().close();
        assertThat(far().receive(PassedFile.Use.INPUT)).isNull();
    }

    @Test
    void patience_has_an_end() {
        near().patience(Duration.ofMillis(50));
        assertThatThrownBy(() -> near().read(new byte[1]))
                .isInstanceOfSatisfying(
                        SystemException.class,
                        e -> assertThat(e.words()).isEqualTo("Resource temporarily unavailable"));
    }

    @Test
    void who_does_not_read_is_not_waited_for() throws Exception {
        byte[] much = new byte[64 * 1024];
        int taken = 0;
        while (taken < 1000 && near().offer(much)) {
            taken++;
        }
        assertThat(taken).isLessThan(1000);
    }

    @Test
    void closing_ends_a_read_and_an_accept() throws Exception {
        CompletableFuture<Boolean> read =
                CompletableFuture.supplyAsync(() -> {
                    try {
                        return near().read(new byte[1]);
                    } catch (IOException e) {
                        return false;
                    }
                });
        CompletableFuture<Boolean> accepted =
                CompletableFuture.supplyAsync(() -> {
                    try {
                        return here(listener).accept() != null;
                    } catch (IOException e) {
                        return true;
                    }
                });
        near().close();
        here(listener).close();
        assertThat(read.get(30, TimeUnit.SECONDS)).isFalse();
        assertThat(accepted.get(30, TimeUnit.SECONDS)).isFalse();
    }

    @Test
    void closing_a_passed_pipe_ends_who_reads_it_and_takes_nothing() throws Exception {
        Process cat = new ProcessBuilder("sleep", "60").start();
        try {
            int fd =
                    Native.call(
                            PassedFile.OPEN,
                            Native.string(Arena.global(), "/proc/" + cat.pid() + "/fd/0").address(),
                            0,
                            0);
            near().pass(fd);
            Native.close(fd);
            PassedFile pipe = here(far().receive(PassedFile.Use.INPUT));
            CompletableFuture<Throwable> reading =
                    CompletableFuture.supplyAsync(() -> {
                        try {
                            pipe.read(ByteBuffer.allocate(10));
                            return new AssertionError("something was read");
                        } catch (IOException e) {
                            return e;
                        }
                    });
            pipe.close();
            assertThat(reading.get(30, TimeUnit.SECONDS))
                    .isInstanceOf(ClosedChannelException.class);
        } finally {
            cat.destroyForcibly().waitFor();
        }
    }
}
