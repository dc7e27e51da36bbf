package holdfast.app.command;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The demo's play, in half the time. */
@Timeout(60)
class DemoTest {

    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    private int play(Demo.Scene scene, boolean ascii) {
        PrintStream stdout = new PrintStream(out, true, StandardCharsets.UTF_8);
        return Demo.play(scene, new Stage(stdout, false, ascii), stdout);
    }

    private List<String> lines() {
        return out.toString(StandardCharsets.UTF_8).lines().toList();
    }

    private static List<Path> left() throws IOException {
        try (Stream<Path> files = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
            return files.filter(f -> f.getFileName().toString().startsWith("holdfast-demo"))
                    .toList();
        }
    }

    @Test
    void the_silent_connection_dies_and_the_kept_one_lives() throws Exception {
        List<Path> before = left();
        Demo.Scene scene = new Demo.Scene(Duration.ofSeconds(2), 1, 4, Duration.ofSeconds(1));
        int status = play(scene, false);
        assertThat(status).as(out.toString(StandardCharsets.UTF_8)).isZero();
        assertThat(lines())
                .anyMatch(l -> l.contains("plain") && l.contains("forgets it"))
                .anyMatch(l -> l.contains("plain") && l.contains("swallows it"))
                .anyMatch(l -> l.contains("kept") && l.contains("keepalive"))
                .anyMatch(l -> l.contains("kept") && l.contains("replies"))
                .anyMatch(l -> l.contains("kept") && l.contains("has the line"))
                .noneMatch(l -> l.contains("kept") && l.contains("forgets it"))
                .noneMatch(l -> l.contains("plain") && l.contains("has the line"))
                .anyMatch(l -> l.startsWith("Next: "));
        assertThat(lines()).allSatisfy(l -> assertThat(l).hasSizeLessThanOrEqualTo(80));
        assertThat(left()).isEqualTo(before);
    }

    @Test
    void a_router_that_forgets_nobody_fails_the_demo() {
        Demo.Scene scene = new Demo.Scene(Duration.ofMinutes(1), 1, 2, Duration.ZERO);
        assertThat(play(scene, false)).isEqualTo(1);
        assertThat(lines())
                .contains("The demo did not go as it should: plain did not die, kept lived.");
    }

    @Test
    void keepalives_rarer_than_the_router_forgets_fail_the_demo() {
        Demo.Scene scene = new Demo.Scene(Duration.ofSeconds(1), 2, 2, Duration.ZERO);
        assertThat(play(scene, true)).isEqualTo(1);
        assertThat(out.toString(StandardCharsets.UTF_8)).contains("kept did not live").isASCII();
    }

    @Test
    void arguments_are_refused_by_name() {
        assertThat(Demo.run(List.of("--fast"))).isEqualTo(2);
    }
}
