package holdfast.app.command;

import holdfast.core.tether.CarrierPolicy;
import holdfast.core.tether.CarrierState;
import holdfast.core.time.Moment;
import holdfast.ssh.Software;
import holdfast.ssh.link.AddressOrder;
import holdfast.ssh.link.Growth;
import holdfast.ssh.link.LinkClock;
import holdfast.ssh.link.TcpStream;
import holdfast.ssh.system.Daemon;
import holdfast.ssh.system.FreshNames;
import holdfast.ssh.system.NetworkWatch;
import holdfast.ssh.tether.TetherListener;
import holdfast.ssh.tether.TetherStream;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/**
 * {@code holdfast tether}: the tether for those who run another SSH client or server. {@code
 * --listen} stands in front of a server, {@code --connect} is a ProxyCommand.
 */
public final class Tether {

    static final String USAGE =
            """
            usage: holdfast tether --listen [ADDRESS:]PORT --to HOST:PORT [OPTION...]
                   holdfast tether --connect HOST:PORT [OPTION...]

            Keeps an SSH connection over the loss of its TCP connection, with any client and
            any server: --listen stands in front of the server, --connect is the client's
            ProxyCommand. A client without it reaches the server through --listen as it is,
            and --connect reaches a server without it as it is.

              --listen [ADDRESS:]PORT   accept connections here; may be given several times
              --to HOST:PORT            and carry them there, nowhere else
              --connect HOST:PORT       carry standard input and output there
              --hold 24h                how long a lost connection is held
              --buffer 4M               bytes kept for each direction of each connection
              --most 1000               so many are held at once (--listen)
              -v                        say more on standard error
              --help                    print this

            At the server:   holdfast tether --listen 2222 --to 127.0.0.1:22
            At the client:   ssh -p 2222 -o ProxyCommand='holdfast tether --connect %h:%p' host
            """;

    /** Those with a value. */
    static final List<String> OPTIONS =
            List.of("--listen", "--to", "--connect", "--hold", "--buffer", "--most");

    private static final int LEAST_BUFFER = 64 * 1024;
    private static final int MOST_BUFFER = 32 * 1024 * 1024;
    private static final int CONNECT_MILLIS = 5_000;

    private static final int CHUNK = 64 * 1024;

    private static final FileOutputStream STDERR = new FileOutputStream(FileDescriptor.err);

    /** What is wrong with what was asked for. */
    private static final class Wrong extends Exception {
        private static final long serialVersionUID = 1;

        Wrong(String text) {
            super(text, null, false, false);
        }
    }

    private final List<String> listens = new ArrayList<>();
    private @Nullable String to;
    private @Nullable String connect;
    private Duration hold = Duration.ofHours(24);
    private int buffer = 4 * 1024 * 1024;
    private int most = 1000;
    private boolean verbose;
    private final boolean terminal = isTerminal();

    private Tether() {}

    /**
     * Runs one end.
     *
     * @return 0 when it has ended as it should, 1 when it could not run or the connection was lost
     *     for good, 2 for wrong arguments
     */
    public static int run(List<String> arguments) {
        if (arguments.contains("--help") || arguments.contains("-h")) {
            System.out.print(USAGE);
            System.out.flush();
            return 0;
        }
        Tether tether = new Tether();
        try {
            tether.parse(arguments);
            return tether.connect == null ? tether.listen() : tether.connect(tether.connect);
        } catch (Wrong e) {
            tether.say(e.getMessage());
            return 2;
        }
    }

    private void parse(List<String> arguments) throws Wrong {
        for (int i = 0; i < arguments.size(); i++) {
            String word = arguments.get(i);
            int equals = word.indexOf('=');
            boolean glued = word.startsWith("--") && equals > 0;
            String option = glued ? word.substring(0, equals) : word;
            if (option.equals("-v")) {
                verbose = true;
                continue;
            }
            if (!OPTIONS.contains(option)) {
                throw new Wrong("unknown option \"" + option + "\"; see holdfast tether --help");
            }
            if (!glued && i + 1 == arguments.size()) {
                throw new Wrong(option + " needs a value; see holdfast tether --help");
            }
            String value = glued ? word.substring(equals + 1) : arguments.get(++i);
            try {
                take(option, value);
            } catch (IllegalArgumentException e) {
                throw new Wrong(option + ": " + e.getMessage());
            }
        }
        if ((connect == null) == listens.isEmpty()) {
            throw new Wrong("either --listen or --connect; see holdfast tether --help");
        }
        if (!listens.isEmpty() && to == null) {
            throw new Wrong("--to is missing; see holdfast tether --help");
        }
        if (connect != null && to != null) {
            throw new Wrong("--to is for --listen; see holdfast tether --help");
        }
    }

