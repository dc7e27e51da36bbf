package holdfast.trials.config;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.bench.Compatibility;
import java.io.IOException;
import java.nio.file.Files;
import org.junit.jupiter.api.Test;

/** Holds docs/compatibility.md to the parsers. */
class CompatibilityTrial {

    @Test
    void the_page_says_what_the_parsers_do() throws IOException {
        assertThat(Files.readString(Compatibility.file()))
                .as("run trials/bench compatibility")
                .isEqualTo(Compatibility.page());
    }

    @Test
    void nothing_is_ignored_and_what_is_refused_says_why() {
        for (String line : Compatibility.page().lines().toList()) {
            if (line.contains("refused")) {
                assertThat(line).doesNotContain(": ` ", ":  ").doesNotEndWith(": |");
            }
        }
    }
}
