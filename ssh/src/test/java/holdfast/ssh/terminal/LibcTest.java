package holdfast.ssh.terminal;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

@EnabledOnOs(OS.LINUX)
class LibcTest {

    @TempDir Path directory;

    @Test
    void a_pipe_is_made_wider_and_never_narrower() throws Exception {
        Path fifo = directory.resolve("fifo");
        assertThat(new ProcessBuilder("mkfifo", fifo.toString()).start().waitFor()).isZero();
        int fd = open(fifo);
        try {
            int before = Libc.pipeCapacity(fd);
            assertThat(before).isPositive().isLessThan(StandardInput.WIDE);
            Libc.widenPipe(fd, StandardInput.WIDE);
            assertThat(Libc.pipeCapacity(fd)).isEqualTo(StandardInput.WIDE);
            Libc.widenPipe(fd, before);
            assertThat(Libc.pipeCapacity(fd)).isEqualTo(StandardInput.WIDE);
        } finally {
            Libc.close(fd);
        }
    }

    @Test
    void what_is_no_pipe_is_left_alone() throws Exception {
        Path file = Files.writeString(directory.resolve("file"), "text");
        int fd = open(file);
        try {
            Libc.widenPipe(fd, StandardInput.WIDE);
            assertThat(Libc.pipeCapacity(fd)).isNegative();
        } finally {
            Libc.close(fd);
        }
        assertThat(file).hasContent("text");
    }

    private static int open(Path path) {
        try (Arena arena = Arena.ofConfined()) {
            int fd = Libc.open(arena.allocateFrom(path.toString()));
            assertThat(fd).isNotNegative();
            return fd;
        }
    }
}
