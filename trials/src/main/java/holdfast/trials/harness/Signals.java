package holdfast.trials.harness;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/** Signals to processes by their ids, never by name. */
public final class Signals {

    private Signals() {}

    /** Sends it to each that still lives. */
    public static void send(String name, Collection<Long> pids) {
        if (pids.isEmpty()) {
            return;
        }
        List<String> argv = new ArrayList<>(List.of("kill", "-s", name, "--"));
        pids.forEach(pid -> argv.add(Long.toString(pid)));
        Quietly.run(argv);
    }

    /** A process and all below it, itself first. */
    public static List<Long> tree(long pid) {
        List<Long> pids = new ArrayList<>();
        pids.add(pid);
        ProcessHandle.of(pid)
                .ifPresent(top -> top.descendants().forEach(below -> pids.add(below.pid())));
        return pids;
    }
}
