package holdfast.ssh.hostkeys;

import static holdfast.ssh.hostkeys.Given.ECDSA;
import static holdfast.ssh.hostkeys.Given.ED25519;
import static holdfast.ssh.hostkeys.Given.OTHER_ED25519;
import static holdfast.ssh.hostkeys.Given.RSA;
import static holdfast.ssh.hostkeys.Given.RSA_1024;
import static holdfast.ssh.hostkeys.Given.key;
import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.hostkeys.KnownHosts.Marker;
import holdfast.ssh.hostkeys.KnownHosts.Status;
import holdfast.ssh.log.Log;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KnownHostsTest {

    private static final String HASHED_LOCALHOST =
            "|1|1iuuD/zxHqFzK4t8Q+G0aMuqIQE=|MBgzCD9HZIy1O1EqFcmlPviHzmQ=";

    @TempDir Path home;
    private final Given given = new Given();

    @Test
    void names_patterns_and_negations_match_as_in_openssh() throws IOException {
        Path file =
                file(
                        "alpha,beta " + ED25519,
                        "*.example.com,!bad.example.com " + ECDSA,
                        "h?st " + RSA,
                        "GAMMA " + OTHER_ED25519 + " a comment",
                        "!only " + RSA);
        assertThat(lines(file, "alpha")).containsExactly(1L);
        assertThat(lines(file, "beta")).containsExactly(1L);
        assertThat(lines(file, "good.example.com")).containsExactly(2L);
        assertThat(lines(file, "bad.example.com")).isEmpty();
        assertThat(lines(file, "host")).containsExactly(3L);
        assertThat(lines(file, "hst")).isEmpty();
        assertThat(lines(file, "gamma")).containsExactly(4L);
        assertThat(lines(file, "Gamma")).containsExactly(4L);
        assertThat(lines(file, "only")).isEmpty();
        assertThat(lines(file, "alpha,beta")).isEmpty();
    }

    @Test
    void a_pattern_too_long_for_openssh_spoils_its_list() throws IOException {
        Path file =
                file(
                        "alpha," + "x".repeat(1022) + " " + ED25519,
                        "alpha," + "x".repeat(1023) + " " + RSA,
                        "*".repeat(900) + "b " + ECDSA);
        assertThat(lines(file, "alpha")).containsExactly(1L);
        assertThat(lines(file, "a".repeat(200))).isEmpty();
        assertThat(lines(file, "a".repeat(200) + "b")).containsExactly(3L);
    }

    @Test
    void a_hashed_name_is_found_by_its_salt() throws IOException {
        Path file =
                file(
                        HASHED_LOCALHOST + " " + OTHER_ED25519,
                        "|1|E5I8CGc6q+p/oyyqNUGBcV5Cmwc=|Hbbv7rGWI95g1Zmc57gEkyxTxnk= " + ED25519);
        assertThat(lines(file, "[localhost]:24622")).containsExactly(1L);
        assertThat(lines(file, "[LOCALHOST]:24622")).containsExactly(1L);
        assertThat(lines(file, "[fd00::1]:2222")).containsExactly(2L);
        assertThat(lines(file, "localhost")).isEmpty();
    }

    @Test
    void a_port_that_is_not_22_is_part_of_the_name() throws IOException {
        assertThat(KnownHosts.name("h", 22)).isEqualTo("h");
        assertThat(KnownHosts.name("h", 2222)).isEqualTo("[h]:2222");
        Path file = file("[h]:2222 " + ED25519, "h " + RSA);
        assertThat(lines(file, "[h]:2222")).containsExactly(1L);
        assertThat(lines(file, "h")).containsExactly(2L);
    }

    @Test
    void broken_lines_are_passed_over_and_said_in_openssh_s_words() throws IOException {
        Path file = home.resolve("known_hosts");
        String keyWithoutEnd = OTHER_ED25519.substring(0, OTHER_ED25519.length() - 1);
        Files.write(
                file,
                String.join(
                                "\n",
                                "# c",
                                "h ssh-foo AAAA",
                                "h",
                                "h ",
                                "h ssh-ed25519",
                                "h " + ED25519 + " comment",
                                "h rsa-sha2-256 " + RSA.substring("ssh-rsa ".length()),
                                "@foo h " + ED25519,
                                "@revoked\th " + ED25519,
                                "|1|abc|def " + ED25519,
                                "  h\t" + OTHER_ED25519 + "\r",
                                "x\0,h " + OTHER_ED25519,
                                "h " + keyWithoutEnd,
                                "@cert-authority *,!foo " + OTHER_ED25519,
                                "",
                                "@revoked * " + RSA,
                                "h " + ED25519 + "\0behind the NUL")
                        .getBytes(StandardCharsets.ISO_8859_1));
        given.log.level(Log.Level.DEBUG3);
        assertThat(lines(file, "h")).containsExactly(6L, 7L, 11L, 14L, 16L, 17L);
        assertThat(given.said)
                .containsExactly(
                        "debug1: F:2: parse error in hostkeys file\r\n",
                        "debug2: F:3: truncated before key type\r\n",
                        "debug1: F:3: parse error in hostkeys file\r\n",
                        "debug2: F:4: truncated before key type\r\n",
                        "debug1: F:4: parse error in hostkeys file\r\n",
                        "debug1: F:5: parse error in hostkeys file\r\n",
                        "debug3: record_hostkey: found key type ED25519 in file F:6\r\n",
                        "debug3: record_hostkey: found key type RSA in file F:7\r\n",
                        "hostkeys_foreach_file: invalid marker at F:8\r\n",
                        "hostkeys_foreach_file: invalid marker at F:9\r\n",
                        "debug2: hostkeys_foreach_file: F:10: bad host hash \"|1|abc|def\"\r\n",
                        "debug1: F:10: parse error in hostkeys file\r\n",
                        "debug3: record_hostkey: found key type ED25519 in file F:11\r\n",
                        "debug1: F:13: parse error in hostkeys file\r\n",
                        "debug3: record_hostkey: found ca key type ED25519 in file F:14\r\n",
                        "debug3: record_hostkey: found revoked key type RSA in file F:16\r\n",
                        "debug3: record_hostkey: found key type ED25519 in file F:17\r\n",
                        "debug3: load_hostkeys_file: loaded 6 keys from h\r\n");
    }

    @Test
    void a_key_is_taken_only_in_one_piece() throws IOException {
        String wrongType = "ssh-rsa " + ED25519.substring("ssh-ed25519 ".length());
        String spareByte =
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4kJQVAR/p1Agi5R0glOBQN9PREjLSi7ESJ"
                        + "zfyGMANqAA==";
        Path file =
                file(
                        "h " + wrongType,
                        "h " + spareByte,
                        "h " + ECDSA.replace("/1k=", "/1k"),
                        "h " + ECDSA.replace("/1k=", "/1l="),
                        "h " + ECDSA.replace("nistp256 ", "nistp384 "),
                        "h ssh-ed25519 AAAA",
                        "h ssh-ed25519 =",
                        "h " + ECDSA);
        assertThat(lines(file, "h")).containsExactly(8L);
    }

    @Test
    void a_key_stands_as_known_changed_new_or_revoked() throws IOException {
        KnownHosts known =
                known(
                        file(
                                "h " + RSA,
                                "h " + ED25519,
                                "@cert-authority ca " + ED25519,
                                "@revoked * " + OTHER_ED25519,
                                "r " + OTHER_ED25519));
        assertThat(known.standing("h", key(ED25519)).status()).isEqualTo(Status.KNOWN);
        assertThat(known.standing("h", key(RSA)).entry())
                .satisfies(entry -> assertThat(entry.line()).isEqualTo(1));
        // OpenSSH names the last line that differs, whatever the type of its key.
        assertThat(known.standing("h", key(ECDSA)).status()).isEqualTo(Status.CHANGED);
        assertThat(known.standing("h", key(ECDSA)).entry())
                .satisfies(entry -> assertThat(entry.line()).isEqualTo(2));
        assertThat(known.standing("x", key(ECDSA)).status()).isEqualTo(Status.NEW);
        assertThat(known.standing("ca", key(ED25519)).status()).isEqualTo(Status.NEW);
        assertThat(known.standing("r", key(OTHER_ED25519)).status()).isEqualTo(Status.REVOKED);
        assertThat(known.find("r").getFirst().marker()).isEqualTo(Marker.REVOKED);
    }

    @Test
    void user_files_come_before_global_ones_and_missing_files_are_empty() throws IOException {
        Path user = file("h " + RSA);
        Path global = home.resolve("global");
        Files.writeString(global, "h " + ED25519 + "\n");
        given.log.level(Log.Level.DEBUG1);
        KnownHosts known =
                new KnownHosts(
                        List.of(home.resolve("none"), user, home), List.of(global), given.log);
        assertThat(known.find("h"))
                .extracting(KnownHosts.Entry::file)
                .containsExactly(user, global);
        assertThat(given.said)
                .containsExactly(
                        "debug1: load_hostkeys: fopen "
                                + home.resolve("none")
                                + ": No such file or directory\r\n",
                        "debug1: load_hostkeys: read " + home + ": Is a directory\r\n");
        assertThat(known.doubt()).isNull();
    }

    @Test
    void a_line_of_any_length_costs_bounded_memory_and_is_not_taken_for_nothing()
            throws IOException {
        Path file = home.resolve("known_hosts");
        byte[] megabyte = "x".repeat(1 << 20).getBytes(StandardCharsets.ISO_8859_1);
        try (OutputStream out = Files.newOutputStream(file)) {
            out.write(("a " + ED25519 + " ").getBytes(StandardCharsets.ISO_8859_1));
            for (int i = 0; i < 3; i++) {
                out.write(megabyte);
            }
            out.write(("\nb " + RSA + "\n").getBytes(StandardCharsets.ISO_8859_1));
        }
        KnownHosts known = known(file);
        assertThat(known.find("a")).hasSize(1);
        assertThat(known.find("b"))
                .singleElement()
                .satisfies(b -> assertThat(b.line()).isEqualTo(2));
        assertThat(known.find("c")).isEmpty();
        assertThat(known.doubt()).isNull();

        try (OutputStream out = Files.newOutputStream(file)) {
            out.write(megabyte);
            out.write(
                    (",c " + ED25519 + "\nb " + RSA + "\n").getBytes(StandardCharsets.ISO_8859_1));
        }
        known = known(file);
        assertThat(known.find("c")).isEmpty();
        assertThat(known.doubt())
                .isEqualTo("Cannot read known hosts: line too long at " + file + ":1");
        assertThat(known.find("b")).hasSize(1);
    }

    @Test
    void algorithms_whose_keys_are_known_are_offered_first() throws IOException {
        List<String> all =
                List.of(
                        "ssh-ed25519-cert-v01@openssh.com",
                        "rsa-sha2-512-cert-v01@openssh.com",
                        "ssh-ed25519",
                        "ecdsa-sha2-nistp256",
                        "ecdsa-sha2-nistp384",
                        "rsa-sha2-512",
                        "rsa-sha2-256");
        KnownHosts known =
                known(
                        file(
                                "rsa " + RSA,
                                "ed " + RSA,
                                "ed " + ED25519,
                                "ec " + ECDSA,
                                "@cert-authority ca " + ED25519,
                                "@revoked gone " + RSA,
                                "gone " + RSA));
        assertThat(known.orderAlgorithms(all, "unknown")).isEqualTo(all);
        assertThat(known.orderAlgorithms(all, "ed")).isEqualTo(all);
        assertThat(known.orderAlgorithms(all, "gone")).isEqualTo(all);
        assertThat(known.orderAlgorithms(all, "rsa"))
                .containsExactly(
                        "rsa-sha2-512-cert-v01@openssh.com",
                        "rsa-sha2-512",
                        "rsa-sha2-256",
                        "ssh-ed25519-cert-v01@openssh.com",
                        "ssh-ed25519",
                        "ecdsa-sha2-nistp256",
                        "ecdsa-sha2-nistp384");
        assertThat(known.orderAlgorithms(all, "ec").getFirst()).isEqualTo("ecdsa-sha2-nistp256");
        assertThat(known.orderAlgorithms(all, "ca").subList(0, 2)).isEqualTo(all.subList(0, 2));
        assertThat(known.knownTypes("ed")).containsExactly("ssh-rsa", "ssh-ed25519");
        assertThat(known.knownTypes("gone")).isEmpty();
    }

    @Test
    void a_new_line_is_appended_and_every_other_byte_is_kept() throws IOException {
        Path file = home.resolve("known_hosts");
        byte[] before = {'#', (byte) 0xff, 0, '\r', '\n', 'x'};
        Files.write(file, before);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r-----"));
        KnownHosts known = known(file);
        assertThat(known.standing("h", key(ED25519)).status()).isEqualTo(Status.NEW);
        assertThat(known.add("H,[10.0.0.1]:2222", key(ED25519), false)).isTrue();
        assertThat(known.standing("h", key(ED25519)).status()).isEqualTo(Status.KNOWN);
        assertThat(new String(Files.readAllBytes(file), StandardCharsets.ISO_8859_1))
                .isEqualTo("#\u00ff\0\r\nx\nh,[10.0.0.1]:2222 " + ED25519 + "\n");
        assertThat(known.add("i", key(RSA), false)).isTrue();
        assertThat(Files.readString(file, StandardCharsets.ISO_8859_1))
                .endsWith(ED25519 + "\ni " + RSA + "\n");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                .isEqualTo("rw-r-----");
    }

    @Test
    void a_hashed_line_hides_the_name_and_is_found_again() throws IOException {
        Path file = home.resolve("known_hosts");
        KnownHosts known = known(file);
        assertThat(known.add("Example.com", key(ED25519), true)).isTrue();
        assertThat(known.add("example.com", key(ED25519), true)).isTrue();
        List<String> lines = Files.readAllLines(file);
        assertThat(lines)
                .allSatisfy(line ->
                        assertThat(line)
                                .matches("\\|1\\|[^|]{28}\\|[^|]{28} \\Q" + ED25519 + "\\E"))
                .doesNotHaveDuplicates();
        assertThat(known.find("example.com")).hasSize(2);
        // As OpenSSH: what is made here is as private as all that this person makes.
        Path any = Files.createFile(home.resolve("any"));
        assertThat(Files.getPosixFilePermissions(file))
                .isEqualTo(Files.getPosixFilePermissions(any));
    }

    @Test
    void the_ssh_directory_is_made_for_its_owner_only_and_no_other_is() throws IOException {
        String before = System.getProperty("user.home");
        System.setProperty("user.home", home.toString());
        try {
            Path file = home.resolve(".ssh/known_hosts");
            assertThat(known(file).add("h", key(ED25519), false)).isTrue();
            assertThat(
                            PosixFilePermissions.toString(
                                    Files.getPosixFilePermissions(file.getParent())))
                    .isEqualTo("rwx------");
            assertThat(known(home.resolve("other/known_hosts")).add("h", key(ED25519), false))
                    .isFalse();
            assertThat(known(home).add("h", key(ED25519), false)).isFalse();
            assertThat(new KnownHosts(List.of(), List.of(file), given.log).add("h", key(RSA), true))
                    .isFalse();
        } finally {
            System.setProperty("user.home", before);
        }
    }

    @Test
    void lines_appended_at_once_stay_whole() throws Exception {
        Path file = file("old " + RSA);
        List<Thread> writers = new ArrayList<>();
        for (int i = 0; i < 8; i++) {
            int me = i;
            writers.add(
                    Thread.ofPlatform()
                            .start(() -> {
                                KnownHosts mine = known(file);
                                for (int n = 0; n < 50; n++) {
                                    mine.add("h" + me + "." + n, key(ED25519), false);
                                }
                            }));
        }
        for (Thread writer : writers) {
            writer.join();
        }
        // An empty line may come between, where one saw another's line half written; it does no
        // harm.
        assertThat(Files.readAllLines(file)).filteredOn(line -> !line.isEmpty()).hasSize(401);
        assertThat(lines(file, "h7.49")).hasSize(1);
    }

    @Test
    void fifty_thousand_hashed_lines_are_read_in_a_moment() throws IOException {
        Path file = home.resolve("known_hosts");
        Random random = new Random(1);
        StringBuilder text = new StringBuilder();
        byte[] bytes = new byte[20];
        for (int i = 0; i < 50_000; i++) {
            random.nextBytes(bytes);
            String salt = Base64.getEncoder().encodeToString(bytes);
            text.append("|1|").append(salt).append('|').append(salt).append(' ').append(ED25519);
            text.append('\n');
        }
        Files.writeString(file, text + HASHED_LOCALHOST + " " + RSA + "\n");
        long start = System.nanoTime();
        assertThat(lines(file, "[localhost]:24622")).containsExactly(50_001L);
        Duration took = Duration.ofNanos(System.nanoTime() - start);
        // A fifth of a second here; the bound only catches what grows with the square.
        assertThat(took).isLessThan(Duration.ofSeconds(5));
    }

    @Test
    void no_bytes_whatever_make_it_throw_or_hide_a_true_line() throws IOException {
        long seed = Long.getLong("seed", System.nanoTime());
        Random random = new Random(seed);
        String[] pieces = {
            "h",
            " ",
            "\t",
            "\n",
            "\r",
            "\0",
            "#",
            "@",
            "@revoked ",
            "@cert-authority ",
            "|",
            "|1|",
            "=",
            "!",
            "*",
            "?",
            ",",
            "[h]:22",
            ED25519,
            OTHER_ED25519,
            RSA,
            HASHED_LOCALHOST,
            "ssh-rsa ",
            "AAAA",
            "\u00ff",
            "\u001b[2J",
            "|1|1iuuD/zxHqFzK4t8Q+G0aMuqIQE=|"
        };
        for (int round = 0; round < 2_000; round++) {
            StringBuilder before = new StringBuilder();
            StringBuilder after = new StringBuilder();
            for (int i = random.nextInt(40); i > 0; i--) {
                (random.nextBoolean() ? before : after)
                        .append(
                                random.nextInt(4) == 0
                                        ? String.valueOf((char) random.nextInt(256))
                                        : pieces[random.nextInt(pieces.length)]);
            }
            Path file = home.resolve("known_hosts");
            Files.writeString(
                    file, before + "\nh " + ECDSA + "\n" + after, StandardCharsets.ISO_8859_1);
            given.log.level(Log.Level.DEBUG3);
            KnownHosts known = known(file);
            assertThat(known.find("h"))
                    .as("-Dseed=%d, round %d", seed, round)
                    .anySatisfy(entry -> assertThat(entry.key()).isEqualTo(key(ECDSA)));
            // A key that the garbage cannot spell is never new, and never known.
            assertThat(known.standing("h", key(RSA_1024)).status())
                    .as("-Dseed=%d, round %d", seed, round)
                    .isEqualTo(Status.CHANGED);
            known.find("[localhost]:24622");
            known.otherNames("x", key(ED25519));
            given.said.clear();
        }
    }

    @Test
    void a_path_in_the_home_directory_is_shown_with_a_tilde() {
        assertThat(KnownHosts.tilde("/home/j/.ssh/known_hosts", "/home/j"))
                .isEqualTo("~/.ssh/known_hosts");
        assertThat(KnownHosts.tilde("/home/j/x", "/home/j/")).isEqualTo("~/x");
        assertThat(KnownHosts.tilde("/home/jane/x", "/home/j")).isEqualTo("/home/jane/x");
        assertThat(KnownHosts.tilde("x", "/home/j")).isEqualTo("x");
        assertThat(KnownHosts.tilde("/x", null)).isEqualTo("/x");
    }

    @Test
    void fingerprints_are_those_of_ssh_keygen() {
        assertThat(Fingerprint.sha256(key(ED25519)))
                .isEqualTo("SHA256:TASK2Ee5AjA6qHy82V6+8PtdXOaXP207/nS9j5jjPMw");
        assertThat(Fingerprint.md5(key(ED25519)))
                .isEqualTo("MD5:b9:2a:a3:f0:f9:83:a9:15:58:31:b0:f1:e8:53:48:d8");
        assertThat(Fingerprint.sha256(key(RSA)))
                .isEqualTo("SHA256:8/P+DsS5XVT6EHj7g/ZG75K4A42P1lZZAPvp9bhSe6U");
        assertThat(key(RSA).rsaBits()).isEqualTo(2048);
        assertThat(key(RSA_1024).rsaBits()).isEqualTo(1024);
        assertThat(key(ECDSA).rsaBits()).isEqualTo(-1);
    }

    private Path file(String... lines) throws IOException {
        Path file = home.resolve("known_hosts");
        Files.writeString(file, String.join("\n", lines) + "\n");
        return file;
    }

    private KnownHosts known(Path file) {
        return new KnownHosts(List.of(file), List.of(), given.log);
    }

    private List<Long> lines(Path file, String name) {
        List<Long> lines = known(file).find(name).stream().map(KnownHosts.Entry::line).toList();
        given.said.replaceAll(line -> line.replace(file.toString(), "F"));
        return lines;
    }
}
