package holdfast.ssh.system;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LoginsTest {

    @TempDir Path dir;

    @Test
    void a_refused_password_is_one_record_more() throws Exception {
        Path btmp = Files.createFile(dir.resolve("btmp"));
        mode(btmp, "rw-rw----");
        InetAddress from = InetAddress.getByName("192.0.2.1");
        assertThat(Logins.failed(btmp, "somebody", "192.0.2.1", from)).isNull();
        assertThat(Logins.failed(btmp, "nobody-at-all", "192.0.2.1", from)).isNull();
        byte[] all = Files.readAllBytes(btmp);
        assertThat(all.length % 2).isZero();
        assertThat(all.length).isBetween(2 * 384, 2 * 400);
        String text = new String(all, StandardCharsets.ISO_8859_1);
        assertThat(text.indexOf("ssh:notty")).isEqualTo(8);
        assertThat(text.indexOf("somebody")).isEqualTo(44);
        assertThat(text.indexOf("nobody-at-all")).isEqualTo(all.length / 2 + 44);
    }

    @Test
    void a_file_that_others_may_read_has_no_names_put_into_it() throws Exception {
        Path btmp = Files.createFile(dir.resolve("btmp"));
        mode(btmp, "rw-rw-r--");
        assertThat(Logins.failed(btmp, "somebody", "192.0.2.1", null))
                .isEqualTo("Excess permission or bad ownership on file " + btmp);
        assertThat(btmp).isEmptyFile();
    }

    @Test
    void a_file_that_is_not_there_is_not_made() {
        Path btmp = dir.resolve("btmp");
        assertThat(Logins.failed(btmp, "somebody", "192.0.2.1", null)).isNull();
        assertThat(btmp).doesNotExist();
    }

    private static void mode(Path file, String mode) throws Exception {
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString(mode));
    }
}
