package holdfast.ssh.hostkeys;

import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.config.HostTrust;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.Reason;
import holdfast.ssh.octets.Octets;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The known_hosts files of one client, read as OpenSSH's hostfile.c reads them: a line that is
 * broken is passed over with a debug line, a file that is missing is an empty one.
 *
 * <p>Files are read when a name is first looked up, and once for each name, so a client that finds
 * its host reads each file once. Not thread-safe.
 */
public final class KnownHosts {

    /** What a line says about its key. */
    public enum Marker {
        NONE,
        CERT_AUTHORITY,
        REVOKED
    }

    /** A line that names the host looked up. */
    public record Entry(Path file, long line, Marker marker, HostKey key) {}

    /** How a presented key stands to the lines found for a name. */
    public enum Status {
        /** No line names the host. */
        NEW,
        /** A line holds this very key. */
        KNOWN,
        /** Lines name the host, and none holds this key, of whatever type theirs are. */
        CHANGED,
        /** A line says that this key must not be trusted. */
        REVOKED
    }

    /**
     * A status and the line that it rests on.
     *
     * @param entry of KNOWN the line that holds the key, of CHANGED the last that holds another;
     *     else null
     */
    public record Standing(Status status, @Nullable Entry entry) {}

    /** sshconnect.c's MAX_OTHER_NAMES: how many other names a person is shown. */
    private static final int MOST_OTHER_NAMES = 8;

    /** hostfile.c's check_markers: a marker and its "@" fit in 32 bytes with a NUL. */
    private static final int LONGEST_MARKER = 31;

    private static final int DEFAULT_PORT = 22;

    private final List<Path> userFiles;
    private final List<Path> globalFiles;
    private final Log log;
    private final Map<String, List<Entry>> found = new HashMap<>();
    private final @Nullable HostKeysCommand command;
    private final Map<Asked, List<Entry>> told = new HashMap<>();
    private @Nullable String doubt;
    private @Nullable String failure;

    /** One question to the command. */
    private record Asked(HostKeysCommand.Why why, String name, @Nullable HostKey key) {}

    /**
     * @param userFiles read first; the first of them is the one that {@link #add} writes to
     */
    public KnownHosts(List<Path> userFiles, List<Path> globalFiles, Log log) {
        this(userFiles, globalFiles, null, log);
    }

    private KnownHosts(
            List<Path> userFiles,
            List<Path> globalFiles,
            @Nullable HostKeysCommand command,
            Log log) {
        this.command = command;
        this.userFiles = List.copyOf(userFiles);
        this.globalFiles = List.copyOf(globalFiles);
        this.log = log;
    }

    public static KnownHosts of(ClientSettings settings, Log log) {
        HostTrust trust = settings.trust();
        HostTrust.KeysCommand command = trust.command();
        return new KnownHosts(
                settings.userKnownHostsFiles(),
                settings.globalKnownHostsFiles(),
                command == null ? null : new HostKeysCommand(command, trust.fingerprints(), log),
                log);
    }

    /**
     * The name that stands for a host and port in known_hosts: {@code host}, {@code [host]:2222}.
     */
    public static String name(String host, int port) {
        return port == 0 || port == DEFAULT_PORT ? host : '[' + host + "]:" + port;
    }

    private static String withoutPort(String name) {
        int end = name.startsWith("[") ? name.lastIndexOf("]:") : -1;
        return end < 0 ? name : name.substring(1, end);
    }

    /** The lines that name {@code name}, in the order of files and lines. */
    public List<Entry> find(String name) {
        List<Entry> entries = found.get(name);
        if (entries == null) {
            entries = new ArrayList<>();
            HostNames names = new HostNames(name);
            for (Path file : userFiles) {
                load(file, name, names, entries);
            }
            for (Path file : globalFiles) {
                load(file, name, names, entries);
            }
            found.put(name, entries);
        }
        return entries;
    }