    private void take(String option, String value) {
        switch (option) {
            case "--listen" -> listens.add(value);
            case "--to" -> to = value;
            case "--connect" -> connect = value;
            case "--hold" -> {
                hold = Units.time(value);
                if (hold.compareTo(Duration.ofSeconds(1)) < 0) {
                    throw new IllegalArgumentException("at least 1s, not \"" + value + "\"");
                }
            }
            case "--buffer" -> buffer = bytes(value);
            case "--most" -> most = number(value, 1, 1_000_000);
            default -> throw new IllegalStateException(option);
        }
    }

    /** {@code 4M}, {@code 512K} or bytes; what is used is the power of two below. */
    private static int bytes(String text) {
        int unit =
                switch (text.isEmpty()
                        ? ' '
                        : Character.toUpperCase(text.charAt(text.length() - 1))) {
                    case 'K' -> 1024;
                    case 'M' -> 1024 * 1024;
                    default -> 1;
                };
        String digits = unit == 1 ? text : text.substring(0, text.length() - 1);
        try {
            long count = Math.multiplyExact(Long.parseLong(digits), (long) unit);
            if (count >= LEAST_BUFFER && count <= MOST_BUFFER) {
                return Integer.highestOneBit((int) count);
            }
        } catch (NumberFormatException | ArithmeticException e) {
            // said below
        }
        throw new IllegalArgumentException("expected 64K to 32M, got \"" + text + "\"");
    }

    private static int number(String text, int least, int greatest) {
        try {
            int number = Integer.parseInt(text);
            if (number >= least && number <= greatest) {
                return number;
            }
        } catch (NumberFormatException e) {
            // said below
        }
        throw new IllegalArgumentException(
                "expected a number from " + least + " to " + greatest + ", got \"" + text + "\"");
    }

    /** {@code HOST:PORT}, {@code [ADDRESS]:PORT}, and ssh's {@code %h:%p} of an IPv6 address. */
    private static InetSocketAddress address(String option, String text, int leastPort)
            throws Wrong {
        int colon = text.lastIndexOf(':');
        String host = colon < 0 ? "" : text.substring(0, colon);
        if (host.startsWith("[") && host.endsWith("]")) {
            host = host.substring(1, host.length() - 1);
        }
        try {
            int port = number(text.substring(colon + 1), leastPort, 65_535);
            if (colon != 0 && (colon > 0 || option.equals("--listen"))) {
                return InetSocketAddress.createUnresolved(host, port);
            }
        } catch (IllegalArgumentException e) {
            // said below
        }
        throw new Wrong(option + ": expected HOST:PORT, got \"" + text + "\"");
    }

    // --- the server's end

    private int listen() throws Wrong {
        InetSocketAddress target = address("--to", to == null ? "" : to, 1);
        List<InetSocketAddress> addresses = new ArrayList<>();
        for (String one : listens) {
            InetSocketAddress where = address("--listen", one, 0);
            try {
                addresses.add(
                        where.getHostString().isEmpty()
                                ? new InetSocketAddress(where.getPort())
                                : new InetSocketAddress(
                                        InetAddress.getByName(where.getHostString()),
                                        where.getPort()));
            } catch (UnknownHostException e) {
                say("--listen: could not find \"" + where.getHostString() + "\"");
                return 1;
            }
        }
        TetherListener.Watcher watcher =
                new TetherListener.Watcher() {
                    @Override
                    public void said(String line) {
                        say(line);
                    }

                    @Override
                    public void detail(String line) {
                        if (verbose) {
                            say(line);
                        }
                    }
                };
        try {
            TetherListener listener =
                    new TetherListener(
                            addresses,
                            new TetherListener.Rules(target, hold, buffer, most),
                            watcher);
            // Until it is told to go: then every client is told, too.
            Runtime.getRuntime().addShutdownHook(new Thread(listener::close, "tether end"));
            Growth.watch();
            listener.serve();
            for (InetSocketAddress one : listener.addresses()) {
                say("listening on " + show(one) + " for " + to);
            }
            Daemon.notify("READY=1");
            new CountDownLatch(1).await();
            return 0;
        } catch (IOException e) {
            say("cannot listen: " + e.getMessage());
            return 1;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return 1;
        }
    }

    private static String show(InetSocketAddress one) {
        String host = one.getAddress().getHostAddress();
        return (host.indexOf(':') < 0 ? host : "[" + host + "]") + ":" + one.getPort();
    }

    // --- the client's end

