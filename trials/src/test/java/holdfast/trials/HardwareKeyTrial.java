package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Eventually;
import holdfast.trials.harness.Keys;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Terminal;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.opentest4j.TestAbortedException;

/** Keys on hardware, for which the library stands that OpenSSH's own regression tests have. */
@ExtendWith(Staged.class)
final class HardwareKeyTrial {

    private static final Duration SOON = Duration.ofSeconds(60);

    private static final String HARDWARE = "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so";

    private static final List<String> TYPES = List.of("ed25519-sk", "ecdsa-sk");

    @Test
    void both_kinds_sign_for_openssh_s_server_and_for_ours(Stage stage) throws Exception {
        for (String type : TYPES) {
            Path key = made(stage, type, "");
            for (Sshd sshd : List.of(stage.sshd(), stage.holdfastSshd())) {
                admit(sshd, Keys.publicLine(key));
                for (Client client : List.of(Client.holdfast(), Client.reference())) {
                    in(with(stage, client, sshd, HARDWARE, key).end(SOON), "");
                }
            }
        }
    }

    @Test
    void a_key_that_is_encrypted_and_one_that_is_certified_sign_too(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path locked = made(stage, "ed25519-sk", "correct horse");
        admit(sshd, Keys.publicLine(locked));
        Path askpass = program(stage, "askpass", "#!/bin/sh\necho correct horse\n");
        in(
                with(stage, Client.holdfast(), sshd, HARDWARE, locked)
                        .env("SSH_ASKPASS", askpass.toString())
                        .env("SSH_ASKPASS_REQUIRE", "force")
                        .end(SOON),
                "");
        String authority = Keys.of("ed25519", "authority").toString();
        for (String type : TYPES) {
            Path key = made(stage, type, "");
            Ended signed =
                    stage.run(
                                    "ssh-keygen",
                                    "-qs",
                                    authority,
                                    "-Id",
                                    "-n",
                                    Sshd.user(),
                                    key + ".pub")
                            .end(SOON);
            assertThat(signed.status()).as(signed.err()).isZero();
            admit(sshd, "cert-authority " + Keys.publicLine(Path.of(authority)));
            in(with(stage, Client.holdfast(), sshd, HARDWARE, key).end(SOON), "");
        }
    }

    @Test
    void without_helper_library_or_provider_the_next_key_is_tried(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path key = made(stage, "ed25519-sk", "");
        Path next = Keys.of("ed25519", "next");
        admit(sshd, Keys.publicLine(key) + "\n" + Keys.publicLine(next));
        String failed = "sign_and_send_pubkey: signing failed for ED25519-SK \"" + key + "\": ";
        in(
                with(stage, Client.holdfast(), sshd, HARDWARE, key, next)
                        .env("SSH_SK_HELPER", "/nonexistent/helper")
                        .end(SOON),
                failed + "helper \"/nonexistent/helper\" unusable: No such file or directory\r\n");
        Ended noLibrary =
                with(stage, Client.holdfast(), sshd, "/nonexistent.so", key, next).end(SOON);
        assertThat(noLibrary.out()).as(noLibrary.err()).isEqualTo("in\n");
        assertThat(noLibrary.err()).contains(failed);
        in(with(stage, Client.holdfast(), sshd, "none", key, next).end(SOON), "");
    }

    @Test
    void who_sits_at_a_terminal_is_told_to_touch_it(Stage stage) throws Exception {
        Sshd sshd = stage.sshd();
        Path key = made(stage, "ed25519-sk", "");
        admit(sshd, Keys.publicLine(key));
        String fingerprint =
                stage.run("ssh-keygen", "-l", "-f", key + ".pub").end(SOON).out().split(" ", -1)[1];
        for (Client client : List.of(Client.holdfast(), Client.reference())) {
            Terminal terminal = stage.terminal(200, 40);
            String words =
                    with(stage, client, sshd, HARDWARE, key).argv().stream()
                            .map(word -> "'" + word + "'")
                            .collect(Collectors.joining(" "));
            assertThat(terminal.run(words, SOON)).as(terminal.screen()).isZero();
            assertThat(terminal.screen())
                    .contains("Confirm user presence for key ED25519-SK " + fingerprint + "\n")
                    .contains("\nUser presence confirmed\n");
        }
    }

    @Test
    void the_time_until_it_is_touched_does_not_count_and_a_window_asks_meanwhile(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        Path key = made(stage, "ed25519-sk", "");
        admit(sshd, Keys.publicLine(key));
        String fingerprint =
                stage.run("ssh-keygen", "-l", "-f", key + ".pub").end(SOON).out().split(" ", -1)[1];
        Path helper =
                program(
                        stage,
                        "helper",
                        "#!/bin/sh\nsleep 8\nexec /usr/lib/openssh/ssh-sk-helper \"$@\"\n");
        Path shown = stage.directory().resolve("shown");
        Path askpass =
                program(
                        stage,
                        "askpass",
                        "#!/bin/sh\necho \"$SSH_ASKPASS_PROMPT $1 $$\" >>"
                                + shown
                                + "\n"
                                + "exec sleep 300\n");
        for (Client client : List.of(Client.holdfast(), Client.reference())) {
            Files.deleteIfExists(shown);
            in(
                    with(stage, client, sshd, HARDWARE, List.of("-oConnectTimeout=5"), key)
                            .env("SSH_SK_HELPER", helper.toString())
                            .env("SSH_ASKPASS", askpass.toString())
                            .env("DISPLAY", ":99")
                            .end(SOON),
                    "");
            String said = Files.readString(shown);
            int at = said.lastIndexOf(' ') + 1;
            assertThat(said.substring(0, at))
                    .isEqualTo(
                            "none Confirm user presence for key ED25519-SK " + fingerprint + " ");
            Path window = Path.of("/proc", said.substring(at).strip());
            Eventually.holds(SOON, () -> !Files.exists(window), () -> window + " is still there");
        }
    }

