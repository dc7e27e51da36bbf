package holdfast.trials;

import holdfast.trials.harness.Command;
import holdfast.trials.harness.NatLab;
import holdfast.trials.harness.Running;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * A run of the trials that is killed: {@code hold} builds a laboratory with a process in it and
 * waits for its end, {@code next} is the run after it.
 */
final class LabOwner {

    private LabOwner() {}

    public static void main(String[] words) throws InterruptedException {
        if (words[0].equals("next")) {
            System.out.println(NatLab.impossible().orElse("possible"));
            return;
        }
        NatLab lab = NatLab.up(NatLab.Mode.BLACKHOLE, Duration.ofSeconds(10));
        List<String> sleeper = new ArrayList<>(lab.server());
        sleeper.addAll(List.of("sleep", "600"));
        Running running = Command.of(sleeper).start();
        System.out.println(running.pid());
        System.out.println("holding");
        Thread.sleep(Duration.ofMinutes(5));
    }
}
