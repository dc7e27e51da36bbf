package holdfast.trials;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Sshd;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/**
 * What clients are told and the log says of those who do not speak SSH: {@code holdfast sshd}
 * beside the system's sshd, word for word. Programs such as fail2ban live by these lines.
 */
@ExtendWith(Staged.class)
@Execution(ExecutionMode.CONCURRENT)
final class IdentificationTrial {

    /** Nothing follows the byte that is wrong: what follows can cost the answer (RFC 1122, RST). */
    private static final List<String> OPENINGS =
            List.of(
                    "",
                    "\r\n",
                    "GET / HTTP/1.1\r\n",
                    "\u0016\u0003\u0001\n",
                    "ab\u001b[1m\"q\\\u00ff\n",
                    "SSH-\r\n",
                    "SSH-2.0\r\n",
                    "SSH-2.0-\r\n",
                    "SSH-x.y-z\r\n",
                    "SSH-1.5-old\r\n",
                    "SSH-1.2.26-old\r\n",
                    "SSH-9.9-NmapNSE_1.0\n",
                    "SSH-2.0-cut",
                    "A".repeat(8193),
                    "SSH-2.0-Probe-1\n");

    @Test
    void who_does_not_speak_ssh_is_answered_and_told_of_as_by_openssh(Stage stage)
            throws Exception {
        Sshd openSsh = stage.sshd();
        Sshd holdfast = stage.holdfastSshd("PerSourcePenalties no");
        for (String opening : OPENINGS) {
            Told theirs = told(openSsh, opening);
            Told ours = told(holdfast, opening);
            assertThat(ours).as("said %s", opening).isEqualTo(theirs);
        }
    }

    /** What came back behind the server's own line, and the lines of its log. */
    private record Told(String answer, List<String> log) {}

    private static Told told(Sshd sshd, String opening) throws Exception {
        int before = sshd.log().length();
        String answer;
        String port;
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), sshd.port())) {
            socket.setSoTimeout(60_000);
            port = Integer.toString(socket.getLocalPort());
            InputStream in = socket.getInputStream();
            while (in.read() != '\n') {
                // its line; after which it is ready to read ours
            }
            socket.getOutputStream().write(opening.getBytes(ISO_8859_1));
            if (opening.isEmpty() || opening.endsWith("cut")) {
                socket.shutdownOutput();
            }
            answer = new String(in.readAllBytes(), ISO_8859_1);
        }
        String last = "(banner exchange: |Connection (closed|reset) )[^\n]*port " + port + "\\b";
        sshd.awaitLog(last);
        List<String> lines = new ArrayList<>();
        for (String line : sshd.log().substring(before).lines().toList()) {
            lines.add(
                    line.replace("port " + port, "port PORT")
                            .replace("port " + sshd.port(), "port OURS"));
        }
        return new Told(answer, lines);
    }
}
