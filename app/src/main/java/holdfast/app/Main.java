package holdfast.app;

import holdfast.app.command.Demo;
import holdfast.app.command.Lab;
import holdfast.app.command.Ssh;
import holdfast.app.command.Sshd;
import holdfast.app.command.Tether;
import holdfast.app.command.Train;
import holdfast.ssh.Software;
import holdfast.ssh.terminal.Terminal;
import java.util.List;

/** {@code holdfast COMMAND ...}: finds the command and leaves with its status. */
public final class Main {

    /** What {@code -V} and {@code --version} print, and the first line of {@code -v}. */
    public static final String VERSION = Software.VERSION;

    static final String USAGE =
            """
            usage: holdfast COMMAND [ARGUMENT...]

              ssh [OPTION...] [USER@]HOST [COMMAND]   log in or run a command, as ssh does, and say when the link is dead
              sshd [OPTION...]                        serve logins, as sshd does, and notice the dead; sshd status, sshd --here
              demo                                    see a connection die and another live, in a quarter of a minute
              lab --listen ADDRESS:PORT --to HOST     trouble your own connections as networks do; see lab --help
              tether --listen PORT --to HOST:PORT     keep connections of any ssh to any sshd over lost ones; see tether --help
              --version                               print the version
              --help                                  print this

            Called under the name ssh or sshd (a symbolic link), holdfast is `holdfast ssh` or `holdfast sshd`.
            """;

    private Main() {}

    public static void main(String[] arguments) {
        if (System.getProperty("os.name").equals("Linux")) {
            // The JDK's own, by name: it would look for another's through all of the jar, 10 ms at
            // each start.
            System.setProperty(
                    "java.nio.channels.spi.SelectorProvider", "sun.nio.ch.EPollSelectorProvider");
        }
        List<String> words = List.of(Arguments.exact(arguments));
        int status = run(words);
        if (!words.isEmpty() && words.getFirst().equals("ssh")) {
            System.out.flush();
            System.err.flush();
            Terminal.leave(status);
            // Not by System.exit, which looks up a logger: 8 ms.
            Runtime.getRuntime().halt(status);
        }
        System.exit(status);
    }

    private static int run(List<String> arguments) {
        if (arguments.isEmpty()) {
            System.err.print(USAGE);
            return 2;
        }
        List<String> rest = arguments.subList(1, arguments.size());
        return switch (arguments.getFirst()) {
            case "ssh" -> Ssh.run(rest);
            case "sshd" -> Sshd.run(rest);
            case "train" -> Train.run(rest); // for the launcher
            case "demo" -> Demo.run(rest);
            case "lab" -> Lab.run(rest);
            case "tether" -> Tether.run(rest);
            case "--version", "version" -> {
                System.out.println("holdfast " + VERSION);
                yield 0;
            }
            case "--help", "-h", "help" -> {
                System.out.print(USAGE);
                yield 0;
            }
            default -> {
                System.err.println(
                        "holdfast: unknown command \""
                                + arguments.getFirst()
                                + "\"; see holdfast --help");
                yield 2;
            }
        };
    }
}
