package holdfast.ssh.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import holdfast.ssh.config.ServerConfig.Connection;
import holdfast.ssh.config.ServerSettings.Forwarding;
import holdfast.ssh.config.ServerSettings.ListenAddress;
import holdfast.ssh.config.ServerSettings.MaxStartups;
import holdfast.ssh.config.ServerSettings.Overflow;
import holdfast.ssh.config.ServerSettings.PerSourcePenalties;
import holdfast.ssh.config.ServerSettings.Permit;
import holdfast.ssh.config.ServerSettings.PermitRootLogin;
import holdfast.ssh.log.Log;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** sshd_config, line by line and as a whole; what OpenSSH makes of it is tried in trials. */
class ServerConfigTest {

    @TempDir private Path root;

    private static ServerSettings global(String... lines) throws ConfigException {
        return ServerConfig.of(List.of(lines)).global();
    }

    private static String error(String... lines) {
        try {
            ServerConfig.of(List.of(lines));
            return "no error";
        } catch (ConfigException e) {
            return e.text();
        }
    }

    private static Connection from(String user, String address, String... groups) {
        return new Connection(user, false, () -> Set.of(groups), address, address, "127.0.0.1", 22);
    }

    private ServerConfig load(String... arguments) throws ConfigException {
        Surroundings surroundings = new ConfigFixture(root).surroundings();
        return ServerConfig.load(
                ServerCommandLine.parse(List.of(arguments), surroundings),
                surroundings,
                Log.silent());
    }

    private String loadError(String... arguments) {
        try {
            load(arguments);
            return "no error";
        } catch (ConfigException e) {
            return e.status() + " " + e.text().replace(root.toString(), "ROOT");
        }
    }

    @Test
    void what_came_after_openssh_10_0_does_not_stop_the_start() throws ConfigException {
        ServerConfig config =
                ServerConfig.of(
                        List.of(
                                "AgentSocketPath shared:/run/agents",
                                "WarnWeakCrypto no-pq-kex",
                                "TCPKeepAlive transport",
                                "GSSAPIDelegateCredentials no",
                                "PubkeyAuthOptions touch-required max-pk-ok:3",
                                "KexAlgorithms mlkem768nistp256-sha256,curve25519-sha256",
                                "HostKeyAlgorithms ssh-mldsa44-ed25519,ssh-ed25519",
                                "Match user git",
                                "AgentSocketPath user:.ssh/agent"));
        assertThat(config.global().tcpKeepAlive()).isTrue();
        assertThat(config.global().kexAlgorithms()).containsExactly("curve25519-sha256");
        assertThat(config.global().hostKeyAlgorithms()).containsExactly("ssh-ed25519");
        assertThat(config.notes())
                .containsExactly(
                        "sshd_config line 1: AgentSocketPath is not supported yet, ignored",
                        "sshd_config line 4: Unsupported option GSSAPIDelegateCredentials");
        assertThat(config.print(Connection.NOBODY))
                .contains(
                        "\nwarnweakcrypto no\n",
                        "\ntcpkeepalive yes\n",
                        "\nagentsocketpath shared:/run/agents\n");
        assertThat(error("AgentSocketPath /run/agent")).contains("line 1: invalid path.");
        assertThat(error("AgentSocketPath shared:run")).contains("line 1: invalid shared path.");
        assertThat(error("AgentSocketPath user:")).contains("line 1: invalid user path.");
        assertThat(error("PubkeyAuthOptions max-pk-ok:x"))
                .contains("line 1: bad PubkeyAuthOptions max-pk-ok value: invalid");
        assertThat(error("WarnWeakCrypto maybe")).contains("unsupported option \"maybe\".");
    }

