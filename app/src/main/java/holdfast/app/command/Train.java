package holdfast.app.command;

import holdfast.ssh.server.LoopbackServer;
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
            try (LoopbackServer server = LoopbackServer.start(directory, event -> {})) {
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
                        """
                                .formatted(server.port(), server.identity(), knownHosts));
                return Ssh.run(List.of("-F", config.toString(), "train", "true"));
            } finally {
                remove(directory);
            }
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