    /** The same, and behind them what the command says, if there is one. */
    private List<Entry> find(String name, HostKeysCommand.Why why, @Nullable HostKey key) {
        List<Entry> files = find(name);
        HostKeysCommand asked = command;
        if (asked == null || failure != null) {
            return files;
        }
        Asked question = new Asked(why, name, key);
        List<Entry> all = told.get(question);
        if (all == null) {
            all = new ArrayList<>(files);
            try {
                // As OpenSSH: for the order it is the host that is named, whatever its port.
                String host = why == HostKeysCommand.Why.ORDER ? withoutPort(name) : name;
                byte[] said = asked.output(why, host, key);
                Path source = Path.of("KnownHostsCommand-" + why);
                for (String one : host.equals(name) ? List.of(name) : List.of(name, host)) {
                    InputStream lines = new ByteArrayInputStream(said);
                    load(new HostFile(lines), source, one, new HostNames(one), all);
                }
            } catch (IOException e) {
                failure = e.getMessage();
            }
            told.put(question, all);
        }
        return all;
    }

    /** Why KnownHostsCommand has not said what it should have, in one line; null: it has. */
    @Nullable String failure() {
        return failure;
    }

    /** Whether the command says so, and not a file. */
    static boolean ofCommand(Entry entry) {
        return entry.file().toString().startsWith("KnownHostsCommand-");
    }

    /** How {@code key} stands to the lines that name {@code name}. */
    public Standing standing(String name, HostKey key) {
        return standing(name, key, HostKeysCommand.Why.HOSTNAME);
    }

    /** The same for an address. */
    Standing standingOfAddress(String address, HostKey key) {
        return standing(address, key, HostKeysCommand.Why.ADDRESS);
    }

    private Standing standing(String name, HostKey key, HostKeysCommand.Why why) {
        List<Entry> entries = find(name, why, key);
        Standing standing = new Standing(Status.NEW, null);
        for (Entry entry : entries) {
            if (entry.marker() == Marker.NONE) {
                if (entry.key().equals(key)) {
                    standing = new Standing(Status.KNOWN, entry);
                    break;
                }
                standing = new Standing(Status.CHANGED, entry);
            }
        }
        return revoked(entries, key) ? new Standing(Status.REVOKED, null) : standing;
    }

    /**
     * How a certificate stands to the lines that name {@code name}: KNOWN where one of them vouches
     * for its authority, REVOKED where one withdraws the key in it or the authority, else NEW.
     *
     * @param key what is certified
     * @param authority who has signed
     */
    public Standing standing(String name, HostKey key, HostKey authority) {
        List<Entry> entries = find(name, HostKeysCommand.Why.HOSTNAME, key);
        if (revoked(entries, key) || revoked(entries, authority)) {
            return new Standing(Status.REVOKED, null);
        }
        for (Entry entry : entries) {
            if (entry.marker() == Marker.CERT_AUTHORITY && entry.key().equals(authority)) {
                return new Standing(Status.KNOWN, entry);
            }
        }
        return new Standing(Status.NEW, null);
    }

    /** The types ({@code ssh-rsa}) of the keys that are known and not revoked, in their order. */
    public Set<String> knownTypes(String name) {
        List<Entry> entries = find(name, HostKeysCommand.Why.ORDER, null);
        Set<String> seen = new LinkedHashSet<>();
        Set<String> known = new LinkedHashSet<>();
        for (Entry entry : entries) {
            // The first key of a type decides, as in lookup_key_in_hostkeys_by_type.
            if (entry.marker() == Marker.NONE
                    && seen.add(entry.key().type())
                    && !revoked(entries, entry.key())) {
                known.add(entry.key().type());
            }
        }
        return known;
    }