    @Test
    void the_file_that_debian_ships_is_accepted() throws ConfigException {
        ServerConfig config =
                ServerConfig.of(
                        List.of(
                                "# comment",
                                "Include /nonexistent/sshd_config.d/*.conf",
                                "KbdInteractiveAuthentication no",
                                "UsePAM yes",
                                "X11Forwarding yes",
                                "PrintMotd no",
                                "AcceptEnv LANG LC_*",
                                "Subsystem\tsftp\t/usr/lib/openssh/sftp-server"));
        ServerSettings settings = config.global();
        assertThat(settings.kbdInteractiveAuthentication()).isFalse();
        assertThat(settings.usePam()).isTrue();
        assertThat(settings.printMotd()).isFalse();
        assertThat(settings.acceptEnv()).containsExactly("LANG", "LC_*");
        assertThat(settings.subsystem()).isEqualTo(Map.of("sftp", "/usr/lib/openssh/sftp-server"));
        assertThat(settings.x11Forwarding()).isTrue();
        assertThat(config.notes()).isEmpty();
    }

    @Test
    void an_empty_file_means_openssh_s_defaults() throws ConfigException {
        ServerSettings settings = global();
        assertThat(settings.listenAddress())
                .containsExactly(new ListenAddress("::", 22), new ListenAddress("0.0.0.0", 22));
        assertThat(settings.permitRootLogin()).isEqualTo(PermitRootLogin.PROHIBIT_PASSWORD);
        assertThat(settings.loginGraceTime()).isEqualTo(Duration.ofMinutes(2));
        assertThat(settings.maxStartups()).isEqualTo(new MaxStartups(10, 30, 100));
        assertThat(settings.clientAliveInterval()).isZero();
        assertThat(settings.tcpKeepAliveIdle()).isNull();
        assertThat(settings.permitOpen().any()).isTrue();
        assertThat(settings.kexAlgorithms())
                .startsWith("mlkem768x25519-sha256")
                .noneMatch(name -> name.startsWith("diffie-hellman"));
    }

    @Test
    void the_first_value_wins_and_lists_add_up() throws ConfigException {
        ServerSettings settings =
                global(
                        "MaxSessions 3",
                        "MaxSessions 4",
                        "AllowUsers a b",
                        "AllowUsers c",
                        "AcceptEnv A",
                        "AcceptEnv B",
                        "PermitOpen a:1",
                        "PermitOpen b:2",
                        "RekeyLimit 1G",
                        "RekeyLimit 2G 1h");
        assertThat(settings.maxSessions()).isEqualTo(3);
        assertThat(settings.allowUsers()).containsExactly("a", "b", "c");
        assertThat(settings.acceptEnv()).containsExactly("A", "B");
        assertThat(settings.permitOpen().list()).containsExactly(new Permit("a", 1));
        assertThat(settings.rekeyLimit().bytes()).isEqualTo(1 << 30);
        assertThat(settings.rekeyLimit().time()).isEqualTo(Duration.ofHours(1));
    }

    @Test
    void ports_and_families_count_wherever_they_stand() throws ConfigException {
        assertThat(
                        global(
                                        "ListenAddress 10.0.0.1",
                                        "ListenAddress [::1]:99",
                                        "Port 22",
                                        "Port 2222")
                                .listenAddress())
                .containsExactly(
                        new ListenAddress("10.0.0.1", 22),
                        new ListenAddress("10.0.0.1", 2222),
                        new ListenAddress("::1", 99));
        assertThat(global("Port 5", "AddressFamily inet").listenAddress())
                .containsExactly(new ListenAddress("0.0.0.0", 5));
        assertThat(error("ListenAddress ::1", "AddressFamily inet"))
                .isEqualTo("bad addr or host: ::1 (Address family for hostname not supported)");
    }

