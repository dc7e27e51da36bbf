package holdfast.app.command;

import holdfast.ssh.octets.Octets;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;

/** The file of {@code -E}, ssh's or sshd's. */
final class LogFile {

    private LogFile() {}

    /**
     * Opens it to write at its end. One that is not there is made for its owner alone. A stream and
     * no channel, which would not outlive interrupts.
     */
    static FileOutputStream open(String file) throws IOException {
        try {
            Files.createFile(
                    Octets.path(file),
                    PosixFilePermissions.asFileAttribute(
                            PosixFilePermissions.fromString("rw-------")));
        } catch (IOException | InvalidPathException e) {
            // it is there, or cannot be: which of the two is found out now
        }
        return new File(file).exists() ? new FileOutputStream(file, true) : byLink(file);
    }

    /** A name that the locale has no characters for does for a link, and not for a stream. */
    private static FileOutputStream byLink(String file) throws IOException {
        Path directory = Files.createTempDirectory("holdfast");
        Path link = directory.resolve("log");
        try {
            Files.createSymbolicLink(link, Octets.path(file).toAbsolutePath());
            return new FileOutputStream(link.toFile(), true);
        } finally {
            Files.deleteIfExists(link);
            Files.delete(directory);
        }
    }
}
