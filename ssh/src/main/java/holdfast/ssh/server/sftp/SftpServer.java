package holdfast.ssh.server.sftp;

import holdfast.ssh.log.Log;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.system.Account;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Serves files to one client: SFTP version 3 with OpenSSH's extensions, as sftp-server.c of OpenSSH
 * does, its quirks included (the order of SYMLINK's arguments, a RENAME that never overwrites).
 *
 * <p>All of it runs on the thread that calls {@link #turn}, and sees what that thread may see: the
 * caller makes it the user's. Between its turns it holds its open files and some hundred bytes.
 * Requests are answered in the order they came. Bounded: one request, one reply, {@link
 * #MAX_HANDLES} open files.
 */
public final class SftpServer {

    private static final int INIT = 1;
    private static final int VERSION = 2;
    private static final int OPEN = 3;
    private static final int CLOSE = 4;
    private static final int READ = 5;
    private static final int WRITE = 6;
    private static final int LSTAT = 7;
    private static final int FSTAT = 8;
    private static final int SETSTAT = 9;
    private static final int FSETSTAT = 10;
    private static final int OPENDIR = 11;
    private static final int READDIR = 12;
    private static final int REMOVE = 13;
    private static final int MKDIR = 14;
    private static final int RMDIR = 15;
    private static final int REALPATH = 16;
    private static final int STAT = 17;
    private static final int RENAME = 18;
    private static final int READLINK = 19;
    private static final int SYMLINK = 20;
    private static final int STATUS = 101;
    private static final int HANDLE = 102;
    private static final int DATA = 103;
    private static final int NAME = 104;
    private static final int ATTRS = 105;
    private static final int EXTENDED = 200;
    private static final int EXTENDED_REPLY = 201;

    private static final int OK = 0;
    private static final int EOF = 1;
    private static final int NO_SUCH_FILE = 2;
    private static final int PERMISSION_DENIED = 3;
    private static final int FAILURE = 4;
    private static final int BAD_MESSAGE = 5;
    private static final int OP_UNSUPPORTED = 8;

    private static final String[] WORDS = {
        "Success",
        "End of file",
        "No such file",
        "Permission denied",
        "Failure",
        "Bad message",
        "No connection",
        "Connection lost",
        "Operation unsupported"
    };

    /** Requests by number, with OpenSSH's names for -P and -p; those that change something. */
    private static final Map<Integer, Kind> KINDS =
            Map.ofEntries(
                    Map.entry(OPEN, new Kind("open", false)),
                    Map.entry(CLOSE, new Kind("close", false)),
                    Map.entry(READ, new Kind("read", false)),
                    Map.entry(WRITE, new Kind("write", true)),
                    Map.entry(LSTAT, new Kind("lstat", false)),
                    Map.entry(FSTAT, new Kind("fstat", false)),
                    Map.entry(SETSTAT, new Kind("setstat", true)),
                    Map.entry(FSETSTAT, new Kind("fsetstat", true)),
                    Map.entry(OPENDIR, new Kind("opendir", false)),
                    Map.entry(READDIR, new Kind("readdir", false)),
                    Map.entry(REMOVE, new Kind("remove", true)),
                    Map.entry(MKDIR, new Kind("mkdir", true)),
                    Map.entry(RMDIR, new Kind("rmdir", true)),
                    Map.entry(REALPATH, new Kind("realpath", false)),
                    Map.entry(STAT, new Kind("stat", false)),
                    Map.entry(RENAME, new Kind("rename", true)),
                    Map.entry(READLINK, new Kind("readlink", false)),
                    Map.entry(SYMLINK, new Kind("symlink", true)));

    /** The extensions with OpenSSH's short names for them. */
    private static final Map<String, Kind> EXTENSIONS =
            Map.ofEntries(
                    Map.entry("posix-rename@openssh.com", new Kind("posix-rename", true)),
                    Map.entry("statvfs@openssh.com", new Kind("statvfs", false)),
                    Map.entry("fstatvfs@openssh.com", new Kind("fstatvfs", false)),
                    Map.entry("hardlink@openssh.com", new Kind("hardlink", true)),
                    Map.entry("fsync@openssh.com", new Kind("fsync", true)),
                    Map.entry("lsetstat@openssh.com", new Kind("lsetstat", true)),
                    Map.entry("limits@openssh.com", new Kind("limits", false)),
                    Map.entry("expand-path@openssh.com", new Kind("expand-path", false)),
                    Map.entry("copy-data", new Kind("copy-data", true)),
                    Map.entry("home-directory", new Kind("home-directory", false)),
                    Map.entry(
                            "users-groups-by-id@openssh.com",
                            new Kind("users-groups-by-id", false)));

    private static final String[][] ANNOUNCED = {
        {"posix-rename@openssh.com", "1"},
        {"statvfs@openssh.com", "2"},
        {"fstatvfs@openssh.com", "2"},
        {"hardlink@openssh.com", "1"},
        {"fsync@openssh.com", "1"},
        {"lsetstat@openssh.com", "1"},
        {"limits@openssh.com", "1"},
        {"expand-path@openssh.com", "1"},
        {"copy-data", "1"},
        {"home-directory", "1"},
        {"users-groups-by-id@openssh.com", "1"},
    };

    /** Files one client may hold open. */
    public static final int MAX_HANDLES = 1024;

    /** The longest request, after the four bytes that say how long it is. */
    public static final int MAX_REQUEST_BYTES = Request.MAX_BYTES;

    /** Whether there is something to do; asked before each request. Must not wait. */
    public interface Turn {

        /** A whole request can be read, or the end, and there is room for its reply. */
        boolean more();
    }

    /** SFTP_MAX_READ_LENGTH: a packet but for its head. */
    private static final int MAX_DATA = Request.MAX_BYTES - 1024;

    private static final int NAMES_A_REPLY = 100;

    private static final DateTimeFormatter RECENT =
            DateTimeFormatter.ofPattern("MMM ppd HH:mm", Locale.ENGLISH)
                    .withZone(ZoneId.systemDefault());
    private static final DateTimeFormatter OLD =
            DateTimeFormatter.ofPattern("MMM ppd  yyyy", Locale.ENGLISH)
                    .withZone(ZoneId.systemDefault());
    private static final long HALF_A_YEAR = 365L * 24 * 3600 / 2;

    private record Kind(String name, boolean writes) {}

    /** An open file, or a directory being listed. */
    private static final class Opened {
        final byte[] path;
        final int fd;
        final long directory;

        /** What is written goes to the end, wherever it is said to go. */
        final boolean append;

        long read;
        long written;

        Opened(byte[] path, int fd, long directory, boolean append) {
            this.path = path;
            this.fd = fd;
            this.directory = directory;
            this.append = append;
        }
    }

    private final SftpOptions options;
    private final Account account;

    /** Where relative names begin. */
    private byte[] home;

    private final int umask;
    private final String peer;
    private final Log log;
    private final InputStream in;
    private final Reply reply;
    private final Request request = new Request();
    private @Nullable Opened[] handles = new Opened[4];

    /** How many numbers of handles have ever been in use. */
    private int used;

    /** Those given back, the last one last, and how many they are. */
    private int[] unused = new int[4];

    private int unusedCount;
    private final Map<Integer, String> users = new HashMap<>();
    private final Map<Integer, String> groups = new HashMap<>();
    private final Posix posix = new Posix();
    private boolean opened;
    private boolean greeted;
    private int id;

    /**
     * One that serves when {@link #turn} is called.
     *
     * @param home where relative names begin, as seen from the thread's root directory
     * @param peer the client's address, for the log
     * @param log takes what the options' level lets through, at that level
     */
    public SftpServer(
            SftpOptions options,
            Account account,
            String home,
            String peer,
            Log log,
            InputStream in,
            OutputStream out) {
        this.options = options;
        this.account = account;
        this.home = Octets.bytes(home);
        this.umask = options.umask();
        this.peer = peer;
        this.log = log.at(options.level());
        this.in = in;
        this.reply = new Reply(out);
    }

    /**
     * Loads everything this needs: once the thread is another user's, or has another root, the
     * program's own files may be out of its reach.
     */
    public static void prepare() {
        Posix posix = new Posix();
        posix.begin();
        posix.realpath("/".getBytes(StandardCharsets.UTF_8));
        posix.user(0);
        posix.end();
        if (RECENT.format(Instant.EPOCH).equals(OLD.format(Instant.EPOCH))) {
            throw new IllegalStateException("no time zones");
        }
        Class<?>[] needed = {
            Opened.class,
            Reply.class,
            Request.class,
            Request.Attributes.class,
            Kind.class,
            Request.Malformed.class,
            Posix.Stat.class,
            SftpOptions.class,
            java.io.EOFException.class
        };
        for (Class<?> each : needed) {
            try {
                Class.forName(each.getName(), true, SftpServer.class.getClassLoader());
            } catch (ClassNotFoundException e) {
                throw new IllegalStateException(e);
            }
        }
    }

    /**
     * Serves for as long as there is {@code more} to do. After the end {@link #close} is to follow.
     *
     * @return the exit status, as sftp-server's, where the session is over; else null
     */
    public @Nullable Integer turn(Turn turn) {
        posix.begin();
        try {
            if (!opened) {
                opened = true;
                say(
                        Log.Level.INFO,
                        "session opened for local user " + account.name() + " from [" + peer + "]");
                enter();
            }
            Integer status = null;
            while (status == null && turn.more()) {
                status = next();
            }
            reply.rest();
            return status;
        } catch (Request.Malformed e) {
            say(
                    Log.Level.ERROR,
                    "bad message from "
                            + peer
                            + " local user "
                            + account.name()
                            + ": "
                            + e.getMessage());
            try {
                reply.rest(); // what was asked before it is answered
            } catch (IOException gone) {
                // The client is gone, too.
            }
            return e.status();
        } catch (IOException e) {
            // The client is gone, or ended in the middle of a request.
            return 255;
        } finally {
            request.rest();
            posix.end();
        }
    }

    private @Nullable Integer next() throws IOException {
        if (!request.next(in)) {
            return 0;
        }
        int type = request.type();
        if (type == INIT) {
            greeted = true;
            greet();
        } else if (greeted) {
            id = request.number();
            serve(type);
        } else {
            throw new Request.Malformed("Received request before init");
        }
        return null;
    }

    /** Closes what the client left open. On a thread as {@link #turn}'s. */
    public void close() {
        posix.begin();
        try {
            for (int i = 0; i < handles.length; i++) {
                Opened open = handles[i];
                if (open != null) {
                    close(i, open, true);
                }
            }
        } finally {
            posix.end();
        }
        if (opened) {
            say(
                    Log.Level.INFO,
                    "session closed for local user " + account.name() + " from [" + peer + "]");
        }
    }

    /** Where it was told to begin, or at the user's home, or in the root directory. */
    private void enter() {
        if (entered(home)) {
            return;
        }
        int errno = posix.errno();
        byte[] own = Octets.bytes(Octets.text(account.home()));
        if (!Arrays.equals(home, own)) {
            say(
                    Log.Level.ERROR,
                    "chdir to \""
                            + new String(home, StandardCharsets.UTF_8)
                            + "\" failed: "
                            + (errno == Posix.ENOENT
                                    ? "No such file or directory"
                                    : "Permission denied"));
        }
        home = entered(own) ? own : new byte[] {'/'};
    }

    /** A name behind it asks for the right to enter it. */
    private boolean entered(byte[] directory) {
        byte[] inside = Arrays.copyOf(directory, directory.length + 2);
        inside[directory.length] = '/';
        inside[directory.length + 1] = '.';
        return posix.stat(inside) != null;
    }

    private void say(Log.Level level, String text) {
        if (options.level().compareTo(level) >= 0) {
            log.write(level, text);
        }
    }

    private void greet() throws IOException {
        int theirs = request.number();
        say(Log.Level.VERBOSE, "received client version " + Integer.toUnsignedString(theirs));
        reply.begin(VERSION).number(3);
        for (String[] extension : ANNOUNCED) {
            reply.text(extension[0]).text(extension[1]);
        }
        reply.end();
    }

    private void serve(int type) throws IOException {
        if (type == EXTENDED) {
            extended(request.text());
            return;
        }
        Kind kind = KINDS.get(type);
        if (kind == null) {
            say(Log.Level.ERROR, "Unknown message " + type);
            status(OP_UNSUPPORTED);
            return;
        }
        if (!permitted(kind)) {
            status(PERMISSION_DENIED);
            return;
        }
        switch (type) {
            case OPEN -> open();
            case CLOSE -> {
                int number = handle();
                Opened open = of(number);
                if (open == null) {
                    status(NO_SUCH_FILE);
                } else {
                    result(close(number, open, false));
                }
            }
            case READ -> read();
            case WRITE -> write();
            case LSTAT -> attributes(posix.lstat(path()));
            case STAT -> attributes(posix.stat(path()));
            case FSTAT -> {
                Opened open = file();
                if (open == null) {
                    status(FAILURE);
                } else {
                    attributes(posix.fstat(open.fd));
                }
            }
            case SETSTAT -> setstat(path(), true);
            case FSETSTAT -> fsetstat();
            case OPENDIR -> opendir();
            case READDIR -> readdir();
            case REMOVE -> {
                byte[] path = path();
                say(Log.Level.INFO, "remove name \"" + shown(path) + "\"");
                result(posix.unlink(path));
            }
            case MKDIR -> {
                byte[] path = path();
                Request.Attributes attributes = request.attributes();
                int mode = attributes.moded() ? attributes.permissions() & 07777 : 0777;
                say(Log.Level.INFO, "mkdir name \"" + shown(path) + "\" mode 0" + octal(mode));
                result(posix.mkdir(path, masked(mode)));
            }
            case RMDIR -> {
                byte[] path = path();
                say(Log.Level.INFO, "rmdir name \"" + shown(path) + "\"");
                result(posix.rmdir(path));
            }
            case REALPATH -> {
                byte[] path = path();
                realpath(path.length == 0 ? home : path);
            }
            case RENAME -> rename(path(), path());
            case READLINK -> {
                byte[] target = posix.readlink(path());
                if (target == null) {
                    status(failure());
                } else {
                    name(target);
                }
            }
            case SYMLINK -> {
                byte[] target = request.name();
                byte[] path = path();
                say(
                        Log.Level.INFO,
                        "symlink old \"" + shown(target) + "\" new \"" + shown(path) + "\"");
                result(posix.symlink(target, path));
            }
            default -> throw new IllegalStateException(kind.name());
        }
    }

    private void extended(String name) throws IOException {
        Kind kind = EXTENSIONS.get(name);
        if (kind == null) {
            say(Log.Level.ERROR, "Unknown extended request \"" + name + "\"");
            status(OP_UNSUPPORTED);
            return;
        }
        if (!permitted(kind)) {
            status(PERMISSION_DENIED);
            return;
        }
        switch (kind.name()) {
            case "posix-rename" -> {
                byte[] from = path();
                byte[] to = path();
                say(
                        Log.Level.INFO,
                        "posix-rename old \"" + shown(from) + "\" new \"" + shown(to) + "\"");
                result(posix.rename(from, to));
            }
            case "statvfs" -> statvfs(posix.statvfs(path()));
            case "fstatvfs" -> {
                Opened open = file();
                if (open == null) {
                    status(FAILURE);
                } else {
                    statvfs(posix.fstatvfs(open.fd));
                }
            }
            case "hardlink" -> {
                byte[] from = path();
                byte[] to = path();
                say(
                        Log.Level.INFO,
                        "hardlink old \"" + shown(from) + "\" new \"" + shown(to) + "\"");
                result(posix.link(from, to));
            }
            case "fsync" -> {
                Opened open = file();
                if (open == null) {
                    status(NO_SUCH_FILE);
                } else {
                    result(posix.fsync(open.fd));
                }
            }
            case "lsetstat" -> setstat(path(), false);
            case "limits" ->
                    begin(EXTENDED_REPLY)
                            .large(Request.MAX_BYTES)
                            .large(MAX_DATA)
                            .large(MAX_DATA)
                            .large(MAX_HANDLES)
                            .end();
            case "expand-path" -> expand(request.name());
            case "copy-data" -> copy();
            case "home-directory" -> {
                byte[] user = request.name();
                byte[] home =
                        user.length == 0
                                ? Octets.bytes(Octets.text(account.home()))
                                : posix.home(user);
                if (home == null) {
                    status(FAILURE);
                } else {
                    name(home);
                }
            }
            case "users-groups-by-id" -> names();
            default -> throw new IllegalStateException(kind.name());
        }
    }

    private boolean permitted(Kind kind) {
        if (options.readOnly() && kind.writes()) {
            say(Log.Level.VERBOSE, "Refusing " + kind.name() + " request in read-only mode");
            return false;
        }
        if (options.denied().contains(kind.name())) {
            say(Log.Level.VERBOSE, "Refusing denylisted " + kind.name() + " request");
            return false;
        }
        if (options.allowed() != null && !options.allowed().contains(kind.name())) {
            say(Log.Level.VERBOSE, "Refusing non-allowlisted " + kind.name() + " request");
            return false;
        }
        return true;
    }

    private void open() throws IOException {
        byte[] path = path();
        int wanted = request.number();
        Request.Attributes attributes = request.attributes();
        int flags =
                switch (wanted & 3) {
                    case 3 -> Posix.O_RDWR;
                    case 2 -> Posix.O_WRONLY;
                    default -> Posix.O_RDONLY;
                };
        flags |= (wanted & 4) != 0 ? Posix.O_APPEND : 0;
        flags |= (wanted & 8) != 0 ? Posix.O_CREAT : 0;
        flags |= (wanted & 0x10) != 0 ? Posix.O_TRUNC : 0;
        flags |= (wanted & 0x20) != 0 ? Posix.O_EXCL : 0;
        int mode = attributes.moded() ? attributes.permissions() & 07777 : 0666;
        say(
                Log.Level.INFO,
                "open \"" + shown(path) + "\" flags " + flags(wanted) + " mode 0" + octal(mode));
        if (options.readOnly()
                && ((flags & 3) != Posix.O_RDONLY
                        || (flags & (Posix.O_CREAT | Posix.O_TRUNC)) != 0)) {
            say(Log.Level.VERBOSE, "Refusing open request in read-only mode");
            status(PERMISSION_DENIED);
            return;
        }
        int number = free();
        if (number < 0) {
            status(FAILURE);
            return;
        }
        int fd = posix.open(path, flags, masked(mode));
        if (fd < 0) {
            status(failure());
            return;
        }
        hold(number, new Opened(path, fd, 0, (flags & Posix.O_APPEND) != 0));
        handle(number);
    }

    private void opendir() throws IOException {
        byte[] path = path();
        say(Log.Level.INFO, "opendir \"" + shown(path) + "\"");
        int number = free();
        if (number < 0) {
            status(FAILURE);
            return;
        }
        long directory = posix.opendir(path);
        if (directory == 0) {
            status(failure());
            return;
        }
        hold(number, new Opened(path, -1, directory, false));
        handle(number);
    }

    private int close(int number, Opened open, boolean forced) {
        handles[number] = null;
        unused[unusedCount++] = number;
        String what = forced ? "forced close" : "close";
        if (open.directory != 0) {
            posix.closedir(open.directory);
            say(Log.Level.INFO, what + "dir \"" + shown(open.path) + "\"");
            return 0;
        }
        say(
                Log.Level.INFO,
                what
                        + " \""
                        + shown(open.path)
                        + "\" bytes read "
                        + open.read
                        + " written "
                        + open.written);
        return posix.close(open.fd);
    }

    private void read() throws IOException {
        Opened open = file();
        long offset = request.large();
        int wanted = request.number();
        if (open == null) {
            status(FAILURE);
            return;
        }
        if (wanted == 0) {
            // Not asked of the system: only the place is looked at.
            if (offset < 0) {
                status(BAD_MESSAGE);
            } else {
                begin(DATA).number(0).end();
            }
            return;
        }
        int length = wanted < 0 || wanted > MAX_DATA ? MAX_DATA : wanted;
        begin(DATA);
        int size = reply.reserve();
        int count = posix.read(open.fd, offset, reply.room(length), reply.at(), length);
        if (count <= 0) {
            int why = count < 0 ? failure() : EOF;
            reply.drop();
            status(why);
            return;
        }
        reply.set(size, count);
        reply.took(count).end();
        open.read += count;
    }

    private void write() throws IOException {
        Opened open = file();
        long offset = request.large();
        int length = request.span();
        if (open == null) {
            status(FAILURE);
            return;
        }
        int done =
                posix.write(
                        open.fd,
                        open.append ? 0 : offset,
                        request.bytes(),
                        request.at() - length,
                        length);
        if (done < 0) {
            status(failure());
            return;
        }
        open.written += done;
        status(OK);
    }

    private void setstat(byte[] path, boolean follow) throws IOException {
        Request.Attributes a = request.attributes();
        int why = OK;
        Long size = a.size();
        if (size != null) {
            if (!follow) {
                // nonsensical for links
                status(BAD_MESSAGE);
                return;
            }
            say(Log.Level.INFO, "set \"" + shown(path) + "\" size " + size);
            why = worse(why, posix.truncate(path, size));
        }
        if (a.moded()) {
            int mode = a.permissions() & 07777;
            say(Log.Level.INFO, "set \"" + shown(path) + "\" mode 0" + octal(mode));
            why = worse(why, follow ? posix.chmod(path, mode) : posix.lchmod(path, mode));
        }
        if (a.timed()) {
            say(Log.Level.INFO, "set \"" + shown(path) + "\" modtime " + a.modified());
            why = worse(why, posix.utimes(path, a.accessed(), a.modified(), follow));
        }
        if (a.owned()) {
            say(Log.Level.INFO, owner(path, a));
            why =
                    worse(
                            why,
                            follow
                                    ? posix.chown(path, a.uid(), a.gid())
                                    : posix.lchown(path, a.uid(), a.gid()));
        }
        status(why);
    }

    private void fsetstat() throws IOException {
        Opened open = file();
        Request.Attributes a = request.attributes();
        if (open == null) {
            status(FAILURE);
            return;
        }
        int why = OK;
        Long size = a.size();
        if (size != null) {
            say(Log.Level.INFO, "set \"" + shown(open.path) + "\" size " + size);
            why = worse(why, posix.ftruncate(open.fd, size));
        }
        if (a.moded()) {
            int mode = a.permissions() & 07777;
            say(Log.Level.INFO, "set \"" + shown(open.path) + "\" mode 0" + octal(mode));
            why = worse(why, posix.fchmod(open.fd, mode));
        }
        if (a.timed()) {
            say(Log.Level.INFO, "set \"" + shown(open.path) + "\" modtime " + a.modified());
            why = worse(why, posix.futimes(open.fd, a.accessed(), a.modified()));
        }
        if (a.owned()) {
            say(Log.Level.INFO, owner(open.path, a));
            why = worse(why, posix.fchown(open.fd, a.uid(), a.gid()));
        }
        status(why);
    }

    private static String owner(byte[] path, Request.Attributes a) {
        return "set \""
                + shown(path)
                + "\" owner "
                + Integer.toUnsignedString(a.uid())
                + " group "
                + Integer.toUnsignedString(a.gid());
    }

    private int worse(int before, int result) {
        return result < 0 ? failure() : before;
    }

    private void readdir() throws IOException {
        Opened open = of(handle());
        if (open == null || open.directory == 0) {
            status(FAILURE);
            return;
        }
        begin(NAME);
        int at = reply.reserve();
        int count = 0;
        byte[] prefix = Arrays.copyOf(open.path, open.path.length + 1);
        prefix[open.path.length] = '/';
        while (count < NAMES_A_REPLY) {
            byte[] entry = posix.readdir(open.directory);
            if (entry == null) {
                break;
            }
            byte[] path = Arrays.copyOf(prefix, prefix.length + entry.length);
            System.arraycopy(entry, 0, path, prefix.length, entry.length);
            Posix.Stat stat = posix.lstat(path);
            if (stat == null) {
                continue;
            }
            reply.string(entry).string(listed(entry, stat));
            put(stat);
            count++;
        }
        if (count == 0) {
            reply.drop();
            status(EOF);
            return;
        }
        reply.set(at, count);
        reply.end();
    }

    /** A line as {@code ls -l} has it. */
    private byte[] listed(byte[] name, Posix.Stat stat) {
        String user = users.computeIfAbsent(stat.uid(), uid -> named(posix.user(uid), uid));
        String group = groups.computeIfAbsent(stat.gid(), gid -> named(posix.group(gid), gid));
        Instant modified = Instant.ofEpochSecond(stat.modified());
        boolean recent = System.currentTimeMillis() / 1000 - HALF_A_YEAR < stat.modified();
        String line =
                mode(stat.mode())
                        + " "
                        + right(Long.toString(stat.links()), 3)
                        + " "
                        + left(user, 8)
                        + " "
                        + left(group, 8)
                        + " "
                        + right(Long.toUnsignedString(stat.size()), 8)
                        + " "
                        + (recent ? RECENT : OLD).format(modified)
                        + " ";
        byte[] head = line.getBytes(StandardCharsets.UTF_8);
        byte[] all = Arrays.copyOf(head, head.length + name.length);
        System.arraycopy(name, 0, all, head.length, name.length);
        return all;
    }

    private static String named(@Nullable String name, int number) {
        return name == null ? Integer.toUnsignedString(number) : name;
    }

    private static String right(String text, int width) {
        return " ".repeat(Math.max(0, width - text.length())) + text;
    }

    private static String left(String text, int width) {
        return text + " ".repeat(Math.max(0, width - text.length()));
    }

    /** strmode(3). */
    static String mode(int mode) {
        char[] text = new char[11];
        text[0] =
                switch (mode & Posix.S_IFMT) {
                    case Posix.S_IFDIR -> 'd';
                    case Posix.S_IFREG -> '-';
                    case Posix.S_IFLNK -> 'l';
                    case 0x2000 -> 'c';
                    case 0x6000 -> 'b';
                    case 0x1000 -> 'p';
                    case 0xC000 -> 's';
                    default -> '?';
                };
        String rwx = "rwxrwxrwx";
        for (int i = 0; i < 9; i++) {
            text[1 + i] = (mode & 0400 >> i) != 0 ? rwx.charAt(i) : '-';
        }
        if ((mode & 04000) != 0) {
            text[3] = text[3] == 'x' ? 's' : 'S';
        }
        if ((mode & 02000) != 0) {
            text[6] = text[6] == 'x' ? 's' : 'S';
        }
        if ((mode & 01000) != 0) {
            text[9] = text[9] == 'x' ? 't' : 'T';
        }
        text[10] = ' ';
        return new String(text);
    }

    /** Never overwrites: the protocol's RENAME, and OpenSSH's way to it without a race. */
    private void rename(byte[] from, byte[] to) throws IOException {
        say(Log.Level.INFO, "rename old \"" + shown(from) + "\" new \"" + shown(to) + "\"");
        Posix.Stat stat = posix.lstat(from);
        if (stat == null) {
            status(failure());
            return;
        }
        if (stat.regular()) {
            if (posix.link(from, to) == 0) {
                if (posix.unlink(from) < 0) {
                    int why = failure();
                    posix.unlink(to);
                    status(why);
                } else {
                    status(OK);
                }
                return;
            }
            switch (posix.errno()) {
                case Posix.EOPNOTSUPP, Posix.ENOSYS, Posix.EXDEV, Posix.EMLINK, Posix.EPERM -> {
                    // No hard links here: look first, and rename.
                }
                default -> {
                    status(failure());
                    return;
                }
            }
        }
        if (posix.stat(to) != null) {
            status(FAILURE);
            return;
        }
        result(posix.rename(from, to));
    }

    private void realpath(byte[] path) throws IOException {
        byte[] real = posix.realpath(path);
        if (real == null) {
            status(failure());
        } else {
            name(real);
        }
    }

    private void expand(byte[] path) throws IOException {
        if (path.length == 0 || path[0] != '~') {
            realpath(path.length == 0 ? home : absolute(path));
            return;
        }
        int slash = 1;
        while (slash < path.length && path[slash] != '/') {
            slash++;
        }
        // One's own is where the session began, as for OpenSSH, whatever -d made of that.
        byte[] of = slash == 1 ? home : posix.home(Arrays.copyOfRange(path, 1, slash));
        if (of == null) {
            begin(STATUS).number(NO_SUCH_FILE).text("no such user").text("").end();
            return;
        }
        byte[] whole = Arrays.copyOf(of, of.length + path.length - slash);
        System.arraycopy(path, slash, whole, of.length, path.length - slash);
        realpath(absolute(whole));
    }

    private void copy() throws IOException {
        Opened from = file();
        long readAt = request.large();
        long length = request.large();
        Opened to = file();
        long writeAt = request.large();
        if (from == null || to == null || from == to || Arrays.equals(from.path, to.path)) {
            status(FAILURE);
            return;
        }
        if (length == 0 && posix.same(from.fd, to.fd)) {
            // By another name: what is written would be read again, without an end.
            status(FAILURE);
            return;
        }
        long left = length == 0 ? Long.MAX_VALUE : length;
        byte[] chunk = new byte[MAX_DATA];
        while (left > 0) {
            int wanted = left < 0 || left > chunk.length ? chunk.length : (int) left;
            int count = posix.read(from.fd, readAt, chunk, 0, wanted);
            if (count < 0) {
                status(failure());
                return;
            }
            if (count > 0 && posix.write(to.fd, writeAt, chunk, 0, count) < 0) {
                status(failure());
                return;
            }
            from.read += count;
            to.written += count;
            readAt += count;
            writeAt += count;
            left -= count;
            if (count < wanted) {
                // The end; to look again could find what was just written, by another name.
                status(length == 0 ? OK : EOF);
                return;
            }
        }
        status(OK);
    }

    private void names() throws IOException {
        byte[] uids = request.string();
        byte[] gids = request.string();
        begin(EXTENDED_REPLY);
        blob(uids, true);
        blob(gids, false);
        reply.end();
    }

    private void blob(byte[] ids, boolean user) {
        int at = reply.reserve();
        int before = reply.at();
        for (int i = 0; i + 4 <= ids.length; i += 4) {
            int number =
                    Byte.toUnsignedInt(ids[i]) << 24
                            | Byte.toUnsignedInt(ids[i + 1]) << 16
                            | Byte.toUnsignedInt(ids[i + 2]) << 8
                            | Byte.toUnsignedInt(ids[i + 3]);
            String name = user ? posix.user(number) : posix.group(number);
            reply.text(name == null ? "" : name);
        }
        reply.set(at, reply.at() - before);
    }

    private void statvfs(long @Nullable [] v) throws IOException {
        if (v == null) {
            status(failure());
            return;
        }
        begin(EXTENDED_REPLY);
        for (int i = 0; i < 9; i++) {
            reply.large(v[i]);
        }
        reply.large(v[9] & 3).large(v[10]).end();
    }

    private void attributes(Posix.@Nullable Stat stat) throws IOException {
        if (stat == null) {
            status(failure());
            return;
        }
        begin(ATTRS);
        put(stat);
        reply.end();
    }

    private void put(Posix.Stat stat) {
        reply.number(0xF)
                .large(stat.size())
                .number(stat.uid())
                .number(stat.gid())
                .number(stat.mode())
                .number((int) stat.accessed())
                .number((int) stat.modified());
    }

    private void name(byte[] name) throws IOException {
        begin(NAME).number(1).string(name).string(name).number(0).end();
    }

    private void handle(int number) throws IOException {
        begin(HANDLE).number(4).number(number).end();
    }

    private void result(int result) throws IOException {
        status(result < 0 ? failure() : OK);
    }

    private void status(int status) throws IOException {
        if (status != OK && status != EOF) {
            say(Log.Level.VERBOSE, "sent status " + WORDS[status]);
        }
        begin(STATUS).number(status).text(WORDS[status]).text("").end();
    }

    private Reply begin(int type) {
        return reply.begin(type).number(id);
    }

    /** The protocol's word for errno. */
    private int failure() {
        return switch (posix.errno()) {
            case Posix.ENOENT, Posix.ENOTDIR, Posix.EBADF, Posix.ELOOP -> NO_SUCH_FILE;
            case Posix.EPERM, Posix.EACCES, Posix.EFAULT -> PERMISSION_DENIED;
            case Posix.ENAMETOOLONG, Posix.EINVAL -> BAD_MESSAGE;
            case Posix.ENOSYS -> OP_UNSUPPORTED;
            default -> FAILURE;
        };
    }

    /**
     * A number for what is to be opened, or -1: that given back last, as OpenSSH's server has it.
     */
    private int free() {
        if (unusedCount > 0) {
            return unused[unusedCount - 1];
        }
        return used < MAX_HANDLES ? used : -1;
    }

    /** Opens the number that {@link #free} gave. */
    private void hold(int number, Opened open) {
        if (number == used) {
            if (used == handles.length) {
                handles = Arrays.copyOf(handles, Math.min(MAX_HANDLES, 2 * used));
                unused = Arrays.copyOf(unused, handles.length);
            }
            used++;
        } else {
            unusedCount--;
        }
        handles[number] = open;
    }

    /** The number in a handle; -1: none of ours. */
    private int handle() throws Request.Malformed {
        byte[] handle = request.string();
        if (handle.length != 4) {
            return -1;
        }
        return Byte.toUnsignedInt(handle[0]) << 24
                | Byte.toUnsignedInt(handle[1]) << 16
                | Byte.toUnsignedInt(handle[2]) << 8
                | Byte.toUnsignedInt(handle[3]);
    }

    private @Nullable Opened of(int number) {
        return number < 0 || number >= handles.length ? null : handles[number];
    }

    private @Nullable Opened file() throws Request.Malformed {
        Opened open = of(handle());
        return open == null || open.fd < 0 ? null : open;
    }

    private byte[] path() throws Request.Malformed {
        return absolute(request.name());
    }

    /**
     * Relative names begin at home: the process's working directory is everybody's. An empty name
     * is nobody's, as for the system.
     */
    private byte[] absolute(byte[] path) {
        if (path.length == 0 || path[0] == '/') {
            return path;
        }
        byte[] whole = Arrays.copyOf(home, home.length + 1 + path.length);
        whole[home.length] = '/';
        System.arraycopy(path, 0, whole, home.length + 1, path.length);
        return whole;
    }

    private int masked(int mode) {
        return umask < 0 ? mode : mode & ~umask;
    }

    private static String octal(int mode) {
        String text = Integer.toOctalString(mode);
        return "0".repeat(Math.max(0, 3 - text.length())) + text;
    }

    private static String flags(int flags) {
        StringBuilder text = new StringBuilder();
        String[] names = {"READ", "WRITE", "APPEND", "CREATE", "TRUNCATE", "EXCL"};
        for (int i = 0; i < names.length; i++) {
            if ((flags & 1 << i) != 0) {
                text.append(text.isEmpty() ? "" : ",").append(names[i]);
            }
        }
        return text.toString();
    }

    /** A name for the log: no byte of it can break the line. */
    private static String shown(byte[] name) {
        StringBuilder text = new StringBuilder();
        for (byte b : name) {
            if (b >= ' ' && b < 0x7f && b != '"' && b != '\\') {
                text.append((char) b);
            } else {
                String octal = Integer.toOctalString(Byte.toUnsignedInt(b));
                text.append('\\').append("0".repeat(3 - octal.length())).append(octal);
            }
        }
        return text.toString();
    }
}
