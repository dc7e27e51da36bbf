package holdfast.trials.harness;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The kernel's network as ip(8) and nft(8) make it, here or in a namespace. */
final class Network {

    private Network() {}

    /** What goes before a command that is to run in that namespace. */
    static List<String> in(String namespace) {
        return List.of("ip", "netns", "exec", namespace);
    }

    static void nft(String namespace, String script) {
        List<String> words = new ArrayList<>(in(namespace));
        words.addAll(List.of("nft", "-f", "-"));
        check(Command.of(words).input(script), "nft " + script);
    }

    static void inside(String namespace, String... argv) {
        List<String> words = new ArrayList<>(in(namespace));
        words.addAll(Arrays.asList(argv));
        check(Command.of(words), String.join(" ", words));
    }

    static void run(String... argv) {
        check(Command.of(argv), String.join(" ", argv));
    }

    private static void check(Command command, String said) {
        try {
            Ended ended = command.end(Duration.ofSeconds(20));
            if (ended.status() != 0) {
                throw new AssertionError(said + ": " + ended.err());
            }
        } catch (InterruptedException e) {
            throw new AssertionError("interrupted in " + said, e);
        }
    }
}
