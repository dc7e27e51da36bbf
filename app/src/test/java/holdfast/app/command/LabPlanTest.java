package holdfast.app.command;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import holdfast.core.time.Moment;
import holdfast.lab.middlebox.AddressChange;
import holdfast.lab.middlebox.Crowding;
import holdfast.lab.middlebox.Direction;
import holdfast.lab.middlebox.IdleNat;
import holdfast.lab.middlebox.Latency;
import holdfast.lab.middlebox.Loss;
import holdfast.lab.middlebox.MuteServer;
import holdfast.lab.middlebox.OneWayLoss;
import holdfast.lab.middlebox.Outage;
import holdfast.lab.middlebox.RateLimit;
import holdfast.lab.middlebox.Span;
import holdfast.lab.middlebox.StatefulFirewall;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What {@code holdfast lab} understands, and how it refuses what it does not. */
class LabPlanTest {

    @TempDir Path directory = Path.of("");

    private static LabPlan plan(String... more) throws LabRefusal {
        List<String> all =
                new ArrayList<>(List.of("--listen", "127.0.0.1:2200", "--to", "127.0.0.2:22"));
        all.addAll(Arrays.asList(more));
        return LabPlan.parse(all);
    }

    private static LabRefusal refusal(String... more) {
        return catchThrowableOfType(LabRefusal.class, () -> plan(more));
    }

    private static LabRefusal refusalOf(String... all) {
        return catchThrowableOfType(LabRefusal.class, () -> LabPlan.parse(List.of(all)));
    }

    @Test
    void times_are_read_with_their_unit() {
        assertThat(Units.time("80ms")).isEqualTo(Duration.ofMillis(80));
        assertThat(Units.time("30s")).isEqualTo(Duration.ofSeconds(30));
        assertThat(Units.time("1.5s")).isEqualTo(Duration.ofMillis(1500));
        assertThat(Units.time("5m")).isEqualTo(Duration.ofMinutes(5));
        assertThat(Units.time("2h")).isEqualTo(Duration.ofHours(2));
        assertThat(Units.time("1m30s")).isEqualTo(Duration.ofSeconds(90));
        assertThat(Units.time("0")).isZero();
        assertThat(Units.time("0s")).isZero();
    }

    @Test
    void what_is_no_time_is_refused() {
        for (String bad :
                new String[] {
                    "",
                    "30",
                    "s",
                    "30x",
                    "1.2.3s",
                    ".s",
                    "30 s",
                    "s30",
                    "1m30",
                    "30S",
                    "٣s",
                    "99999999999999999999s"
                }) {
            assertThatThrownBy(() -> Units.time(bad))
                    .as(bad)
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("expected a time like 80ms, 30s or 5m, got \"" + bad + "\"");
        }
        assertThatThrownBy(() -> Units.time("-5s")).hasMessage("a time is not negative: \"-5s\"");
        assertThatThrownBy(() -> Units.time("9000h")).hasMessage("a year at most, not \"9000h\"");
    }

    @Test
    void rates_are_bits_and_become_bytes() {
        assertThat(Units.rate("8bit")).isEqualTo(1);
        assertThat(Units.rate("64kbit")).isEqualTo(8_000);
        assertThat(Units.rate("1mbit")).isEqualTo(125_000);
        assertThat(Units.rate("1.5mbit")).isEqualTo(187_500);
        assertThat(Units.rate("1gbit")).isEqualTo(125_000_000);
    }

    @Test
    void a_rate_of_zero_is_refused_in_every_spelling() {
        for (String zero : new String[] {"0", "0bit", "0mbit", "0.0kbit", "-1mbit"}) {
            assertThatThrownBy(() -> Units.rate(zero))
                    .as(zero)
                    .hasMessage("a rate is more than zero: \"" + zero + "\"");
        }
        for (String bad : new String[] {"", "1", "1mb", "mbit", "1Mbit", "1mbit/s"}) {
            assertThatThrownBy(() -> Units.rate(bad))
                    .as(bad)
                    .hasMessage("expected a rate like 500kbit or 1mbit, got \"" + bad + "\"");
        }
        assertThatThrownBy(() -> Units.rate("7bit")).hasMessageContaining("from 8bit");
    }

    @Test
    void shares_are_percentages() {
        assertThat(Units.share("1%")).isEqualTo(0.01);
        assertThat(Units.share("0.5%")).isEqualTo(0.005);
        assertThat(Units.share("0%")).isZero();
        assertThat(Units.share("100%")).isEqualTo(1);
        for (String bad : new String[] {"", "%", "1", "0.01", "one%", "1%%"}) {
            assertThatThrownBy(() -> Units.share(bad))
                    .as(bad)
                    .hasMessage("expected a share like 1% or 0.5%, got \"" + bad + "\"");
        }
        for (String bad : new String[] {"101%", "-1%"}) {
            assertThatThrownBy(() -> Units.share(bad))
                    .hasMessage("from 0% to 100%, not \"" + bad + "\"");
        }
    }

