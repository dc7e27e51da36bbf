package holdfast.lab.data;

import holdfast.lab.sim.NatTimeouts;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/** The idle times of real devices that are shipped with the lab. */
public final class Population {

    private static final String FILE = "nat-timeouts.csv";

    private Population() {}

    /** The shipped file, read and checked anew. */
    public static NatTimeouts shipped() {
        try (InputStream in = Population.class.getResourceAsStream("/holdfast/lab/" + FILE)) {
            if (in == null) {
                throw new IllegalStateException(FILE + " is missing from this build");
            }
            return NatTimeouts.parse(FILE, new String(in.readAllBytes(), StandardCharsets.UTF_8));
        } catch (IOException e) {
            throw new UncheckedIOException(FILE, e);
        }
    }
}
