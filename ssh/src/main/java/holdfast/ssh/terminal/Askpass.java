package holdfast.ssh.terminal;

import holdfast.ssh.log.Log;
import holdfast.ssh.log.Reason;
import holdfast.ssh.octets.Octets;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Asks on the terminal, or by the program that SSH_ASKPASS names where there is no terminal or
 * SSH_ASKPASS_REQUIRE wants it so: the whole of OpenSSH's readpass.c.
 */
public final class Askpass implements Prompter {

    private static final String USUAL = "/usr/bin/ssh-askpass";

    private static final File NOTHING = new File("/dev/null");

    /** As much of an answer as OpenSSH reads. */
    private static final int LONGEST = 1023;

    private final boolean batchMode;
    private final Map<String, String> environment;
    private final Log log;
    private final Prompter terminal;

    /**
     * @param batchMode true: nobody is ever asked
     */
    public Askpass(boolean batchMode, Map<String, String> environment, Log log) {
        this.batchMode = batchMode;
        this.environment = environment;
        this.log = log;
        terminal = new TtyPrompter(batchMode);
    }

    /** What SSH_ASKPASS_REQUIRE and the desktop leave of the program. */
    private enum Program {
        NEVER,
        WITHOUT_TERMINAL,
        FIRST
    }

    private Program program() {
        boolean desktop = isSet("DISPLAY") || isSet("WAYLAND_DISPLAY");
        String require = environment.getOrDefault("SSH_ASKPASS_REQUIRE", "");
        if (require.equalsIgnoreCase("force")) {
            return Program.FIRST;
        }
        if (require.equalsIgnoreCase("never") || !desktop) {
            return Program.NEVER;
        }
        return require.equalsIgnoreCase("prefer") ? Program.FIRST : Program.WITHOUT_TERMINAL;
    }

    private boolean isSet(String variable) {
        return !environment.getOrDefault(variable, "").isEmpty();
    }

    @Override
    public @Nullable String ask(String prompt, Echo echo) throws IOException {
        if (batchMode) {
            return null;
        }
        Program program = program();
        if (program == Program.FIRST) {
            log.debug("read_passphrase: requested to askpass");
            return run(prompt, false);
        }
        if (program == Program.WITHOUT_TERMINAL && !hasTerminal()) {
            log.debug("read_passphrase: can't open /dev/tty");
            return run(prompt, false);
        }
        return terminal.ask(prompt, echo);
    }

    @Override
    public boolean permits(String question) {
        if (batchMode || program() == Program.NEVER) {
            return false;
        }
        String answer = run(question, true);
        return answer != null && (answer.isEmpty() || answer.equalsIgnoreCase("yes"));
    }

    @Override
    public byte[] touched(String notice, Touch touch) throws IOException, GeneralSecurityException {
        Process window = notice.isEmpty() || batchMode ? null : window(notice);
        try {
            return touch.await();
        } finally {
            if (window != null) {
                window.destroy();
            }
        }
    }

    /** Shows a notice until it is ended; null: nothing can. */
    private @Nullable Process window(String notice) {
        String program = environment.getOrDefault("SSH_ASKPASS", USUAL);
        if (program.isEmpty()) {
            log.debug3("notify_start: cannot notify: no askpass");
            return null;
        }
        if (!isSet("DISPLAY")
                && !isSet("WAYLAND_DISPLAY")
                && !environment.getOrDefault("SSH_ASKPASS_REQUIRE", "").equalsIgnoreCase("force")) {
            log.debug3("notify_start: cannot notify: no display");
            return null;
        }
        ProcessBuilder builder =
                new ProcessBuilder(Octets.words(List.of(program, notice)))
                        .redirectInput(ProcessBuilder.Redirect.from(NOTHING))
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .redirectError(ProcessBuilder.Redirect.INHERIT);
        builder.environment().put("SSH_ASKPASS_PROMPT", "none");
        try {
            return builder.start();
        } catch (IOException e) {
            log.error("notify_start: exec(" + program + "): " + why(e));
            return null;
        }
    }

    private static boolean hasTerminal() {
        try (Tty tty = Terminal.openTty()) {
            return tty != null;
        }
    }

    /** The first line the program prints; null where it ends badly: the person has said no. */
    private @Nullable String run(String prompt, boolean permission) {
        String program = environment.getOrDefault("SSH_ASKPASS", USUAL);
        ProcessBuilder builder =
                new ProcessBuilder(Octets.words(List.of(program, prompt)))
                        .redirectInput(ProcessBuilder.Redirect.INHERIT)
                        .redirectError(ProcessBuilder.Redirect.INHERIT);
        if (permission) {
            builder.environment().put("SSH_ASKPASS_PROMPT", "confirm");
        }
        Process process;
        try {
            process = builder.start();
        } catch (IOException e) {
            log.fatal("ssh_askpass: exec(" + program + "): " + why(e));
            return null;
        }
        byte[] said = new byte[LONGEST];
        try (InputStream out = process.getInputStream()) {
            int length = out.readNBytes(said, 0, LONGEST);
            return process.waitFor() == 0 ? firstLine(said, length) : null;
        } catch (IOException e) {
            log.debug("ssh_askpass: " + e.getMessage());
            return null;
        } catch (InterruptedException e) {
            process.destroy();
            Thread.currentThread().interrupt();
            return null;
        } finally {
            Arrays.fill(said, (byte) 0);
        }
    }

    private static String firstLine(byte[] said, int length) {
        int end = 0;
        while (end < length && said[end] != '\n' && said[end] != '\r') {
            end++;
        }
        return Octets.text(said, 0, end);
    }

    private static String why(IOException e) {
        String words = Reason.ofProgram(e);
        return words == null ? Reason.of(e) : words;
    }
}
