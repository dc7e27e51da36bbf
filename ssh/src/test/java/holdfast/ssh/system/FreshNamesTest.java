package holdfast.ssh.system;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class FreshNamesTest {

    private static final String NAME = "server.example";

    @Test
    void a_name_that_was_not_found_is_found_as_soon_as_it_is_there(@TempDir Path dir)
            throws Exception {
        assertThat(twice(dir, "fresh")).isEqualTo("unknown 192.0.2.1\n");
    }

    @Test
    void without_it_the_jdk_remembers(@TempDir Path dir) throws Exception {
        assertThat(twice(dir, "as-shipped")).isEqualTo("unknown unknown\n");
    }

    /** In a process of its own, since the JDK reads its settings once. */
    private static String twice(Path dir, String how) throws Exception {
        Path hosts = Files.createFile(dir.resolve("hosts"));
        Process child =
                new ProcessBuilder(
                                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                                "-Djdk.net.hosts.file=" + hosts,
                                "-cp",
                                System.getProperty("java.class.path"),
                                FreshNamesTest.class.getName(),
                                hosts.toString(),
                                how)
                        .redirectError(ProcessBuilder.Redirect.INHERIT)
                        .start();
        String said = new String(child.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(child.waitFor(20, TimeUnit.SECONDS)).isTrue();
        return said;
    }

    /** Looks up a name that is in the file of hosts the second time. */
    public static void main(String[] words) throws Exception {
        if (words[1].equals("fresh")) {
            FreshNames.only();
        }
        String before = lookUp();
        Files.writeString(Path.of(words[0]), "192.0.2.1 " + NAME + "\n");
        System.out.println(before + " " + lookUp());
    }

    private static String lookUp() {
        try {
            return InetAddress.getAllByName(NAME)[0].getHostAddress();
        } catch (UnknownHostException e) {
            return "unknown";
        }
    }
}