    /**
     * HostKeyAlgorithms in the order to offer them in (sshconnect2.c, order_hostkeyalgs), so that
     * the server shows the key we know and not another one: as they are when a key of the first
     * one's type is known, else those whose keys are known first.
     */
    public List<String> orderAlgorithms(List<String> algorithms, String name) {
        if (algorithms.isEmpty()) {
            return algorithms;
        }
        Set<String> types = knownTypes(name);
        if (types.contains(HostKey.plainType(algorithms.getFirst()))) {
            if (log.shows(Log.Level.DEBUG3)) {
                log.debug3(
                        "order_hostkeyalgs: have matching best-preference key type "
                                + algorithms.getFirst()
                                + ", using HostkeyAlgorithms verbatim");
            }
            return algorithms;
        }
        boolean authority = false;
        for (Entry entry : find(name, HostKeysCommand.Why.ORDER, null)) {
            authority |= entry.marker() == Marker.CERT_AUTHORITY;
        }
        List<String> first = new ArrayList<>(algorithms.size());
        List<String> last = new ArrayList<>(algorithms.size());
        for (String algorithm : algorithms) {
            boolean preferred =
                    (authority && HostKey.isCertificate(algorithm))
                            || types.contains(HostKey.plainType(algorithm));
            (preferred ? first : last).add(algorithm);
        }
        if (first.isEmpty()) {
            log.debug3("order_hostkeyalgs: no algorithms matched; accept original");
        } else if (log.shows(Log.Level.DEBUG3)) {
            log.debug3("order_hostkeyalgs: prefer hostkeyalgs: " + String.join(",", first));
        }
        first.addAll(last);
        return first;
    }

    /**
     * What to tell a person about other names of a key that is new under {@code name}: one line, or
     * a heading and at most eight names with file and line.
     */
    String otherNames(String name, HostKey key) {
        HostNames names = new HostNames(name);
        List<String> others = new ArrayList<>();
        int omitted = 0;
        for (Path file : userFiles) {
            omitted += otherNames(file, names, key, others);
        }
        for (Path file : globalFiles) {
            omitted += otherNames(file, names, key, others);
        }
        if (others.isEmpty()) {
            return "This key is not known by any other names.";
        }
        StringBuilder text =
                new StringBuilder("This host key is known by the following other names/addresses:");
        for (String other : others) {
            text.append("\n    ").append(other);
        }
        if (omitted > 0) {
            text.append("\n    (").append(omitted).append(" additional names omitted)");
        }
        return text.toString();
    }

    /**
     * Why a key that looks new may not be, in one line; null when every file was read to its end.
     * OpenSSH takes a read error for the end of the file.
     */
    @Nullable String doubt() {
        return doubt;
    }

    /** The file new keys go to; null with UserKnownHostsFile none. */
    @Nullable Path writable() {
        return userFiles.isEmpty() ? null : userFiles.getFirst();
    }

    /** The file that the changed-key warning tells people to correct. */
    @Nullable Path correctable() {
        if (!userFiles.isEmpty()) {
            return userFiles.getFirst();
        }
        return globalFiles.isEmpty() ? null : globalFiles.getFirst();
    }

    /**
     * Appends a line for {@code key} to the first user file, in one write, and leaves every other
     * byte as it is. Makes {@code ~/.ssh} (0700) and the file when they are missing.
     *
     * @param names a name, or several with commas between (never with {@code hashed})
     * @return false where the line could not be written; why is a debug line
     */
    public boolean add(String names, HostKey key, boolean hashed) {
        Path file = writable();
        if (file == null) {
            return false;
        }
        found.clear();
        told.clear();
        String written = hashed ? HostNames.hashed(names) : HostNames.lower(names);
        try {
            makeSshDirectory(file);
            byte[] line =
                    Octets.bytes(
                            (endsInMidLine(file) ? "\n" : "") + written + ' ' + key.text() + '\n');
            try (SeekableByteChannel out =
                    Files.newByteChannel(
                            file,
                            Set.of(
                                    StandardOpenOption.CREATE,
                                    StandardOpenOption.WRITE,
                                    StandardOpenOption.APPEND))) {
                ByteBuffer bytes = ByteBuffer.wrap(line);
                while (bytes.hasRemaining()) {
                    out.write(bytes);
                }
            }
            return true;
        } catch (IOException e) {
            log.debug("add_host_to_hostfile: " + Octets.text(file) + ": " + Reason.of(e));
            return false;
        }
    }

    private static void makeSshDirectory(Path file) throws IOException {
        Path directory = Path.of(System.getProperty("user.home"), ".ssh");
        if (file.startsWith(directory) && Files.notExists(directory)) {
            Files.createDirectory(
                    directory,
                    PosixFilePermissions.asFileAttribute(
                            PosixFilePermissions.fromString("rwx------")));
        }
    }

