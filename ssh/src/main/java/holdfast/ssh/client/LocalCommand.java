package holdfast.ssh.client;

import holdfast.ssh.log.Log;
import holdfast.ssh.octets.Octets;
import java.io.File;
import java.io.IOException;
import java.util.List;

/**
 * A command run here by the person's shell, on our own stdin, stdout and stderr, and waited for:
 * LocalCommand, and {@code !} after {@code ~C} (ssh_local_cmd of OpenSSH's sshconnect.c).
 */
final class LocalCommand {

    private LocalCommand() {}

    /** Its status is nobody's business. Returns when it has ended, or when we are interrupted. */
    static void run(String shell, String command, Log log) throws InterruptedException {
        run(
                new ProcessBuilder(Octets.words(List.of(shell, "-c", command))),
                ProcessBuilder.Redirect.INHERIT,
                shell,
                command,
                log);
    }

    /** The same without input, and with our stderr for its output. */
    static void aside(String shell, String command, Log log) throws InterruptedException {
        run(
                new ProcessBuilder(
                        Octets.words(
                                List.of(
                                        "/bin/sh",
                                        "-c",
                                        "exec \"$0\" -c \"$1\" >&2",
                                        shell,
                                        command))),
                ProcessBuilder.Redirect.from(new File("/dev/null")),
                shell,
                command,
                log);
    }

    private static void run(
            ProcessBuilder builder,
            ProcessBuilder.Redirect input,
            String shell,
            String command,
            Log log)
            throws InterruptedException {
        if (command.isEmpty()) {
            return;
        }
        log.debug3("Executing " + shell + " -c \"" + command + "\"");
        try {
            builder.inheritIO().redirectInput(input).start().waitFor();
        } catch (IOException e) {
            log.error(
                    "Couldn't execute "
                            + shell
                            + " -c \""
                            + command
                            + "\": "
                            + "No such file or directory");
        }
    }
}
