package holdfast.ssh.hostkeys;

import static holdfast.ssh.hostkeys.Given.ECDSA;
import static holdfast.ssh.hostkeys.Given.ED25519;
import static holdfast.ssh.hostkeys.Given.OTHER_ED25519;
import static holdfast.ssh.hostkeys.Given.RSA;
import static holdfast.ssh.hostkeys.Given.RSA_1024;
import static holdfast.ssh.hostkeys.Given.key;
import static holdfast.ssh.hostkeys.Given.settings;
import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.config.ClientSettings.StrictHostKeyChecking;
import holdfast.ssh.hostkeys.HostKeyCheck.Accepted;
import holdfast.ssh.hostkeys.HostKeyCheck.Rejected;
import holdfast.ssh.hostkeys.HostKeyCheck.Verdict;
import holdfast.ssh.log.Log;
import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class HostKeyCheckTest {

    private static final String RULE =
            "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r\n";
    private static final Accepted ACCEPTED = new Accepted(true);
    private static final Rejected REJECTED = new Rejected();

    @TempDir Path home;
    private Path file = Path.of("");
    private final Given given = new Given();

    @BeforeEach
    void nameTheFile() {
        file = home.resolve("known_hosts");
    }

    @Test
    void a_known_key_is_accepted_without_a_word() throws IOException {
        write("example.com " + ED25519);
        assertThat(check(ED25519, Map.of())).isEqualTo(ACCEPTED);
        assertThat(given.said).isEmpty();
        assertThat(given.asked).isEmpty();
    }

    @Test
    void an_unknown_key_is_asked_about_and_then_remembered() throws IOException {
        given.answers.addAll(List.of("maybe", " YES "));
        assertThat(check(ED25519, Map.of())).isEqualTo(ACCEPTED);
        assertThat(given.asked)
                .containsExactly(
                        """
                        The authenticity of host 'example.com (192.0.2.1)' can't be established.
                        ED25519 key fingerprint is SHA256:TASK2Ee5AjA6qHy82V6+8PtdXOaXP207/nS9j5jjPMw.
                        This key is not known by any other names.
                        Are you sure you want to continue connecting (yes/no/[fingerprint])?\040\
                        """,
                        "Please type 'yes', 'no' or the fingerprint: ");
        assertThat(given.said)
                .containsExactly(
                        "Warning: Permanently added 'example.com' (ED25519) to the list of known"
                                + " hosts.\r\n");
        assertThat(Files.readString(file)).isEqualTo("example.com " + ED25519 + "\n");
    }

    @Test
    void the_fingerprint_is_as_good_as_yes_and_nothing_is_no() throws IOException {
        given.answers.add("SHA256:TASK2Ee5AjA6qHy82V6+8PtdXOaXP207/nS9j5jjPMw");
        assertThat(check(ED25519, Map.of("port", 2222))).isEqualTo(ACCEPTED);
        assertThat(given.asked.getFirst())
                .startsWith(
                        "The authenticity of host '[example.com]:2222 ([192.0.2.1]:2222)' can't");
        assertThat(Files.readString(file)).isEqualTo("[example.com]:2222 " + ED25519 + "\n");
        given.said.clear();
        for (String answer : List.of("", "no", "No", "  ")) {
            given.answers.add(answer);
            assertThat(check(ED25519, Map.of("port", 2223))).isEqualTo(REJECTED);
        }
        assertThat(given.said).hasSize(4).containsOnly("Host key verification failed.\r\n");
    }

    @Test
    void with_nobody_to_ask_an_unknown_key_is_refused() {
        assertThat(check(ED25519, Map.of())).isEqualTo(REJECTED);
        given.answers.add("yes");
        given.asked.clear();
        assertThat(check(ED25519, Map.of("batchMode", true))).isEqualTo(REJECTED);
        assertThat(given.asked).isEmpty();
        assertThat(given.said).containsOnly("Host key verification failed.\r\n");
        assertThat(file).doesNotExist();
    }

    @Test
    void other_names_of_an_unknown_key_are_shown_eight_at_most() throws IOException {
        StringBuilder lines = new StringBuilder("@revoked x " + OTHER_ED25519 + "\n");
        for (int i = 1; i <= 9; i++) {
            lines.append("h").append(i).append(" ").append(ED25519).append('\n');
        }
        write(lines + "|1|1iuuD/zxHqFzK4t8Q+G0aMuqIQE=|MBgzCD9HZIy1O1EqFcmlPviHzmQ= " + ED25519);
        check(ED25519, Map.of());
        assertThat(given.asked.getFirst().replace(file.toString(), "F"))
                .isEqualTo(
                        """
                        The authenticity of host 'example.com (192.0.2.1)' can't be established.
                        ED25519 key fingerprint is SHA256:TASK2Ee5AjA6qHy82V6+8PtdXOaXP207/nS9j5jjPMw.
                        This host key is known by the following other names/addresses:
                            F:2: h1
                            F:3: h2
                            F:4: h3
                            F:5: h4
                            F:6: h5
                            F:7: h6
                            F:8: h7
                            F:9: h8
                            (2 additional names omitted)
                        Are you sure you want to continue connecting (yes/no/[fingerprint])?\040\
                        """);
    }

    @Test
    void names_that_could_steer_the_terminal_are_shown_in_octal() throws IOException {
        write("a\u001b[2J,b\u0007 " + ED25519);
        check(ED25519, Map.of());
        assertThat(given.asked.getFirst()).contains(": a\\033[2J,b\\007\n");
    }

    @ParameterizedTest
    @EnumSource(names = {"YES", "ASK", "ACCEPT_NEW"})
    void a_changed_key_is_refused_with_openssh_s_warning(StrictHostKeyChecking strict)
            throws IOException {
        write("# comment\nexample.com " + OTHER_ED25519);
        given.answers.add("yes");
        assertThat(check(ED25519, Map.of("strictHostKeyChecking", strict))).isEqualTo(REJECTED);
        assertThat(given.asked).isEmpty();
        assertThat(saidInOne())
                .isEqualTo(
                        RULE
                                + "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n"
                                + RULE
                                + "IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\r\n"
                                + "Someone could be eavesdropping on you right now (man-in-the-middle"
                                + " attack)!\r\n"
                                + "It is also possible that a host key has just been changed.\r\n"
                                + "The fingerprint for the ED25519 key sent by the remote host is\n"
                                + "SHA256:TASK2Ee5AjA6qHy82V6+8PtdXOaXP207/nS9j5jjPMw.\r\n"
                                + "Please contact your system administrator.\r\n"
                                + "Add correct host key in F to get rid of this message.\r\n"
                                + "Offending ED25519 key in F:2\r\n"
                                + "  remove with:\r\n"
                                + "  ssh-keygen -f \"F\" -R \"example.com\"\r\n"
                                + "Host key for example.com has changed and you have requested strict"
                                + " checking.\r\n"
                                + "Host key verification failed.\r\n");
    }

    @Test
    void with_checking_off_a_changed_key_costs_passwords_for_good() throws IOException {
        write("example.com " + RSA);
        HostKeyCheck check =
                hostKeyCheck(Map.of("strictHostKeyChecking", StrictHostKeyChecking.NO));
        assertThat(check.check(address("192.0.2.1"), key(ED25519).blob()))
                .isEqualTo(new Accepted(false));
        assertThat(saidInOne())
                .contains("Offending RSA key in F:1\r\n")
                .endsWith(
                        "\"example.com\"\r\n"
                                + "Password authentication is disabled to avoid man-in-the-middle"
                                + " attacks.\r\n"
                                + "Keyboard-interactive authentication is disabled to avoid"
                                + " man-in-the-middle attacks.\r\n");
        given.said.clear();
        assertThat(check.check(address("192.0.2.1"), key(ED25519).blob()))
                .isEqualTo(new Accepted(false));
        assertThat(given.said).isEmpty();
        assertThat(check.check(address("192.0.2.1"), key(RSA).blob()))
                .isEqualTo(new Accepted(false));
        assertThat(Files.readString(file)).isEqualTo("example.com " + RSA + "\n");
    }

    @Test
    void a_revoked_key_is_refused_also_under_the_bare_name_of_another_port() throws IOException {
        write("example.com " + ED25519 + "\n@revoked example.com " + ED25519);
        given.answers.addAll(List.of("yes", "yes"));
        for (int port : new int[] {22, 2222}) {
            given.said.clear();
            assertThat(check(ED25519, Map.of("port", port))).isEqualTo(REJECTED);
            assertThat(saidInOne())
                    .isEqualTo(
                            RULE
                                    + "@       WARNING: REVOKED HOST KEY DETECTED!               @\r\n"
                                    + RULE
                                    + "The ED25519 host key for example.com is marked as revoked.\r\n"
                                    + "This could mean that a stolen key is being used to\r\n"
                                    + "impersonate this host.\r\n"
                                    + "ED25519 host key for example.com was revoked and you have"
                                    + " requested strict checking.\r\n"
                                    + "Host key verification failed.\r\n");
        }
        assertThat(
                        check(
                                ED25519,
                                Map.of(
                                        "strictHostKeyChecking",
                                        StrictHostKeyChecking.NO,
                                        "port",
                                        2222)))
                .isEqualTo(new Accepted(false));
    }

    @Test
    void strict_checking_takes_no_new_key() {
        assertThat(check(ECDSA, Map.of("strictHostKeyChecking", StrictHostKeyChecking.YES)))
                .isEqualTo(REJECTED);
        assertThat(given.said)
                .containsExactly(
                        "No ECDSA host key is known for example.com and you have requested strict"
                                + " checking.\r\n",
                        "Host key verification failed.\r\n");
    }

    @Test
    void a_key_known_without_the_port_is_enough() throws IOException {
        write("example.com " + ED25519);
        given.log.level(Log.Level.DEBUG1);
        assertThat(check(ED25519, Map.of("port", 2222))).isEqualTo(ACCEPTED);
        assertThat(given.said)
                .containsExactly(
                        "debug1: Server host key: ssh-ed25519"
                                + " SHA256:TASK2Ee5AjA6qHy82V6+8PtdXOaXP207/nS9j5jjPMw\r\n",
                        "debug1: checking without port identifier\r\n",
                        "debug1: Host 'example.com' is known and matches the ED25519 host key.\r\n",
                        "debug1: Found key in " + file + ":1\r\n",
                        "debug1: found matching key w/out port\r\n");
        assertThat(Files.readString(file)).isEqualTo("example.com " + ED25519 + "\n");
    }

    @Test
    void an_alias_stands_for_name_and_port() throws IOException {
        Map<String, ?> alias =
                Map.of(
                        "hostKeyAlias",
                        "Web",
                        "port",
                        2222,
                        "hashKnownHosts",
                        true,
                        "strictHostKeyChecking",
                        StrictHostKeyChecking.ACCEPT_NEW);
        assertThat(check(ED25519, alias)).isEqualTo(ACCEPTED);
        assertThat(given.said)
                .containsExactly(
                        "Warning: Permanently added 'web' (ED25519) to the list of known hosts.\r\n");
        assertThat(Files.readString(file)).startsWith("|1|");
        assertThat(check(ED25519, alias)).isEqualTo(ACCEPTED);
        assertThat(check(OTHER_ED25519, alias)).isEqualTo(REJECTED);
        assertThat(given.said).hasSizeGreaterThan(10);
    }

    @Test
    void localhost_needs_no_key_where_the_person_says_so() throws IOException {
        Map<String, ?> local = Map.of("noHostAuthenticationForLocalhost", true);
        write("example.com " + OTHER_ED25519);
        byte[] blob = key(ED25519).blob();
        assertThat(hostKeyCheck(local).check(address("127.0.0.2"), blob)).isEqualTo(ACCEPTED);
        assertThat(hostKeyCheck(local).check(address("::1"), blob)).isEqualTo(ACCEPTED);
        assertThat(given.said).isEmpty();
        assertThat(hostKeyCheck(local).check(address("192.0.2.1"), blob)).isEqualTo(REJECTED);
        assertThat(hostKeyCheck(local).check(null, blob)).isEqualTo(REJECTED);
    }

    @Test
    void behind_a_proxy_command_there_is_no_address_to_show_or_check() throws IOException {
        given.answers.add("yes");
        assertThat(hostKeyCheck(Map.of("checkHostIp", true)).check(null, key(ED25519).blob()))
                .isEqualTo(ACCEPTED);
        assertThat(given.asked.getFirst())
                .startsWith(
                        "The authenticity of host 'example.com (<no hostip for proxy command>)'"
                                + " can't be established.\n");
        assertThat(Files.readString(file)).isEqualTo("example.com " + ED25519 + "\n");
    }

    @Test
    void a_file_that_cannot_be_written_costs_a_line_and_no_connection() {
        Path missing = home.resolve("no/such/known_hosts");
        Map<String, Object> no = new HashMap<>();
        no.put("userKnownHostsFiles", List.of(missing));
        no.put("strictHostKeyChecking", StrictHostKeyChecking.NO);
        assertThat(check(ED25519, no)).isEqualTo(ACCEPTED);
        assertThat(given.said)
                .containsExactly(
                        "Failed to add the host to the list of known hosts (" + missing + ").\r\n");
    }

    @Test
    void without_a_file_or_with_a_name_that_a_file_cannot_hold_nothing_new_is_accepted() {
        StrictHostKeyChecking no = StrictHostKeyChecking.NO;
        assertThat(
                        check(
                                ED25519,
                                Map.of(
                                        "strictHostKeyChecking",
                                        no,
                                        "userKnownHostsFiles",
                                        List.of())))
                .isEqualTo(REJECTED);
        assertThat(check(ED25519, Map.of("strictHostKeyChecking", no, "host", "a*")))
                .isEqualTo(REJECTED);
        assertThat(given.said).containsOnly("Host key verification failed.\r\n");
    }

    @Test
    void a_key_of_no_type_asked_for_is_refused() {
        assertThat(check(ED25519, Map.of("hostKeyAlgorithms", List.of("rsa-sha2-256"))))
                .isEqualTo(REJECTED);
        assertThat(given.said.getFirst())
                .isEqualTo("host key ssh-ed25519 not permitted by HostkeyAlgorithms\r\n");
        given.said.clear();
        assertThat(check(RSA_1024, Map.of("requiredRsaSize", 2048))).isEqualTo(REJECTED);
        assertThat(given.said).containsExactly("Bad server host key: Invalid key length\r\n");
        given.said.clear();
        assertThat(hostKeyCheck(Map.of()).check(null, new byte[] {0, 0, 0, 9, 1}))
                .isEqualTo(REJECTED);
        assertThat(given.said).containsExactly("Bad server host key: invalid format\r\n");
    }

    @Test
    void an_address_is_remembered_beside_its_name() throws IOException {
        given.answers.add("yes");
        assertThat(check(ED25519, Map.of("checkHostIp", true))).isEqualTo(ACCEPTED);
        assertThat(given.said)
                .containsExactly(
                        "Warning: Permanently added 'example.com,192.0.2.1' (ED25519) to the list of"
                                + " known hosts.\r\n");
        assertThat(Files.readString(file)).isEqualTo("example.com,192.0.2.1 " + ED25519 + "\n");

        write("example.com " + ED25519);
        given.said.clear();
        assertThat(check(ED25519, Map.of("checkHostIp", true))).isEqualTo(ACCEPTED);
        assertThat(given.said)
                .containsExactly(
                        "Warning: Permanently added the ED25519 host key for IP address '192.0.2.1' to"
                                + " the list of known hosts.\r\n");
        assertThat(Files.readString(file))
                .isEqualTo("example.com " + ED25519 + "\n192.0.2.1 " + ED25519 + "\n");
    }

    @Test
    void an_address_with_another_key_is_a_question() throws IOException {
        write("example.com " + ED25519 + "\n192.0.2.1 " + OTHER_ED25519);
        String warning =
                """
                Warning: the ED25519 host key for 'example.com' differs from the key for the IP\
                 address '192.0.2.1'
                Offending key for IP in F:2
                Matching host key in F:1\
                """;
        assertThat(check(ED25519, Map.of("checkHostIp", true))).isEqualTo(REJECTED);
        assertThat(given.asked.getFirst().replace(file.toString(), "F"))
                .isEqualTo(warning + "\nAre you sure you want to continue connecting (yes/no)? ");
        given.said.clear();
        given.answers.addAll(List.of("what", "yes"));
        assertThat(check(ED25519, Map.of("checkHostIp", true))).isEqualTo(ACCEPTED);
        assertThat(given.asked.getLast()).isEqualTo("Please type 'yes' or 'no': ");
        assertThat(
                        check(
                                ED25519,
                                Map.of(
                                        "checkHostIp",
                                        true,
                                        "strictHostKeyChecking",
                                        StrictHostKeyChecking.YES)))
                .isEqualTo(REJECTED);
        assertThat(saidInOne())
                .isEqualTo(
                        warning
                                + "\r\nExiting, you have requested strict checking.\r\n"
                                + "Host key verification failed.\r\n");
    }

    @Test
    void a_changed_key_whose_address_knows_better_may_be_spoofed_dns() throws IOException {
        write("example.com " + OTHER_ED25519 + "\n192.0.2.1 " + ED25519);
        assertThat(check(ED25519, Map.of("checkHostIp", true))).isEqualTo(REJECTED);
        assertThat(saidInOne())
                .startsWith(
                        RULE
                                + "@       WARNING: POSSIBLE DNS SPOOFING DETECTED!          @\r\n"
                                + RULE
                                + "The ED25519 host key for example.com has changed,\r\n"
                                + "and the key for the corresponding IP address 192.0.2.1\r\n"
                                + "is unchanged. This could either mean that\r\n"
                                + "DNS SPOOFING is happening or the IP address for the host\r\n"
                                + "and its host key have changed at the same time.\r\n"
                                + "Offending key for IP in F:2\r\n"
                                + "  remove with:\r\n"
                                + "  ssh-keygen -f \"F\" -R \"192.0.2.1\"\r\n"
                                + RULE
                                + "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n");
    }

    @Test
    void the_order_of_algorithms_is_the_person_s_where_given() throws IOException {
        write("example.com " + RSA);
        List<String> both = List.of("ssh-ed25519", "rsa-sha2-512");
        assertThat(hostKeyCheck(Map.of()).orderAlgorithms(both))
                .containsExactly("rsa-sha2-512", "ssh-ed25519");
        assertThat(hostKeyCheck(Map.of("hostKeyAlgorithmsGiven", true)).orderAlgorithms(both))
                .isEqualTo(both);
    }

    @Test
    void a_file_not_read_to_its_end_makes_nothing_new() throws IOException {
        write("x".repeat(1 << 20) + ",example.com " + OTHER_ED25519);
        assertThat(
                        check(
                                ED25519,
                                Map.of("strictHostKeyChecking", StrictHostKeyChecking.ACCEPT_NEW)))
                .isEqualTo(REJECTED);
        assertThat(given.said)
                .containsExactly(
                        "Cannot read known hosts: line too long at " + file + ":1\r\n",
                        "Host key verification failed.\r\n");
    }

    @Test
    void a_changed_key_is_never_accepted_in_silence_whatever_surrounds_the_true_line()
            throws IOException {
        long seed = Long.getLong("seed", System.nanoTime());
        Random random = new Random(seed);
        StrictHostKeyChecking[] ways = StrictHostKeyChecking.values();
        for (int round = 0; round < 1_000; round++) {
            byte[] before = new byte[random.nextInt(200)];
            byte[] after = new byte[random.nextInt(200)];
            random.nextBytes(before);
            random.nextBytes(after);
            byte[] line = ("\nexample.com " + ECDSA + "\n").getBytes(StandardCharsets.US_ASCII);
            byte[] all = new byte[before.length + line.length + after.length];
            System.arraycopy(before, 0, all, 0, before.length);
            System.arraycopy(line, 0, all, before.length, line.length);
            System.arraycopy(after, 0, all, before.length + line.length, after.length);
            Files.write(file, all);
            StrictHostKeyChecking way = ways[random.nextInt(ways.length)];
            given.said.clear();
            given.answers.add("yes");
            Verdict verdict =
                    check(
                            ED25519,
                            Map.of(
                                    "strictHostKeyChecking",
                                    way,
                                    "checkHostIp",
                                    random.nextBoolean()));
            assertThat(verdict)
                    .as("-Dseed=%d, round %d, %s", seed, round, way)
                    .isEqualTo(way == StrictHostKeyChecking.NO ? new Accepted(false) : REJECTED);
            assertThat(String.join("", given.said))
                    .contains("WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!");
            assertThat(Files.readAllBytes(file)).isEqualTo(all);
        }
    }

    private void write(String lines) throws IOException {
        Files.writeString(file, lines + "\n", StandardCharsets.ISO_8859_1);
    }

    private String saidInOne() {
        return String.join("", given.said).replace(file.toString(), "F");
    }

    private Verdict check(String key, Map<String, ?> settings) {
        return hostKeyCheck(settings).check(address("192.0.2.1"), key(key).blob());
    }

    private HostKeyCheck hostKeyCheck(Map<String, ?> changes) {
        Map<String, Object> all = new HashMap<>();
        all.put("userKnownHostsFiles", List.of(file));
        all.putAll(changes);
        return new HostKeyCheck(settings(all), given.person, given.log);
    }

    private static InetAddress address(String numeric) {
        try {
            return InetAddress.getByName(numeric);
        } catch (UnknownHostException e) {
            throw new AssertionError(e);
        }
    }
}
