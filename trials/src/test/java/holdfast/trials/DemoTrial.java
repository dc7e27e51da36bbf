package holdfast.trials;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.trials.harness.Ended;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

/** {@code holdfast demo}: what the README promises to whoever tries it first. */
@ExtendWith(Staged.class)
final class DemoTrial {

    @Test
    void it_ends_well_in_under_a_minute_and_says_who_lived(Stage stage)
            throws InterruptedException {
        stage.onlyHoldfast("it has no demo");
        Ended ended =
                stage.run(stage.client().launcher().toString(), "demo")
                        .in(stage.directory())
                        .end(Duration.ofSeconds(90));
        assertThat(ended.status()).as("%s%s", ended.out(), ended.err()).isZero();
        assertThat(ended.took()).isLessThan(Duration.ofMinutes(1));
        assertThat(ended.out()).isNotBlank().doesNotContain("Exception");
    }
}