    private static boolean endsInMidLine(Path file) throws IOException {
        if (!Files.isRegularFile(file)) {
            return false;
        }
        try (RandomAccessFile last = new RandomAccessFile(file.toFile(), "r")) {
            long length = last.length();
            if (length == 0) {
                return false;
            }
            last.seek(length - 1);
            return last.read() != '\n';
        }
    }

    private static boolean revoked(List<Entry> entries, HostKey key) {
        for (Entry entry : entries) {
            if (entry.marker() == Marker.REVOKED && entry.key().equals(key)) {
                return true;
            }
        }
        return false;
    }

    private @Nullable HostFile open(Path file) {
        try {
            InputStream in = Files.newInputStream(file);
            return new HostFile(in);
        } catch (IOException e) {
            // Missing files are the rule (known_hosts2), so nothing is composed that nobody reads.
            if (log.shows(Log.Level.DEBUG1)) {
                log.debug("load_hostkeys: fopen " + Octets.text(file) + ": " + Reason.of(e));
            }
            return null;
        }
    }

    private void load(Path file, String name, HostNames names, List<Entry> into) {
        HostFile lines = open(file);
        if (lines != null) {
            load(lines, file, name, names, into);
        }
    }

    private void load(HostFile lines, Path file, String name, HostNames names, List<Entry> into) {
        int before = into.size();
        try (lines) {
            while (lines.next()) {
                Entry entry = entry(file, lines, names);
                if (entry != null) {
                    into.add(entry);
                }
            }
        } catch (IOException e) {
            broken(file, e);
        }
        if (into.size() > before && log.shows(Log.Level.DEBUG3)) {
            log.debug3(
                    "load_hostkeys_file: loaded " + (into.size() - before) + " keys from " + name);
        }
    }

    // --- all lines, for whoever writes the file anew

    /**
     * One line of a file, whatever it is.
     *
     * @param text without its end
     * @param hosts the first word after the marker
     * @param key null where there is none, or the line is broken
     * @param broken whether it should be a key's line and is none
     * @param byName whether it names the host looked for, {@code byAddress} its address
     */
    record Known(
            long number,
            byte[] text,
            Marker marker,
            String hosts,
            @Nullable HostKey key,
            boolean broken,
            boolean byName,
            boolean byAddress) {

        private static Known none(long number, byte[] text, boolean broken) {
            return new Known(number, text, Marker.NONE, "", null, broken, false, false);
        }

        boolean matched() {
            return byName || byAddress;
        }
    }

    /** Takes what {@link #lines} finds. */
    interface Taker {
        void take(Known line) throws IOException;
    }

    /**
     * Reads every line of {@code file}.
     *
     * @param address null: only the name is looked for
     * @throws IOException also where a line is too long to be kept whole
     */
    void lines(Path file, String name, @Nullable String address, Taker taker) throws IOException {
        HostNames names = new HostNames(name);
        HostNames addresses = address == null ? null : new HostNames(address);
        try (HostFile lines = new HostFile(Files.newInputStream(file))) {
            while (lines.next()) {
                if (lines.cut()) {
                    throw new IOException("line too long at " + at(file, lines));
                }
                taker.take(known(lines, names, addresses));
            }
        }
    }

    private static Known known(HostFile lines, HostNames names, @Nullable HostNames addresses) {
        byte[] text = Arrays.copyOfRange(lines.buffer(), lines.start(), lines.end());
        Line line = new Line(lines.buffer(), lines.start(), lines.end());
        if (line.empty()) {
            return Known.none(lines.number(), text, false);
        }
        if (!line.readMarker()) {
            return Known.none(lines.number(), text, true);
        }
        line.readHosts();
        HostNames.Match byName = names.match(line.bytes, line.hostsAt, line.hostsEnd);
        HostNames.Match byAddress =
                addresses == null
                        ? HostNames.Match.NO
                        : addresses.match(line.bytes, line.hostsAt, line.hostsEnd);
        HostKey key = byName == HostNames.Match.BROKEN ? null : line.readKey();
        return key == null
                ? Known.none(lines.number(), text, true)
                : new Known(
                        lines.number(),
                        text,
                        line.marker,
                        line.hosts(),
                        key,
                        false,
                        byName == HostNames.Match.YES,
                        byAddress == HostNames.Match.YES);
    }

