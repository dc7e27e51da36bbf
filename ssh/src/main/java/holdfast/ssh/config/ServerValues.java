package holdfast.ssh.config;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Values of sshd_config so far, in the form {@code sshd -T} prints them. Owned by one thread. */
final class ServerValues {

    private final Map<ServerKeyword, List<String>> values;

    ServerValues() {
        values = new EnumMap<>(ServerKeyword.class);
    }

    private ServerValues(ServerValues other) {
        values = new EnumMap<>(other.values);
    }

    ServerValues copy() {
        return new ServerValues(this);
    }

    boolean has(ServerKeyword keyword) {
        return values.containsKey(keyword);
    }

    /** The words given; none given: those of the default, or none. */
    List<String> words(ServerKeyword keyword) {
        List<String> given = values.get(keyword);
        if (given != null) {
            return given;
        }
        String fallback = keyword.fallback();
        return fallback == null ? List.of() : List.of(fallback.split(" "));
    }

    /** The only word given, or the default, or null. */
    @Nullable String text(ServerKeyword keyword) {
        List<String> given = values.get(keyword);
        if (given == null) {
            return keyword.fallback();
        }
        return given.isEmpty() ? "" : given.get(0);
    }

    void put(ServerKeyword keyword, List<String> words) {
        values.put(keyword, List.copyOf(words));
    }

    void putIfAbsent(ServerKeyword keyword, List<String> words) {
        values.putIfAbsent(keyword, List.copyOf(words));
    }

    void append(ServerKeyword keyword, List<String> more) {
        List<String> before = values.get(keyword);
        if (before == null) {
            values.put(keyword, List.copyOf(more));
        } else {
            List<String> all = new ArrayList<>(before);
            all.addAll(more);
            values.put(keyword, List.copyOf(all));
        }
    }

    Map<ServerKeyword, List<String>> given() {
        return values;
    }
}
