package holdfast.trials;

import holdfast.trials.harness.Command;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.Sshd;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.opentest4j.TestAbortedException;

/** Scripts by which other people's SSH for Python comes to a server. */
final class Python {

    /** Debian's modules are those of its own Python. */
    static final String PROGRAM = "/usr/bin/python3";

    /** Where the server is, and how to log in there: {@code host}, {@code port} and so on. */
    static final String ARGUMENTS =
            """
            import sys
            host, port, user, key, known, *rest = sys.argv[1:]
            """;

    /** {@code connect()} is one of paramiko's clients, logged in. */
    static final String PARAMIKO =
            ARGUMENTS
                    + """
                    import paramiko
                    def connect():
                        c = paramiko.SSHClient()
                        c.load_host_keys(known)
                        c.connect(host, int(port), user, key_filename=key,
                                  allow_agent=False, look_for_keys=False)
                        return c
                    """;

    private Python() {}

    static void needs(String module) {
        if (!Files.isDirectory(Path.of("/usr/lib/python3/dist-packages", module))) {
            throw new TestAbortedException("not installed: python3-" + module);
        }
    }

    /** One that begins with {@link #ARGUMENTS}; what is added comes as {@code rest}. */
    static Command script(Stage stage, Sshd sshd, String script, String... rest) {
        List<String> argv = new ArrayList<>(List.of(PROGRAM, "-W", "ignore", "-c", script));
        argv.addAll(List.of(sshd.address(), Integer.toString(sshd.port()), Sshd.user()));
        argv.addAll(List.of(Keys.of("ed25519", "user").toString(), sshd.knownHosts().toString()));
        argv.addAll(List.of(rest));
        return stage.run(argv.toArray(String[]::new));
    }
}