    List<Path> userFiles() {
        return userFiles;
    }

    /** Whether the line stands in one of the files for all users. */
    boolean global(Entry entry) {
        return globalFiles.contains(entry.file()) && !userFiles.contains(entry.file());
    }

    private @Nullable Entry entry(Path file, HostFile lines, HostNames names) {
        Line line = new Line(lines.buffer(), lines.start(), lines.end());
        if (line.empty()) {
            return null;
        }
        if (!line.readMarker()) {
            log.verbose("hostkeys_foreach_file: invalid marker at " + at(file, lines));
            return null;
        }
        line.readHosts();
        switch (names.match(line.bytes, line.hostsAt, line.hostsEnd)) {
            case NO -> {
                if (lines.cut() && line.hostsEnd == line.end) {
                    tooLong(file, lines);
                }
                return null;
            }
            case BROKEN -> {
                if (log.shows(Log.Level.DEBUG1)) {
                    String hosts = line.hosts();
                    log.debug2(
                            "hostkeys_foreach_file: "
                                    + at(file, lines)
                                    + ": bad host hash \""
                                    + hosts.substring(0, Math.min(32, hosts.length()))
                                    + '"');
                    log.debug(at(file, lines) + ": parse error in hostkeys file");
                }
                return null;
            }
            case YES -> {}
        }
        HostKey key = line.readKey();
        if (key == null) {
            if (lines.cut()) {
                tooLong(file, lines);
            }
            if (log.shows(Log.Level.DEBUG1)) {
                if (line.keyMissing()) {
                    log.debug2(at(file, lines) + ": truncated before key type");
                }
                log.debug(at(file, lines) + ": parse error in hostkeys file");
            }
            return null;
        }
        if (log.shows(Log.Level.DEBUG3)) {
            String kind =
                    switch (line.marker) {
                        case NONE -> "";
                        case CERT_AUTHORITY -> "ca ";
                        case REVOKED -> "revoked ";
                    };
            log.debug3(
                    "record_hostkey: found "
                            + kind
                            + "key type "
                            + key.kind()
                            + " in file "
                            + at(file, lines));
        }
        return new Entry(file, lines.number(), line.marker, key);
    }

    /**
     * @return how many names were found beyond those that are shown
     */
    private int otherNames(Path file, HostNames names, HostKey key, List<String> into) {
        HostFile lines = open(file);
        if (lines == null) {
            return 0;
        }
        int omitted = 0;
        try (lines) {
            while (lines.next()) {
                Line line = new Line(lines.buffer(), lines.start(), lines.end());
                if (line.empty() || !line.readMarker() || line.marker != Marker.NONE) {
                    continue;
                }
                line.readHosts();
                if (!key.equals(line.readKey())
                        || names.match(line.bytes, line.hostsAt, line.hostsEnd)
                                != HostNames.Match.NO) {
                    continue;
                }
                if (into.size() == MOST_OTHER_NAMES) {
                    omitted++;
                } else {
                    into.add(
                            tilde(file.toString(), System.getenv("HOME"))
                                    + ':'
                                    + lines.number()
                                    + ": "
                                    + (line.hosts().startsWith("|1|")
                                            ? "[hashed name]"
                                            : line.hosts()));
                }
            }
        } catch (IOException e) {
            broken(file, e);
        }
        return omitted;
    }

    /** A path for people: under the home directory it begins with a tilde. */
    static String tilde(String path, @Nullable String home) {
        if (home == null || home.isEmpty() || !path.startsWith("/") || !path.startsWith(home)) {
            return path;
        }
        if (home.endsWith("/")) {
            return "~/" + path.substring(home.length());
        }
        return path.startsWith("/", home.length()) ? "~" + path.substring(home.length()) : path;
    }

