package holdfast.ssh.server.auth;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Which methods of authentication are still to be passed: AuthenticationMethods and the methods
 * that are switched on (auth2.c). One login's, and used by one thread at a time.
 */
final class Methods {

    static final String NONE = "none";
    static final String PUBLICKEY = "publickey";
    static final String PASSWORD = "password";
    static final String KEYBOARD_INTERACTIVE = "keyboard-interactive";

    private final List<String> enabled;
    private final boolean listed;
    private final List<List<String>> left = new ArrayList<>();

    /**
     * @param enabled those that are switched on, in the order they are offered in
     * @param lists AuthenticationMethods, empty: any one
     */
    Methods(List<String> enabled, List<List<String>> lists) {
        this.enabled = List.copyOf(enabled);
        boolean any = lists.isEmpty() || lists.equals(List.of(List.of("any")));
        this.listed = !any;
        if (listed) {
            for (List<String> list : lists) {
                if (list.stream().allMatch(entry -> usable(name(entry)))) {
                    left.add(new ArrayList<>(list));
                }
            }
        }
    }

    private boolean usable(String name) {
        return name.equals(NONE) || enabled.contains(name);
    }

    /** True if nobody can ever get in: every list has a method that is switched off. */
    boolean hopeless() {
        return listed && left.isEmpty();
    }

    /** Whether {@code method} may be tried now. */
    boolean allows(String method) {
        if (!usable(method)) {
            return false;
        }
        return !listed || left.stream().anyMatch(list -> name(list.get(0)).equals(method));
    }

    /** What the client is told can continue. */
    String offered() {
        return String.join(
                ",",
                enabled.stream().filter(method -> !method.equals(NONE) && allows(method)).toList());
    }

    /**
     * Notes that a method was passed.
     *
     * @return whether that was enough
     */
    boolean passed(String method, @Nullable String submethod) {
        if (!listed) {
            return true;
        }
        boolean enough = false;
        for (List<String> list : left) {
            if (!list.isEmpty() && fits(list.get(0), method, submethod)) {
                list.remove(0);
                enough |= list.isEmpty();
            }
        }
        return enough;
    }

    /**
     * {@code keyboard-interactive:pam} asks for a device, {@code keyboard-interactive} does not.
     */
    private static boolean fits(String entry, String method, @Nullable String submethod) {
        int colon = entry.indexOf(':');
        return colon < 0
                ? entry.equals(method)
                : entry.substring(0, colon).equals(method)
                        && entry.substring(colon + 1).equals(submethod);
    }

    private static String name(String entry) {
        int colon = entry.indexOf(':');
        return colon < 0 ? entry : entry.substring(0, colon);
    }
}