    @Test
    void mistakes_are_told_in_openssh_s_words_with_file_and_line() {
        assertThat(error("Port 22", "Foo bar"))
                .isEqualTo(
                        "sshd_config: line 2: Bad configuration option: Foo\n"
                                + "sshd_config: terminating, 1 bad configuration options");
        assertThat(error("UsePAM yes no"))
                .startsWith("sshd_config line 1: keyword UsePAM extra arguments at end of line\n");
        assertThat(error("UsePAM maybe"))
                .isEqualTo("sshd_config line 1: unsupported option \"maybe\".");
        assertThat(error("MaxSessions x"))
                .isEqualTo("sshd_config line 1: MaxSessions integer value invalid.");
        assertThat(error("LoginGraceTime 1y")).isEqualTo("sshd_config line 1: invalid time value.");
        assertThat(error("Match address 10.0.0.1/8"))
                .isEqualTo("Invalid Match address argument '10.0.0.1/8' at line 1");
        assertThat(error("Match user root", "Port 22"))
                .isEqualTo(
                        "sshd_config line 2: Directive 'Port' is not allowed within a Match block");
        assertThat(error("AllowUsers \"x")).startsWith("sshd_config line 1: invalid quotes\n");
    }

    @Test
    void what_would_weaken_the_server_by_its_absence_is_refused() {
        assertThat(error("RDomain vrf1"))
                .isEqualTo("sshd_config line 1: setting RDomain not supported on this platform.");
        assertThat(error("RDomain none")).isEqualTo("no error");
        assertThat(error("ListenAddress 127.0.0.1 rdomain 1"))
                .isEqualTo("sshd_config line 1: bad routing domain");
        assertThat(error("Match rdomain x"))
                .isEqualTo(
                        "Match rdomain is not supported on this platform\n"
                                + "sshd_config line 1: Bad Match condition");
        assertThat(error("KerberosOrLocalPasswd no", "KerberosAuthentication yes"))
                .startsWith("sshd_config line 1: KerberosOrLocalPasswd no is not supported");
        assertThat(error("KerberosOrLocalPasswd no")).isEqualTo("no error");
    }

    @Test
    void methods_that_must_be_passed_must_be_there_to_pass() {
        assertThat(error("AuthenticationMethods publickey,hostbased"))
                .isEqualTo(
                        "Disabled method \"hostbased\" in AuthenticationMethods list"
                                + " \"publickey,hostbased\"\n"
                                + "AuthenticationMethods cannot be satisfied by enabled"
                                + " authentication methods");
        assertThat(error("AuthenticationMethods hostbased publickey")).isEqualTo("no error");
        assertThat(error("KexAlgorithms -*"))
                .isEqualTo("KexAlgorithms: none of the algorithms given is supported");
        assertThat(error("AuthorizedKeysCommand /bin/x"))
                .isEqualTo("AuthorizedKeysCommand set without AuthorizedKeysCommandUser");
    }

    @Test
    void what_a_match_block_says_replaces_what_everybody_has() throws ConfigException {
        ServerConfig config =
                ServerConfig.of(
                        List.of(
                                "AllowTcpForwarding no",
                                "AcceptEnv A",
                                "ForceCommand /bin/x",
                                "Subsystem sftp /bin/a",
                                "Match user bob,!bo? address 10.0.0.0/8",
                                "  AllowTcpForwarding yes",
                                "Match group staff",
                                "  AllowTcpForwarding local",
                                "  AcceptEnv B",
                                "  ForceCommand none",
                                "  Subsystem sftp internal-sftp -R",
                                "Match address 10.1.0.0/16",
                                "  AllowTcpForwarding remote"));
        assertThat(config.global().allowTcpForwarding()).isEqualTo(Forwarding.NO);
        assertThat(config.settingsFor(from("bob", "10.1.1.1")).allowTcpForwarding())
                .isEqualTo(Forwarding.REMOTE);
        ServerSettings staff = config.settingsFor(from("ann", "10.1.1.1", "users", "staff"));
        assertThat(staff.allowTcpForwarding()).isEqualTo(Forwarding.LOCAL);
        assertThat(staff.acceptEnv()).containsExactly("B");
        assertThat(staff.forceCommand()).isNull();
        assertThat(staff.subsystem()).isEqualTo(Map.of("sftp", "internal-sftp -R"));
        assertThat(config.settingsFor(from("ann", "192.168.0.1"))).isEqualTo(config.global());
    }

