package holdfast.ssh.config;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.config.ClientSettings.AddressFamily;
import holdfast.ssh.config.ClientSettings.RequestTty;
import holdfast.ssh.config.ClientSettings.SessionType;
import holdfast.ssh.log.Log;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CommandLineTest {

    @TempDir private Path root;
    private ConfigFixture machine;

    @BeforeEach
    void machine() {
        machine = new ConfigFixture(root);
    }

    @Test
    void options_may_be_bundled_and_glued() throws Exception {
        ClientSettings settings = machine.settings("-4vp22", "-ljane", "web");
        assertThat(settings.addressFamily()).isEqualTo(AddressFamily.INET);
        assertThat(settings.port()).isEqualTo(22);
        assertThat(settings.user()).isEqualTo("jane");
        assertThat(settings.logLevel()).isEqualTo(Log.Level.DEBUG1);
    }

    @Test
    void options_are_read_again_after_the_destination_and_end_at_the_command() throws Exception {
        ClientSettings settings = machine.settings("web", "-p", "2022", "ls", "-l", "-p", "1");
        assertThat(settings.port()).isEqualTo(2022);
        assertThat(settings.command()).isEqualTo("ls -l -p 1");
    }

    @Test
    void two_dashes_before_the_destination_end_the_options_for_good() throws Exception {
        ClientSettings settings = machine.settings("-p23", "--", "web", "-p", "24");
        assertThat(settings.port()).isEqualTo(23);
        assertThat(settings.command()).isEqualTo("-p 24");
    }

    @Test
    void two_dashes_after_the_destination_begin_the_command() throws Exception {
        ClientSettings settings = machine.settings("web", "--", "-p", "23");
        assertThat(settings.port()).isEqualTo(22);
        assertThat(settings.command()).isEqualTo("-p 23");
    }

    @Test
    void an_empty_command_is_a_shell() throws Exception {
        assertThat(machine.settings("web", "").command()).isNull();
    }

    @Test
    void the_last_at_sign_parts_user_and_host() throws Exception {
        ClientSettings settings = machine.settings("a@b@web");
        assertThat(settings.user()).isEqualTo("a@b");
        assertThat(settings.host()).isEqualTo("web");
    }

    @Test
    void the_first_user_and_the_first_port_win() throws Exception {
        assertThat(machine.settings("-l", "one", "two@web", "-l", "three").user()).isEqualTo("one");
        assertThat(machine.settings("two@web", "-l", "three").user()).isEqualTo("two");
        assertThat(machine.settings("ssh://web:44", "-p", "45").port()).isEqualTo(44);
        assertThat(machine.settings("-oPort=1", "-p2", "web").port()).isEqualTo(1);
    }

    @Test
    void a_uri_may_have_an_escaped_user_a_port_and_an_address_in_brackets() throws Exception {
        ClientSettings settings = machine.settings("ssh://j%2fdoe;x=y@[::1]:2200/");
        assertThat(settings.user()).isEqualTo("j/doe");
        assertThat(settings.host()).isEqualTo("::1");
        assertThat(settings.originalHost()).isEqualTo("::1");
        assertThat(settings.port()).isEqualTo(2200);
    }

    @Test
    void a_malformed_destination_gives_the_usage() {
        for (String bad :
                List.of(
                        "@web",
                        "ssh://",
                        "ssh://web:0",
                        "ssh://web:x",
                        "ssh://web/path",
                        "ssh://@h",
                        "ssh://u%zz@h",
                        "ssh://u%00@h",
                        "ssh://u%@h",
                        "ssh://[::1",
                        "ssh://h..x")) {
            assertThat(machine.error(bad)).as(bad).startsWith("usage: ssh [-46AaCf");
        }
        assertThat(machine.error()).startsWith("usage: ssh ");
    }

    @Test
    void a_host_or_user_that_a_shell_would_take_apart_is_refused() {
        assertThat(machine.error("a b")).isEqualTo("hostname contains invalid characters");
        assertThat(machine.error("--", "-oProxyCommand=x"))
                .isEqualTo("hostname contains invalid characters");
        assertThat(machine.error("-l", "a;b", "web"))
                .isEqualTo("remote username contains invalid characters");
    }

    @Test
    void bad_values_are_named_in_openssh_words() {
        assertThat(machine.error("-p", "0", "h")).isEqualTo("Bad port '0'");
        assertThat(machine.error("-e", "abc", "h")).isEqualTo("Bad escape character 'abc'.");
        assertThat(machine.error("-c", "foo", "h")).isEqualTo("Unknown cipher type 'foo'");
        assertThat(machine.error("-m", "+hmac-md5", "h")).isEqualTo("Unknown mac type '+hmac-md5'");
        assertThat(machine.error("-o", "foo=1", "h"))
                .isEqualTo("command-line: line 0: Bad configuration option: foo");
        assertThat(machine.error("-oPort=x", "h")).isEqualTo("command-line line 0: Bad port 'x'.");
        assertThat(machine.error("-oHost x", "h"))
                .isEqualTo("Host directive not supported as a command-line option");
        assertThat(machine.error("-1", "h")).isEqualTo("SSH protocol v.1 is no longer supported");
        assertThat(machine.error("-s", "h")).startsWith("You must specify a subsystem to invoke.");
        assertThat(machine.error("-F", "/nonexistent/x", "h"))
                .isEqualTo("Can't open user config file /nonexistent/x: No such file or directory");
    }

    @Test
    void unknown_options_and_missing_values_give_the_usage() {
        assertThat(machine.error("-Z", "h")).startsWith("unknown option -- Z\nusage: ssh ");
        assertThat(machine.error("-p")).startsWith("option requires an argument -- p\nusage: ");
    }

    @Test
    void what_is_not_built_is_refused_by_name_and_never_ignored() {
        for (char option : "IKw".toCharArray()) {
            assertThat(machine.error("-" + option + (option == 'K' ? "q" : "any"), "h"))
                    .startsWith("holdfast ssh: option -" + option + " is not supported");
        }
    }

    @Test
    void what_would_be_refused_is_printed_where_that_is_all() throws Exception {
        String all = machine.config("-K", "-G", "-I", "/lib/x.so", "-w", "3:ANY", "h").print();
        assertThat(all)
                .contains("gssapiauthentication yes\n")
                .contains("gssapidelegatecredentials yes\n")
                .contains("pkcs11provider /lib/x.so\n")
                .contains("tunnel point-to-point\n")
                .contains("tunneldevice 3:any\n");
        assertThat(machine.config("-G", "-oTunnel=ethernet", "-w", "7", "h").print())
                .contains("tunnel ethernet\n")
                .contains("tunneldevice 7:any\n");
        assertThat(machine.error("-G", "-w", "x", "h")).isEqualTo("Bad tun device 'x'");
        assertThat(machine.error("-G", "-w", "1:2147483646", "h"))
                .isEqualTo("Bad tun device '1:2147483646'");
        assertThat(machine.error("-oTunnelDevice=none", "h"))
                .isEqualTo("command-line line 0: Bad tun device.");
    }

    @Test
    void words_for_a_master_are_known_and_need_a_path() throws Exception {
        assertThat(machine.error("-O", "chek", "h")).isEqualTo("Invalid multiplex command.");
        assertThat(machine.error("-O", "CHECK", "h")).isEqualTo("Invalid multiplex command.");
        assertThat(machine.error("-O", "check", "-O", "exit", "h"))
                .isEqualTo("Multiplexing command already specified");
        assertThat(machine.error("-W", "a:1", "-O", "exit", "h"))
                .isEqualTo("Cannot specify multiplexing command with -W");
        assertThat(machine.error("-O", "exit", "-W", "a:1", "h"))
                .isEqualTo("Cannot specify stdio forward with -O");
        assertThat(machine.config("-O", "check", "h").refusal())
                .isEqualTo("No ControlPath specified for \"-O\" command");
        assertThat(machine.config("-O", "check", "-S", "none", "h").refusal())
                .isEqualTo("No ControlPath specified for \"-O\" command");
        assertThat(machine.config("-O", "check", "-S", "/s", "h").refusal()).isNull();
        assertThat(machine.settings("-O", "stop", "-S", "/s", "h").sharing().control())
                .isEqualTo(ClientSharing.Control.STOP);
    }

    @Test
    void a_master_is_asked_for_once_and_twice_and_its_socket_is_named_by_tokens() throws Exception {
        assertThat(machine.settings("-M", "h").sharing().master())
                .isEqualTo(ClientSharing.Master.YES);
        assertThat(machine.settings("-MM", "h").sharing().master())
                .isEqualTo(ClientSharing.Master.ASK);
        assertThat(machine.settings("-S", "/s/%r@%n:%p", "-l", "me", "-p", "7", "h").sharing())
                .isEqualTo(new ClientSharing(ClientSharing.Master.NO, "/s/me@h:7", null, null));
        assertThat(machine.settings("-oControlPersist=yes", "h").sharing().persist())
                .isEqualTo(Duration.ZERO);
        assertThat(machine.settings("-oControlPersist=1m30s", "h").sharing().persist())
                .isEqualTo(Duration.ofSeconds(90));
        assertThat(machine.settings("-oControlPersist=no", "h").sharing().persist()).isNull();
        assertThat(machine.error("-oControlPersist=soon", "h"))
                .isEqualTo("command-line line 0: Bad ControlPersist argument.");
    }

    @Test
    void the_background_reads_no_input_and_needs_something_to_do() throws Exception {
        assertThat(machine.error("-f", "h"))
                .isEqualTo("Cannot fork into background without a command to execute.");
        assertThat(machine.settings("-f", "-N", "h").stdinNull()).isTrue();
        assertThat(machine.settings("-o", "ForkAfterAuthentication=yes", "h", "date").stdinNull())
                .isTrue();
    }

    @Test
    void options_that_turn_off_what_is_not_there_are_taken() throws Exception {
        assertThat(machine.settings("-2kx", "h").host()).isEqualTo("h");
    }

    @Test
    void t_twice_forces_a_terminal_and_T_takes_it_back() throws Exception {
        assertThat(machine.settings("-t", "h").requestTty()).isEqualTo(RequestTty.YES);
        assertThat(machine.settings("-tt", "h").requestTty()).isEqualTo(RequestTty.FORCE);
        assertThat(machine.settings("-tT", "h").requestTty()).isEqualTo(RequestTty.NO);
        assertThat(machine.settings("-oRequestTTY=yes", "-t", "h").requestTty())
                .isEqualTo(RequestTty.FORCE);
    }

    @Test
    void s_makes_the_command_the_name_of_a_subsystem() throws Exception {
        ClientSettings settings = machine.settings("-s", "h", "sftp");
        assertThat(settings.sessionType()).isEqualTo(SessionType.SUBSYSTEM);
        assertThat(settings.command()).isEqualTo("sftp");
    }

    @Test
    void each_v_says_more_and_q_nothing() throws Exception {
        assertThat(machine.settings("-vvv", "h").logLevel()).isEqualTo(Log.Level.DEBUG3);
        assertThat(machine.settings("-vvvv", "h").logLevel()).isEqualTo(Log.Level.DEBUG3);
        assertThat(machine.settings("-q", "-vv", "h").logLevel()).isEqualTo(Log.Level.DEBUG2);
        assertThat(machine.settings("-v", "-q", "h").logLevel()).isEqualTo(Log.Level.QUIET);
        assertThat(machine.settings("-v", "-oLogLevel=QUIET", "h").logLevel())
                .isEqualTo(Log.Level.DEBUG1);
    }

    @Test
    void an_identity_that_is_not_there_is_a_note_and_not_an_error() throws Exception {
        Path key = machine.write("key", "x");
        CommandLine line =
                CommandLine.parse(
                        List.of("-i", "/no/key", "-i", key.toString(), "h"),
                        machine.surroundings());
        assertThat(line.notes())
                .containsExactly(
                        "Warning: Identity file /no/key not accessible:"
                                + " No such file or directory.\n");
        assertThat(machine.settings("-i", "/no/key", "-i", key.toString(), "h").identityFiles())
                .containsExactly(key);
    }

    @Test
    void version_ends_the_reading() throws Exception {
        CommandLine line = CommandLine.parse(List.of("-V", "-Z"), machine.surroundings());
        assertThat(line.printsVersion()).isTrue();
    }
}
