package holdfast.app.command;

import holdfast.core.time.Moment;
import holdfast.lab.middlebox.AddressChange;
import holdfast.lab.middlebox.Direction;
import holdfast.lab.middlebox.Event;
import holdfast.lab.middlebox.Flow;
import holdfast.lab.proxy.FlowReport;
import holdfast.lab.proxy.WeatherEvent;
import holdfast.lab.proxy.WeatherProxy;
import holdfast.ssh.terminal.Terminal;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/**
 * {@code holdfast lab}: a proxy with weather in it, to see what one's own settings survive.
 *
 * <p>One thread, the caller's, prints and decides; all others put their news into its mailbox.
 */
public final class Lab {

    static final String USAGE =
            """
            usage: holdfast lab --listen ADDRESS:PORT --to HOST[:PORT] [TROUBLE...]

            Stands between an SSH client and its server (or any other two that speak TCP)
            and does to their connections what routers and networks do, to show what your
            settings survive. Connect to --listen; what arrives there is carried to --to
            (port 22 if none is given).

            The box that forgets, a NAT or load balancer:
              --idle 30s            forget a connection that was idle for so long
              --expiry HOW          what happens when it is forgotten:
                                      silent      all of it vanishes, unsaid (default)
                                      reset       whoever speaks is reset, the other not
                                      reset-both  both are reset at once
                                      close       both are closed at once, as a proxy does
                                      revive      client's next packet puts it back
                                      remap       client's next packet has another port
              --unsolicited drop    with revive and remap, a server that speaks first is not
                                    reset, but not heard
              --granularity 10s     look for idle connections only so often
              --refresh-by client   only what the client sends counts as use (both: default)
              --refresh-with payload  packets without payload do not count (any: default)
              --firewall 1h         a firewall, too, which forgets after so long without a
                                    packet, and knows the stages of a connection:
              --firewall-opening 30s, --firewall-closing 2m
                                    until it is answered, and after its first FIN
              --stranger HOW        what a packet meets that the firewall does not know:
                                    drop (default), reject (a reset), adopt (client's)
              --crowd 60s@5m        tables fill up for 60 s, from 5 m on: idle times are
              --crowd-share 10%     only so much of what they were

            The line and the ends:
              --latency 80ms        everything takes so long, each way
              --jitter 20ms         and up to so much longer, by chance
              --loss 1%             segments get lost by chance, each way
              --rate 1mbit          no more than so much each way, for all together; what
                                    does not fit into a queue of 250 ms (or 30 kB) is lost
              --outage 60s@5m       nothing gets through for 60 s, from 5 m after the
                                    start on
              --outage-to-server 60s@5m, --outage-to-client 60s@5m
                                    the same, but the other way all is well
              --mute 60s@5m         the server acknowledges and does not answer
              --roam 5m             the client's address changes: its connections are dead,
                                    new ones are well
              --wan-change 5m       its router's does: the server resets strangers

            Outages, crowds, mute, roam and wan-change may be given several times.

              --script FILE         do things at set times, see below
              --seed N              other chances than those of seed 1
              --help                print this

            Times are written 80ms, 1.5s, 5m, 1h or 1m30s; rates 64kbit, 1mbit, 1gbit.
            Options may stand in any order and be written --idle=30s. Port 0 takes a free
            port, which is printed.

            On a terminal you see a table of all connections, and what the box would do to
            each if it spoke now. Elsewhere, one line for each thing that happens. The
            keys:
              c cut the path    > < cut it to the server, to the client only
              m mute the server    l load the tables (a crowd)    h heal all of these
              o roam    w WAN change    q quit (or Ctrl-C)
              f forget, r reset, k kill (lose all of it from now on): the connection chosen
              by typing its number, or all of them, which a chooses again

            A script has lines like these; the number of a connection may follow forget,
            reset and kill, and a direction (to-server, to-client) cut:
              5s cut
              10s heal     # a comment
              12s forget 1
              15s reset
              20s quit
            There are also mute, crowd, roam, wan-change and kill.

            Example 1: a router that forgets after 30 s, in front of the server "myhost".
              In one terminal:
                holdfast lab --listen 127.0.0.1:2200 --to myhost:22 --idle 30s
              In another (HostKeyAlias says whose key to expect):
                ssh -p 2200 -o HostKeyAlias=myhost 127.0.0.1
              Type nothing for 40 s, then something: it hangs, and nobody says so
              (Enter ~ . ends it).
              Now the same with keepalives more often than the router forgets, and it lives:
                ssh -p 2200 -o HostKeyAlias=myhost -o ServerAliveInterval=10 127.0.0.1

            Example 2: a slow line that is cut, the same every time.
                printf '%s\\n' '10s cut' '30s heal' '90s quit' > tunnel
                holdfast lab --listen 127.0.0.1:2200 --to myhost --latency 80ms \\
                    --script tunnel
              Connect within 10 s. This one gives up after 15 s of silence:
                ssh -p 2200 -o HostKeyAlias=myhost -o ServerAliveInterval=5 \\
                    -o ServerAliveCountMax=2 127.0.0.1
              With ServerAliveInterval=15 alone it waits, and goes on when TCP tries
              again: by 50 s, for the pauses between its tries double.

            What a proxy only approximates: it sees streams, not packets, so each end's
            own TCP talks to the lab and is well. The lab plays the TCP between (segments,
            losses sent again on Linux's ladder, giving up after 15 tries); a packet lost
            inside the kernel's TCP it cannot imitate. So TCPKeepAlive is answered by the
            lab and never notices anything, TCP_USER_TIMEOUT and ss(8) see no loss, and
            where a TCP would give up with "Connection timed out" there is a reset. A
            target that refuses shows as a reset too. No address really changes: the lab
            plays what both kernels would say. What was said to a mute server is lost for
            good: such a connection does not recover, a new one is well.
            """;

