package holdfast.ssh.hostkeys;

import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.HostTrust.KeysCommand;
import holdfast.ssh.config.ServerSettings.FingerprintHash;
import holdfast.ssh.config.ServerTokens;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.Reason;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.system.BoundedOutput;
import java.io.IOException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * KnownHostsCommand: a program that says which keys a host has, in the form of known_hosts. It runs
 * as the person, in the person's environment, without a shell, bounded in time and in what it says.
 */
final class HostKeysCommand {

    /** OpenSSH would wait for ever; the server gives up a login sooner than that. */
    private static final Duration LIMIT = Duration.ofMinutes(1);

    private static final int MOST_BYTES = 4 << 20;

    /** What a child ends with that could not become the program. */
    private static final int NOT_EXECUTED = 127;

    /** Why it is asked. */
    enum Why {
        /** Which kinds of key are known of the host: there is no key yet. */
        ORDER,
        /** What is known of the host. */
        HOSTNAME,
        /** What is known of its address. */
        ADDRESS
    }

    private final KeysCommand command;
    private final FingerprintHash fingerprints;
    private final Log log;

    HostKeysCommand(KeysCommand command, FingerprintHash fingerprints, Log log) {
        this.command = command;
        this.fingerprints = fingerprints;
        this.log = log;
    }

    /**
     * Runs it. One that is not there, or has no whole path, says nothing: that is told, and the
     * files alone decide, as in OpenSSH.
     *
     * @param key the one that the server shows; null: not known yet
     * @throws IOException in one line, what is wrong with it
     */
    byte[] output(Why why, String name, @Nullable HostKey key) throws IOException {
        List<String> words = words(why, name, key);
        String tag = "KnownHostsCommand-" + why;
        Path program = Octets.path(words.getFirst());
        if (!program.isAbsolute()) {
            log.error(tag + " path is not absolute");
            return new byte[0];
        }
        try {
            Files.getLastModifiedTime(program);
        } catch (FileSystemException e) {
            log.error("Could not stat " + tag + " \"" + program + "\": " + Reason.of(e));
            return new byte[0];
        }
        log.debug3("KnownHostsCommand: running " + words.getFirst() + " for " + why + " " + name);
        try {
            return BoundedOutput.of(tag, words, ProcessBuilder.Redirect.INHERIT, LIMIT, MOST_BYTES);
        } catch (BoundedOutput.NotStarted e) {
            // OpenSSH's child says the one, and its parent the other.
            log.error(tag + " execv \"" + program + "\": " + e.getMessage());
            throw new IOException(tag + " " + program + BoundedOutput.ended(NOT_EXECUTED), e);
        }
    }

    private List<String> words(Why why, String name, @Nullable HostKey key) throws IOException {
        Map<Character, String> tokens = new HashMap<>(command.tokens());
        tokens.put('H', name);
        tokens.put('I', why.name());
        tokens.put('t', key == null ? "NONE" : key.type());
        tokens.put('f', key == null ? "NONE" : Fingerprint.of(fingerprints, key.blob()));
        tokens.put('K', key == null ? "NONE" : Base64.getEncoder().encodeToString(key.blob()));
        List<String> words = new ArrayList<>(command.words().size());
        for (String word : command.words()) {
            try {
                // The program's own name takes no tokens.
                words.add(words.isEmpty() ? word : ServerTokens.expand(word, tokens));
            } catch (ConfigException e) {
                throw new IOException("KnownHostsCommand: " + e.text(), e);
            }
        }
        return words;
    }
}
