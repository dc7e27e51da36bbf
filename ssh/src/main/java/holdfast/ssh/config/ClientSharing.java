package holdfast.ssh.config;

import java.time.Duration;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * How one run of the client shares connections with others. Immutable.
 *
 * @param master ControlMaster, {@code -M}
 * @param path ControlPath, {@code -S}, its tokens expanded; null: nothing is shared
 * @param persist ControlPersist: how long a master with no clients stays; zero: for ever; null: it
 *     is no service
 * @param control {@code -O}: what is wanted of a running master; null: a session
 */
public record ClientSharing(
        Master master,
        @Nullable String path,
        @Nullable Duration persist,
        @Nullable Control control) {

    /** ControlMaster. */
    public enum Master {
        NO,
        YES,
        /** A master that asks the person for each client. */
        ASK,
        /** A client of a master if there is one, else one. */
        AUTO,
        AUTO_ASK;

        public boolean asks() {
            return this == ASK || this == AUTO_ASK;
        }

        /** Whether a master that runs already is used. */
        public boolean joins() {
            return this != YES && this != ASK;
        }
    }

    /** The words of {@code -O}. */
    public enum Control {
        CHECK,
        CONNINFO,
        CHANNELS,
        FORWARD,
        CANCEL,
        EXIT,
        STOP,
        PROXY;

        /** The word, or null if it is none. */
        static @Nullable Control named(String word) {
            for (Control one : values()) {
                if (one.name().equals(word.toUpperCase(Locale.ROOT))
                        && word.equals(word.toLowerCase(Locale.ROOT))) {
                    return one;
                }
            }
            return null;
        }
    }
}