    /** How many pieces of news may wait to be printed; what comes beyond is counted. */
    private static final int MOST_NEWS = 4096;

    private static final int MOST_CONNECTIONS = 1024;
    private static final Duration REDRAW = Duration.ofSeconds(1);

    /** The table is not painted more often than this when much happens. */
    private static final Duration LEAST_REDRAW = Duration.ofMillis(200);

    private static final Duration PATIENCE = Duration.ofSeconds(5);

    private static final int CTRL_C = 3;
    private static final int CTRL_Z = 26;
    private static final int ESCAPE = 27;

    /** Where a lab shows itself and is spoken to. */
    interface Console {

        PrintStream out();

        PrintStream err();

        /** Whether a live table is drawn, rather than lines printed. */
        boolean table();

        /** Where keys come from from now on, or null: nobody types. */
        @Nullable InputStream keys();

        /** Columns and rows; zeros where they are not known. */
        Terminal.Size size();

        /** Gives the terminal back for as long as somebody has stopped us. */
        void suspend();

        void onResize(Runnable action);
    }

    private sealed interface News {

        record Line(String text) implements News {}

        record Key(int code) implements News {}

        /** The table is to be drawn anew, or the end has come. */
        record Look() implements News {}
    }

    /** Something due at a moment. */
    private record Due(Moment at, Runnable what) {}

    private final LabPlan plan;
    private final Console console;
    private final LinkedBlockingQueue<News> mailbox = new LinkedBlockingQueue<>(MOST_NEWS);
    private final AtomicLong untold = new AtomicLong();
    private final LabEvents events = new LabEvents();
    private final CountDownLatch done = new CountDownLatch(1);
    private final ArrayDeque<Due> due = new ArrayDeque<>();
    private final Set<Integer> killed = new HashSet<>();
    private volatile boolean stopping;
    private boolean typed;
    private final Map<Integer, AddressChange.Whose> moved = new HashMap<>();
    private final Set<LabTable.Hand> hands = EnumSet.noneOf(LabTable.Hand.class);
    private int chosen = LabScript.ALL;
    private List<String> drawn = List.of();
    private Moment drawnAt = Moment.ZERO;
    private Moment drawAt = Moment.ZERO;

