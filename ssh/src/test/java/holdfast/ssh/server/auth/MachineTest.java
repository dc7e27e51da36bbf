package holdfast.ssh.server.auth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import holdfast.ssh.log.Log;
import holdfast.ssh.system.Account;
import holdfast.ssh.system.Pam;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The machine as it is. */
class MachineTest {

    @TempDir Path directory;

    @Test
    void it_knows_its_users_and_no_others() throws Exception {
        Account root = Objects.requireNonNull(Machine.REAL.account("root"));
        assertThat(root.uid()).isZero();
        assertThat(Machine.REAL.account("nobody-of-that-name")).isNull();
        int uid = (int) Files.getAttribute(Path.of("/proc/self"), "unix:uid");
        assertThat(Machine.REAL.own().uid()).isEqualTo(uid);
        assertThat(Machine.REAL.privileged()).isEqualTo(uid == 0);
    }

    @Test
    void a_file_is_opened_with_the_users_rights_and_not_the_servers() throws Exception {
        assumeTrue(Machine.REAL.privileged());
        Account nobody = Machine.REAL.account("nobody");
        assumeTrue(nobody != null);
        Path file = directory.resolve("secret");
        Files.writeString(file, "x");
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
        assertThatThrownBy(() -> Machine.REAL.as(nobody, () -> Files.readString(file)))
                .isInstanceOf(AccessDeniedException.class);
        assertThat(Files.readString(file)).isEqualTo("x");
        List<String> said = new ArrayList<>();
        assertThat(
                        UserFiles.open(
                                Machine.REAL,
                                nobody,
                                file,
                                false,
                                "authorized keys",
                                new Log(Log.Level.INFO, line -> said.add(line.strip()))))
                .isNull();
        assertThat(said)
                .containsExactly(
                        "Could not open user 'nobody' authorized keys '"
                                + file
                                + "': Permission denied");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
        assertThat(Machine.REAL.as(nobody, () -> Files.readString(file))).isEqualTo("x");
    }

    @Test
    void pam_refuses_a_wrong_password_for_those_who_exist_and_those_who_do_not() {
        assumeTrue(Machine.REAL.pam());
        for (String user : List.of("nobody", "nobody-of-that-name")) {
            Pam.Verdict verdict =
                    Machine.REAL.authenticate(
                            "sshd",
                            user,
                            "192.0.2.1",
                            false,
                            prompts -> {
                                char[][] answers = new char[prompts.size()][];
                                java.util.Arrays.fill(answers, "wrong".toCharArray());
                                return answers;
                            });
            assertThat(verdict.result()).as(user).isEqualTo(Pam.Verdict.Result.REFUSED);
        }
        assertThat(Machine.REAL.mayEnter("sshd", "root", "192.0.2.1").result())
                .isEqualTo(Pam.Verdict.Result.ACCEPTED);
    }
}
