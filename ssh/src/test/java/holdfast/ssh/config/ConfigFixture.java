package holdfast.ssh.config;

import holdfast.ssh.log.Log;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A machine in a directory: a home, a system directory, an environment, and what was logged. */
final class ConfigFixture {

    final Path root;
    final Path home;
    final Path system;
    final Map<String, String> environment = new HashMap<>();
    final List<String> logged = new ArrayList<>();
    boolean aes;

    /** What the resolver knows: names and their canonical forms. */
    final Map<String, String> names = new HashMap<>();

    ConfigFixture(Path root) {
        this.root = root;
        home = root.resolve("home");
        system = root.resolve("etc");
        try {
            Files.createDirectories(home.resolve(".ssh"));
            Files.createDirectories(system);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    Surroundings surroundings() {
        long uid = Surroundings.ofProcess().uid();
        return new Surroundings(
                environment,
                home,
                "jdoe",
                uid,
                () -> "here.example.net",
                system,
                () -> aes,
                (name, family) -> names.get(name),
                () -> List.of("127.0.0.1", "10.1.2.3", "fd00::5"));
    }

    /** Writes a file below the root and returns it. */
    Path write(String name, String... lines) {
        Path file = root.resolve(name);
        try {
            Files.writeString(file, String.join("\n", lines) + "\n");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return file;
    }

    Path userFile(String... lines) {
        return write("home/.ssh/config", lines);
    }

    ClientConfig config(String... arguments) throws ConfigException {
        CommandLine line = CommandLine.parse(List.of(arguments), surroundings());
        Log log = new Log(line.logLevel(), text -> logged.add(text.stripTrailing()));
        return ClientConfig.resolve(line, surroundings(), log);
    }

    ClientSettings settings(String... arguments) throws ConfigException {
        return config(arguments).settings();
    }

    /** The text of the error that these arguments and the files give. */
    String error(String... arguments) {
        try {
            config(arguments);
        } catch (ConfigException e) {
            return e.text().replace(root.toString(), "ROOT");
        }
        return "no error";
    }
}
