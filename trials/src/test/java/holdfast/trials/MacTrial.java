package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Wiretap;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** The codes that a packet is known by, each with OpenSSH at the other end. */
@ExtendWith(Staged.class)
@Execution(ExecutionMode.CONCURRENT)
final class MacTrial {

    private static final Duration SOON = Duration.ofSeconds(60);

    private static final List<String> UMACS =
            List.of(
                    "umac-64-etm@openssh.com",
                    "umac-128-etm@openssh.com",
                    "umac-64@openssh.com",
                    "umac-128@openssh.com");

    /** The others, some of them of another age. */
    private static final List<String> HMACS =
            List.of(
                    "hmac-sha2-256-etm@openssh.com",
                    "hmac-sha2-512-etm@openssh.com",
                    "hmac-sha1-etm@openssh.com",
                    "hmac-sha1-96-etm@openssh.com",
                    "hmac-md5-etm@openssh.com",
                    "hmac-md5-96-etm@openssh.com",
                    "hmac-sha2-256",
                    "hmac-sha2-512",
                    "hmac-sha1",
                    "hmac-sha1-96",
                    "hmac-md5",
                    "hmac-md5-96");

    /** From one byte to all that goes into one packet. */
    private static final int PIECES = 33;

    private static final int PIECE_STEP = 1021;

    @Test
    void megabytes_go_to_openssh_s_server_and_come_back_under_each_umac_and_new_keys(Stage stage)
            throws Exception {
        Sshd sshd = stage.sshd();
        for (String mac : UMACS) {
            RandomBytes.thereAndBack(
                    stage.own(sshd.client(Client.holdfast(), renewing(mac, "cat"))), 5_000_000);
        }
    }

    @Test
    void megabytes_come_from_openssh_s_client_and_go_back_under_each_umac_and_new_keys(Stage stage)
            throws Exception {
        Sshd sshd = stage.holdfastSshd();
        for (String mac : UMACS) {
            RandomBytes.thereAndBack(stage.openSsh(sshd, renewing(mac, "cat")), 5_000_000);
        }
    }

    @Test
    void every_other_mac_of_openssh_s_carries_a_connection_to_it_and_from_it(Stage stage)
            throws Exception {
        List<String> all = new ArrayList<>(UMACS);
        all.addAll(HMACS);
        Ended query = stage.own(Command.of("/usr/bin/ssh", "-Q", "mac")).end(SOON);
        assertThat(query.out().lines().toList()).containsExactlyInAnyOrderElementsOf(all);
        Sshd theirs = stage.sshd("MACs " + String.join(",", all));
        Sshd ours = stage.holdfastSshd("MACs " + String.join(",", all));
        for (String mac : HMACS) {
            RandomBytes.thereAndBack(
                    stage.own(theirs.client(Client.holdfast(), renewing(mac, "cat"))), 100_000);
            RandomBytes.thereAndBack(stage.openSsh(ours, renewing(mac, "cat")), 100_000);
        }
    }

    private static String[] renewing(String mac, String command) {
        return new String[] {
            "-c", "aes128-ctr", "-m", mac, "-o", "RekeyLimit=1M", "trial", command
        };
    }

    @Test
    void pieces_of_every_size_arrive_whole_at_openssh_s_server(Stage stage) throws Exception {
        piecesArrive(stage, stage.sshd(), Client.holdfast());
    }

    @Test
    void pieces_of_every_size_from_openssh_s_client_arrive_whole(Stage stage) throws Exception {
        piecesArrive(stage, stage.holdfastSshd(), Client.reference());
    }

