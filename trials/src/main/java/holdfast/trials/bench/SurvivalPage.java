package holdfast.trials.bench;

import holdfast.lab.middlebox.IdleNat.Expiry;
import java.time.Duration;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The page docs/survival.md.
 *
 * @param fates what became of each connection, in the order of the page
 * @param took the whole matrix
 * @param machine what it ran on
 * @param tethered each session's with a tether, in the order of the page
 */
record SurvivalPage(
        Map<Cell, Cell.Fate> fates, Duration took, String machine, TetherFates tethered) {

    SurvivalPage(Fates fates, TetherFates tethered) {
        this(fates.of(), fates.took(), fates.machine(), tethered);
    }

    String text() {
        StringBuilder page = new StringBuilder();
        page.append(
                """
                # What a connection survives

                Made by `trials/bench survival`, which writes this page whole: %1$d connections in %2$d minutes, each \
                through a NAT of its own in the real kernel (three network namespaces, nftables, conntrack; \
                `holdfast.trials.harness.NatLab`), to Debian's sshd with ClientAlive off, from OpenSSH's client \
                and from `holdfast ssh`. Made on: %3$s.

                **Times are scaled by %4$d**: the NAT's idle limit of %5$d s stands for %6$d s, keepalive intervals of \
                %7$d s (below the limit) and %8$d s (above it) for %9$d s and %10$d s, the silence of %11$d s for %12$d s, \
                the kernel's TCP keepalive of %13$d s for its usual 7200 s. ServerAliveCountMax is %14$d everywhere. \
                Not scaled, because the kernel has no setting for it, is TCP's retransmission: 0.2 s after a loss and \
                then twice as long each time, given up after about 15 minutes. So the seconds of the two cuts are \
                to be read as they are.

                **One connection**: a remote command says a word, which is second 0. Then silence. Troubles that \
                come by silence come at %5$d s, the others at %15$d s. At %11$d s the client or the server speaks, and \
                at %16$d s the watch ends. **lived**: what was said arrived, an answer went back, both ends were \
                there at the end; the time is from speaking to arrival. **died**: at least one end found out. \
                **hung**: it carries nothing, and at the end of the watch nobody knew. *Client noticed* and *server \
                noticed* count from the trouble's beginning to the end of the client, and of the server's process for \
                this connection; *no* means: not by the end of the watch.

                **Of six ways to expire** four are here: D, R, V and X. B (a reset to both ends at the moment of \
                expiry) and C (a close to both, as a proxy does) have no equivalent in the kernel: conntrack forgets \
                in silence, whatever it does with the next packet. They stand at the end, from the simulator alone.

                **The model** is the simulator of the lab (`holdfast.lab.sim`, the same `core` code that our client \
                runs, over a model of Linux's TCP) on the same times. *same*: the same outcome, and each end told or \
                not, within %17$s. Elsewhere stands what the model says, the client's time before the server's, and \
                below the table why the two differ. A dash: the model is not asked. It agrees in %18$d of the %19$d \
                connections that it was asked about.

                """
                        .formatted(
                                fates.size(),
                                Math.ceilDiv(took.toSeconds(), 60),
                                machine,
                                Cell.FACTOR,
                                Cell.LIMIT.toSeconds(),
                                Cell.LIMIT.toSeconds() * Cell.FACTOR,
                                Cell.BELOW,
                                Cell.ABOVE,
                                Cell.BELOW * Cell.FACTOR,
                                Cell.ABOVE * Cell.FACTOR,
                                Cell.SPEAK.toSeconds(),
                                Cell.SPEAK.toSeconds() * Cell.FACTOR,
                                7200 / Cell.FACTOR,
                                Cell.COUNT,
                                Cell.STRIKE.toSeconds(),
                                Cell.END.toSeconds(),
                                Cell.seconds(Model.NEAR),
                                asked().filter(this::agreed).count(),
                                asked().count()));
        summary(page);
        for (Trouble trouble : Trouble.values()) {
            section(page, trouble);
        }
        modelOnly(page);
        withTether(page);
        return page.toString();
    }

    private void summary(StringBuilder page) {
        page.append(
                "## In short\n\nOpenSSH's client / ours, where they differ. *Told*: who of the two ends found out by the end of the watch. *Tether*: ours to our own server, with nothing set; *held*: cut off still at the end of the watch, because the trouble was not over, and back when it was.\n\n| trouble |");
        for (Cell.Setting setting : Cell.Setting.values()) {
            for (String first : new String[] {"client", "server"}) {
                page.append(' ').append(setting.name).append(", ").append(first).append(" first |");
            }
        }
        page.append(" **tether**, client first | **tether**, server first |");
        page.append("\n|---|")
                .append("---|".repeat(Cell.Setting.values().length * 2 + 2))
                .append('\n');
        for (Trouble trouble : Trouble.values()) {
            StringBuilder row = new StringBuilder("| " + trouble.name + " |");
            boolean any = false;
            for (Cell.Setting setting : Cell.Setting.values()) {
                for (boolean serverFirst : new boolean[] {false, true}) {
                    Cell.@Nullable Fate theirs =
                            fates.get(new Cell(trouble, setting, serverFirst, false));
                    Cell.@Nullable Fate ours =
                            fates.get(new Cell(trouble, setting, serverFirst, true));
                    if (theirs != null && ours != null) {
                        any = true;
                        String a = brief(theirs);
                        String b = brief(ours);
                        row.append(' ').append(a.equals(b) ? a : a + " / " + b).append(" |");
                    }
                }
            }
            for (boolean serverFirst : new boolean[] {false, true}) {
                TetherCell.@Nullable Fate fate =
                        tethered.of().get(new TetherCell(trouble, serverFirst));
                row.append(fate == null ? " – |" : " " + fate.brief() + " |");
            }
            if (any) {
                page.append(row).append('\n');
            }
        }
        page.append('\n');
    }

    private void section(StringBuilder page, Trouble trouble) {
        StringBuilder rows = new StringBuilder();
        for (Map.Entry<Cell, Cell.Fate> entry : fates.entrySet()) {
            if (entry.getKey().trouble() == trouble) {
                row(rows, entry.getKey(), entry.getValue());
            }
        }
        if (rows.isEmpty()) {
            return;
        }
        page.append("## ").append(trouble.name).append(": ").append(trouble.says).append("\n\n");
        page.append(trouble.why.replace("%1$s", Cell.LIMIT.toSeconds() + " s")).append("\n\n");
        page.append(
                "| keepalive | speaks first | client | outcome | client noticed | server noticed"
                        + " | model | client's last line | sshd's last line |\n");
        page.append("|---|---|---|---|---|---|---|---|---|\n").append(rows).append('\n');
        Set<String> reasons = new LinkedHashSet<>();
        asked().filter(cell -> cell.trouble() == trouble && !agreed(cell))
                .forEach(cell -> reasons.add(difference(cell)));
        reasons.forEach(
                reason -> page.append("Model and kernel differ: ").append(reason).append("\n\n"));
    }

    private static void row(StringBuilder rows, Cell cell, Cell.Fate fate) {
        rows.append("| ").append(cell.setting().name);
        rows.append(" | ").append(cell.serverFirst() ? "server" : "client");
        rows.append(" | ").append(cell.holdfast() ? "holdfast" : "OpenSSH");
        rows.append(" | ").append(outcome(fate));
        boolean lived = fate.outcome() == Cell.Outcome.LIVED;
        rows.append(" | ").append(lived ? "–" : noticed(cell, fate.client(), fate.status()));
        rows.append(" | ").append(lived ? "–" : noticed(cell, fate.server(), -1));
        Model model = Model.of(cell);
        rows.append(" | ")
                .append(
                        model == null
                                ? "–"
                                : model.agrees(cell, fate) ? "same" : "**" + model.brief() + "**");
        rows.append(" | ").append(said(fate.clientSaid()));
        rows.append(" | ").append(said(fate.serverSaid())).append(" |\n");
    }

    private Stream<Cell> asked() {
        return fates.keySet().stream().filter(cell -> Model.of(cell) != null);
    }

    private boolean agreed(Cell cell) {
        Model model = Model.of(cell);
        Cell.Fate fate = fates.get(cell);
        return model != null && fate != null && model.agrees(cell, fate);
    }

    /** Whoever meets this mends the model, or puts the reason here. */
    private static String difference(Cell cell) {
        return cell + ": **not explained yet**.";
    }

    /** The ways to expire that the kernel does not know. */
    private static void modelOnly(StringBuilder page) {
        page.append("## B and C: both ends are told when the flow expires (simulator only)\n\n");
        page.append(
                "B resets both ends at the moment of expiry, C closes both as a proxy does: nobody is"
                        + " left with a ghost, and nobody can be late, because the news comes before anybody"
                        + " speaks. Keepalives below the limit keep the flow, the others change nothing.\n\n");
        page.append("| keepalive | speaks first | B | C |\n|---|---|---|---|\n");
        for (Cell.Setting setting : Cell.Setting.values()) {
            for (boolean serverFirst : new boolean[] {false, true}) {
                Cell cell = new Cell(Trouble.EXPIRY_RESET, setting, serverFirst, true);
                page.append("| ").append(setting.name);
                page.append(" | ").append(serverFirst ? "server" : "client");
                page.append(" | ").append(Model.ofExpiry(cell, Expiry.RESET_BOTH).brief());
                page.append(" | ")
                        .append(Model.ofExpiry(cell, Expiry.CLOSE).brief())
                        .append(" |\n");
            }
        }
    }

    /** Ours to ours: the same troubles, and what becomes of the session. */
    private void withTether(StringBuilder page) {
        page.append(
                """

                ## With a tether: `holdfast ssh` to `holdfast sshd`

                The same path, troubles and times, with no keepalives set: %1$d sessions in %2$d minutes, made on: \
                %3$s. `trials/bench survival --tether` makes this section and its columns above alone. **lived**: \
                what was said arrived and an answer went back, by the same two programs; the time is from speaking, \
                or from the end of an outage that was longer, to arrival. **held**: the trouble was not over by the \
                end of the watch, and the session was there when it was; the time is from its end. *Client noticed*: \
                from the trouble's beginning until it looked for another connection; a dash: it had no reason to. \
                *Connections*: how many carried the session in all. *Server noticed*: until its log said that the \
                session was held, or carried by another connection.

                The tether's own times are not scaled: a silence is asked after when it has lasted a quarter of the \
                time for which nothing has been going on, and 50 s at most, which is why D, R, V and X do not happen \
                to it here. A loss that nobody tells of, as forget, is missed two to three seconds after somebody \
                spoke or asked. Whom somebody refuses, as kill does, asks again after up to 10 s.

                | trouble | speaks first | outcome | client noticed | connections | server noticed | last said |
                |---|---|---|---|---|---|---|
                """
                        .formatted(
                                tethered.of().size(),
                                Math.ceilDiv(tethered.took().toSeconds(), 60),
                                tethered.machine()));
        tethered.of()
                .forEach((cell, fate) ->
                        page.append(
                                "| %s: %s | %s | %s | %s | %d | %s | %s |%n"
                                        .formatted(
                                                cell.trouble().name,
                                                cell.trouble().says,
                                                cell.serverFirst() ? "server" : "client",
                                                fate.text(),
                                                fate.since(cell, fate.client()),
                                                fate.connections(),
                                                fate.since(cell, fate.server()),
                                                said(fate.said()))));
    }

    private static String outcome(Cell.Fate fate) {
        Duration arrived = fate.arrived();
        return switch (fate.outcome()) {
            case LIVED -> arrived == null ? "lived" : "lived, " + Cell.seconds(late(arrived));
            case DIED -> arrived == null ? "**died**" : "**died** (after it was heard)";
            case HUNG -> "**hung**";
        };
    }

    /** The server's own ten seconds begin a moment before we see the word that we count from. */
    private static Duration late(Duration arrived) {
        Duration late = arrived.minus(Cell.SPEAK);
        return late.isNegative() ? Duration.ZERO : late;
    }

    private static String brief(Cell.Fate fate) {
        return switch (fate.outcome()) {
            case LIVED -> "lived";
            case DIED ->
                    fate.client() == null
                            ? "only server told"
                            : fate.server() == null ? "only client told" : "both told";
            case HUNG -> "hung";
        };
    }

    private static String noticed(Cell cell, @Nullable Duration end, int status) {
        return end == null
                ? "no"
                : Cell.seconds(end.minus(cell.begins())) + (status < 0 ? "" : ", exit " + status);
    }

    private static String said(String line) {
        return line.isEmpty() ? "–" : "`" + line.replace("|", "\\|").replace("`", "'") + "`";
    }
}
