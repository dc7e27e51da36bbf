package holdfast.ssh.system;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

final class AccountsTest {

    @Test
    void root_is_known_by_name_and_by_number() throws Exception {
        Account root = Accounts.named("root").orElseThrow();

        assertThat(root.uid()).isZero();
        assertThat(root.gid()).isZero();
        assertThat(root.group()).isEqualTo("root");
        assertThat(root.groups()).contains(0);
        assertThat(root.groupNames()).contains("root");
        assertThat(root.home()).isEqualTo(Path.of("/root"));
        assertThat(root.shell()).isAbsolute();
        assertThat(Accounts.numbered(0)).contains(root);
    }

    @Test
    void whoever_is_not_there_is_not_found() throws Exception {
        for (String name :
                List.of("", "no-such-user", "a\0b", "x".repeat(100_000), "root ", "röot", "0")) {
            assertThat(Accounts.named(name)).as(name).isEmpty();
        }
        assertThat(Accounts.numbered(-2)).isEmpty();
        assertThat(Accounts.numbered(1_999_999_999)).isEmpty();
    }

    @Test
    void groups_are_found_by_name() throws Exception {
        assertThat(Accounts.group("root")).contains(0);
        assertThat(Accounts.group("no-such-group")).isEmpty();
        assertThat(Accounts.group("a\0b")).isEmpty();
    }

    @Test
    void we_are_who_the_system_says_we_are() throws Exception {
        Run id = Run.of(Run.shell("id -u; id -g; id -un; id -G | tr ' ' '\\n' | sort -n"));
        List<String> lines = id.output().lines().toList();
        Account own = Accounts.own();

        assertThat(lines.get(0)).isEqualTo("" + own.uid());
        assertThat(lines.get(1)).isEqualTo("" + own.gid());
        assertThat(lines.get(2)).isEqualTo(own.name());
        assertThat(own.groups()).contains(own.gid());
    }
}
