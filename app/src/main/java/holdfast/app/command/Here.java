package holdfast.app.command;

import holdfast.app.service.LogWriter;
import holdfast.app.service.StatusSocket;
import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.Surroundings;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.MinaLog;
import holdfast.ssh.terminal.Signals;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/**
 * {@code holdfast sshd --here}: a server without any configuration, for the user who starts it and
 * nobody else, on a free loopback port.
 */
final class Here {

    static final String USAGE =
            """
            usage: holdfast sshd --here [-p PORT] [-o OPTION]...

            Serves you, and nobody else, on 127.0.0.1, at a free port unless one is given. Keys are
            made at the first use, in your own directory. Prints the command that connects.
            """;

    private Here() {}

    static int run(List<String> arguments) {
        int port = 0;
        List<String> options = new ArrayList<>();
        for (int i = 0; i < arguments.size(); i++) {
            String argument = arguments.get(i);
            boolean last = i + 1 == arguments.size();
            if (argument.equals("-o") && !last) {
                options.add(arguments.get(++i).replaceFirst("=", " "));
            } else if (argument.equals("-p")
                    && !last
                    && arguments.get(i + 1).matches("[0-9]{1,5}")) {
                port = Integer.parseInt(arguments.get(++i));
            } else {
                boolean help = argument.equals("--help") || argument.equals("-h");
                (help ? System.out : System.err).print(USAGE);
                return help ? 0 : 2;
            }
        }
        try {
            return serve(port, options);
        } catch (ConfigException e) {
            System.err.println("holdfast sshd --here: " + e.text());
            return e.status();
        } catch (IOException e) {
            System.err.println("holdfast sshd --here: " + e.getMessage());
            return 1;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return 1;
        }
    }

    private static int serve(int wantedPort, List<String> options)
            throws IOException, ConfigException, InterruptedException {
        Surroundings surroundings = Surroundings.ofProcess();
        Path directory = directory(surroundings);
        FileOutputStream stderr = new FileOutputStream(FileDescriptor.err);
        try (LogWriter writer =
                new LogWriter((level, text) -> {
                    try {
                        stderr.write(text.replace("\r\n", "\n").getBytes(StandardCharsets.UTF_8));
                    } catch (IOException e) {
                        // nobody reads the log any more
                    }
                })) {
            Log log = new Log(Log.Level.INFO, writer);
            MinaLog.to(log);
            String user = surroundings.localUser();
            try (OwnServer own = OwnServer.start(directory, user, wantedPort, options, log)) {
                Path knownHosts = directory.resolve("known_hosts");
                Files.writeString(knownHosts, own.knownHostsLine(own.port()) + "\n");
                try (StatusSocket _ =
                        StatusSocket.open(
                                StatusSocket.directory(
                                        surroundings.environment(), surroundings.uid() == 0),
                                own.server())) {
                    System.out.println("Connect with:");
                    System.out.println("  " + command(directory, own.port(), user));
                    System.out.flush();
                    CountDownLatch stop = new CountDownLatch(1);
                    Signals.on("INT", stop::countDown);
                    Signals.on("TERM", stop::countDown);
                    stop.await();
                    log.debug("stopping");
                }
            }
        }
        return 0;
    }

    /** Works with OpenSSH's client as well as with ours. */
    private static String command(Path directory, int port, String user) {
        return "holdfast ssh -p "
                + port
                + " -i "
                + quoted(directory.resolve("id_ed25519"))
                + " -o IdentitiesOnly=yes -o UserKnownHostsFile="
                + quoted(directory.resolve("known_hosts"))
                + " "
                + user
                + "@127.0.0.1";
    }

    private static String quoted(Path path) {
        String text = path.toString();
        return text.matches("[-A-Za-z0-9_./]+") ? text : "'" + text.replace("'", "'\\''") + "'";
    }

    private static Path directory(Surroundings surroundings) throws IOException {
        String data = surroundings.environment().get("XDG_DATA_HOME");
        Path base =
                data != null && data.startsWith("/")
                        ? Path.of(data)
                        : surroundings.home().resolve(".local").resolve("share");
        Path directory = base.resolve("holdfast").resolve("here");
        Files.createDirectories(directory);
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx------"));
        return directory;
    }
}
