package holdfast.ssh.server.session;

import holdfast.ssh.server.Login;
import holdfast.ssh.system.Logins;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.Locale;

/** What a user reads before the shell's prompt, as do_login in OpenSSH's session.c has it. */
final class Greeting {

    /** ctime(3). */
    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("EEE MMM ppd HH:mm:ss yyyy", Locale.ENGLISH);

    private Greeting() {}

    /** The lines, ended by \n each. */
    static String of(Login login, boolean command, Found found) {
        if (command || found.hushed()) {
            return "";
        }
        StringBuilder text = new StringBuilder();
        if (login.settings().printLastLog()) {
            Logins.Last last = Logins.last(login.account().uid());
            if (last != null) {
                text.append("Last login: ")
                        .append(TIME.format(last.when().atZone(ZoneId.systemDefault())));
                if (!last.host().isEmpty()) {
                    text.append(" from ").append(last.host());
                }
                text.append('\n');
            }
        }
        if (found.motd() != null) {
            text.append(found.motd());
        }
        return text.toString();
    }
}
