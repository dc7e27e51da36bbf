package holdfast.trials.bench;

import java.io.IOException;
import java.util.List;

/**
 * The benchmarks' front: {@code startup}, {@code bulk}, {@code rekey}, {@code simulate}, {@code
 * tether}, {@code carry}, {@code outlive}, {@code survival}, {@code scale}, {@code mux}, {@code
 * sftp}, {@code forwards}, {@code config}, {@code compatibility}, {@code regress} or {@code
 * forwards-churn}, then its options.
 */
public final class Main {

    private Main() {}

    public static void main(String[] words) throws IOException, InterruptedException {
        List<String> all = List.of(words);
        String which = all.isEmpty() ? "" : all.getFirst();
        try {
            switch (which) {
                case "startup" -> Startup.run(new Options(all.subList(1, all.size())));
                case "bulk" -> Bulk.run(new Options(all.subList(1, all.size())));
                case "rekey" -> Rekey.run(new Options(all.subList(1, all.size())));
                case "simulate" -> Simulate.run(all.subList(1, all.size()));
                case "tether" -> TetherSeeds.run(all.subList(1, all.size()));
                case "carry" -> Carry.run(new Options(all.subList(1, all.size())));
                case "outlive" -> Outlive.run(new Options(all.subList(1, all.size())));
                case "survival" -> Survival.run(new Options(all.subList(1, all.size())));
                case "scale" -> Scale.run(new Options(all.subList(1, all.size())));
                case "mux" -> Mux.run(new Options(all.subList(1, all.size())));
                case "sftp" -> Sftp.run(new Options(all.subList(1, all.size())));
                case "forwards" -> Forwards.run(new Options(all.subList(1, all.size())));
                case "config" -> Configuration.run(new Options(all.subList(1, all.size())));
                case "compatibility" -> Compatibility.run();
                case "regress" -> Regress.run(all.subList(1, all.size()));
                case "forwards-churn" -> Churn.run(new Options(all.subList(1, all.size())));
                default -> {
                    System.err.println(
                            """
                            usage: trials/bench startup [--pairs N] [--markdown]
                                   trials/bench bulk [--gigabytes N] [--pairs N] [--ciphers A,B] [--markdown]
                                   trials/bench rekey [--runs N] [--megabytes N] [--ciphers A,B] [--markdown]
                                   trials/bench simulate [SEEDS] [FROM]
                                   trials/bench tether [SEEDS] [FROM]
                                   trials/bench carry [--gigabytes N] [--pairs N] [--keys N] [--cipher NAME] [--markdown]
                                   trials/bench outlive [--gigabytes N] [--cuts N] [--outage S] [--pause S] [--rounds N] [--ends ours,stock] [--others no] [--seed N]
                                   trials/bench survival [--parallel N] [--only TROUBLE,TROUBLE] [--again] [--tether]
                                   trials/bench scale [--connections N,N] [--openssh N] [--interval S] [--markdown]
                                   trials/bench mux [--pairs N] [--markdown]
                                   trials/bench sftp [--megabytes N] [--files N] [--bytes N] [--pairs N] [--cipher NAME] [--markdown]
                                   trials/bench forwards [--megabytes N] [--connections N] [--pairs N] [--requests N] [--cipher NAME] [--markdown]
                                   trials/bench config [--pairs N] [--lines N] [--markdown]
                                   trials/bench compatibility
                                   trials/bench regress [--client ours|theirs] [--server ours|theirs] [--parallel N] [TEST...]
                                   trials/bench forwards-churn [--connections N] [--seconds N] [--seed N] [--server]\
                            """);
                    System.exit(2);
                }
            }
        } catch (AssertionError | IllegalArgumentException e) {
            System.err.println("bench: " + e.getMessage());
            System.exit(1);
        }
    }
}