    private Lab(LabPlan plan, Console console) {
        this.plan = plan;
        this.console = console;
    }

    /**
     * Runs a lab until somebody ends it.
     *
     * @param arguments as in {@code --help}
     * @return 0 if it was ended, 1 if it cannot run, 2 for wrong arguments
     */
    public static int run(List<String> arguments) {
        if (arguments.contains("--help") || arguments.contains("-h")) {
            System.out.print(USAGE);
            System.out.flush();
            return 0;
        }
        ProcessConsole console = new ProcessConsole();
        try {
            return run(arguments, console);
        } finally {
            Terminal.ofProcess().restore();
        }
    }

    /** Runs a lab on {@code console}. */
    static int run(List<String> arguments, Console console) {
        try {
            return new Lab(LabPlan.parse(arguments), console).run();
        } catch (LabRefusal refusal) {
            console.err().println("holdfast lab: " + refusal.getMessage());
            console.err().flush();
            return refusal.status;
        }
    }

    private int run() throws LabRefusal {
        Thread hook = new Thread(this::stopAndWait, "lab end");
        try (WeatherProxy proxy = open()) {
            Runtime.getRuntime().addShutdownHook(hook);
            start(proxy);
            boolean heard = loop(proxy);
            int left = proxy.flows().size();
            erase();
            say(
                    LabEvents.line(
                            proxy.now(),
                            "lab",
                            "ends"
                                    + switch (left) {
                                        case 0 -> "";
                                        case 1 -> ", and with it 1 connection";
                                        default -> ", and with it " + left + " connections";
                                    }));
            console.out().flush();
            return heard ? 0 : 1;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return 1;
        } finally {
            done.countDown();
            try {
                Runtime.getRuntime().removeShutdownHook(hook);
            } catch (IllegalStateException ending) {
                // It is the hook that waits for us.
            }
        }
    }