    @Test
    void a_user_that_does_not_exist_can_be_matched() throws ConfigException {
        ServerConfig config =
                ServerConfig.of(List.of("Match invalid-user", "RefuseConnection yes"));
        Connection known = from("ann", "10.0.0.1");
        assertThat(config.settingsFor(known).refuseConnection()).isFalse();
        Connection unknown = new Connection("x", true, Set::of, "10.0.0.1", "10.0.0.1", null, -1);
        assertThat(config.settingsFor(unknown).refuseConnection()).isTrue();
    }

    @Test
    void included_files_keep_their_match_blocks_to_themselves() throws ConfigException {
        ConfigFixture machine = new ConfigFixture(root);
        machine.write("etc/one.conf", "MaxSessions 1", "Match user ann", "Banner /one");
        machine.write("etc/two.conf", "PermitTTY no", "Match all", "MaxAuthTries 2");
        Path file =
                machine.write(
                        "etc/sshd_config",
                        "Include one.conf",
                        "MaxAuthTries 4",
                        "Match address 10.0.0.1",
                        "Include two.conf",
                        "PermitUserRC no");
        ServerConfig config = load("-f", file.toString());
        assertThat(config.global().maxSessions()).isEqualTo(1);
        assertThat(config.global().maxAuthTries()).isEqualTo(4);
        assertThat(config.global().banner()).isNull();
        ServerSettings ann = config.settingsFor(from("ann", "10.0.0.2"));
        assertThat(ann.banner()).isEqualTo(Path.of("/one"));
        assertThat(ann.permitTty()).isTrue();
        assertThat(ann.maxAuthTries()).isEqualTo(4);
        ServerSettings bob = config.settingsFor(from("bob", "10.0.0.1"));
        assertThat(bob.permitTty()).isFalse();
        assertThat(bob.permitUserRc()).isFalse();
        assertThat(bob.maxAuthTries()).isEqualTo(2);
    }

    @Test
    void files_that_include_each_other_end_soon() {
        ConfigFixture machine = new ConfigFixture(root);
        machine.write("etc/loop.conf", "Include loop.conf", "Include loop.conf");
        Path file = machine.write("etc/sshd_config", "Include loop.conf");
        assertThat(loadError("-f", file.toString()))
                .isEqualTo("255 Too many recursive configuration includes");
    }

    @Test
    void a_file_that_is_not_there_is_an_error_with_status_one() {
        assertThat(loadError()).isEqualTo("1 ROOT/etc/sshd_config: No such file or directory");
        Path file =
                new ConfigFixture(root).write("etc/sshd_config", "Include " + root + "/etc/*.x");
        new ConfigFixture(root).write("etc/a.x", "Nonsense");
        assertThat(loadError("-f", file.toString()))
                .isEqualTo(
                        "255 ROOT/etc/a.x line 1: no argument after keyword \"Nonsense\"\n"
                                + "ROOT/etc/a.x: terminating, 1 bad configuration options");
    }

    @Test
    void penalties_have_a_default_for_what_is_not_given() throws ConfigException {
        PerSourcePenalties penalties =
                global("PerSourcePenalties crash:2m authfail:0.5s overflow:deny-all")
                        .perSourcePenalties();
        assertThat(penalties.enabled()).isTrue();
        assertThat(penalties.crash()).isEqualTo(Duration.ofMinutes(2));
        assertThat(penalties.authFail()).isEqualTo(Duration.ofMillis(500));
        assertThat(penalties.min()).isEqualTo(Duration.ofSeconds(15));
        assertThat(penalties.overflow6()).isEqualTo(Overflow.DENY_ALL);
        assertThat(global("PerSourcePenalties no").perSourcePenalties().enabled()).isFalse();
        assertThat(error("PerSourcePenalties no crash:1"))
                .endsWith("\"no\" argument must appear alone.");
        assertThat(error("PerSourcePenalties nap:1"))
                .endsWith("unsupported PerSourcePenalties keyword nap:1");
    }

