package holdfast.ssh.terminal;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;

/**
 * A small program for tests that need a terminal of their own: does what its arguments say, one
 * after the other, and notes what it saw in the file that the first one names.
 */
public final class TerminalDriver {

    private TerminalDriver() {}

    public static void main(String[] args) throws Exception {
        Terminal terminal = Terminal.ofProcess();
        try (PrintStream notes = new PrintStream(Files.newOutputStream(Path.of(args[0])), true)) {
            for (int i = 1; i < args.length; i++) {
                switch (args[i]) {
                    case "raw" -> notes.println("raw " + terminal.enterRaw());
                    case "restore" -> terminal.restore();
                    case "stty" -> notes.println("stty " + run("stty", "-a"));
                    case "sttyg" -> notes.println("sttyg " + run("stty", "-g"));
                    case "size" -> notes.println("size " + terminal.size());
                    case "modes" ->
                            notes.println("modes " + HexFormat.of().formatHex(terminal.modes()));
                    case "istty" ->
                            notes.println(
                                    "istty "
                                            + Terminal.isTerminal(0)
                                            + Terminal.isTerminal(1)
                                            + Terminal.isTerminal(9));
                    case "watch" -> terminal.onResize(() -> notes.println("resized"));
                    case "suspend" -> terminal.suspend();
                    case "ask" -> {
                        String answer = new TtyPrompter(false).ask("Password: ", Prompter.Echo.OFF);
                        notes.println("answer " + answer);
                    }
                    case "askaloud" -> {
                        String answer = new TtyPrompter(false).ask("Name: ", Prompter.Echo.ON);
                        notes.println("answer " + answer);
                    }
                    case "batch" ->
                            notes.println(
                                    "answer "
                                            + new TtyPrompter(true)
                                                    .ask("Name: ", Prompter.Echo.ON));
                    case "say" -> System.out.print(args[++i]);
                    case "note" -> notes.println(args[++i]);
                    case "kill" -> run("kill", "-" + args[++i], "" + ProcessHandle.current().pid());
                    case "killsoon" ->
                            new ProcessBuilder(
                                            "sh",
                                            "-c",
                                            "sleep 1; kill -"
                                                    + args[++i]
                                                    + " "
                                                    + ProcessHandle.current().pid())
                                    .start();
                    case "sleep" -> Thread.sleep(Long.parseLong(args[++i]));
                    case "read" -> notes.println("read " + System.in.read());
                    case "exit" -> System.exit(3);
                    case "throw" -> throw new IllegalStateException("thrown to see what is left");
                    default -> throw new IllegalArgumentException(args[i]);
                }
            }
        }
    }

    private static String run(String... command) throws IOException, InterruptedException {
        Process process =
                new ProcessBuilder(command)
                        .redirectInput(ProcessBuilder.Redirect.INHERIT)
                        .redirectErrorStream(true)
                        .start();
        String output =
                new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
        process.waitFor();
        return output.replace("\n", " ");
    }
}
