package holdfast.app.command;

import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.Surroundings;
import holdfast.ssh.log.Log;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * {@code holdfast train}, for the launcher: makes one real connection to a server in this process,
 * so that the VM can remember every class that a start needs (its AOT cache).
 */
public final class Train {

    private Train() {}

    /**
     * Connects, runs a command and ends.
     *
     * @return 0 if all of it worked
     */
    public static int run() {
        try {
            Path directory = Files.createTempDirectory("holdfast-train-");
            Path knownHosts = directory.resolve("known_hosts");
            Path config = directory.resolve("config");
            String user = Surroundings.ofProcess().localUser();
            try (OwnServer server = OwnServer.start(directory, user, 0, List.of(), Log.silent())) {
                Files.writeString(knownHosts, server.knownHostsLine(server.port()) + "\n");
                Files.writeString(
                        config,
                        """
                        Host train
                            HostName 127.0.0.1
                            Port %d
                            IdentityFile %s
                            IdentitiesOnly yes
                            UserKnownHostsFile %s
                            ServerAliveInterval 15
                        Host other
                            Ciphers aes128-ctr
                        Match host other user root
                            Ciphers aes128-ctr
                            Port 2222
                        """
                                .formatted(server.port(), server.identity(), knownHosts));
                // No command: what the user's shell does first is the user's business.
                return Ssh.run(List.of("-F", config.toString(), "-n", "-s", "train", "sftp"));
            } finally {
                remove(directory);
            }
        } catch (ConfigException e) {
            System.err.println("holdfast train: " + e.text());
            return 1;
        } catch (IOException e) {
            System.err.println("holdfast train: " + e.getMessage());
            return 1;
        }
    }

    private static void remove(Path directory) throws IOException {
        try (var files = Files.list(directory)) {
            for (Path file : files.toList()) {
                Files.deleteIfExists(file);
            }
        }
        Files.delete(directory);
    }
}
