package holdfast.ssh.terminal;

import java.io.IOException;
import java.security.GeneralSecurityException;
import org.jspecify.annotations.Nullable;

/** Asks the person who sits in front of the client; OpenSSH's readpass.c is the model. */
public interface Prompter {

    /** How an answer is shown while it is typed. */
    enum Echo {
        ON,
        OFF
    }

    /**
     * Prints {@code prompt} on the person's terminal (not on stdout) and reads one line.
     *
     * @return the line without its end, or null where nobody can be asked (no terminal, end of
     *     file, interrupted)
     */
    @Nullable String ask(String prompt, Echo echo) throws IOException;

    /**
     * Asks for leave, which nobody but a person may give: by a program of the desktop, as OpenSSH
     * does.
     *
     * @return false also where nobody can be asked
     */
    default boolean permits(String question) throws IOException {
        return false;
    }

    /** What waits for the person, though not for an answer. */
    @FunctionalInterface
    interface Touch {
        byte[] await() throws IOException, GeneralSecurityException;
    }

    /**
     * Runs what waits until the person has touched a key.
     *
     * @param notice what they are told meanwhile, by a program of the desktop; empty: nothing
     * @return what came of it
     */
    default byte[] touched(String notice, Touch touch)
            throws IOException, GeneralSecurityException {
        return touch.await();
    }
}