    /** The real helper behind one that wants a PIN first, which the library does not. */
    private static final String WANTS_PIN =
            """
            #!/usr/bin/env python3
            import struct, subprocess, sys
            head = sys.stdin.buffer.read(4)
            body = sys.stdin.buffer.read(struct.unpack('>I', head)[0])
            at = 10
            for string in range(4):  # key, provider, data, algorithm
                at += 4 + struct.unpack('>I', body[at:at + 4])[0]
            pin = body[at + 8:]
            answer = struct.pack('>IBII', 9, 5, 0, 43)
            if pin == b'1234':
                helper = '/usr/lib/openssh/ssh-sk-helper'
                answer = subprocess.run([helper], input=head + body, stdout=subprocess.PIPE).stdout
            sys.stdout.buffer.write(answer)
            """;

    @Test
    void hardware_that_wants_a_pin_has_it_asked_for_once(Stage stage) throws Exception {
        Stage.needs("python3");
        Sshd sshd = stage.sshd();
        Path key = made(stage, "ed25519-sk", "");
        admit(sshd, Keys.publicLine(key));
        Path helper = program(stage, "helper", WANTS_PIN);
        Path asked = stage.directory().resolve("asked");
        for (Client client : List.of(Client.holdfast(), Client.reference())) {
            for (String pin : List.of("1234", "4321")) {
                Files.deleteIfExists(asked);
                Path askpass =
                        program(
                                stage,
                                "askpass",
                                "#!/bin/sh\n[ \"$SSH_ASKPASS_PROMPT\" = none ] && exit\n"
                                        + "echo \"$1\" >>"
                                        + asked
                                        + "\necho "
                                        + pin
                                        + "\n");
                Ended ended =
                        with(stage, client, sshd, HARDWARE, key)
                                .env("SSH_SK_HELPER", helper.toString())
                                .env("SSH_ASKPASS", askpass.toString())
                                .env("SSH_ASKPASS_REQUIRE", "force")
                                .end(SOON);
                assertThat(Files.readString(asked))
                        .isEqualTo("Enter PIN for ED25519-SK key " + key + ": \n");
                if (pin.equals("1234")) {
                    in(ended, "");
                } else {
                    assertThat(ended.status()).isEqualTo(255);
                    assertThat(ended.err())
                            .startsWith(
                                    "sign_and_send_pubkey: signing failed for ED25519-SK \""
                                            + key
                                            + "\": incorrect passphrase supplied to decrypt"
                                            + " private key\r\n");
                }
            }
        }
    }

    private static Path program(Stage stage, String name, String text) throws IOException {
        Path file = stage.directory().resolve(name);
        Files.writeString(file, text);
        assertThat(file.toFile().setExecutable(true)).isTrue();
        return file;
    }

    private static Path made(Stage stage, String type, String passPhrase) throws Exception {
        if (!Files.isReadable(Path.of(HARDWARE))) {
            throw new TestAbortedException("not installed: openssh-tests");
        }
        Path key = Files.createTempDirectory(stage.directory(), "k").resolve(type);
        Ended made =
                stage.run(
                                "ssh-keygen",
                                "-q",
                                "-t",
                                type,
                                "-w",
                                HARDWARE,
                                "-N",
                                passPhrase,
                                "-f",
                                key.toString())
                        .end(SOON);
        assertThat(made.status()).as(made.err()).isZero();
        return key;
    }

    private static void admit(Sshd sshd, String lines) throws IOException {
        Files.writeString(sshd.authorizedKeys(), lines + "\n");
    }

    private static void in(Ended ended, String says) {
        assertThat(ended.out()).as(ended.err()).isEqualTo("in\n");
        assertThat(ended.err()).isEqualTo(says);
    }

    private static Command with(
            Stage stage, Client client, Sshd sshd, String provider, Path... keys)
            throws IOException {
        return with(stage, client, sshd, provider, List.of(), keys);
    }

    private static Command with(
            Stage stage,
            Client client,
            Sshd sshd,
            String provider,
            List<String> options,
            Path... keys)
            throws IOException {
        StringBuilder files = new StringBuilder();
        for (Path key : keys) {
            files.append("IdentityFile ").append(key).append('\n');
        }
        Path config = Files.createTempFile(sshd.directory(), "config", "");
        Files.writeString(
                config,
                Files.readString(sshd.config()).replaceAll("IdentityFile .*\n", files.toString()));
        List<String> words =
                new ArrayList<>(
                        List.of("-F", config.toString(), "-oSecurityKeyProvider=" + provider));
        words.addAll(options);
        words.addAll(List.of("trial", "echo in"));
        return stage.own(sshd.client(client, words.toArray(String[]::new)));
    }
}