    @Test
    void times_and_bytes_are_shown_in_few_columns() {
        assertThat(Units.show(Duration.ZERO)).isEqualTo("0s");
        assertThat(Units.show(Duration.ofMillis(80))).isEqualTo("80ms");
        assertThat(Units.show(Duration.ofMillis(4250))).isEqualTo("4.2s");
        assertThat(Units.show(Duration.ofSeconds(42))).isEqualTo("42s");
        assertThat(Units.show(Duration.ofSeconds(72))).isEqualTo("1m12s");
        assertThat(Units.show(Duration.ofMinutes(5))).isEqualTo("5m");
        assertThat(Units.show(Duration.ofMinutes(125))).isEqualTo("2h05m");
        assertThat(Units.bytes(999)).isEqualTo("999 B");
        assertThat(Units.bytes(3_140)).isEqualTo("3.1 kB");
        assertThat(Units.bytes(999_960)).isEqualTo("1.0 MB");
    }

    @Test
    void an_outage_says_how_long_and_when() {
        assertThat(LabPlan.outage("60s@5m"))
                .isEqualTo(Span.of(Moment.ZERO.plus(Duration.ofMinutes(5)), Duration.ofMinutes(1)));
        assertThatThrownBy(() -> LabPlan.outage("60s"))
                .hasMessage("expected how long and when, like 60s@5m, got \"60s\"");
        assertThatThrownBy(() -> LabPlan.outage("0s@5m"))
                .hasMessage("an outage lasts for more than zero");
        assertThatThrownBy(() -> LabPlan.outage("60s@-5m"))
                .hasMessage("a time is not negative: \"-5m\"");
        assertThatThrownBy(() -> LabPlan.outage("@")).hasMessageStartingWith("expected a time");
    }

    @Test
    void options_come_in_any_order_and_either_spelling() throws LabRefusal {
        LabPlan one =
                plan(
                        "--idle",
                        "30s",
                        "--expiry=reset-both",
                        "--latency",
                        "80ms",
                        "--jitter=20ms",
                        "--loss",
                        "1%",
                        "--rate=1mbit",
                        "--outage",
                        "60s@5m",
                        "--outage=1s@10m",
                        "--seed",
                        "7");
        LabPlan other =
                LabPlan.parse(
                        List.of(
                                "--seed=7",
                                "--outage=60s@5m",
                                "--rate",
                                "1mbit",
                                "--jitter",
                                "20ms",
                                "--to=127.0.0.2",
                                "--loss=1%",
                                "--expiry",
                                "reset-both",
                                "--latency=80ms",
                                "--idle=30s",
                                "--outage",
                                "1s@10m",
                                "--listen",
                                "127.0.0.1:2200"));
        assertThat(one.boxes())
                .isEqualTo(other.boxes())
                .containsExactly(
                        Outage.during(
                                Span.of(
                                        Moment.ZERO.plus(Duration.ofMinutes(5)),
                                        Duration.ofMinutes(1)),
                                Span.of(
                                        Moment.ZERO.plus(Duration.ofMinutes(10)),
                                        Duration.ofSeconds(1))),
                        AddressChange.byHand(AddressChange.Whose.CLIENT),
                        IdleNat.of(Duration.ofSeconds(30), IdleNat.Expiry.RESET_BOTH),
                        AddressChange.byHand(AddressChange.Whose.ROUTER),
                        OneWayLoss.byHand(Direction.TO_SERVER),
                        OneWayLoss.byHand(Direction.TO_CLIENT),
                        new RateLimit(125_000, 31_250),
                        new Loss(0.01, 7),
                        new Latency(Duration.ofMillis(80), Duration.ofMillis(20), 7),
                        MuteServer.byHand());
        assertThat(one.to()).isEqualTo(other.to());
        assertThat(one.listen()).isEqualTo(other.listen());
    }