    /** Ctrl-C or SIGTERM: the connections are ended before the process is. */
    private void stopAndWait() {
        stopping = true;
        look();
        try {
            if (!done.await(PATIENCE.toMillis(), TimeUnit.MILLISECONDS)) {
                return; // the process ends all the same, and its sockets with it
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private WeatherProxy open() throws LabRefusal {
        try {
            return WeatherProxy.open(
                    plan.listen(), plan.to(), plan.boxes(), MOST_CONNECTIONS, this::saw);
        } catch (IOException e) {
            throw LabRefusal.cannot(
                    "cannot listen on " + LabPlan.show(plan.listen()) + ": " + e.getMessage());
        }
    }

    private void start(WeatherProxy proxy) {
        say(
                "holdfast lab: listening on "
                        + LabPlan.show(proxy.address())
                        + ", carrying to "
                        + LabPlan.show(plan.to()));
        if (!console.table()) {
            say("weather: " + plan.weather());
        }
        List<Due> dues = new ArrayList<>();
        for (LabScript.Step step : plan.script()) {
            Moment at = Moment.ZERO.plus(step.after());
            dues.add(new Due(at, () -> act(proxy, step.act(), step.connection())));
        }
        for (LabTable.Timed timed : LabTable.Timed.of(plan)) {
            dues.add(new Due(timed.span().from(), () -> tell(proxy, "path", timed.begins())));
            dues.add(new Due(timed.span().to(), () -> tell(proxy, "path", timed.ends())));
        }
        for (Moment at : plan.roams()) {
            dues.add(new Due(at, () -> moved(proxy, AddressChange.Whose.CLIENT)));
        }
        for (Moment at : plan.wanChanges()) {
            dues.add(new Due(at, () -> moved(proxy, AddressChange.Whose.ROUTER)));
        }
        dues.sort(Comparator.comparing(Due::at));
        due.addAll(dues);
        console.out().flush();
        InputStream keys = console.keys();
        if (keys != null) {
            typed = true;
            Thread.ofPlatform().daemon().name("lab keys").start(() -> read(keys));
        }
        if (console.table()) {
            console.onResize(this::look);
        }
    }

    // --- other threads

    private void saw(WeatherEvent event) {
        String line = events.line(event);
        if (line != null && !mailbox.offer(new News.Line(line))) {
            untold.incrementAndGet();
        }
    }

    private void look() {
        // A full mailbox wakes the printing thread as well.
        boolean ignored = mailbox.offer(new News.Look());
    }

    private void read(InputStream keys) {
        try {
            int code;
            while ((code = keys.read()) >= 0) {
                mailbox.put(new News.Key(code));
            }
        } catch (IOException e) {
            // The terminal is gone; a hang-up, if it was one, ends the lab by its signal.
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    // --- the printing thread

    /** Works until somebody ends it; false if nobody reads what is printed any more. */
    private boolean loop(WeatherProxy proxy) throws InterruptedException {
        while (!stopping) {
            Moment now = proxy.now();
            Due next = due.peek();
            if (next != null && !now.isBefore(next.at)) {
                due.remove().what.run();
                continue;
            }
            if (console.table() && !now.isBefore(drawAt)) {
                draw(proxy);
                continue;
            }
            console.out().flush();
            if (console.out().checkError()) {
                return false;
            }
            Moment wake = next == null ? Moment.NEVER : next.at;
            wake = console.table() ? Moment.earlier(wake, drawAt) : wake;
            News news = mailbox.poll(now.until(wake).toNanos(), TimeUnit.NANOSECONDS);
            if (news != null) {
                take(proxy, news);
            }
        }
        News rest;
        while ((rest = mailbox.poll()) != null) {
            if (rest instanceof News.Line(String text)) {
                say(text);
            }
        }
        return true;
    }

    private void take(WeatherProxy proxy, News news) {
        long missed = untold.getAndSet(0);
        if (missed > 0) {
            tell(proxy, "lab", missed + " events came too fast to be told");
        }
        switch (news) {
            case News.Line(String text) -> say(text);
            case News.Key(int code) -> pressed(proxy, code);
            case News.Look _ -> {}
        }
        // At once, but not for each of many.
        drawAt = Moment.earlier(drawAt, drawnAt.plus(LEAST_REDRAW));
    }

    private void pressed(WeatherProxy proxy, int code) {
        switch (code) {
            case 'c' -> act(proxy, LabScript.Act.CUT, LabScript.ALL);
            case '>' -> act(proxy, LabScript.Act.CUT_TO_SERVER, LabScript.ALL);
            case '<' -> act(proxy, LabScript.Act.CUT_TO_CLIENT, LabScript.ALL);
            case 'm' -> act(proxy, LabScript.Act.MUTE, LabScript.ALL);
            case 'l' -> act(proxy, LabScript.Act.CROWD, LabScript.ALL);
            case 'h' -> act(proxy, LabScript.Act.HEAL, LabScript.ALL);
            case 'o' -> act(proxy, LabScript.Act.ROAM, LabScript.ALL);
            case 'w' -> act(proxy, LabScript.Act.WAN_CHANGE, LabScript.ALL);
            case 'f' -> act(proxy, LabScript.Act.FORGET, chosen);
            case 'r' -> act(proxy, LabScript.Act.RESET, chosen);
            case 'k' -> act(proxy, LabScript.Act.KILL, chosen);
            case 'q', CTRL_C -> act(proxy, LabScript.Act.QUIT, LabScript.ALL);
            case 'a', ESCAPE -> chosen = LabScript.ALL;
            case CTRL_Z -> {
                console.suspend();
                drawn = List.of(); // whatever is on the screen now is not to be painted over
            }
            default -> {
                if (code >= '0' && code <= '9') {
                    choose(proxy, code - '0');
                }
            }
        }
    }

    /** 1 and then 2 is 12, where there is a 12, and otherwise 2. */
    private void choose(WeatherProxy proxy, int digit) {
        int longer = chosen >= MOST_CONNECTIONS * 1000 ? digit : chosen * 10 + digit;
        boolean has = false;
        boolean hasLonger = false;
        for (FlowReport report : proxy.flows()) {
            has |= report.flow().number() == digit;
            hasLonger |= report.flow().number() == longer;
        }
        if (hasLonger || has) {
            chosen = hasLonger ? longer : digit;
        }
    }

    private void act(WeatherProxy proxy, LabScript.Act act, int connection) {
        switch (act) {
            case CUT -> byHand(proxy, LabTable.Hand.CUT, new Event.Cut(), "cut");
            case CUT_TO_SERVER ->
                    byHand(
                            proxy,
                            LabTable.Hand.CUT_TO_SERVER,
                            new Event.CutOneWay(Direction.TO_SERVER),
                            "cut to server");
            case CUT_TO_CLIENT ->
                    byHand(
                            proxy,
                            LabTable.Hand.CUT_TO_CLIENT,
                            new Event.CutOneWay(Direction.TO_CLIENT),
                            "cut to client");
            case MUTE -> byHand(proxy, LabTable.Hand.MUTE, new Event.Mute(), "server falls silent");
            case CROWD ->
                    byHand(
                            proxy,
                            LabTable.Hand.CROWD,
                            new Event.Crowd(),
                            plan.forgets() || plan.firewall() != null
                                    ? "tables are crowded"
                                    : "tables are crowded, but nothing forgets by itself here");
            case HEAL -> {
                hands.clear();
                proxy.heal();
                tell(proxy, "path", "healed");
            }
            case ROAM -> {
                moved(proxy, AddressChange.Whose.CLIENT);
                proxy.meddle(new Event.Roam(AddressChange.Whose.CLIENT));
            }
            case WAN_CHANGE -> {
                moved(proxy, AddressChange.Whose.ROUTER);
                proxy.meddle(new Event.Roam(AddressChange.Whose.ROUTER));
            }
            case FORGET, RESET, KILL -> {
                if (act == LabScript.Act.FORGET && connection == LabScript.ALL) {
                    tell(proxy, "path", "every connection is to be forgotten");
                    proxy.forget();
                    return;
                }
                int count = 0;
                List<FlowReport> open = proxy.flows();
                killed.removeIf(
                        number -> open.stream().noneMatch(r -> r.flow().number() == number));
                for (FlowReport report : open) {
                    Flow flow = report.flow();
                    if (connection != LabScript.ALL && flow.number() != connection) {
                        continue;
                    }
                    count++;
                    String who = "#" + flow.number();
                    switch (act) {
                        case FORGET -> {
                            tell(proxy, who, "is to be forgotten");
                            proxy.forget(flow);
                        }
                        case RESET -> {
                            tell(proxy, who, "reset by hand");
                            proxy.reset(flow);
                        }
                        default -> {
                            tell(proxy, who, "killed by hand");
                            killed.add(flow.number());
                            proxy.kill(flow);
                        }
                    }
                }
                if (count == 0) {
                    boolean all = connection == LabScript.ALL;
                    tell(
                            proxy,
                            all ? "lab" : "#" + connection,
                            "no " + (all ? "" : "such ") + "connection to " + act.spelled);
                }
            }
            case QUIT -> stopping = true;
        }
    }

    private void byHand(WeatherProxy proxy, LabTable.Hand hand, Event.ByHand event, String text) {
        hands.add(hand);
        proxy.meddle(event);
        tell(proxy, "path", text);
    }

    /** Every connection that there is now has an address that is gone. */
    private void moved(WeatherProxy proxy, AddressChange.Whose whose) {
        Set<Integer> open = new HashSet<>();
        for (FlowReport report : proxy.flows()) {
            int number = report.flow().number();
            open.add(number);
            // Who has moved himself is no better off for it.
            if (moved.get(number) != AddressChange.Whose.CLIENT) {
                moved.put(number, whose);
            }
        }
        moved.keySet().retainAll(open);
        tell(
                proxy,
                "path",
                switch (whose) {
                    case CLIENT -> "client's address changes";
                    case ROUTER -> "router's address changes";
                });
    }

    private void tell(WeatherProxy proxy, String who, String text) {
        say(LabEvents.line(proxy.now(), who, text));
    }

    /** Prints a line; above the table, if there is one. */
    private void say(String line) {
        erase();
        console.out().print(line + lineEnd());
        drawAt = Moment.earlier(drawAt, drawnAt.plus(LEAST_REDRAW));
    }

    /** In raw mode nobody else returns the carriage. */
    private String lineEnd() {
        return console.table() ? "\r\n" : "\n";
    }

    private void erase() {
        int rows = rowsDrawn();
        if (rows > 0) {
            console.out().print("\r\033[" + rows + "A\033[J");
            drawn = List.of();
        }
    }

    /** How many rows the table takes up now: a window made narrower has broken its lines. */
    private int rowsDrawn() {
        int columns = console.table() && !drawn.isEmpty() ? console.size().columns() : 0;
        int rows = 0;
        for (String line : drawn) {
            rows += columns > 0 ? Math.max(1, Math.ceilDiv(line.length(), columns)) : 1;
        }
        return rows;
    }

    private void draw(WeatherProxy proxy) {
        List<LabTable.Row> rows = new ArrayList<>();
        boolean there = false;
        for (FlowReport report : proxy.flows()) {
            Moment spoke = events.spoke(report.flow());
            int number = report.flow().number();
            there |= number == chosen;
            rows.add(
                    new LabTable.Row(
                            report,
                            spoke == null ? report.opened() : spoke,
                            killed.contains(number),
                            moved.get(number)));
        }
        chosen = there ? chosen : LabScript.ALL;
        LabTable.View view =
                new LabTable.View(LabPlan.show(proxy.address()), hands, chosen, typed, rows);
        Terminal.Size size = console.size();
        int width = size.columns() > 0 ? size.columns() : 80;
        int height = size.rows() > 0 ? size.rows() : 24;
        Moment now = proxy.now();
        StringBuilder picture = new StringBuilder();
        // The last column stays free, and so does the row that the cursor waits in.
        List<String> lines = LabTable.lines(plan, view, now, width - 1, height - 1);
        for (String line : lines) {
            picture.append(line).append("\033[K\r\n");
        }
        int before = rowsDrawn();
        if (before > 0) {
            console.out().print("\r\033[" + before + "A");
        }
        console.out().print(picture + "\033[J");
        console.out().flush();
        drawn = lines;
        drawnAt = now;
        drawAt = now.plus(REDRAW);
    }

    /** The streams and the terminal of this process. */
    private static final class ProcessConsole implements Console {

        private final boolean table;
        private final @Nullable InputStream keys;

        ProcessConsole() {
            // In the background neither the modes nor the keys of a terminal are ours.
            boolean foreground = foreground();
            boolean typed = foreground && Terminal.isTerminal(0);
            boolean dumb = System.getenv().getOrDefault("TERM", "dumb").equals("dumb");
            table = foreground && !dumb && Terminal.isTerminal(1);
            keys = typed ? new FileInputStream(FileDescriptor.in) : null;
        }

        @Override
        public PrintStream out() {
            return System.out;
        }

        @Override
        public PrintStream err() {
            return System.err;
        }

        @Override
        public boolean table() {
            return table;
        }

        /** Where lines are printed the terminal stays as it is, and a key needs an Enter. */
        @Override
        public @Nullable InputStream keys() {
            if (keys != null && table) {
                Terminal.ofProcess().enterRaw();
            }
            return keys;
        }

        @Override
        public Terminal.Size size() {
            return Terminal.ofProcess().size();
        }

        @Override
        public void suspend() {
            Terminal.ofProcess().suspend();
        }

        @Override
        public void onResize(Runnable action) {
            Terminal.ofProcess().onResize(action);
        }

        /** Whether our process group is the one that the terminal belongs to. */
        private static boolean foreground() {
            try {
                String stat = Files.readString(Path.of("/proc/self/stat"));
                // After the name, which may hold anything: state ppid pgrp session tty_nr tpgid
                String[] rest = stat.substring(stat.lastIndexOf(')') + 2).split(" ", 7);
                return rest[2].equals(rest[5]);
            } catch (IOException e) {
                return true;
            }
        }
    }
}
