package holdfast.ssh.hostkeys;

import holdfast.ssh.config.ClientComfort.UpdateHostKeys;
import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.hostkeys.KnownHosts.Known;
import holdfast.ssh.hostkeys.KnownHosts.Marker;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.Reason;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.terminal.Prompter;
import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * UpdateHostKeys: learns the keys that a trusted server says it has, once it has proved each, and
 * forgets those it says it no longer has (OpenSSH PROTOCOL section 2.5; clientloop.c
 * client_input_hostkeys, in its order and words).
 *
 * <p>Made for one connection. {@link #announced}, then perhaps {@link #proved}, are called by one
 * thread, which may wait: files are read and the person may be asked. Every line of a file that is
 * not one of the server's obsolete keys stays as it is, comments too; the file as it was stays
 * beside it as {@code .old}.
 */
public final class HostKeyUpdate {

    /** Keys one server may have; nobody has more than one for each algorithm and a successor. */
    private static final int MOST_KEYS = 64;

    /** How often a file is read anew because somebody else wrote it meanwhile. */
    private static final int ATTEMPTS = 3;

    private static final String REQUEST = "hostkeys-prove-00@openssh.com";

    /** Checks one signature, whose algorithm is as it says itself. */
    public interface Checker {
        boolean holds(HostKey key, byte[] signature, byte[] data);
    }

    private final ClientSettings settings;
    private final KnownHosts known;
    private final String name;
    private final @Nullable String address;
    private final Prompter prompter;
    private final Log log;

    private final List<HostKey> keys = new ArrayList<>();
    private final Set<HostKey> retained = new HashSet<>();
    private final List<HostKey> obsolete = new ArrayList<>();
    private boolean complex;
    private boolean otherName;

    HostKeyUpdate(
            ClientSettings settings,
            KnownHosts known,
            String name,
            @Nullable String address,
            Prompter prompter,
            Log log) {
        this.settings = settings;
        this.known = known;
        this.name = name;
        this.address = address;
        this.prompter = prompter;
        this.log = log;
    }

    /** Whether the person is to be asked before anything is written. */
    public boolean asks() {
        return settings.comfort().updateHostKeys() == UpdateHostKeys.ASK;
    }

    /**
     * Takes all keys that the server says it has.
     *
     * @return those that it is to prove, in this order; empty: there is nothing more to do
     */
    public List<HostKey> announced(List<byte[]> blobs) {
        for (byte[] blob : blobs) {
            HostKey key = HostKey.of(blob);
            if (key == null) {
                debug("convert key: unknown or unsupported key type");
                continue;
            }
            log.debug3(
                    "client_input_hostkeys: received "
                            + key.kind()
                            + " key "
                            + Fingerprint.of(settings.trust().fingerprints(), key.blob()));
            if (key.isCertificate() || !permitted(key)) {
                log.debug3(
                        "client_input_hostkeys: "
                                + key.type()
                                + " key not permitted by HostkeyAlgorithms");
                continue;
            }
            if (keys.contains(key)) {
                log.error("client_input_hostkeys: received duplicated " + key.type() + " host key");
                return List.of();
            }
            if (keys.size() == MOST_KEYS) {
                debug("more than " + MOST_KEYS + " keys; all are disregarded");
                return List.of();
            }
            keys.add(key);
        }
        if (keys.isEmpty()) {
            debug("server sent no hostkeys");
            return List.of();
        }
        if (!lookUp()) {
            return List.of();
        }
        List<HostKey> news = news();
        log.debug3(
                "client_input_hostkeys: "
                        + keys.size()
                        + " server keys: "
                        + news.size()
                        + " new, "
                        + retained.size()
                        + " retained. "
                        + obsolete.size()
                        + " to remove");
        if (!worthwhile(news)) {
            return List.of();
        }
        if (news.isEmpty()) {
            write(news);
            return List.of();
        }
        log.debug3(
                "client_input_hostkeys: asking server to prove ownership for "
                        + news.size()
                        + " keys");
        return news;
    }

    private List<HostKey> news() {
        return keys.stream().filter(key -> !retained.contains(key)).toList();
    }

    private void debug(String text) {
        log.debug("client_input_hostkeys: " + text);
    }

    private boolean permitted(HostKey key) {
        for (String algorithm : settings.hostKeyAlgorithms()) {
            if (!HostKey.isCertificate(algorithm)
                    && HostKey.plainType(algorithm).equals(key.type())) {
                return true;
            }
        }
        return false;
    }

    private boolean lookUp() {
        for (Path file : known.userFiles()) {
            debug(
                    "searching "
                            + Octets.text(file)
                            + " for "
                            + name
                            + " / "
                            + (address == null ? "(none)" : address));
            try {
                known.lines(file, name, address, this::look);
            } catch (NoSuchFileException e) {
                debug("hostkeys file " + Octets.text(file) + " does not exist");
            } catch (IOException e) {
                failed(file, e);
                return false;
            }
        }
        return true;
    }

    private void failed(Path file, IOException e) {
        log.error(
                "client_input_hostkeys: hostkeys_foreach failed for "
                        + Octets.text(file)
                        + ": "
                        + Reason.of(e));
    }

    /** hostkeys_find. */
    private void look(Known line) {
        HostKey key = line.key();
        if (key == null) {
            return;
        }
        if (!line.matched()) {
            otherName |= keys.contains(key);
            return;
        }
        if (line.marker() != Marker.NONE) {
            complex = true;
            return;
        }
        if (address != null && line.hosts().indexOf(',') >= 0) {
            otherName |= !line.byName() || !line.byAddress();
            if (!line.byName()) {
                return;
            }
        }
        if (isComplex(line.hosts())) {
            complex = true;
            return;
        }
        if (keys.contains(key)) {
            retained.add(key);
        } else if (!obsolete.contains(key)) {
            obsolete.add(key);
        }
    }

    /** Whether a list of names is one that OpenSSH never writes: somebody wrote it by hand. */
    static boolean isComplex(String hosts) {
        return hosts.indexOf('*') >= 0
                || hosts.indexOf('?') >= 0
                || hosts.indexOf(',') != hosts.lastIndexOf(',');
    }

    private boolean worthwhile(List<HostKey> news) {
        if (news.isEmpty() && obsolete.isEmpty()) {
            debug("no new or deprecated keys from server");
            return false;
        }
        if (complex) {
            debug(
                    "CA/revocation marker, manual host list or wildcard host pattern found,"
                            + " skipping UserKnownHostsFile update");
            return false;
        }
        if (otherName) {
            debug(
                    "host key found matching a different name/address, skipping"
                            + " UserKnownHostsFile update");
            return false;
        }
        if (!obsolete.isEmpty() && obsoleteElsewhere()) {
            debug(
                    "key(s) for "
                            + name
                            + (address == null ? "" : "," + address)
                            + " exist under other names; skipping UserKnownHostsFile update");
            return false;
        }
        return true;
    }

    /** Whether a key to be forgotten is known under another name too, or that cannot be told. */
    private boolean obsoleteElsewhere() {
        boolean[] seen = new boolean[1];
        for (Path file : known.userFiles()) {
            try {
                known.lines(
                        file,
                        name,
                        address,
                        line -> seen[0] |= !line.matched() && obsolete.contains(line.key()));
            } catch (NoSuchFileException e) {
                debug("hostkeys file " + Octets.text(file) + " does not exist");
            } catch (IOException e) {
                failed(file, e);
                return true;
            }
        }
        return seen[0];
    }

    // --- the proof

    /**
     * What each key is to sign: the request's name, the session that it is asked in, and itself.
     */
    static byte[] signed(byte[] sessionId, HostKey key) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (DataOutputStream out = new DataOutputStream(bytes)) {
            byte[] blob = key.blob();
            byte[] request = REQUEST.getBytes(StandardCharsets.US_ASCII);
            out.writeInt(request.length);
            out.write(request);
            out.writeInt(sessionId.length);
            out.write(sessionId);
            out.writeInt(blob.length);
            out.write(blob);
        } catch (IOException e) {
            throw new UncheckedIOException("memory takes everything", e);
        }
        return bytes.toByteArray();
    }

    /** The server would not prove its keys. */
    public void unproved() {
        log.error("Server failed to confirm ownership of private host keys");
    }

    /**
     * Takes the signatures for the keys that {@link #announced} gave, in its order; where each
     * holds, the files are written anew.
     *
     * @param sessionId of the connection, from its first key exchange
     * @param negotiated the host key algorithm of that key exchange
     */
    public void proved(
            byte[] sessionId, String negotiated, List<byte[]> signatures, Checker checker) {
        List<HostKey> news = new ArrayList<>(news());
        if (signatures.size() != news.size()) {
            log.error("client_global_hostkeys_prove_confirm: parse sig: incomplete message");
            return;
        }
        for (int i = 0; i < signatures.size(); i++) {
            HostKey key = news().get(i);
            byte[] signature = signatures.get(i);
            String algorithm = algorithm(signature);
            String what = key.kind() + " key " + keys.indexOf(key);
            log.debug3(
                    "client_global_hostkeys_prove_confirm: verify "
                            + what
                            + " using sigalg "
                            + algorithm);
            if (key.type().equals("ssh-rsa") && !trustedForRsa(algorithm, negotiated)) {
                log.debug(
                        "client_global_hostkeys_prove_confirm: server used untrusted RSA signature"
                                + " algorithm "
                                + algorithm
                                + " for key "
                                + keys.indexOf(key)
                                + ", disregarding");
                news.remove(key);
            } else if (!checker.holds(key, signature, signed(sessionId, key))) {
                log.error(
                        "client_global_hostkeys_prove_confirm: server gave bad signature for "
                                + what
                                + ": incorrect signature");
                return;
            }
        }
        keys.removeIf(key -> !retained.contains(key) && !news.contains(key));
        if (news.isEmpty() && obsolete.isEmpty()) {
            return;
        }
        write(news);
    }

    /**
     * Where an RSA key was negotiated, what was negotiated, else only what is not made with SHA-1.
     */
    private static boolean trustedForRsa(String algorithm, String negotiated) {
        if (HostKey.plainType(negotiated).equals("ssh-rsa") && !HostKey.isCertificate(negotiated)) {
            return algorithm.equals(negotiated);
        }
        return algorithm.equals("rsa-sha2-256") || algorithm.equals("rsa-sha2-512");
    }

    /** The name that a signature begins with; "" where it has none. */
    private static String algorithm(byte[] signature) {
        if (signature.length < 4) {
            return "";
        }
        int length =
                (signature[0] & 0xff) << 24
                        | (signature[1] & 0xff) << 16
                        | (signature[2] & 0xff) << 8
                        | (signature[3] & 0xff);
        return length < 0 || length > Math.min(64, signature.length - 4)
                ? ""
                : new String(signature, 4, length, StandardCharsets.ISO_8859_1);
    }

    // --- writing

    /** update_known_hosts. */
    private void write(List<HostKey> news) {
        Log.Level level = asks() ? Log.Level.INFO : Log.Level.VERBOSE;
        boolean first = asks();
        for (HostKey key : news) {
            tell(level, first, "Learned new hostkey: ", key);
            first = false;
        }
        for (HostKey key : obsolete) {
            tell(level, first, "Deprecating obsolete hostkey: ", key);
            first = false;
        }
        if (asks() && !agreed()) {
            return;
        }
        List<Path> files = known.userFiles();
        for (int i = 0; i < files.size(); i++) {
            Path file = files.get(i);
            try {
                if (Files.notExists(file)) {
                    log.debug(
                            "update_known_hosts: known hosts file "
                                    + Octets.text(file)
                                    + " does not exist");
                    continue;
                }
                // New ones go to the first; from the others only the obsolete ones are taken.
                rewrite(file, i == 0 ? keys : List.of());
            } catch (IOException e) {
                log.error(
                        "update_known_hosts: hostfile_replace_entries failed for "
                                + Octets.text(file)
                                + ": "
                                + Reason.of(e));
            }
        }
    }

    private void tell(Log.Level level, boolean first, String what, HostKey key) {
        if (first) {
            log.write(
                    level,
                    "The server has updated its host keys.\n"
                            + "These changes were verified by the server's existing trusted key.");
        }
        log.write(
                level,
                what
                        + key.kind()
                        + " "
                        + Fingerprint.of(settings.trust().fingerprints(), key.blob()));
    }

    private boolean agreed() {
        for (int i = 0; i < 3; i++) {
            String answer;
            try {
                answer = prompter.ask("Accept updated hostkeys? (yes/no): ", Prompter.Echo.ON);
            } catch (IOException e) {
                log.debug("read_passphrase: " + e.getMessage()); // nobody is there to agree
                return false;
            }
            if (answer == null || answer.equalsIgnoreCase("no")) {
                return false;
            }
            if (answer.equalsIgnoreCase("yes")) {
                return true;
            }
            log.info("Please enter \"yes\" or \"no\"");
        }
        return false;
    }

    /**
     * hostfile_replace_entries, but a link stays one, the file keeps its mode, and what somebody
     * else adds to it meanwhile is not lost.
     */
    private void rewrite(Path asNamed, List<HostKey> wanted) throws IOException {
        Path file = asNamed.toRealPath();
        for (int i = 1; ; i++) {
            State before = State.of(file);
            Path made = made(file);
            try {
                List<Runnable> told = new ArrayList<>();
                if (!compose(file, asNamed, made, wanted, told)) {
                    return;
                }
                if (!before.equals(State.of(file)) && i < ATTEMPTS) {
                    continue;
                }
                Files.setPosixFilePermissions(made, Files.getPosixFilePermissions(file));
                Path old = file.resolveSibling(file.getFileName() + ".old");
                Files.deleteIfExists(old);
                Files.createLink(old, file);
                Files.move(made, file, StandardCopyOption.ATOMIC_MOVE);
                told.forEach(Runnable::run);
                return;
            } finally {
                Files.deleteIfExists(made);
            }
        }
    }

    /** Enough to tell that a file has been written to. */
    private record State(@Nullable Object inode, long size, long modified) {
        static State of(Path file) throws IOException {
            BasicFileAttributes now = Files.readAttributes(file, BasicFileAttributes.class);
            return new State(now.fileKey(), now.size(), now.lastModifiedTime().toMillis());
        }
    }

    private static Path made(Path file) throws IOException {
        return Files.createTempFile(
                file.getParent(),
                file.getFileName() + ".",
                "",
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    }

    /**
     * @return whether the new file differs
     */
    private boolean compose(
            Path file, Path asNamed, Path made, List<HostKey> wanted, List<Runnable> told)
            throws IOException {
        Set<HostKey> byName = new HashSet<>();
        Set<HostKey> byAddress = new HashSet<>();
        boolean[] changed = new boolean[1];
        try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(made))) {
            known.lines(
                    file,
                    name,
                    address,
                    line -> {
                        HostKey key = line.key();
                        if (key != null && line.matched() && line.marker() == Marker.NONE) {
                            // Another file than the first keeps the keys that are still good.
                            if (!keys.contains(key)) {
                                changed[0] = true;
                                told.add(() ->
                                        log.verbose(
                                                asNamed
                                                        + ":"
                                                        + line.number()
                                                        + ": Removed "
                                                        + key.kind()
                                                        + " key for host "
                                                        + name));
                                return;
                            }
                            if (line.byName()) {
                                byName.add(key);
                            }
                            if (line.byAddress()) {
                                byAddress.add(key);
                            }
                        }
                        if (line.broken()) {
                            told.add(() ->
                                    log.verbose(
                                            asNamed
                                                    + ":"
                                                    + line.number()
                                                    + ": invalid known_hosts entry"));
                        }
                        out.write(line.text());
                        out.write('\n');
                    });
            for (HostKey key : wanted) {
                if (byName.contains(key) && (address == null || byAddress.contains(key))) {
                    continue;
                }
                // In another file of the person's it is as good.
                if (retained.contains(key) && !byName.contains(key) && !byAddress.contains(key)) {
                    continue;
                }
                changed[0] = true;
                out.write(Octets.bytes(added(key)));
                told.add(() ->
                        log.verbose(
                                "Adding new key for "
                                        + name
                                        + " to "
                                        + asNamed
                                        + ": "
                                        + key.type()
                                        + " "
                                        + Fingerprint.of(
                                                settings.trust().fingerprints(), key.blob())));
            }
        }
        return changed[0];
    }

    private String added(HostKey key) {
        String text = " " + key.text() + "\n";
        if (!settings.hashKnownHosts()) {
            return name + (address == null ? "" : "," + address) + text;
        }
        return HostNames.hashed(name)
                + text
                + (address == null ? "" : HostNames.hashed(address) + text);
    }
}
