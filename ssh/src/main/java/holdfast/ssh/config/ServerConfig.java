package holdfast.ssh.config;

import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** The configuration of a server: sshd_config read once, and asked for each connection. */
public final class ServerConfig {

    private final ServerValues values;
    private final ServerSettings global;

    private ServerConfig(ServerValues values) {
        this.values = values;
        this.global = ServerResolution.settings(values);
    }

    /**
     * What Match lines compare with; a part that is null (a port that is -1) matches no line.
     *
     * @param user the name the client logs in as
     * @param invalidUser whether there is no such account
     * @param groups the names of the user's groups, asked for only where a Match line needs them
     * @param host the name of the client: its address, unless UseDNS found a name for it
     * @param address the numeric address of the client
     * @param localAddress the numeric address it came in by
     */
    public record Connection(
            @Nullable String user,
            boolean invalidUser,
            Supplier<Set<String>> groups,
            @Nullable String host,
            @Nullable String address,
            @Nullable String localAddress,
            int localPort) {}

    /** The configuration that these lines of an sshd_config are. */
    public static ServerConfig of(List<String> lines) throws ConfigException {
        ServerValues values = new ServerValues();
        int number = 0;
        for (String text : lines) {
            number++;
            line(values, text, "sshd_config line " + number);
        }
        values.putIfAbsent(ServerKeyword.PORT, List.of("22"));
        values.putIfAbsent(ServerKeyword.LISTEN_ADDRESS, List.of("[::]:22", "0.0.0.0:22"));
        return new ServerConfig(values);
    }

    private static void line(ServerValues values, String text, String where)
            throws ConfigException {
        List<String> words = Words.split(text);
        if (words == null || words.isEmpty()) {
            return;
        }
        ServerKeyword keyword = ServerKeyword.named(words.get(0).toLowerCase(Locale.ROOT));
        if (keyword == null) {
            throw ConfigException.of(where + ": Bad configuration option: " + words.get(0));
        }
        List<String> arguments = words.subList(1, words.size());
        if (keyword.shape().isChoice()) {
            String choice = keyword.shape().choice(arguments.get(0));
            values.putIfAbsent(keyword, List.of(choice == null ? "" : choice));
        } else if (keyword.shape() == ServerKeyword.Shape.TIME) {
            int seconds = Quantities.seconds(arguments.get(0));
            values.putIfAbsent(keyword, List.of(Integer.toString(seconds)));
        } else if (keyword == ServerKeyword.ACCEPT_ENV
                || keyword == ServerKeyword.SET_ENV
                || keyword == ServerKeyword.HOST_KEY) {
            values.append(keyword, arguments);
        } else if (keyword == ServerKeyword.SUBSYSTEM) {
            values.append(keyword, List.of(String.join(" ", arguments)));
        } else if (keyword == ServerKeyword.FORCE_COMMAND) {
            values.putIfAbsent(keyword, List.of(String.join(" ", arguments)));
        } else {
            values.putIfAbsent(keyword, arguments);
        }
    }

    /** What holds before anything is known of a client. */
    public ServerSettings global() {
        return global;
    }

    /** What holds for one connection: the Match blocks that apply to it have been put on top. */
    public ServerSettings settingsFor(Connection connection) {
        return values.has(ServerKeyword.MATCH) ? ServerResolution.settings(values) : global;
    }
}
