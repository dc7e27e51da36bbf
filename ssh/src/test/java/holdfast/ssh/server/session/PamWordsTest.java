package holdfast.ssh.server.session;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.log.Log;
import holdfast.ssh.system.Account;
import holdfast.ssh.system.Accounts;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What pam_motd and pam_mail would say. */
final class PamWordsTest {

    @TempDir Path directory;

    private String words(String service) throws Exception {
        Account me = Accounts.own();
        return PamWords.of(
                directory,
                directory.resolve("updates"),
                directory.resolve("motd.dynamic"),
                service,
                me,
                Log.silent());
    }

    private Path file(String name, String text) throws Exception {
        Path file = directory.resolve(name);
        Files.createDirectories(file.getParent());
        return Files.writeString(file, text);
    }

    @Test
    void the_message_of_the_day_is_what_the_scripts_say_now_and_the_files_then() throws Exception {
        Path script = file("updates/10-now", "#!/bin/sh\necho from a script $HOME\n");
        Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
        Path first = file("first", "first");
        Path second = file("second", "second\n");
        file("dir/b", "b\n");
        file("dir/a", "a\n");
        file("over/a", "over a\n");
        file("common", "session optional pam_motd.so noupdate motd=" + first + ":" + second + "\n");
        file(
                "sshd",
                "# session optional pam_motd.so motd=/none\n"
                        + "auth required pam_motd.so motd="
                        + second
                        + "\n"
                        + "session [success=ok default=bad] pam_motd.so motd="
                        + directory.resolve("motd.dynamic")
                        + "\n"
                        + "@include common\n"
                        + "-session optional /lib/security/pam_motd.so noupdate motd_dir="
                        + directory.resolve("over")
                        + ":"
                        + directory.resolve("dir")
                        + "\n"
                        + "session optional pam_other.so\n");
        assertThat(words("sshd")).isEqualTo("from a script\nfirst\nover a\nb\n");
        assertThat(words("none")).isEmpty();
    }

    @Test
    void a_service_that_includes_itself_comes_to_an_end() throws Exception {
        Path text = file("text", "once\n");
        file("sshd", "session optional pam_motd.so noupdate motd=" + text + "\n@include sshd\n");
        assertThat(words("sshd").lines()).hasSizeBetween(1, 10);
    }

    @Test
    void mail_is_new_until_it_was_read() throws Exception {
        file("sshd", "session optional pam_mail.so standard dir=" + directory.resolve("mail"));
        assertThat(words("sshd")).isEmpty();
        Path box = file("mail/" + Accounts.own().name(), "From somebody\n");
        Files.setAttribute(box, "lastAccessTime", FileTime.fromMillis(1_000_000));
        assertThat(words("sshd")).isEqualTo("You have new mail.\n");
        Files.setAttribute(box, "lastAccessTime", FileTime.fromMillis(4_000_000_000_000L));
        assertThat(words("sshd")).isEqualTo("You have mail.\n");
    }
}
