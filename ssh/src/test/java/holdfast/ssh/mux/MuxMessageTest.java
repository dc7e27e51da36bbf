package holdfast.ssh.mux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import holdfast.ssh.config.ForwardSpec;
import holdfast.ssh.mux.MuxMessage.Forward;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** The bytes of OpenSSH's PROTOCOL.mux, written out, and what is none of them. */
class MuxMessageTest {

    private static final int ROUNDS = 20_000;

    private static String hex(MuxMessage message) {
        return HexFormat.of().formatHex(message.bytes());
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    @Test
    void requests_are_written_as_openssh_writes_them() {
        assertThat(hex(new MuxMessage.Hello(4, Map.of()))).isEqualTo("0000000100000004");
        assertThat(hex(new MuxMessage.AliveCheck(0))).isEqualTo("1000000400000000");
        assertThat(hex(new MuxMessage.Terminate(1))).isEqualTo("1000000500000001");
        assertThat(hex(new MuxMessage.StopListening(2))).isEqualTo("1000000900000002");
        assertThat(hex(new MuxMessage.Proxy(3))).isEqualTo("1000000f00000003");
        assertThat(
                        hex(
                                new MuxMessage.NewSession(
                                        5,
                                        true,
                                        false,
                                        true,
                                        false,
                                        '~',
                                        "vt",
                                        bytes("ls"),
                                        List.of(bytes("A=b")))))
                .isEqualTo(
                        "1000000200000005"
                                + "00000000" // reserved
                                + "00000001"
                                + "00000000"
                                + "00000001"
                                + "00000000"
                                + "0000007e"
                                + "000000027674"
                                + "000000026c73"
                                + "00000003413d62");
        assertThat(hex(new MuxMessage.StdioForward(6, "h", 22)))
                .isEqualTo("1000000800000006" + "00000000" + "0000000168" + "00000016");
    }

    @Test
    void replies_are_written_as_openssh_writes_them() {
        assertThat(hex(new MuxMessage.Ok(1))).isEqualTo("8000000100000001");
        assertThat(hex(new MuxMessage.PermissionDenied(1, "no")))
                .isEqualTo("8000000200000001000000026e6f");
        assertThat(hex(new MuxMessage.Failure(1, "no"))).isEqualTo("8000000300000001000000026e6f");
        assertThat(hex(new MuxMessage.ExitMessage(7, 255))).isEqualTo("8000000400000007000000ff");
        assertThat(hex(new MuxMessage.Alive(1, 4711))).isEqualTo("800000050000000100001267");
        assertThat(hex(new MuxMessage.SessionOpened(1, 7))).isEqualTo("800000060000000100000007");
        assertThat(hex(new MuxMessage.RemotePort(1, 80))).isEqualTo("800000070000000100000050");
        assertThat(hex(new MuxMessage.TtyAllocFail(7))).isEqualTo("8000000800000007");
        assertThat(hex(new MuxMessage.ProxyGranted(1))).isEqualTo("8000000f00000001");
    }

    private static Forward forward(String text, ForwardSpec.Kind kind) {
        ForwardSpec spec = ForwardSpec.parse(text, kind);
        assertThat(spec).as(text).isNotNull();
        if (spec == null) {
            throw new IllegalStateException(text);
        }
        return kind == ForwardSpec.Kind.REMOTE
                ? SharedForwards.remote(spec)
                : SharedForwards.local(spec);
    }

    @Test
    void forwards_are_written_as_openssh_writes_them() {
        ForwardSpec.Kind local = ForwardSpec.Kind.LOCAL;
        ForwardSpec.Kind remote = ForwardSpec.Kind.REMOTE;
        ForwardSpec.Kind dynamic = ForwardSpec.Kind.DYNAMIC;
        assertThat(forward("80:h:81", local)).isEqualTo(new Forward(1, "", 80, "h", 81));
        assertThat(forward(":80:h:81", local)).isEqualTo(new Forward(1, "*", 80, "h", 81));
        assertThat(forward("*:80:h:81", local)).isEqualTo(new Forward(1, "*", 80, "h", 81));
        assertThat(forward("a:80:/s", local)).isEqualTo(new Forward(1, "a", 80, "/s", -2));
        assertThat(forward("/l:/s", local)).isEqualTo(new Forward(1, "/l", -2, "/s", -2));
        assertThat(forward("1080", dynamic)).isEqualTo(new Forward(3, "", 1080, "socks", 0));
        assertThat(forward("0:h:81", remote)).isEqualTo(new Forward(2, "", 0, "h", 81));
        assertThat(forward("1080", remote)).isEqualTo(new Forward(2, "", 1080, "socks", 0));
        assertThat(hex(new MuxMessage.OpenForward(1, new Forward(1, "", 80, "/s", -2))))
                .isEqualTo(
                        "1000000600000001"
                                + "00000001"
                                + "00000000"
                                + "00000050"
                                + "000000022f73"
                                + "fffffffe");
        assertThat(hex(new MuxMessage.CloseForward(1, new Forward(2, "", 0, "h", 1))))
                .startsWith("1000000700000001" + "00000002");
    }

    @Test
    void forwards_that_make_no_sense_are_none() {
        assertThat(SharedForwards.decode(new Forward(1, "", 80, "", 81))).isNull();
        assertThat(SharedForwards.decode(new Forward(1, "", 80, "h", 0))).isNull();
        assertThat(SharedForwards.decode(new Forward(3, "/s", -2, "socks", 0))).isNull();
        assertThat(SharedForwards.decode(new Forward(1, "", -2, "h", 1))).isNull();
        assertThat(SharedForwards.decode(new Forward(9, "", 80, "h", 81))).isNull();
        assertThat(SharedForwards.decode(new Forward(2, "", 0, "socks", 0))).isNotNull();
    }

    @Test
    void a_hello_may_say_more_than_we_know() throws Exception {
        byte[] packet =
                HexFormat.of().parseHex("00000001" + "00000004" + "0000000161" + "000000020000");
        assertThat(MuxMessage.read(packet)).isEqualTo(new MuxMessage.Hello(4, Map.of("a", "\0\0")));
    }

    @Test
    void what_ends_too_soon_or_hides_a_zero_is_refused() {
        for (String packet :
                List.of(
                        "",
                        "000000",
                        "00000001",
                        "1000000400",
                        "10000002000000010000000000",
                        "8000000300000001000000096e6f",
                        "80000003000000017fffffff6e6f",
                        "8000000300000001ffffffff6e6f",
                        "800000030000000100000003610062",
                        // a port beyond all ports
                        "10000006000000010000000100000000000100000000000168" + "00000050")) {
            assertThatThrownBy(() -> MuxMessage.read(HexFormat.of().parseHex(packet)))
                    .as(packet)
                    .isInstanceOf(MalformedMessage.class);
        }
    }

    @Test
    void no_more_variables_are_taken_than_openssh_takes() throws Exception {
        MuxMessage.Writer writer =
                new MuxMessage.Writer(MuxMessage.NEW_SESSION)
                        .number(1)
                        .text("")
                        .number(0)
                        .number(0)
                        .number(0)
                        .number(0)
                        .number(-1)
                        .text("")
                        .text("");
        for (int i = 0; i < MuxMessage.MOST_VARIABLES + 10; i++) {
            writer.text("A=" + i);
        }
        assertThat(MuxMessage.read(writer.bytes()))
                .isInstanceOfSatisfying(
                        MuxMessage.NewSession.class,
                        wish -> assertThat(wish.environment()).hasSize(MuxMessage.MOST_VARIABLES));
    }

    @Test
    void whatever_is_read_is_written_the_same_and_nothing_else_than_malformed_is_thrown() {
        long seed = new Random().nextLong();
        Random random = new Random(seed);
        for (int round = 0; round < ROUNDS; round++) {
            byte[] packet = random.nextInt(3) == 0 ? noise(random) : mutated(random);
            MuxMessage message;
            try {
                message = MuxMessage.read(packet);
            } catch (MalformedMessage expected) {
                continue;
            }
            String what = "seed " + seed + " round " + round;
            byte[] again = message.bytes();
            try {
                assertThat(MuxMessage.read(again).bytes()).as(what).isEqualTo(again);
            } catch (MalformedMessage e) {
                throw new AssertionError(what, e);
            }
        }
    }

    private static byte[] noise(Random random) {
        byte[] packet = new byte[random.nextInt(80)];
        random.nextBytes(packet);
        return packet;
    }

    private static byte[] mutated(Random random) {
        List<MuxMessage> all =
                List.of(
                        new MuxMessage.Hello(4, Map.of(MuxMessage.ASKABLE, "0")),
                        new MuxMessage.NewSession(
                                1,
                                true,
                                true,
                                true,
                                true,
                                -1,
                                "xterm",
                                bytes("echo"),
                                List.of(bytes("LANG=C"), bytes("X="))),
                        new MuxMessage.OpenForward(2, new Forward(1, "a", 80, "b", 81)),
                        new MuxMessage.CloseForward(3, new Forward(2, "", -2, "b", 0)),
                        new MuxMessage.StdioForward(4, "h", 22),
                        new MuxMessage.Ask(5, MuxMessage.Ask.WIRE),
                        new MuxMessage.Told(5, 12, 3000),
                        new MuxMessage.ExtInfo(5, "channels"),
                        new MuxMessage.ExtInfoText(5, true, "text"),
                        new MuxMessage.Failure(6, "reason"),
                        new MuxMessage.ExitMessage(7, 1),
                        new MuxMessage.RemotePort(8, 1234),
                        new MuxMessage.Unknown(0x12345678, 9, new byte[] {1, 2, 3}));
        byte[] packet = all.get(random.nextInt(all.size())).bytes();
        int cut = random.nextInt(4) == 0 ? random.nextInt(packet.length) : packet.length;
        byte[] changed = Arrays.copyOf(packet, cut);
        for (int i = random.nextInt(4); i > 0 && cut > 0; i--) {
            changed[random.nextInt(cut)] = (byte) random.nextInt(256);
        }
        return changed;
    }

    @Test
    void what_a_master_tells_of_itself_is_asked_for_as_openssh_does() throws Exception {
        HexFormat hex = HexFormat.of();
        MuxMessage asked = new MuxMessage.ExtInfo(0, MuxMessage.ExtInfo.CONNECTION);
        assertThat(hex.formatHex(asked.bytes()))
                .isEqualTo("20000001000000000000000a" + hex.formatHex(bytes("connection")));
        assertThat(MuxMessage.read(asked.bytes())).isEqualTo(asked);
        MuxMessage none = new MuxMessage.ExtInfoText(7, false, "no");
        assertThat(hex.formatHex(none.bytes())).isEqualTo("900000010000000700000000000000026e6f");
        assertThat(MuxMessage.read(none.bytes())).isEqualTo(none);
    }

    @Test
    void every_kind_survives_the_way_there_and_back() throws Exception {
        MuxMessage ask = new MuxMessage.Ask(1, MuxMessage.Ask.RECENT);
        MuxMessage told = new MuxMessage.Told(1, -1, 42_000);
        assertThat(MuxMessage.read(ask.bytes())).isEqualTo(ask);
        assertThat(MuxMessage.read(told.bytes())).isEqualTo(told);
        @Nullable MuxMessage unknown = MuxMessage.read(HexFormat.of().parseHex("2000000200000007"));
        assertThat(unknown)
                .isInstanceOfSatisfying(
                        MuxMessage.Unknown.class,
                        other -> assertThat(other.request()).isEqualTo(7));
    }
}
