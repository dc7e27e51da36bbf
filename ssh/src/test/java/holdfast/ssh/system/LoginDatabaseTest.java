package holdfast.ssh.system;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LoginDatabaseTest {

    @TempDir Path dir;

    @Test
    void a_login_is_open_until_its_end_is_entered() {
        assumeTrue(LoginDatabase.available(), "libwtmpdb is not installed");
        Path file = dir.resolve("wtmp.db");
        Instant when = Instant.ofEpochSecond(1_700_000_000, 250_000);
        LoginDatabase.in(file, "joe", "pts/7", "192.0.2.1", when);
        assertThat(LoginDatabase.open(file, "pts/7")).isPositive();
        assertThat(LoginDatabase.open(file, "pts/8")).isNegative();
        LoginDatabase.out(file, "pts/8", when);
        LoginDatabase.out(file, "pts/7", when.plusSeconds(60));
        assertThat(LoginDatabase.open(file, "pts/7")).isNegative();
        assertThat(file).content(StandardCharsets.ISO_8859_1).contains("joe", "192.0.2.1");
    }

    @Test
    void without_the_library_nothing_is_done() {
        assumeTrue(!LoginDatabase.available(), "libwtmpdb is installed");
        Path file = dir.resolve("wtmp.db");
        LoginDatabase.in(file, "joe", "pts/7", "192.0.2.1", Instant.EPOCH);
        LoginDatabase.out(file, "pts/7", Instant.EPOCH);
        assertThat(file).doesNotExist();
    }
}