    @Test
    void every_other_trouble_has_its_place_on_the_path() throws LabRefusal {
        LabPlan plan =
                plan(
                        "--idle=30s",
                        "--granularity=10s",
                        "--refresh-by=client",
                        "--refresh-with=payload",
                        "--unsolicited=drop",
                        "--firewall=1h",
                        "--firewall-opening=10s",
                        "--firewall-closing=20s",
                        "--stranger=adopt",
                        "--crowd=60s@5m",
                        "--crowd-share=20%",
                        "--outage-to-server=1s@1s",
                        "--outage-to-client=1s@2s",
                        "--mute=1s@3s",
                        "--roam=4s",
                        "--roam=2s",
                        "--wan-change=5s");
        Crowding crowding = Crowding.during(0.2, Span.of(second(300), Duration.ofSeconds(60)));
        Duration one = Duration.ofSeconds(1);
        assertThat(plan.boxes())
                .containsExactly(
                        AddressChange.of(AddressChange.Whose.CLIENT, second(2), second(4)),
                        new StatefulFirewall(
                                Duration.ofSeconds(10),
                                Duration.ofHours(1),
                                Duration.ofSeconds(20),
                                StatefulFirewall.Stranger.ADOPT,
                                crowding),
                        new IdleNat(
                                Duration.ofSeconds(30),
                                IdleNat.Expiry.SILENT,
                                Duration.ofSeconds(10),
                                IdleNat.Refresh.TO_SERVER,
                                true,
                                IdleNat.Unsolicited.DROP,
                                crowding),
                        AddressChange.of(AddressChange.Whose.ROUTER, second(5)),
                        OneWayLoss.during(Direction.TO_SERVER, Span.of(second(1), one)),
                        OneWayLoss.during(Direction.TO_CLIENT, Span.of(second(2), one)),
                        MuteServer.during(Span.of(second(3), one)));
    }

    @Test
    void what_would_make_no_difference_is_refused() {
        assertThat(refusal("--granularity=1s"))
                .hasMessage("--granularity makes no difference without --idle");
        assertThat(refusal("--stranger=drop"))
                .hasMessage("--stranger makes no difference without --firewall");
        assertThat(refusal("--crowd=1s@1s"))
                .hasMessage("--crowd makes no difference without --idle or --firewall");
        assertThat(refusal("--idle=1s", "--crowd-share=5%"))
                .hasMessage("--crowd-share makes no difference without --crowd");
        assertThat(refusal("--idle=1s", "--crowd=1s@1s", "--crowd-share=0%"))
                .hasMessage("--crowd-share: a share is more than zero");
        assertThat(refusal("--idle=1s", "--refresh-by=server"))
                .hasMessage("--refresh-by: expected both or client, got \"server\"");
        assertThat(refusal("--roam=-1s")).hasMessage("--roam: a time is not negative: \"-1s\"");
        assertThat(refusal("--firewall=0s"))
                .hasMessage("--firewall: an idle time is more than zero");
        assertThat(refusal("--mute=0s@1s")).hasMessage("--mute: muteness lasts for more than zero");
    }

    private static Moment second(int seconds) {
        return Moment.ZERO.plus(Duration.ofSeconds(seconds));
    }

    @Test
    void each_word_for_an_expiry_is_another_one() throws LabRefusal {
        List<IdleNat.Expiry> found = new ArrayList<>();
        for (String word :
                new String[] {"silent", "reset", "reset-both", "close", "revive", "remap"}) {
            found.add(plan("--expiry", word).nat().expiry());
        }
        assertThat(found).containsExactly(IdleNat.Expiry.values());
        assertThat(refusal("--expiry", "loud"))
                .hasMessage(
                        "--expiry: expected silent, reset, reset-both, close, revive or remap, got"
                                + " \"loud\"");
    }

    @Test
    void addresses_are_of_either_family() throws LabRefusal {
        LabPlan plan = LabPlan.parse(List.of("--listen=[::1]:2200", "--to=[::1]:22"));
        assertThat(LabPlan.show(plan.to())).isEqualTo("[0:0:0:0:0:0:0:1]:22");
        assertThat(refusalOf("--listen=::1:2200", "--to=h"))
                .hasMessage("--listen: an IPv6 address stands in brackets, like [::1]:2200");
        for (String bad : new String[] {"127.0.0.1", ":2200", "h:", "h:x", "[::1", "[::1]x:1"}) {
            assertThat(refusalOf("--listen", bad, "--to=h"))
                    .as(bad)
                    .hasMessage("--listen: expected HOST:PORT, got \"" + bad + "\"");
        }
        assertThat(refusalOf("--listen=127.0.0.1:65536", "--to=h"))
                .hasMessage("--listen: a port is from 0 to 65535, not 65536");
        assertThat(refusalOf("--listen=127.0.0.1:1", "--to=h:0"))
                .hasMessage("--to: a port is from 1 to 65535, not 0");
    }

