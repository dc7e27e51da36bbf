package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.Sshd;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * The debug log, which people and scripts search: OpenSSH's client and ours say the same lines
 * before the same server, but for those that {@link #OF_ITS_OWN} lists with their reasons. Their
 * order is not compared: what OpenSSH does one after the other, ours does at once.
 */
@ExtendWith(Staged.class)
final class VerboseTrial {

    private static final Duration SOON = Duration.ofSeconds(60);

    /** Lines that only one of the two has, each with the reason. */
    private static final List<Pattern> OF_ITS_OWN =
            patterns(
                    // Of how OpenSSH is built: privileges, descriptors, its buffers.
                    "debug1: pledge: .*",
                    "debug2: fd \\d+ (setting|clearing) .*",
                    "debug2: channel \\d+: (read failed|input|output|ibuf|obuf|gc:|almost|garbage"
                            + "|is dead|send close|rcvd adjust).*",
                    "debug2: chan_shutdown_(read|write): .*",
                    "debug2: channel_input_open_confirmation: .*",
                    "debug2: client_session2_setup: .*",
                    "debug1: ssh_tty_make_modes: no fd or tio",
                    "debug1: getpeername failed: .*",
                    "debug1: (rekeying in progress|enqueue packet: .*|set_packet_blocks .*)",
                    // It looks for workarounds by the server's name, we have none.
                    "debug1: compat_banner: .*",
                    // Whether strict key exchange is on: said of the first keys alone.
                    "debug1: ssh_packet_(send2_wrapped|read_poll2): resetting .*",
                    // Names are looked up in another way.
                    "debug2: resolve_canonicalize: .*",
                    // A listener is no channel here.
                    "debug1: channel \\d+: (new port-listener|free: port listener).*",
                    // Connecting takes several addresses at once, in another place.
                    "debug1: connect_next: .*",
                    // A server that finds its command gone says that nobody reads any more, or ends
                    // at once: a matter of moments.
                    "debug1: client_input_channel_req: channel \\d+ rtype eow@openssh.com reply 0",
                    "debug2: channel \\d+: rcvd eow",
                    // OpenSSH is gone before it could say this, or after: likewise.
                    "debug1: channel \\d+: free: .*",
                    "debug1: stdio forwarding: done",
                    "debug1: channel_connect_stdio_fwd: .*",
                    "(Transferred: |Bytes per second: ).*",
                    "debug1: Exit status \\d+",
                    // A file is looked for once, not twice.
                    "debug1: load_hostkeys: fopen .*",
                    // How well a whole connection was compressed is not counted.
                    "debug1: (compress (in|out)going: |Enabling compression at ).*",
                    // In words as well, beside the request's own line.
                    "debug1: client_input_channel_req: exit-signal .*",
                    // Debian's OpenSSH is too old to have left these keys out.
                    "debug1: .*/id_(dsa|xmss)(-cert)? .*",
                    "debug1: Trying private key: .*/id_(dsa|xmss)",
                    // Ours.
                    "debug1: tether: .*");

    /** What differs within a line. */
    private static final List<String[]> MASKS =
            List.of(
                    mask("OpenSSH_.*", "OpenSSH_X"),
                    mask("SSH-2.0-.*", "SSH-2.0-X"),
                    mask("(kex: algorithm: ).*", "$1X"),
                    mask("(cipher: )\\S+ MAC: \\S+", "$1X MAC: X"),
                    mask("rekey (in|out) after \\d+ blocks", "rekey $1 after N blocks"),
                    mask("(KEX algorithms|ciphers ....|MACs ....|compression ....): .*", "$1: X"),
                    mask("(debug2: host key algorithms: ).*", "$1X"),
                    mask("(originator \\S+ port) \\d+", "$1 N"),
                    mask("(, connect from \\S+ port) \\d+", "$1 N"),
                    mask("channel \\d+", "channel N"),
                    mask("rchan \\d+ win \\d+ max \\d+", "rchan N win N max N"),
                    mask("(new forwarded-tcpip) \\[.*\\]", "$1 [X]"),
                    mask("(rwindow) \\d+", "$1 N"));

    private static List<Pattern> patterns(String... all) {
        return Arrays.stream(all).map(Pattern::compile).toList();
    }

    private static String[] mask(String what, String by) {
        return new String[] {what, by};
    }

    private static List<String> lines(Ended ended) {
        List<String> lines = new ArrayList<>();
        for (String line : ended.err().replace("\r", "").split("\n", -1)) {
            if (OF_ITS_OWN.stream().noneMatch(own -> own.matcher(line).matches())) {
                String masked = line;
                for (String[] mask : MASKS) {
                    masked = masked.replaceAll(mask[0], mask[1]);
                }
                lines.add(masked);
            }
        }
        lines.sort(null);
        return lines;
    }

    /** Runs both, and compares what they said; what ours said. */
    private static String same(Stage stage, Sshd sshd, String... words) throws Exception {
        Ended theirs = end(stage.openSsh(sshd, words));
        Ended ours = end(stage.ssh(sshd, words));
        List<String> missing = lines(theirs);
        List<String> extra = lines(ours);
        lines(ours).forEach(missing::remove);
        lines(theirs).forEach(extra::remove);
        assertThat(missing).as("what ours does not say of %s", Arrays.asList(words)).isEmpty();
        assertThat(extra).as("what only ours says of %s", Arrays.asList(words)).isEmpty();
        assertThat(ours.status()).as("%s", Arrays.asList(words)).isEqualTo(theirs.status());
        assertThat(ours.out()).as("%s", Arrays.asList(words)).isEqualTo(theirs.out());
        return ours.err();
    }

    private static Ended end(Command command) throws InterruptedException {
        return command.input("").env("SSH_ASKPASS_REQUIRE", "never").end(SOON);
    }

    @Test
    void a_command_a_terminal_and_a_subsystem(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        assertThat(same(stage, sshd, "-v", "trial", "exit 3"))
                .containsSubsequence(
                        "Reading configuration data",
                        "Applying options for",
                        "Connecting to",
                        "Connection established.",
                        "Authenticating to",
                        "kex: host key algorithm:",
                        "Server host key: ",
                        "Offering public key: ",
                        "Server accepts key: ",
                        "Authenticated to",
                        "channel 0: new session",
                        "Entering interactive session.",
                        "Sending command: exit 3",
                        "rtype exit-status",
                        "Exit status 3");
        same(stage, sshd, "-v", "-tt", "trial", "exit 4");
        same(stage, sshd, "-v", "trial", "kill -9 $$");
        same(stage, sshd, "-v", "-s", "trial", "nosuch");
        same(stage, sshd, "-v", "-o", "ProxyCommand=nc %h %p", "trial", "true");
    }

    @Test
    void the_proposals_and_a_channel_s_course(Stage stage) throws Exception {
        String ours = same(stage, stage.sshd(), "-vv", "trial", "true");
        assertThat(ours)
                .containsSubsequence(
                        "debug2: local client KEXINIT proposal",
                        "debug2: KEX algorithms: ",
                        "debug2: peer server KEXINIT proposal",
                        "debug2: ciphers stoc: ",
                        "debug2: channel 0: send open",
                        "debug2: channel 0: request exec confirm 1",
                        "debug2: exec request accepted on channel 0",
                        "debug2: channel 0: rcvd close");
    }

    @Test
    void forwards(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        String here = "127.0.0.1:" + sshd.port();
        int free = Sshd.freePort();
        String greeting = "exec 3<>/dev/tcp/127.0.0.1/" + free + "; head -c 8 <&3; sleep 0.2";
        String[] remote = {"-v", "-R", free + ":" + here, "trial", "bash -c '" + greeting + "'"};
        same(stage, sshd, remote);
        remote[2] = free + ":127.0.0.1:1";
        same(stage, sshd, remote);
        same(stage, sshd, "-v", "-L", free + ":" + here, "-D", "[::1]:" + free, "trial", "true");
        String taken = sshd.port() + ":127.0.0.1:1";
        String exit = "ExitOnForwardFailure=yes";
        // How much of the server's news came before our leaving is a matter of moments.
        same(stage, sshd, "-o", exit, "-L", "127.0.0.1:" + taken, "trial", "true");
        same(stage, sshd, "-o", exit, "-R", "127.0.0.1:" + taken, "trial", "true");
        same(stage, sshd, "-v", "-R", "127.0.0.1:" + taken, "trial", "true");
    }

    @Test
    void what_goes_wrong(Stage stage) throws Exception {
        Sshd sshd = stage.sshd("LoginGraceTime 60");
        Path directory = stage.directory();
        Path locked = Keys.of("ed25519", "verbose-locked", "secret", "OpenSSH");
        Path open = Files.copy(Keys.of("ed25519", "user"), directory.resolve("open"));
        Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rw-r--r--"));
        String one = "IdentitiesOnly=yes";
        same(stage, sshd, "-v", "-p", "1", "trial", "true");
        for (Path key : List.of(locked, open, directory.resolve("none"))) {
            String identity = "IdentityFile=" + key;
            String name = "HostName=127.0.0.1";
            String known = "UserKnownHostsFile=" + sshd.knownHosts();
            String port = String.valueOf(sshd.port());
            // Without the server's file, whose key is a good one.
            String[] words = {
                "-v",
                "-F",
                "none",
                "-o",
                "BatchMode=yes",
                "-o",
                one,
                "-o",
                identity,
                "-o",
                name,
                "-o",
                known,
                "-p",
                port,
                "trial",
                "true"
            };
            String said = same(stage, sshd, words);
            assertThat(said).contains("Permission denied");
            if (key.equals(open)) {
                assertThat(said).contains("UNPROTECTED PRIVATE KEY FILE!");
            }
        }
        Path wrong = directory.resolve("wrong");
        String name = "[127.0.0.1]:" + sshd.port();
        Files.writeString(wrong, name + " " + Keys.publicLine(locked) + "\n");
        String other = "UserKnownHostsFile=" + wrong;
        assertThat(same(stage, sshd, "-v", "-o", other, "trial", "true"))
                .contains("REMOTE HOST IDENTIFICATION HAS CHANGED!");
        Files.writeString(wrong, "");
        String strict = "StrictHostKeyChecking=yes";
        same(stage, sshd, "-v", "-o", other, "-o", strict, "trial", "true");
    }
}