    private static void piecesArrive(Stage stage, Sshd sshd, Client client) throws Exception {
        int length = PIECES + PIECE_STEP * (PIECES * (PIECES - 1) / 2);
        Path file = RandomBytes.file(stage, "pieces", length);
        String pieces =
                "for n in $(seq 1 %d %d); do head -c $n; sleep 0.01; done <%s | \"$@\""
                        .formatted(PIECE_STEP, 1 + (PIECES - 1) * PIECE_STEP, file);
        for (String mac : UMACS) {
            ByteArrayOutputStream back = new ByteArrayOutputStream();
            Ended ended =
                    stage.shell(
                                    pieces,
                                    sshd.client(
                                                    client,
                                                    "-v",
                                                    "-c",
                                                    "aes128-ctr",
                                                    "-m",
                                                    mac,
                                                    "trial",
                                                    "cat")
                                            .argv()
                                            .toArray(String[]::new))
                            .outTo(back)
                            .end(SOON);
            assertThat(ended.status()).as(ended.err()).isZero();
            assertThat(Arrays.mismatch(back.toByteArray(), Files.readAllBytes(file)))
                    .as("where %s differs", mac)
                    .isEqualTo(-1);
            assertThat(ended.err())
                    .contains(
                            "kex: server->client cipher: aes128-ctr MAC: " + mac + " ",
                            "kex: client->server cipher: aes128-ctr MAC: " + mac + " ");
        }
    }

    @Test
    void a_byte_that_is_changed_on_the_way_ends_the_connection(Stage stage) throws Exception {
        Sshd theirs = stage.sshd();
        Sshd ours = stage.holdfastSshd("PerSourcePenalties no");
        int refused = 0;
        for (String mac : UMACS) {
            try (Wiretap tap = new Wiretap(theirs)) {
                Running client = echo(stage, theirs, Client.holdfast(), tap, mac);
                tap.connections().getFirst().spoilDown();
                say(client, "two");
                Ended ended = client.end(SOON);
                assertThat(ended.status()).as(mac).isEqualTo(255);
                assertThat(ended.out()).isEqualTo("one\n");
                assertThat(ended.errLines())
                        .as(mac)
                        .contains("Corrupted MAC on input.")
                        .contains("message authentication code incorrect");
            }
            try (Wiretap tap = new Wiretap(ours)) {
                Running client = echo(stage, ours, Client.reference(), tap, mac);
                tap.connections().getFirst().spoilUp();
                say(client, "two");
                Ended ended = client.end(SOON);
                assertThat(ended.status()).as(mac).isEqualTo(255);
                assertThat(ended.out()).isEqualTo("one\n");
                refused++;
                ours.awaitLog("(?s)(Corrupted MAC on input\\..*){" + refused + "}");
            }
        }
    }

    private static Running echo(Stage stage, Sshd sshd, Client client, Wiretap tap, String mac)
            throws Exception {
        Command command =
                sshd.client(
                        client,
                        "-c",
                        "aes128-ctr",
                        "-m",
                        mac,
                        "-o",
                        "HostKeyAlias=[" + sshd.address() + "]:" + sshd.port(),
                        "-p",
                        Integer.toString(tap.port()),
                        "trial",
                        "cat");
        Running running = stage.own(command).inputOpen().start();
        say(running, "one");
        running.out().await("one\n", SOON);
        return running;
    }

    private static void say(Running session, String line) throws IOException {
        session.stdin().write((line + "\n").getBytes(StandardCharsets.US_ASCII));
        session.stdin().flush();
    }

    @Test
    void who_names_no_mac_gets_the_one_that_openssh_would_take(Stage stage) throws Exception {
        List<String> taken = new ArrayList<>();
        for (Sshd sshd : List.of(stage.sshd(), stage.holdfastSshd())) {
            for (Client client : List.of(Client.reference(), Client.holdfast())) {
                Ended ended =
                        stage.own(sshd.client(client, "-v", "-c", "aes128-ctr", "trial", "true"))
                                .end(SOON);
                assertThat(ended.status()).as(ended.err()).isZero();
                taken.add(ended.err().replaceAll("(?s).* MAC: (\\S+).*", "$1"));
            }
        }
        assertThat(taken).containsOnly("umac-64-etm@openssh.com").hasSize(4);
    }
}