    @Test
    void our_own_keywords_are_not_printed_unless_given() throws ConfigException {
        assertThat(ServerConfig.of(List.of()).print(Connection.NOBODY))
                .doesNotContain("tether", "tcpkeepaliveidle");
        ServerConfig config =
                ServerConfig.of(
                        List.of("TCPKeepAliveIdle 1m", "TCPKeepAliveCount 4", "Tether yes"));
        assertThat(config.print(Connection.NOBODY))
                .endsWith("tcpkeepaliveidle 60\ntcpkeepalivecount 4\ntether yes\n");
        assertThat(config.global().tcpKeepAliveIdle()).isEqualTo(Duration.ofMinutes(1));
        assertThat(config.global().tcpKeepAliveCount()).isEqualTo(4);
    }

    @Test
    void options_beat_the_file_and_may_be_given_to_it_again() throws ConfigException {
        Path file =
                new ConfigFixture(root)
                        .write("etc/sshd_config", "Port 22", "LoginGraceTime 9", "UseDNS no");
        ServerConfig config =
                load("-4D", "-p2200", "-g", "1m", "-o", "UseDNS=yes", "-f", file.toString());
        assertThat(config.global().listenAddress())
                .containsExactly(new ListenAddress("0.0.0.0", 2200));
        assertThat(config.global().loginGraceTime()).isEqualTo(Duration.ofMinutes(1));
        assertThat(config.global().useDns()).isTrue();
    }

    @Test
    void wrong_arguments_end_with_the_status_that_sshd_has_for_them() {
        assertThat(loadError("-z")).startsWith("1 unknown option -- z\nusage: sshd ");
        assertThat(loadError("-p")).startsWith("1 option requires an argument -- p\nusage: sshd ");
        assertThat(loadError("-p", "x")).isEqualTo("1 Bad port number.");
        assertThat(loadError("-g", "x")).isEqualTo("1 Invalid login grace time.");
        assertThat(loadError("x")).isEqualTo("1 Extra argument x.");
        assertThat(loadError("-C", "user=x"))
                .isEqualTo(
                        "255 Config test connection parameter (-C) provided without test mode"
                                + " (-T)");
        assertThat(loadError("-T", "-C", "colour=red"))
                .isEqualTo("1 Invalid test mode specification colour=red");
        assertThat(loadError("-o", "Match user x"))
                .isEqualTo("255 Match directive not supported as a command-line option");
        assertThat(loadError("-o", "Nonsense x"))
                .isEqualTo("1 command-line: line 0: Bad configuration option: Nonsense");
    }

    @Test
    void a_value_cannot_become_two_words_of_a_command() throws ConfigException {
        assertThat(ServerTokens.command("/bin/keys -u %u \"a %%\" #", Map.of('u', "x y; z")))
                .containsExactly("/bin/keys", "-u", "x y; z", "a %", "#");
        assertThat(ServerTokens.file(".ssh/k-%u", ServerTokens.ofUser("ann", 7, "/home/ann")))
                .isEqualTo(Path.of("/home/ann/.ssh/k-ann"));
        assertThatExceptionOfType(ConfigException.class)
                .isThrownBy(() -> ServerTokens.expand("%q", Map.of()))
                .withMessage("vdollar_percent_expand: unknown key %q");
    }