    @Test
    void wrong_words_are_refused_by_name_and_with_status_2() {
        assertThat(refusal("--gremlins", "2"))
                .hasMessage("unknown option or trouble \"--gremlins\"; see holdfast lab --help");
        assertThat(refusal("rain")).hasMessageStartingWith("unexpected word \"rain\"");
        assertThat(refusal("--idle")).hasMessageStartingWith("--idle needs a value");
        assertThat(refusal("--idle", "--loss=1%")).hasMessageStartingWith("--idle needs a value");
        assertThat(refusal("--idle", "-5s")).hasMessage("--idle: a time is not negative: \"-5s\"");
        assertThat(refusal("--idle=0s")).hasMessage("--idle: an idle time is more than zero");
        assertThat(refusal("--rate=0mbit"))
                .hasMessage("--rate: a rate is more than zero: \"0mbit\"");
        assertThat(refusal("--loss=1%", "--loss=2%")).hasMessage("--loss is there twice");
        assertThat(refusalOf("--to=h")).hasMessageStartingWith("--listen is missing");
        assertThat(refusalOf("--listen=127.0.0.1:0")).hasMessageStartingWith("--to is missing");
        assertThat(refusalOf("--listen=127.0.0.1:2200", "--to=127.0.0.1:2200"))
                .hasMessage("--to is where the lab itself listens");
        assertThat(refusal("--seed=x").status).isEqualTo(2);
    }

    @Test
    void a_script_is_read_line_by_line() throws Exception {
        Path file =
                Files.writeString(
                        directory.resolve("weather"),
                        """
                        # a comment

                        5s cut
                          10s   heal   # and then
                        12s\tforget
                        15s reset
                        15s reset 2
                        16s kill 1
                        17s forget 3
                        18s cut to-server
                        19s cut to-client
                        20s mute
                        21s crowd
                        22s roam
                        23s wan-change
                        1m20s quit
                        """);
        assertThat(plan("--script", file.toString()).script())
                .containsExactly(
                        step(5, LabScript.Act.CUT, 0),
                        step(10, LabScript.Act.HEAL, 0),
                        step(12, LabScript.Act.FORGET, 0),
                        step(15, LabScript.Act.RESET, 0),
                        step(15, LabScript.Act.RESET, 2),
                        step(16, LabScript.Act.KILL, 1),
                        step(17, LabScript.Act.FORGET, 3),
                        step(18, LabScript.Act.CUT_TO_SERVER, 0),
                        step(19, LabScript.Act.CUT_TO_CLIENT, 0),
                        step(20, LabScript.Act.MUTE, 0),
                        step(21, LabScript.Act.CROWD, 0),
                        step(22, LabScript.Act.ROAM, 0),
                        step(23, LabScript.Act.WAN_CHANGE, 0),
                        step(80, LabScript.Act.QUIT, 0));
    }

    @Test
    void a_bad_line_is_refused_with_file_and_line() throws IOException {
        assertThat(script("5s cut\n6s explode\n"))
                .isEqualTo(
                        "line 2: expected cut, mute, crowd, heal, roam, wan-change, forget, reset,"
                                + " kill or quit, got \"explode\"");
        assertThat(script("\ncut 5s\n"))
                .isEqualTo("line 2: expected a time like 80ms, 30s or 5m, got \"cut\"");
        assertThat(script("5s")).startsWith("line 1: expected a time and one of cut, mute");
        assertThat(script("-5s cut")).isEqualTo("line 1: a time is not negative: \"-5s\"");
        assertThat(script("5s cut 1"))
                .isEqualTo("line 1: expected to-server, to-client or nothing, got \"1\"");
        assertThat(script("5s heal 1")).isEqualTo("line 1: nothing can follow here, got \"1\"");
        assertThat(script("5s cut to-server 1"))
                .isEqualTo("line 1: nothing can follow here, got \"1\"");
        assertThat(script("5s forget me"))
                .isEqualTo("line 1: expected the number of a connection, got \"me\"");
        assertThat(script("5s kill 1 2")).isEqualTo("line 1: nothing can follow here, got \"2\"");
        assertThat(script("5s kill it"))
                .isEqualTo("line 1: expected the number of a connection, got \"it\"");
        assertThat(script("5s cut\n3s heal"))
                .isEqualTo("line 2: 3s stands after 5s: a script goes forward");
    }

    private String script(String text) throws IOException {
        Path file = Files.writeString(directory.resolve("bad"), text);
        LabRefusal refusal = refusal("--script", file.toString());
        assertThat(refusal.status).isEqualTo(2);
        String said = String.valueOf(refusal.getMessage());
        assertThat(said).startsWith(file + " ");
        return said.substring(file.toString().length() + 1);
    }

    @Test
    void a_script_that_is_not_there_cannot_be_run() {
        Path missing = directory.resolve("missing");
        LabRefusal refusal = refusal("--script", missing.toString());
        assertThat(refusal.status).isEqualTo(1);
        assertThat(refusal).hasMessage(missing + ": No such file or directory");
        assertThat(refusal("--script", directory.toString()))
                .hasMessage(directory + ": Is a directory");
    }

    private static LabScript.Step step(int seconds, LabScript.Act act, int connection) {
        return new LabScript.Step(Duration.ofSeconds(seconds), act, connection);
    }
}