    private int connect(String where) throws Wrong {
        InetSocketAddress server = address("--connect", where, 1);
        FreshNames.only();
        SocketChannel first;
        TcpStream through;
        try {
            first = dial(server, new AddressOrder(null));
            through = new TcpStream(first);
        } catch (IOException e) {
            say(
                    "connect to host "
                            + server.getHostString()
                            + " port "
                            + server.getPort()
                            + ": "
                            + e.getMessage());
            return 1;
        }
        Notices notices = new Notices(where);
        AddressOrder order = new AddressOrder(first.socket().getInetAddress());
        TetherStream stream =
                TetherStream.carrying(
                        TetherStream.Passage.of(through),
                        Software.NAME,
                        buffer,
                        CarrierPolicy.client(Duration.ZERO, new SecureRandom().nextLong()),
                        new LinkClock(),
                        () -> TetherStream.Passage.of(new TcpStream(dial(server, order))),
                        notices,
                        hold);
        notices.stream = stream;
        // ssh ends its ProxyCommand with SIGHUP: the server is told all the same.
        Runtime.getRuntime().addShutdownHook(new Thread(stream::close, "tether end"));
        Thread.ofPlatform().daemon().name("stdin").start(() -> input(stream, first));
        return output(stream);
    }

    private void input(TetherStream stream, SocketChannel first) {
        byte[] bytes = new byte[CHUNK];
        try (FileInputStream in = new FileInputStream(FileDescriptor.in)) {
            int count;
            while ((count = in.read(bytes)) >= 0) {
                ByteBuffer some = ByteBuffer.wrap(bytes, 0, count);
                while (some.hasRemaining()) {
                    stream.write(some);
                }
            }
            if (stream.tethered()) {
                stream.close();
            } else {
                first.shutdownOutput();
            }
        } catch (IOException e) {
            // whoever reads the stream learns it, too
        }
    }

    private int output(TetherStream stream) {
        byte[] bytes = new byte[CHUNK];
        try (FileOutputStream out = new FileOutputStream(FileDescriptor.out)) {
            while (true) {
                int count;
                try {
                    count = stream.read(ByteBuffer.wrap(bytes));
                } catch (IOException e) {
                    if (!stream.isOpen() || ended(stream, CarrierState.Ending.FINISHED)) {
                        return 0;
                    }
                    say(String.valueOf(e.getMessage()));
                    return 1;
                }
                if (count < 0) {
                    return 0;
                }
                out.write(bytes, 0, count);
            }
        } catch (IOException e) {
            return 0; // ssh has gone
        } finally {
            stream.close();
        }
    }

    private static boolean ended(TetherStream stream, CarrierState.Ending why) {
        return stream.state() instanceof CarrierState.Over over && over.why() == why;
    }

    private static SocketChannel dial(InetSocketAddress server, AddressOrder order)
            throws IOException {
        IOException trouble = new UnknownHostException(server.getHostString());
        InetAddress[] found;
        try {
            found = InetAddress.getAllByName(server.getHostString());
        } catch (UnknownHostException e) {
            throw new IOException("Name or service not known", e);
        }
        for (InetAddress one : order.next(List.of(found))) {
            SocketChannel made = SocketChannel.open();
            try {
                made.socket().connect(new InetSocketAddress(one, server.getPort()), CONNECT_MILLIS);
                made.setOption(StandardSocketOptions.TCP_NODELAY, true);
                return made;
            } catch (IOException e) {
                made.close();
                trouble = e;
            }
        }
        throw trouble;
    }

    /** What the person is told: one line when the path is lost, one when it is back. */
    private final class Notices implements TetherStream.Watcher {
        private final String where;
        private final AtomicBoolean watched = new AtomicBoolean();
        private volatile @Nullable TetherStream stream;
        private @Nullable Moment lost;

        Notices(String where) {
            this.where = where;
        }

        @Override
        public void standsStill(Moment since, Moment heldUntil) {
            lost = since;
            if (verbose || terminal) {
                say("nothing heard from " + where + "; looking for a way back");
            }
        }

        @Override
        public void goesOn() {
            Moment since = lost;
            lost = null;
            TetherStream of = stream;
            if (since != null
                    && (verbose || terminal)
                    && of != null
                    && !(of.state() instanceof CarrierState.Over)) {
                Duration away = new Moment(System.nanoTime()).since(since);
                say(where + " is back after " + Math.max(1, away.toSeconds()) + " s");
            }
        }

        @Override
        public void held(Duration time) {
            TetherStream of = stream;
            if (of != null && watched.compareAndSet(false, true)) {
                NetworkWatch.start(of::networkChanged);
            }
        }

        @Override
        public void moved(TetherStream.Passage passage) {}

        @Override
        public void said(String line) {
            if (verbose) {
                say(line);
            }
        }
    }

    /** A terminal that ssh may have in raw mode. */
    private static boolean isTerminal() {
        try {
            String name = Files.readSymbolicLink(Path.of("/proc/self/fd/2")).toString();
            return name.startsWith("/dev/pts/") || name.startsWith("/dev/tty");
        } catch (IOException e) {
            return false;
        }
    }

    private void say(@Nullable String line) {
        String text = "holdfast tether: " + line + (terminal ? "\r\n" : "\n");
        try {
            STDERR.write(text.getBytes(StandardCharsets.UTF_8));
        } catch (IOException e) {
            // nobody reads our words any more
        }
    }
}