    private void broken(Path file, IOException e) {
        String why = Octets.text(file) + ": " + Reason.of(e);
        log.debug("load_hostkeys: read " + why);
        if (!Files.isDirectory(file)) {
            doubt = "Cannot read known hosts to the end: " + why;
        }
    }

    private void tooLong(Path file, HostFile lines) {
        doubt = "Cannot read known hosts: line too long at " + at(file, lines);
    }

    private static String at(Path file, HostFile lines) {
        return Octets.text(file) + ":" + lines.number();
    }

    /**
     * One line on its way through the steps of hostkeys_foreach. A NUL hides what follows it, as it
     * does from C; but one right after the names parts them from the key, as it does in OpenSSH,
     * which steps over the end of the names without looking at what that is.
     */
    private static final class Line {
        final byte[] bytes;
        private final int wholeEnd;
        int end;
        Marker marker = Marker.NONE;
        int hostsAt;
        int hostsEnd;
        private int at;

        Line(byte[] bytes, int start, int end) {
            this.bytes = bytes;
            wholeEnd = end;
            this.end = beforeNul(start);
            at = afterBlanks(start);
        }

        boolean empty() {
            return at == end || bytes[at] == '#';
        }

        /** False where the line begins with a marker that is unknown or one too many. */
        boolean readMarker() {
            while (at < end && bytes[at] == '@') {
                if (marker != Marker.NONE) {
                    return false;
                }
                int stop = indexOf(' ');
                if (stop < 0) {
                    stop = indexOf('\t');
                }
                if (stop < 0 || stop - at > LONGEST_MARKER) {
                    return false;
                }
                switch (text(at, stop)) {
                    case "@cert-authority" -> marker = Marker.CERT_AUTHORITY;
                    case "@revoked" -> marker = Marker.REVOKED;
                    default -> {
                        return false;
                    }
                }
                at = afterBlanks(stop);
            }
            return true;
        }

        void readHosts() {
            hostsAt = at;
            hostsEnd = afterWord(at);
            if (hostsEnd == end && end < wholeEnd) {
                at = end + 1;
                end = beforeNul(at);
                at = afterBlanks(at);
            } else {
                at = afterBlanks(hostsEnd);
            }
        }

        /** The names for people: bytes that could steer a terminal are shown in octal. */
        String hosts() {
            String hosts = Octets.text(bytes, hostsAt, hostsEnd - hostsAt);
            StringBuilder shown = new StringBuilder(hosts.length());
            for (int i = 0; i < hosts.length(); i++) {
                char c = hosts.charAt(i);
                if (Character.isISOControl(c)) {
                    shown.append('\\')
                            .append((char) ('0' + (c >> 6)))
                            .append((char) ('0' + (c >> 3 & 7)))
                            .append((char) ('0' + (c & 7)));
                } else {
                    shown.append(c);
                }
            }
            return shown.toString();
        }

        boolean keyMissing() {
            return at == end || bytes[at] == '#';
        }

        /** The key, whatever follows it; null where there is none or a broken one. */
        @Nullable HostKey readKey() {
            int typeEnd = afterWord(at);
            int blobAt = afterBlanks(typeEnd);
            if (typeEnd == blobAt || blobAt == end) {
                return null;
            }
            int blobEnd = afterWord(blobAt);
            return HostKey.of(text(at, typeEnd), text(blobAt, blobEnd));
        }

        private String text(int from, int to) {
            return new String(bytes, from, to - from, StandardCharsets.ISO_8859_1);
        }

        private int beforeNul(int from) {
            int i = from;
            while (i < wholeEnd && bytes[i] != 0) {
                i++;
            }
            return i;
        }

        private int indexOf(char c) {
            for (int i = at; i < end; i++) {
                if (bytes[i] == c) {
                    return i;
                }
            }
            return -1;
        }

        private int afterBlanks(int from) {
            int i = from;
            while (i < end && (bytes[i] == ' ' || bytes[i] == '\t')) {
                i++;
            }
            return i;
        }

        private int afterWord(int from) {
            int i = from;
            while (i < end && bytes[i] != ' ' && bytes[i] != '\t') {
                i++;
            }
            return i;
        }
    }
}