    @Test
    void addresses_are_compared_as_numbers_and_patterns_as_text() {
        assertThat(AddressList.match("10.1.2.3", "!10.1.2.3,10.0.0.0/8"))
                .isEqualTo(AddressList.Verdict.LEFT_OUT);
        assertThat(AddressList.match("10.1.2.3", "10.0.0.0/8"))
                .isEqualTo(AddressList.Verdict.LISTED);
        assertThat(AddressList.match("2001:db8::1", "2001:0db8:0::/32"))
                .isEqualTo(AddressList.Verdict.LISTED);
        assertThat(AddressList.match("10.1.2.3", "10.1.*")).isEqualTo(AddressList.Verdict.LISTED);
        assertThat(AddressList.match("10.1.2.3", "10.0.0.1/8"))
                .isEqualTo(AddressList.Verdict.INVALID);
        assertThat(AddressList.matchesHost("web.example.com", "10.1.2.3", "*.example.com"))
                .isTrue();
    }

    @Test
    void every_keyword_of_the_table_is_understood_by_the_reader() {
        for (ServerKeyword keyword : ServerKeyword.values()) {
            // A rule that is missing is an IllegalStateException.
            assertThat(error(keyword.spelled() + " x")).isNotNull();
        }
    }

    @Test
    void garbage_is_refused_in_words_and_in_bounded_time() {
        long seed = Long.getLong("holdfast.seed", System.nanoTime());
        System.err.println("seed: repeat with -Dholdfast.seed=" + seed);
        Random random = new Random(seed);
        String[] pieces = {
            " ",
            "\t",
            "=",
            "\"",
            "'",
            "\\",
            "#",
            ",",
            ":",
            "[",
            "]",
            "!",
            "*",
            "%",
            "/",
            "-",
            "+",
            "^",
            "0",
            "1",
            "999999999999999999999",
            "none",
            "any",
            "yes",
            "no",
            "::1",
            "10.0.0.0/8",
            "\0",
            "\f",
            "\r",
            "ä",
            "\ud800",
            "1h",
            ".",
            "@",
            "user",
            "all",
            "address",
            "port",
            "aes128-ctr",
            "ssh-ed25519",
            "~root",
            "1.5G",
            "crash:",
            "authfail:1.5m",
            "=10",
        };
        ServerKeyword[] keywords = ServerKeyword.values();
        long begin = System.nanoTime();
        int good = 0;
        for (int i = 0; i < 4000; i++) {
            List<String> lines = new ArrayList<>();
            for (int j = random.nextInt(4); j >= 0; j--) {
                StringBuilder line = new StringBuilder();
                ServerKeyword keyword = keywords[random.nextInt(keywords.length)];
                if (keyword == ServerKeyword.LISTEN_ADDRESS) {
                    // A name would be looked up in the DNS.
                    keyword = ServerKeyword.MATCH;
                }
                line.append(random.nextInt(20) == 0 ? "" : keyword.spelled());
                line.append(random.nextInt(10) == 0 ? "" : " ");
                for (int k = random.nextInt(6); k > 0; k--) {
                    line.append(pieces[random.nextInt(pieces.length)]);
                }
                lines.add(line.toString());
            }
            try {
                ServerConfig config = ServerConfig.of(lines);
                assertThat(config.print(from("ann", "10.0.0.1"))).isNotEmpty();
                good++;
            } catch (ConfigException e) {
                assertThat(e.text()).isNotEmpty();
            } catch (RuntimeException e) {
                throw new AssertionError("seed " + seed + ", lines " + lines, e);
            }
        }
        assertThat(good).isGreaterThan(100);
        assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(60));
    }

    @Test
    void a_long_file_with_many_blocks_is_read_and_asked_quickly() throws ConfigException {
        List<String> lines = new ArrayList<>();
        for (int i = 0; i < 5000; i++) {
            lines.add("Match user u" + i + " address 10.0.0.0/8");
            lines.add("ForceCommand /bin/c" + i);
            lines.add("AcceptEnv X" + i);
        }
        long begin = System.nanoTime();
        ServerConfig config = ServerConfig.of(lines);
        assertThat(config.settingsFor(from("u4999", "10.2.3.4")).forceCommand())
                .isEqualTo("/bin/c4999");
        assertThat(Duration.ofNanos(System.nanoTime() - begin)).isLessThan(Duration.ofSeconds(10));
    }
}
