package holdfast.ssh.server.session;

import holdfast.ssh.server.Login;
import holdfast.ssh.system.Account;
import holdfast.ssh.system.Logins;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** What a user reads before the shell's prompt, as do_login in OpenSSH's session.c has it. */
final class Greeting {

    private static final Path MOTD = Path.of("/etc/motd");
    private static final Path NOLOGIN = Path.of("/etc/nologin");
    private static final long MAX_BYTES = 64 * 1024;

    /** ctime(3). */
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("EEE MMM ppd HH:mm:ss yyyy", Locale.ENGLISH);

    private Greeting() {}

    /** The lines, ended by \n each. */
    static String of(Login login, boolean command) {
        Account account = login.account();
        if (command || Files.exists(account.home().resolve(".hushlogin"))) {
            return "";
        }
        StringBuilder text = new StringBuilder();
        if (login.settings().printLastLog()) {
            Logins.Last last = Logins.last(account.uid());
            if (last != null) {
                text.append("Last login: ")
                        .append(TIME.format(last.when().atZone(ZoneId.systemDefault())));
                if (!last.host().isEmpty()) {
                    text.append(" from ").append(last.host());
                }
                text.append('\n');
            }
        }
        if (login.settings().printMotd()) {
            String motd = read(MOTD);
            if (motd != null) {
                text.append(motd);
            }
        }
        return text.toString();
    }

    /** Why nobody but root may come in now; null: they may. */
    static @Nullable String nologin(Account account) {
        if (account.uid() == 0 || !Files.exists(NOLOGIN)) {
            return null;
        }
        String text = read(NOLOGIN);
        return text == null ? "" : text;
    }

    private static @Nullable String read(Path file) {
        try {
            return Files.isRegularFile(file) && Files.size(file) <= MAX_BYTES
                    ? new String(Files.readAllBytes(file), StandardCharsets.UTF_8)
                    : null;
        } catch (IOException e) {
            // As OpenSSH: what cannot be read is not shown.
            return null;
        }
    }
}
