package holdfast.ssh.config;

import holdfast.ssh.config.ServerConfig.Connection;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** One Match line of sshd_config: criteria that must all hold. Immutable. */
final class MatchLine {

    /** The release whose behaviour Holdfast follows, which {@code Match version} compares with. */
    static final String RELEASE = "OpenSSH_10.0p1";

    /** One criterion of the line. */
    private record Criterion(Kind kind, String argument) {}

    private enum Kind {
        ALL,
        INVALID_USER,
        USER,
        GROUP,
        HOST,
        ADDRESS,
        LOCAL_ADDRESS,
        LOCAL_PORT,
        VERSION
    }

    private final List<Criterion> criteria;

    private MatchLine(List<Criterion> criteria) {
        this.criteria = List.copyOf(criteria);
    }

    /** What is wrong with a line. */
    static final class Bad extends Exception {
        private static final long serialVersionUID = 1;

        /** Whether OpenSSH ends at once, without naming the line again. */
        final boolean fatal;

        Bad(String message, boolean fatal) {
            super(message, null, false, false);
            this.fatal = fatal;
        }

        String text() {
            return String.valueOf(getMessage());
        }
    }

    /**
     * Reads the words after "Match".
     *
     * @param number of the line, for what is wrong
     */
    static MatchLine parse(List<String> words, int number) throws Bad {
        List<Criterion> criteria = new ArrayList<>();
        int at = 0;
        while (at < words.size()) {
            String word = words.get(at++);
            String name = word.toLowerCase(Locale.ROOT);
            if (name.equals("all")) {
                boolean more = at < words.size() && !words.get(at).isEmpty();
                if (!criteria.isEmpty() || more) {
                    throw new Bad("'all' cannot be combined with other Match attributes", false);
                }
                return new MatchLine(List.of(new Criterion(Kind.ALL, "")));
            }
            if (name.equals("invalid-user")) {
                criteria.add(new Criterion(Kind.INVALID_USER, ""));
                continue;
            }
            if (name.equals("rdomain") || name.startsWith("rdomain=")) {
                // A block that could never apply would be a restriction that never holds.
                throw new Bad("Match rdomain is not supported on this platform", false);
            }
            String argument = "";
            int equals = name.indexOf('=');
            Kind kind = kind(equals < 0 ? name : name.substring(0, equals));
            if (equals >= 0 && kind != null) {
                argument = word.substring(equals + 1);
            } else if (at < words.size()) {
                argument = words.get(at++);
            }
            String spelled = equals >= 0 && kind != null ? word.substring(0, equals) : word;
            if (argument.isEmpty()) {
                throw new Bad("Missing Match criteria for " + spelled, false);
            }
            if (kind == null) {
                throw new Bad("Unsupported Match attribute " + word, false);
            }
            criteria.add(new Criterion(kind, checked(kind, argument, number)));
        }
        if (criteria.isEmpty()) {
            throw new Bad("One or more attributes required for Match", false);
        }
        return new MatchLine(criteria);
    }

    private static @Nullable Kind kind(String name) {
        return switch (name) {
            case "user" -> Kind.USER;
            case "group" -> Kind.GROUP;
            case "host" -> Kind.HOST;
            case "address" -> Kind.ADDRESS;
            case "localaddress" -> Kind.LOCAL_ADDRESS;
            case "localport" -> Kind.LOCAL_PORT;
            case "version" -> Kind.VERSION;
            default -> null;
        };
    }

    private static String checked(Kind kind, String argument, int number) throws Bad {
        return switch (kind) {
            case ADDRESS, LOCAL_ADDRESS -> {
                if (!AddressList.isValid(argument)) {
                    throw new Bad(
                            "Invalid Match "
                                    + (kind == Kind.ADDRESS ? "address" : "localaddress")
                                    + " argument '"
                                    + argument
                                    + "' at line "
                                    + number,
                            true);
                }
                yield argument;
            }
            case LOCAL_PORT -> {
                int port = Quantities.port(argument);
                if (port < 0) {
                    throw new Bad("Invalid LocalPort '" + argument + "' on Match line", false);
                }
                yield Integer.toString(port);
            }
            case ALL, INVALID_USER, USER, GROUP, HOST, VERSION -> argument;
        };
    }

    /** Whether it holds whoever comes, so that even a server without clients is under it. */
    boolean always() {
        for (Criterion criterion : criteria) {
            boolean holds =
                    switch (criterion.kind()) {
                        case ALL -> true;
                        case VERSION -> Patterns.list(RELEASE, criterion.argument(), false) == 1;
                        case INVALID_USER, USER, GROUP, HOST, ADDRESS, LOCAL_ADDRESS, LOCAL_PORT ->
                                false;
                    };
            if (!holds) {
                return false;
            }
        }
        return true;
    }

    /** Whether it holds for this client. */
    boolean holds(Connection who) {
        for (Criterion criterion : criteria) {
            if (!holds(criterion, who)) {
                return false;
            }
        }
        return true;
    }

    private static boolean holds(Criterion criterion, Connection who) {
        String argument = criterion.argument();
        return switch (criterion.kind()) {
            case ALL -> true;
            case INVALID_USER -> who.invalidUser();
            case USER -> {
                String user = who.user();
                yield user != null && Patterns.list(user, argument, false) == 1;
            }
            case GROUP -> who.user() != null && inGroups(who.groups().get(), argument);
            case HOST -> {
                String host = who.host();
                yield host != null && Patterns.hostMatches(host, argument);
            }
            case ADDRESS -> isListed(who.address(), argument);
            case LOCAL_ADDRESS -> isListed(who.localAddress(), argument);
            case LOCAL_PORT -> Integer.toString(who.localPort()).equals(argument);
            case VERSION -> Patterns.list(RELEASE, argument, false) == 1;
        };
    }

    private static boolean isListed(@Nullable String address, String list) {
        return address != null && AddressList.match(address, list) == AddressList.Verdict.LISTED;
    }

    private static boolean inGroups(Set<String> groups, String list) {
        boolean found = false;
        for (String group : groups) {
            int matched = Patterns.list(group, list, false);
            if (matched < 0) {
                return false;
            }
            found |= matched == 1;
        }
        return found;
    }
}
