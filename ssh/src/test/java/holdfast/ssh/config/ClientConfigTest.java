package holdfast.ssh.config;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.config.ClientSettings.StrictHostKeyChecking;
import holdfast.ssh.log.Log;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ClientConfigTest {

    @TempDir private Path root;
    private ConfigFixture machine;

    @BeforeEach
    void machine() {
        machine = new ConfigFixture(root);
    }

    @Test
    void without_files_everything_is_openssh_default() throws Exception {
        ClientSettings settings = machine.settings("Web.Example.com");
        assertThat(settings.originalHost()).isEqualTo("Web.Example.com");
        assertThat(settings.host()).isEqualTo("web.example.com");
        assertThat(settings.user()).isEqualTo("jdoe");
        assertThat(settings.port()).isEqualTo(22);
        assertThat(settings.connectTimeout()).isNull();
        assertThat(settings.connectionAttempts()).isEqualTo(1);
        assertThat(settings.tcpKeepAlive()).isTrue();
        assertThat(settings.serverAliveInterval()).isEqualTo(Duration.ZERO);
        assertThat(settings.serverAliveCountMax()).isEqualTo(3);
        assertThat(settings.strictHostKeyChecking()).isEqualTo(StrictHostKeyChecking.ASK);
        assertThat(settings.userKnownHostsFiles())
                .containsExactly(
                        machine.home.resolve(".ssh/known_hosts"),
                        machine.home.resolve(".ssh/known_hosts2"));
        assertThat(settings.globalKnownHostsFiles())
                .containsExactly(
                        Path.of("/etc/ssh/ssh_known_hosts"), Path.of("/etc/ssh/ssh_known_hosts2"));
        assertThat(settings.ciphers())
                .containsExactly(
                        "chacha20-poly1305@openssh.com",
                        "aes128-gcm@openssh.com",
                        "aes256-gcm@openssh.com",
                        "aes128-ctr",
                        "aes192-ctr",
                        "aes256-ctr");
        assertThat(settings.macs())
                .containsExactly(
                        "umac-64-etm@openssh.com",
                        "umac-128-etm@openssh.com",
                        "hmac-sha2-256-etm@openssh.com",
                        "hmac-sha2-512-etm@openssh.com",
                        "hmac-sha1-etm@openssh.com",
                        "umac-64@openssh.com",
                        "umac-128@openssh.com",
                        "hmac-sha2-256",
                        "hmac-sha2-512",
                        "hmac-sha1");
        assertThat(settings.kexAlgorithms())
                .startsWith(
                        "mlkem768x25519-sha256",
                        "sntrup761x25519-sha512",
                        "sntrup761x25519-sha512@openssh.com",
                        "curve25519-sha256")
                .doesNotContain("diffie-hellman-group14-sha1");
        assertThat(settings.hostKeyAlgorithms())
                .containsExactly(
                        "ssh-ed25519-cert-v01@openssh.com",
                        "ecdsa-sha2-nistp256-cert-v01@openssh.com",
                        "ecdsa-sha2-nistp384-cert-v01@openssh.com",
                        "ecdsa-sha2-nistp521-cert-v01@openssh.com",
                        "rsa-sha2-512-cert-v01@openssh.com",
                        "rsa-sha2-256-cert-v01@openssh.com",
                        "ssh-ed25519",
                        "ecdsa-sha2-nistp256",
                        "ecdsa-sha2-nistp384",
                        "ecdsa-sha2-nistp521",
                        "sk-ssh-ed25519@openssh.com",
                        "sk-ecdsa-sha2-nistp256@openssh.com",
                        "rsa-sha2-512",
                        "rsa-sha2-256");
        assertThat(settings.caSignatureAlgorithms())
                .contains("ssh-ed25519", "rsa-sha2-256")
                .doesNotContain("ssh-rsa", "ssh-ed25519-cert-v01@openssh.com");
        assertThat(settings.credentials())
                .isEqualTo(
                        new ClientCredentials(
                                List.of(),
                                false,
                                true,
                                null,
                                null,
                                ClientCredentials.AddKeys.NO,
                                Duration.ZERO,
                                "internal"));
        assertThat(settings.hostKeyAlgorithmsGiven()).isFalse();
        // The agent may hold certificates and hardware keys, and signs with them by itself.
        assertThat(settings.pubkeyAcceptedAlgorithms())
                .startsWith("ssh-ed25519-cert-v01@openssh.com")
                .containsAll(settings.hostKeyAlgorithms())
                .doesNotContain("ssh-rsa", "ssh-dss");
        assertThat(settings.identityFilesGiven()).isFalse();
        assertThat(settings.identityFiles().get(0)).isEqualTo(machine.home.resolve(".ssh/id_rsa"));
        assertThat(settings.identityAgent()).isNull();
        assertThat(settings.preferredAuthentications())
                .containsExactly("publickey", "keyboard-interactive", "password");
        assertThat(settings.escapeChar()).isEqualTo('~');
        assertThat(settings.ipQosInteractive()).isEqualTo(0xb8);
        assertThat(settings.ipQosBulk()).isZero();
        assertThat(settings.logLevel()).isEqualTo(Log.Level.INFO);
        assertThat(settings.compression()).isFalse();
    }

    @Test
    void the_first_value_wins_from_options_to_the_users_file_to_the_systems() throws Exception {
        machine.userFile("Host web", "  Port 2", "  User two", "  Port 22");
        machine.write("etc/ssh_config", "Port 3", "User three", "ServerAliveInterval 1m30s");
        ClientSettings settings = machine.settings("-oUser=one", "web");
        assertThat(settings.user()).isEqualTo("one");
        assertThat(settings.port()).isEqualTo(2);
        assertThat(settings.serverAliveInterval()).isEqualTo(Duration.ofSeconds(90));
        assertThat(machine.settings("db").port()).isEqualTo(3);
    }

    @Test
    void F_replaces_both_files_and_none_reads_nothing() throws Exception {
        machine.userFile("Port 2");
        machine.write("etc/ssh_config", "User three");
        Path other = machine.write("other", "BatchMode yes");
        ClientSettings settings = machine.settings("-F", other.toString(), "web");
        assertThat(settings.port()).isEqualTo(22);
        assertThat(settings.user()).isEqualTo("jdoe");
        assertThat(settings.batchMode()).isTrue();
        assertThat(machine.settings("-F", "none", "web").port()).isEqualTo(22);
    }

    @Test
    void a_negated_pattern_beats_every_other_of_its_line() throws Exception {
        machine.userFile("Host *.example.com !db.example.com", "Port 2");
        assertThat(machine.settings("web.example.com").port()).isEqualTo(2);
        assertThat(machine.settings("db.example.com").port()).isEqualTo(22);
        assertThat(machine.settings("other").port()).isEqualTo(22);
    }

    @Test
    void identity_files_and_sent_variables_add_up() throws Exception {
        machine.userFile(
                "IdentityFile ~/a", "IdentityFile %d/b_%h_%r", "IdentityFile ~/a", "SendEnv A B");
        machine.write("etc/ssh_config", "IdentityFile /c", "SendEnv C -B");
        ClientSettings settings = machine.settings("ann@web");
        assertThat(settings.identityFiles())
                .containsExactly(
                        machine.home.resolve("a"),
                        machine.home.resolve("b_web_ann"),
                        Path.of("/c"));
        assertThat(settings.identityFilesGiven()).isTrue();
        assertThat(settings.sendEnv()).containsExactly("A", "C");
    }

    @Test
    void the_first_SetEnv_line_wins_and_keeps_its_order() throws Exception {
        machine.userFile("SetEnv Z=1 A=\"x y\" Z=2", "SetEnv B=3");
        assertThat(machine.settings("web").setEnv())
                .containsExactly(java.util.Map.entry("Z", "1"), java.util.Map.entry("A", "x y"));
    }

    @Test
    void values_are_quoted_escaped_and_commented_as_in_openssh() throws Exception {
        machine.userFile(
                "  User = \"ann lee\"   # whom",
                "HostKeyAlias=a\\ b",
                "UserKnownHostsFile '/a b' /c#d \"/e\\\"f\" # more",
                "RemoteCommand echo \"a  b\" # not a comment",
                "\tPort\t=\t2200\r");
        ClientSettings settings = machine.settings("web");
        assertThat(settings.user()).isEqualTo("ann lee");
        assertThat(settings.hostKeyAlias()).isEqualTo("a b");
        assertThat(settings.userKnownHostsFiles())
                .containsExactly(Path.of("/a b"), Path.of("/c#d"), Path.of("/e\"f"));
        assertThat(settings.command()).isEqualTo("echo \"a  b\" # not a comment");
        assertThat(settings.port()).isEqualTo(2200);
    }

    @Test
    void match_judges_host_user_and_local_user_with_negation() throws Exception {
        machine.userFile(
                "Match host *.example.com user ann",
                "  Port 2",
                "Match localuser jdoe !user ann",
                "  Port 3",
                "Match all",
                "  Port 4");
        assertThat(machine.settings("ann@web.example.com").port()).isEqualTo(2);
        assertThat(machine.settings("ann@web").port()).isEqualTo(4);
        assertThat(machine.settings("bob@web.example.com").port()).isEqualTo(3);
    }

    @Test
    void match_exec_asks_a_command() throws Exception {
        machine.userFile(
                "Match exec \"test %n-%p-%r-%u = web-22-ann-jdoe\"",
                "  Port 2", "Match exec false", "  User nobody");
        ClientSettings settings = machine.settings("ann@web");
        assertThat(settings.port()).isEqualTo(2);
        assertThat(machine.settings("bob@web").port()).isEqualTo(22);
        assertThat(machine.settings("web").user()).isEqualTo("jdoe");
    }

    @Test
    void match_final_is_judged_in_a_second_reading_with_the_real_name() throws Exception {
        machine.userFile(
                "Host short",
                "  HostName real.example.com",
                "Match final host real.*",
                "  Port 2",
                "Host real.*",
                "  User two");
        ClientSettings settings = machine.settings("short");
        assertThat(settings.host()).isEqualTo("real.example.com");
        assertThat(settings.port()).isEqualTo(2);
        assertThat(settings.user()).isEqualTo("two");
    }

    @Test
    void match_knows_tags_commands_and_kinds_of_session() throws Exception {
        machine.userFile(
                "Tag slow",
                "Match tagged slow command ls*",
                "  Port 2",
                "Match sessiontype shell",
                "  Port 3");
        assertThat(machine.settings("web", "ls", "-l").port()).isEqualTo(2);
        assertThat(machine.settings("web").port()).isEqualTo(3);
        assertThat(machine.settings("web", "id").port()).isEqualTo(22);
        machine.userFile("Match tagged \"\"", "  Port 4", "Match command \"\"", "  User nobody");
        assertThat(machine.settings("web").port()).isEqualTo(4);
        assertThat(machine.settings("web").user()).isEqualTo("nobody");
        assertThat(machine.settings("-P", "x", "web", "ls").port()).isEqualTo(22);
        machine.userFile("Match tagged");
        assertThat(machine.error("web"))
                .contains("config line 1: missing argument for Match 'tagged'");
    }

    @Test
    void match_knows_where_this_machine_is_and_whom_we_follow() throws Exception {
        machine.userFile(
                "Match localnetwork 192.168.0.0/16,fd01::/16",
                "  Port 2",
                "Match localnetwork 10.0.0.0/8 version OpenSSH_10.*",
                "  Port 3",
                "Match !localnetwork 10.0.0.0/8",
                "  Port 4");
        assertThat(machine.settings("web").port()).isEqualTo(3);
        machine.userFile("Match version OpenSSH_9*", "  Port 2");
        assertThat(machine.settings("web").port()).isEqualTo(22);
        machine.userFile("Match localnetwork 10.0.0.0/40");
        assertThat(machine.error("web")).contains("line 1: Bad Match condition");
    }

    @Test
    void a_match_that_cannot_be_judged_stops_everything() {
        machine.userFile("Port 1", "Match moonphase full", "  Port 2");
        assertThat(machine.error("web"))
                .isEqualTo(
                        "Unsupported Match attribute moonphase\n"
                                + "ROOT/home/.ssh/config line 2: Bad Match condition\n"
                                + "ROOT/home/.ssh/config: terminating, 1 bad configuration"
                                + " options");
    }

    @Test
    void included_files_are_sorted_relative_to_the_file_kind_and_conditional() throws Exception {
        Files.createDirectory(machine.home.resolve(".ssh/conf.d"));
        machine.write("home/.ssh/conf.d/20.conf", "Port 20", "User late");
        machine.write("home/.ssh/conf.d/10.conf", "Host other", "Host web", "Port 10");
        machine.write("home/.ssh/conf.d/.hidden.conf", "Port 5");
        machine.write("etc/more", "BatchMode yes");
        machine.write("etc/ssh_config", "Include more");
        machine.userFile("Host web db", "  Include conf.d/*.conf", "  ServerAliveCountMax 7");
        ClientSettings web = machine.settings("web");
        assertThat(web.port()).isEqualTo(10);
        assertThat(web.user()).isEqualTo("late");
        assertThat(web.serverAliveCountMax()).isEqualTo(7);
        assertThat(web.batchMode()).isTrue();
        assertThat(machine.settings("db").port()).isEqualTo(20);
        assertThat(machine.settings("other").port()).isEqualTo(22);
        assertThat(machine.settings("other").user()).isEqualTo("jdoe");
    }

    @Test
    void a_file_that_includes_itself_is_stopped() {
        machine.userFile("Include config");
        assertThat(machine.error("web"))
                .isEqualTo(
                        "ROOT/home/.ssh/config line 1: Too many recursive configuration includes");
    }

    @Test
    void a_file_that_others_can_write_is_refused() throws Exception {
        Path file = machine.userFile("Port 2");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--rw-"));
        assertThat(machine.error("web"))
                .isEqualTo("Bad owner or permissions on ROOT/home/.ssh/config");
    }

    @Test
    void bad_lines_are_all_named_with_file_and_line() {
        machine.userFile(
                "Foo 1",
                "Port 0",
                "",
                "BatchMode maybe",
                "User",
                "ConnectTimeout 1y",
                "ServerAliveCountMax x",
                "Port \"22",
                "Host",
                "Port 22 23",
                "Ciphers foo",
                "RekeyLimit 1",
                "LogLevel loud",
                "EscapeChar ab",
                "IPQoS x",
                "SendEnv A=B",
                "UserKnownHostsFile none /x");
        assertThat(machine.error("web").replace("ROOT/home/.ssh/config", "F"))
                .isEqualTo(
                        """
                        F: line 1: Bad configuration option: foo
                        F line 2: Bad port '0'.
                        F line 4: unsupported option "maybe".
                        F line 5: no argument after keyword "user"
                        F line 6: invalid time value.
                        F line 7: integer value invalid.
                        F line 8: invalid quotes
                        F line 9: no argument after keyword "host"
                        F line 10: keyword port extra arguments at end of line
                        F line 11: Bad SSH2 cipher spec 'foo'.
                        F line 12: RekeyLimit too small
                        F line 13: unsupported log level 'loud'
                        F line 14: Bad escape character.
                        F line 15: Bad IPQoS value: x
                        F line 16: Invalid environment name.
                        F line 17: keyword userknownhostsfile "none" argument must appear alone.
                        F: terminating, 16 bad configuration options\
                        """);
    }

    @Test
    void lines_of_other_hosts_are_checked_too() {
        machine.userFile("Host elsewhere", "  Port 0");
        assertThat(machine.error("web")).contains("line 2: Bad port '0'.");
    }

    @Test
    void IgnoreUnknown_must_stand_before_what_it_ignores() throws Exception {
        machine.userFile("IgnoreUnknown foo*,bar", "FooBar x", "BAR y", "Port 2");
        assertThat(machine.settings("web").port()).isEqualTo(2);
        machine.userFile("FooBar x", "IgnoreUnknown foo*");
        assertThat(machine.error("web")).contains("Bad configuration option: foobar");
    }

    @Test
    void what_is_missing_but_weakens_nothing_is_said_and_gone_on_without() throws Exception {
        Path file =
                machine.userFile(
                        "Host web",
                        "  Tunnel no",
                        "  GSSAPIAuthentication yes",
                        "  HostbasedAuthentication yes",
                        "Host db",
                        "  VerifyHostKeyDNS yes");
        assertThat(machine.config("-v", "web").refusal()).isNull();
        assertThat(machine.config("web").warnings())
                .containsExactly(
                        "Warning: HostbasedAuthentication is not supported, going on without it:"
                                + " the other methods are tried ("
                                + file
                                + " line 4)");
        assertThat(machine.logged)
                .contains(
                        "debug1: Reading configuration data " + file,
                        "debug1: " + file + " line 1: Applying options for web")
                .anyMatch(line -> line.contains("GSSAPIAuthentication"))
                .noneMatch(line -> line.contains("VerifyHostKeyDNS"));
        assertThat(machine.config("-oPreferredAuthentications=gssapi-with-mic", "web").refusal())
                .contains("none of PreferredAuthentications gssapi-with-mic is supported");
    }

    @Test
    void what_is_not_built_and_would_mislead_refuses_the_connection() throws Exception {
        machine.userFile("ProxyUseFdpass yes", "Host web", "  ProxyCommand x");
        assertThat(machine.config("web").refusal())
                .isEqualTo(
                        "holdfast ssh: ProxyUseFdpass is not supported: a ProxyCommand is read"
                                + " and written, it cannot hand a socket over ("
                                + machine.home
                                + "/.ssh/config line 1)");
        assertThat(machine.config("other").refusal()).isNull();
        for (String line : List.of("PKCS11Provider /lib/x.so", "Tunnel yes")) {
            machine.userFile(line);
            assertThat(machine.config("web").refusal())
                    .matches("holdfast ssh: (PKCS11Provider|Tunnel) is not supported: .*");
        }
        machine.userFile("RefuseConnection \"use the new one\"");
        assertThat(machine.error("web")).endsWith("line 1: RefuseConnection: use the new one");
    }

    @Test
    void what_openssh_10_expands_is_printed_expanded() throws Exception {
        machine.userFile(
                "Host web",
                "  SetEnv WHERE=%n",
                "  RevokedHostKeys ~/revoked-%n",
                "  ProxyJump a;b@c;d",
                "  SetupTimeOut 7",
                "  IPQoS lowdelay 176");
        String printed = machine.config("-G", "-oUser=x-%n", "web").print();
        assertThat(printed)
                .contains("setenv WHERE=web\n")
                .contains("/revoked-web\n")
                .contains("proxyjump a;b@c;d\n")
                .contains("connecttimeout 7\n")
                .contains("ipqos none va\n")
                .contains("obscurekeystroketiming yes\n")
                .contains("user x-web\n");
        assertThat(machine.config("-G", "-l", "x-%n", "web").print()).contains("user x-%n\n");
        assertThat(machine.error("-oProxyJump=a;b@c", "web")).contains("Invalid ProxyJump");
        assertThat(machine.error("-J", "a;b@c", "web")).isEqualTo("Invalid -J argument");
    }

    @Test
    void a_proxy_command_gets_its_tokens_and_the_users_shell() throws Exception {
        machine.environment.put("SHELL", "/bin/zsh");
        machine.userFile(
                "Host web", "  HostName %h.example.com", "  ProxyCommand nc -x %r@%h:%p %n %k %%");
        assertThat(machine.settings("-p", "24", "ann@web").route())
                .isEqualTo(
                        new Route.Command(
                                "/bin/zsh", "exec nc -x ann@web.example.com:24 web web %"));
        machine.userFile("ProxyCommand nc %u");
        assertThat(machine.error("web")).endsWith("percent_expand: unknown key %u");
    }

    @Test
    void the_first_of_proxy_command_and_proxy_jump_wins() throws Exception {
        assertThat(route("ProxyCommand none", "ProxyCommand x", "ProxyJump gate"))
                .isEqualTo("direct");
        assertThat(route("ProxyCommand x", "ProxyJump gate")).isEqualTo("exec x");
        assertThat(route("ProxyJump gate", "ProxyCommand x")).isEqualTo("jdoe@gate:22");
        assertThat(route("ProxyJump none", "ProxyCommand x")).isEqualTo("direct");
        assertThat(route()).isEqualTo("direct");
        assertThat(machine.error("-J", "a", "-J", "b", "web"))
                .startsWith("Only a single -J option is permitted");
        assertThat(machine.error("-oProxyCommand=x", "-J", "b", "web"))
                .isEqualTo("Cannot specify -J with ProxyCommand");
        for (String bad : List.of("", "a,", "@a", "a:0", "a:x", "ssh://a/b", "[a", "a;b", "-a")) {
            assertThat(machine.error("-J", bad, "web")).as(bad).isEqualTo("Invalid -J argument");
        }
    }

    @Test
    void each_hop_has_a_configuration_of_its_own() throws Exception {
        machine.userFile(
                "Host one",
                "  User ann",
                "  HostName 10.0.0.1",
                "  ProxyJump zero",
                "Host two",
                "  Port 2222",
                "  ProxyJump elsewhere",
                "  ServerAliveInterval 7");
        // What -J names replaces the ProxyJump of the hops after the first; the first keeps its
        // own.
        assertThat(way(machine.settings("-l", "me", "-J", "one,bob@two,ssh://c@three:33", "web")))
                .isEqualTo(
                        "me@web:22 < c@three:33 < bob@two:2222 < ann@10.0.0.1:22 < jdoe@zero:22");
        ClientSettings two =
                ((Route.Jump)
                                ((Route.Jump) machine.settings("-J", "two,x", "web").route())
                                        .hop()
                                        .route())
                        .hop();
        assertThat(two.serverAliveInterval()).isEqualTo(Duration.ofSeconds(7));
        assertThat(two.forwards().stdio()).isEqualTo(new Endpoint.Tcp("x", 22));
        assertThat(way(machine.settings("-J", "[::1]:24", "web")))
                .isEqualTo("jdoe@web:22 < jdoe@::1:24");
        assertThat(machine.settings("-J", "none", "two").route()).isEqualTo(new Route.Direct());
    }

    @Test
    void a_way_that_comes_back_to_itself_is_refused() throws Exception {
        machine.userFile("Host a", "  ProxyJump b", "Host b", "  ProxyJump a");
        assertThat(machine.error("a")).isEqualTo("jumphost loop via b");
        assertThat(machine.error("web", "-J", "web")).isEqualTo("jumphost loop via web");
        machine.userFile("ProxyJump gate");
        assertThat(machine.error("web")).isEqualTo("jumphost loop via gate");
        assertThat(machine.config("-G", "web").print()).contains("\nproxyjump gate\n");
        machine.userFile("ProxyJump a%h");
        assertThat(machine.error("web")).isEqualTo("too many jump hosts: more than 64");
        machine.userFile("Host web", "  ProxyJump x,y,x");
        assertThat(way(machine.settings("web")))
                .isEqualTo("jdoe@web:22 < jdoe@x:22 < jdoe@y:22 < jdoe@x:22");
    }

    private String route(String... lines) throws ConfigException {
        machine.write("home/.ssh/config", "Host web\n" + String.join("\n", lines));
        return switch (machine.settings("web").route()) {
            case Route.Direct _ -> "direct";
            case Route.Command(String _, String line) -> line;
            case Route.Jump(ClientSettings hop) -> way(hop);
        };
    }

    private static String way(ClientSettings settings) {
        String here = settings.user() + "@" + settings.host() + ":" + settings.port();
        return settings.route() instanceof Route.Jump(ClientSettings hop)
                ? here + " < " + way(hop)
                : here;
    }

    @Test
    void forwardings_add_up_unless_they_are_cleared() throws Exception {
        machine.userFile("LocalForward 8080 web:80", "RemoteForward 9 x:9", "DynamicForward 1080");
        assertThat(machine.settings("-L", "8080:web:80", "-R", "1081", "web").forwards())
                .satisfies(all -> {
                    assertThat(all.local()).hasSize(2);
                    assertThat(all.remote()).hasSize(2);
                });
        assertThat(machine.settings("-oClearAllForwardings=yes", "web").forwards().local())
                .isEmpty();
        assertThat(machine.settings("-W", "a:1", "web").forwards())
                .satisfies(all -> {
                    assertThat(all.local()).isEmpty();
                    assertThat(all.stdio()).isEqualTo(new Endpoint.Tcp("a", 1));
                    assertThat(all.exitOnFailure()).isTrue();
                });
        machine.userFile("LocalForward 8080");
        assertThat(machine.error("web")).contains("line 1: Missing target argument.");
        machine.userFile("LocalForward 8080 web");
        assertThat(machine.error("web")).contains("line 1: Bad forwarding specification.");
    }

    @Test
    void host_names_are_expanded_lowered_and_made_canonical() throws Exception {
        machine.userFile("Host short", "HostName %h.Example.ORG", "Host loop", "HostName 127.1");
        assertThat(machine.settings("short").host()).isEqualTo("short.example.org");
        assertThat(machine.settings("loop").host()).isEqualTo("127.0.0.1");
        assertThat(machine.settings("0:0::0:1").host()).isEqualTo("::1");
        assertThat(machine.settings("::ffff:1.2.3.4").host()).isEqualTo("::ffff:1.2.3.4");
        assertThat(machine.settings("-4", "::ffff:1.2.3.4").host()).isEqualTo("1.2.3.4");
        assertThat(machine.settings("fe80::1%lo").host()).isEqualTo("fe80::1%lo");
        assertThat(machine.settings("fe80::1%1").host()).isEqualTo("fe80::1%lo");
        assertThat(machine.settings("fe80::1%99999").host()).isEqualTo("fe80::1%99999");
        assertThat(machine.settings("1:0:0:2:0:0:0:3").host()).isEqualTo("1:0:0:2::3");
        assertThat(machine.settings("1.2.3.4.5").host()).isEqualTo("1.2.3.4.5");
    }

    @Test
    void file_names_are_expanded() throws Exception {
        machine.environment.put("WHERE", "/var/x");
        machine.userFile(
                "UserKnownHostsFile ~/k_%h_%p_%r ${WHERE}/%u/%i %L.%l.%n.%k /%%/%C",
                "HostKeyAlias Alias");
        long uid = machine.surroundings().uid();
        assertThat(machine.settings("ann@Web").userKnownHostsFiles())
                .containsExactly(
                        machine.home.resolve("k_web_22_ann"),
                        Path.of("/var/x/jdoe/" + uid),
                        Path.of("here.here.example.net.Web.alias"),
                        // sha1 of here.example.net, web, 22, ann
                        Path.of("/%/" + sha1("here.example.netweb22ann")));
    }

    private static String sha1(String text) throws Exception {
        return java.util.HexFormat.of()
                .formatHex(
                        java.security.MessageDigest.getInstance("SHA-1")
                                .digest(text.getBytes(StandardCharsets.UTF_8)));
    }

    @Test
    void a_token_or_variable_that_means_nothing_is_named_with_its_line() {
        machine.userFile("", "UserKnownHostsFile /x%q");
        assertThat(machine.error("web"))
                .isEqualTo("ROOT/home/.ssh/config line 2: percent_expand: unknown key %q");
        machine.userFile("IdentityFile ${NOPE}/x");
        assertThat(machine.error("web"))
                .isEqualTo("ROOT/home/.ssh/config line 1: env var ${NOPE} has no value");
        machine.userFile("HostName %x");
        assertThat(machine.error("web")).startsWith("ROOT/home/.ssh/config line 1: ");
    }

    @Test
    void the_name_of_a_key_that_means_nothing_is_printed_all_the_same() throws Exception {
        for (String keyword : List.of("IdentityFile", "CertificateFile")) {
            for (String name : List.of("~no such", "/x%q", "${NOPE}/x")) {
                String option = "-o" + keyword + "=\"" + name + "\"";
                assertThat(machine.config("-G", option, "web").print())
                        .contains("\n" + keyword.toLowerCase(Locale.ROOT) + " " + name + "\n");
                assertThat(machine.error(option, "web")).startsWith("command-line line 0: ");
            }
        }
    }

    @Test
    void nobody_is_asked_of_keys_beside_a_command_a_master_or_silence() throws Exception {
        assertThat(updates("web")).isEqualTo("ask");
        assertThat(updates("-oLogLevel=INFO", "-oBatchMode=yes", "-N", "-t", "web"))
                .isEqualTo("ask");
        assertThat(updates("-oControlPersist=yes", "web")).isEqualTo("ask");
        assertThat(updates("-oControlPath=/c", "web")).isEqualTo("ask");
        assertThat(updates("-oControlPersist=yes", "-oControlPath=/c", "web")).isEqualTo("false");
        for (List<String> words :
                List.of(
                        List.of("web", "true"),
                        List.of("-oRemoteCommand=true", "web"),
                        List.of("-N", "web"),
                        List.of("-T", "web"),
                        List.of("-W", "a:1", "web"),
                        List.of("-q", "web"),
                        List.of("-oLogLevel=ERROR", "web"))) {
            assertThat(updates(words.toArray(String[]::new))).as("%s", words).isEqualTo("false");
        }
    }

    private String updates(String... words) throws Exception {
        List<String> all = new ArrayList<>(List.of("-G", "-oUpdateHostKeys=ask"));
        all.addAll(List.of(words));
        String printed = machine.config(all.toArray(String[]::new)).print();
        int at = printed.indexOf("\nupdatehostkeys ") + 16;
        return printed.substring(at, printed.indexOf('\n', at));
    }

    @Test
    void the_agent_comes_from_the_environment_a_path_or_nowhere() throws Exception {
        machine.environment.put("SSH_AUTH_SOCK", "/run/agent");
        machine.environment.put("OTHER", "/run/other");
        assertThat(machine.settings("web").identityAgent()).isEqualTo("/run/agent");
        assertThat(machine.settings("-oIdentityAgent=none", "web").identityAgent()).isNull();
        assertThat(machine.settings("-oIdentityAgent=$OTHER", "web").identityAgent())
                .isEqualTo("/run/other");
        assertThat(machine.settings("-oIdentityAgent=$MISSING", "web").identityAgent()).isNull();
        assertThat(machine.settings("-oIdentityAgent=~/s.%h", "web").identityAgent())
                .isEqualTo(machine.home + "/s.web");
        assertThat(machine.settings("-oIdentityAgent=~", "web").identityAgent())
                .isEqualTo(machine.home + "/");
    }

    @Test
    void lists_of_algorithms_are_added_to_taken_from_and_put_in_front() throws Exception {
        assertThat(machine.settings("-oCiphers=+aes128-cbc", "web").ciphers())
                .endsWith("aes256-ctr", "aes128-cbc");
        assertThat(machine.settings("-oCiphers=-chacha*,aes*-ctr", "web").ciphers())
                .containsExactly("aes128-gcm@openssh.com", "aes256-gcm@openssh.com");
        assertThat(machine.settings("-oCiphers=^aes256-ctr", "web").ciphers())
                .startsWith("aes256-ctr", "chacha20-poly1305@openssh.com")
                .doesNotHaveDuplicates();
        assertThat(machine.settings("-c", "aes256-ctr,aes128-gcm@openssh.com", "web").ciphers())
                .containsExactly("aes256-ctr", "aes128-gcm@openssh.com");
        ClientSettings old = machine.settings("-oHostKeyAlgorithms=+ssh-rsa", "web");
        assertThat(old.hostKeyAlgorithms()).endsWith("ssh-rsa");
        assertThat(old.hostKeyAlgorithmsGiven()).isTrue();
        assertThat(machine.settings("-oHostKeyAlgorithms=rsa-*", "web").hostKeyAlgorithms())
                .containsExactly(
                        "rsa-sha2-256",
                        "rsa-sha2-256-cert-v01@openssh.com",
                        "rsa-sha2-512",
                        "rsa-sha2-512-cert-v01@openssh.com");
    }

    @Test
    void which_agent_is_forwarded_and_whether_are_two_settings() throws Exception {
        machine.environment.put("SSH_AUTH_SOCK", "/mine");
        machine.environment.put("OTHER", "/other");
        assertThat(forwarded("-A")).isEqualTo("/mine");
        assertThat(forwarded("-A", "-a")).isNull();
        assertThat(forwarded("-oForwardAgent=yes", "-oIdentityAgent=/its")).isEqualTo("/its");
        assertThat(forwarded("-A", "-oIdentityAgent=none")).isNull();
        assertThat(forwarded("-oForwardAgent=~/%h", "-oIdentityAgent=none"))
                .isEqualTo(machine.home + "/web");
        assertThat(forwarded("-oForwardAgent=$OTHER")).isEqualTo("/other");
        assertThat(forwarded("-oForwardAgent=$NONE")).isNull();
        assertThat(forwarded("-oForwardAgent=${OTHER}/x")).isEqualTo("/other/x");
        assertThat(forwarded("-oForwardAgent=/p", "-a")).isNull();
        assertThat(forwarded("-oForwardAgent=no", "-oForwardAgent=/p")).isNull();
        assertThat(forwarded("-oForwardAgent=no", "-oForwardAgent=/p", "-A")).isEqualTo("/p");
        assertThat(machine.error("-oForwardAgent=${NONE}", "web"))
                .contains("Invalid environment expansion ${NONE}.");
    }

    private @Nullable String forwarded(String... options) throws Exception {
        List<String> arguments = new ArrayList<>(List.of(options));
        arguments.add("web");
        return machine.settings(arguments.toArray(String[]::new)).credentials().forwardAgent();
    }

    @Test
    void keys_are_added_to_the_agent_for_ever_for_a_time_or_with_leave() throws Exception {
        assertThat(added("yes")).isEqualTo("YES PT0S true");
        assertThat(added("no")).isEqualTo("NO PT0S false");
        assertThat(added("ask")).isEqualTo("ASK PT0S ask");
        assertThat(added("confirm")).isEqualTo("CONFIRM PT0S confirm");
        assertThat(added("confirm 1h")).isEqualTo("CONFIRM PT1H confirm 3600");
        assertThat(added("5m")).isEqualTo("YES PT5M 300");
        assertThat(machine.error("-oAddKeysToAgent=ask 5", "web")).contains("unsupported option");
        assertThat(machine.error("-oAddKeysToAgent=x", "web")).contains("unsupported option");
        assertThat(machine.error("-oAddKeysToAgent=confirm x", "web")).contains("invalid time");
    }

    private String added(String value) throws Exception {
        ClientConfig config = machine.config("-oAddKeysToAgent=" + value, "web");
        ClientCredentials credentials = config.settings().credentials();
        String printed =
                config.print()
                        .lines()
                        .filter(line -> line.startsWith("addkeystoagent "))
                        .findFirst()
                        .orElseThrow();
        return credentials.addKeys()
                + " "
                + credentials.addedFor()
                + printed.substring("addkeystoagent".length());
    }

    @Test
    void certificates_are_named_by_tilde_and_tokens_each_once() throws Exception {
        machine.userFile("CertificateFile ~/a", "CertificateFile %d/a", "CertificateFile /b-%h");
        assertThat(machine.settings("web").credentials().certificateFiles())
                .containsExactly(machine.home.resolve("a"), Path.of("/b-web"));
    }

    @Test
    void aes_gcm_comes_first_where_the_processor_has_aes_and_no_list_says_otherwise()
            throws Exception {
        machine.aes = true;
        assertThat(machine.settings("web").ciphers())
                .startsWith("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
                .hasSize(6);
        assertThat(
                        machine.settings(
                                        "-oCiphers=chacha20-poly1305@openssh.com,"
                                                + "aes128-gcm@openssh.com",
                                        "web")
                                .ciphers())
                .startsWith("chacha20-poly1305@openssh.com");
    }

    @Test
    void algorithms_that_only_openssh_has_are_left_out_and_an_empty_rest_is_an_error()
            throws Exception {
        assertThat(
                        machine.settings("-oHostKeyAlgorithms=ssh-dss,ssh-ed25519", "web")
                                .hostKeyAlgorithms())
                .containsExactly("ssh-ed25519");
        machine.userFile("HostKeyAlgorithms ssh-dss");
        assertThat(machine.error("web"))
                .isEqualTo(
                        "ROOT/home/.ssh/config line 1: HostKeyAlgorithms 'ssh-dss' leaves no"
                                + " algorithm that is supported");
    }

    @Test
    void what_reaches_keys_on_hardware_is_named_or_is_in_the_environment_or_is_none()
            throws Exception {
        assertThat(provider("/usr/lib/sk.so")).isEqualTo("/usr/lib/sk.so");
        assertThat(provider("none")).isNull();
        assertThat(provider("$NOT_THERE_AT_ALL")).isNull();
    }

    private @Nullable String provider(String named) throws Exception {
        return machine.settings("-oSecurityKeyProvider=" + named, "web")
                .credentials()
                .securityKeyProvider();
    }

    @Test
    void rekey_limit_takes_size_and_time_each_from_the_first_that_has_it() throws Exception {
        machine.userFile("RekeyLimit 1.5M", "RekeyLimit 1G 1h");
        ClientSettings settings = machine.settings("web");
        assertThat(settings.rekeyLimitBytes()).isEqualTo(1_572_864);
        assertThat(settings.rekeyLimitTime()).isEqualTo(Duration.ofHours(1));
        assertThat(machine.settings("-oRekeyLimit=default none", "web").rekeyLimitBytes()).isZero();
    }

    @Test
    void a_time_of_none_leaves_the_setting_to_later_lines() throws Exception {
        machine.userFile("ConnectTimeout none", "ConnectTimeout 5");
        assertThat(machine.settings("web").connectTimeout()).isEqualTo(Duration.ofSeconds(5));
        assertThat(machine.settings("-oConnectTimeout=0", "web").connectTimeout()).isNull();
    }

    @Test
    void a_command_may_not_come_from_two_places() {
        machine.userFile("RemoteCommand ls");
        assertThat(machine.error("web", "id"))
                .isEqualTo("Cannot execute command-line and remote command.");
    }

    @Test
    void debian_old_names_for_keepalives_still_work() throws Exception {
        machine.userFile("ProtocolKeepAlives 7", "KeepAlive no");
        assertThat(machine.settings("web").serverAliveInterval()).isEqualTo(Duration.ofSeconds(7));
        assertThat(machine.settings("web").tcpKeepAlive()).isFalse();
    }

    @Test
    void a_user_of_a_file_may_have_tokens_but_no_tricks() throws Exception {
        machine.environment.put("EVIL", "-x");
        machine.userFile("User %u-%n");
        assertThat(machine.settings("web").user()).isEqualTo("jdoe-web");
        machine.userFile("User ${EVIL}");
        assertThat(machine.error("web")).contains("remote username contains invalid characters");
    }

    @Test
    void the_printed_configuration_begins_as_openssh_begins_it() throws Exception {
        machine.userFile("LocalForward 1 x:2", "EscapeChar ^a", "StrictHostKeyChecking no");
        String printed = machine.config("-q", "ann@web", "-p", "2022").print();
        assertThat(printed)
                .startsWith("host web\nuser ann\nhostname web\nport 2022\naddressfamily any\n")
                .contains("\nescapechar \\^A\n", "\nstricthostkeychecking false\n")
                .contains("\nloglevel SILENT\n", "\nconnecttimeout none\n", "\nipqos ef cs0\n")
                .contains("\nlocalforward 1 [x]:2\n")
                .endsWith("syslogfacility USER\n");
    }

    @Test
    void a_host_that_no_jump_can_name_is_an_error_with_file_and_line() throws Exception {
        Files.writeString(machine.home.resolve(".ssh/config"), "HostName ]\nProxyJump gate\n");
        assertThat(machine.error("web"))
                .contains("ROOT/home/.ssh/config line 2: Bad stdio forwarding specification");
    }

    @Test
    void random_bytes_never_give_anything_but_an_error_with_file_and_line() throws Exception {
        long seed = Long.getLong("holdfast.seed", System.nanoTime());
        System.err.println("seed: repeat with -Dholdfast.seed=" + seed);
        Random random = new Random(seed);
        Keyword[] keywords = Keyword.values();
        Path file = machine.home.resolve(".ssh/config");
        int errors = 0;
        for (int i = 0; i < 3000; i++) {
            StringBuilder text = new StringBuilder();
            int lines = 1 + random.nextInt(6);
            for (int j = 0; j < lines; j++) {
                Keyword keyword = keywords[random.nextInt(keywords.length)];
                // A command of random bytes is nothing to run.
                if (random.nextInt(3) > 0) {
                    text.append(keyword.spelled()).append(random.nextBoolean() ? " " : "=");
                }
                text.append(noise(random)).append('\n');
            }
            byte[] bytes =
                    text.toString()
                            .replaceAll("(?i)exec", "host")
                            .getBytes(
                                    random.nextBoolean()
                                            ? StandardCharsets.UTF_8
                                            : StandardCharsets.ISO_8859_1);
            Files.write(file, bytes);
            String error = machine.error("web");
            // Where a jump leads, or a name or a token's value, is known when all is read: OpenSSH
            // names no line either.
            if (!error.equals("no error")
                    && !error.startsWith("jumphost loop via ")
                    && !error.startsWith("ssh: Could not resolve hostname ")
                    && !error.startsWith("forwarding ")) {
                errors++;
                assertThat(error)
                        .as("seed %d, round %d", seed, i)
                        .contains("ROOT/home/.ssh/config");
                assertThat(error).as("seed %d, round %d", seed, i).containsPattern("line [0-9]+");
            }
        }
        assertThat(errors).isGreaterThan(1000);
    }

    private static String noise(Random random) {
        String pieces = "\"'\\#=%~$*?!,:+-^ \t\0\u007f{}[]09azZ\u00e9\u20ac";
        StringBuilder noise = new StringBuilder();
        int length = random.nextInt(12);
        for (int i = 0; i < length; i++) {
            noise.append(
                    random.nextInt(4) == 0
                            ? (char) random.nextInt(256)
                            : pieces.charAt(random.nextInt(pieces.length())));
        }
        return noise.toString().replace("\n", "");
    }

    @Test
    void twenty_thousand_lines_are_read_in_no_time() throws Exception {
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < 5000; i++) {
            lines.add("Host host" + i + " *.zone" + i + ".example.com !bad*");
            lines.add("  HostName 10.0.0.1 # a comment");
            lines.add("  IdentityFile ~/.ssh/id_" + i);
            lines.add("  ServerAliveInterval 1m");
        }
        machine.userFile(lines.toArray(String[]::new));
        assertThat(machine.settings("host4999").host()).isEqualTo("10.0.0.1");
        long from = System.nanoTime();
        assertThat(machine.settings("x.zone4000.example.com").identityFiles()).hasSize(1);
        // Some tens of milliseconds; the bound only catches what grows with the square.
        assertThat(Duration.ofNanos(System.nanoTime() - from)).isLessThan(Duration.ofSeconds(2));
    }

    @Test
    void a_directory_or_an_unreadable_file_says_so() throws IOException {
        Path directory = Files.createDirectory(root.resolve("d"));
        // fopen(3) opens it, and finds nothing in it.
        assertThat(machine.error("-F", directory.toString(), "web")).isEqualTo("no error");
        assertThat(machine.error("-F", "/dev/zero", "web")).contains("too large");
        assertThat(machine.error("-F", "/etc/passwd/x", "web"))
                .isEqualTo("Can't open user config file /etc/passwd/x: Not a directory");
    }
}
