package holdfast.ssh.server.session;

import holdfast.ssh.config.Patterns;
import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.hostkeys.NumericAddress;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.server.Login;
import holdfast.ssh.system.Account;
import holdfast.ssh.system.Accounts;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;

/**
 * The environment of a session's program: names and precedence of do_setup_env in OpenSSH's
 * session.c, paths as Debian builds it.
 */
final class ChildEnvironment {

    private static final String ROOT_PATH =
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    private static final String USER_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/games";

    /**
     * What is known when a program is about to start; null: not there.
     *
     * @param accepted what the client set and AcceptEnv let through
     * @param display DISPLAY of a forwarded X11 server
     * @param original what the client asked for where something else runs
     * @param own the lines of ~/.ssh/environment
     * @param ownZone TZ of the server itself
     */
    record Circumstances(
            Map<String, String> accepted,
            @Nullable String term,
            @Nullable String terminal,
            @Nullable String agent,
            @Nullable String proofs,
            @Nullable String display,
            @Nullable String original,
            @Nullable InetSocketAddress remote,
            @Nullable InetSocketAddress local,
            List<String> own,
            @Nullable String ownZone) {}

    private final Map<String, String> environment = new LinkedHashMap<>();
    private final List<String> complaints = new ArrayList<>();

    private ChildEnvironment() {}

    /** The environment for {@code login}'s program. */
    static ChildEnvironment of(Login login, Circumstances now) {
        ChildEnvironment made = new ChildEnvironment();
        made.fill(login, now);
        return made;
    }

    Map<String, String> map() {
        return environment;
    }

    /** Lines for the user: what is wrong in their ~/.ssh/environment. */
    List<String> complaints() {
        return complaints;
    }

    private void fill(Login login, Circumstances now) {
        Account account = login.account();
        ServerSettings settings = login.settings();
        put("TZ", now.ownZone());
        environment.putAll(now.accepted());
        put("USER", account.name());
        put("LOGNAME", account.name());
        put("HOME", Octets.text(account.home()));
        put("PATH", account.uid() == 0 ? ROOT_PATH : USER_PATH);
        if (!settings.usePam()) {
            put("MAIL", "/var/mail/" + account.name());
        }
        put("SHELL", Octets.text(account.shell()));
        if (now.terminal() != null) {
            put("TERM", now.term());
        }
        put("SSH_AUTH_SOCK", now.agent());
        String permitted = settings.permitUserEnvironment();
        if (permitted != null) {
            BiConsumer<String, String> listed =
                    (name, value) -> {
                        if (Patterns.list(name, permitted, false) == 1) {
                            put(name, value);
                        }
                    };
            login.permissions().environment().forEach(listed);
            read(now.own(), account.home().resolve(".ssh/environment"), listed);
        }
        environment.putAll(settings.setEnv());
        if (settings.usePam()) {
            // What pam_env of Debian's pam.d/sshd brings.
            pamEnvironment(Path.of("/etc/environment"));
            pamEnvironment(Path.of("/etc/default/locale"));
            if (Accounts.privileged() && PamWords.showsMotd(settings.pamServiceName())) {
                put("MOTD_SHOWN", "pam");
            }
        }
        put("SSH_USER_AUTH", now.proofs());
        String remote = host(now.remote());
        int remotePort = port(now.remote());
        put("SSH_CLIENT", remote + " " + remotePort + " " + port(now.local()));
        put(
                "SSH_CONNECTION",
                remote + " " + remotePort + " " + host(now.local()) + " " + port(now.local()));
        put("SSH_TTY", now.terminal());
        put("DISPLAY", now.display());
        put("SSH_ORIGINAL_COMMAND", now.original());
    }

    private void put(String name, @Nullable String value) {
        if (value != null && !name.isEmpty() && name.indexOf('=') < 0) {
            environment.put(name, value);
        }
    }

    private static String host(@Nullable InetSocketAddress address) {
        if (address == null) {
            return "UNKNOWN";
        }
        InetAddress ip = address.getAddress();
        return ip == null ? address.getHostString() : NumericAddress.text(ip);
    }

    private static int port(@Nullable InetSocketAddress address) {
        return address == null ? 65535 : address.getPort();
    }

    /** ~/.ssh/environment: NAME=value, no quotes, # begins a comment line. */
    private void read(List<String> lines, Path file, BiConsumer<String, String> set) {
        int number = 0;
        for (String line : lines) {
            number++;
            String text = line.stripLeading();
            if (text.isEmpty() || text.charAt(0) == '#') {
                continue;
            }
            int equals = text.indexOf('=');
            if (equals < 0) {
                complaints.add("Bad line " + number + " in " + Octets.text(file));
                continue;
            }
            set.accept(text.substring(0, equals), text.substring(equals + 1));
        }
    }

    /** pam_env(8): comments to the end of the line, an optional "export", matching quotes. */
    private void pamEnvironment(Path file) {
        for (String line : Found.lines(file)) {
            int comment = line.indexOf('#');
            String text = (comment < 0 ? line : line.substring(0, comment)).strip();
            if (text.startsWith("export ") || text.startsWith("export\t")) {
                text = text.substring(7).stripLeading();
            }
            int equals = text.indexOf('=');
            if (equals < 1 || !text.substring(0, equals).matches("[A-Za-z0-9_]+")) {
                continue;
            }
            String name = text.substring(0, equals);
            String value = text.substring(equals + 1);
            if (!value.isEmpty() && (value.charAt(0) == '"' || value.charAt(0) == '\'')) {
                char quote = value.charAt(0);
                value = value.substring(1);
                if (!value.isEmpty() && value.charAt(value.length() - 1) == quote) {
                    value = value.substring(0, value.length() - 1);
                }
            }
            if (!name.startsWith("SSH_AUTH_INFO") && !name.startsWith("SSH_CONNECTION")) {
                put(name, value);
            }
        }
    }
}
