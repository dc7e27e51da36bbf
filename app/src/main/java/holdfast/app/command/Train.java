package holdfast.app.command;

import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.Surroundings;
import holdfast.ssh.crypto.Rehearsal;
import holdfast.ssh.log.Log;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.regex.Pattern;

/**
 * {@code holdfast train [COMMAND...]}, for the launcher: makes one real connection to a server in
 * this process, so that the VM can remember every class that a start needs (its AOT cache). A VM
 * goes through all of its cache at each start, used or not; hence a client has one of its own, made
 * by COMMAND: {@code holdfast train client}, in a process of its own.
 */
public final class Train {

    /** The classes of sessions, used in this training or not. */
    private static final Pattern ATTENDED =
            Pattern.compile("holdfast/ssh/(client|terminal|stream)/[^/]*\\.class");

    private Train() {}

    /**
     * Connects and ends.
     *
     * @param command the program that is the client and its first arguments; none: this process; or
     *     {@code client} and the arguments of ssh: this process is the client of that server
     * @return 0 if all of it worked
     */
    public static int run(List<String> command) {
        if (!command.isEmpty() && command.getFirst().equals("client")) {
            return client(command.subList(1, command.size()));
        }
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
                List<String> arguments =
                        List.of("-F", config.toString(), "-n", "-s", "train", "sftp");
                return command.isEmpty() ? Ssh.run(arguments) : run(command, arguments);
            } finally {
                remove(directory);
            }
        } catch (ConfigException e) {
            System.err.println("holdfast train: " + e.text());
            return 1;
        } catch (IOException e) {
            System.err.println("holdfast train: " + e.getMessage());
            return 1;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return 1;
        }
    }

    private static int run(List<String> command, List<String> arguments)
            throws IOException, InterruptedException {
        List<String> words = new ArrayList<>(command);
        words.addAll(arguments);
        return new ProcessBuilder(words).inheritIO().start().waitFor();
    }

    /** As ssh, and knows what a person at a terminal will need besides. */
    private static int client(List<String> arguments) {
        try (JarFile jar = new JarFile(System.getProperty("java.class.path"))) {
            for (JarEntry entry : Collections.list(jar.entries())) {
                if (ATTENDED.matcher(entry.getName()).matches()) {
                    Class.forName(
                            entry.getName().replaceFirst("\\.class$", "").replace('/', '.'),
                            false,
                            Train.class.getClassLoader());
                }
            }
        } catch (IOException | ClassNotFoundException e) {
            System.err.println("holdfast train: " + e);
            return 1;
        }
        Rehearsal.learn();
        return Ssh.run(arguments);
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
