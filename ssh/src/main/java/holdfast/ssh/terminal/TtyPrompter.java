package holdfast.ssh.terminal;

import org.jspecify.annotations.Nullable;

/**
 * Asks on /dev/tty, whatever standard input and output are: OpenSSH's readpass.c over
 * readpassphrase(3), without askpass programs.
 *
 * <p>Typed-ahead input is thrown away before each question, a hidden answer is followed by a
 * newline of ours, and the terminal gets its modes back also when a signal ends us in the middle.
 * After a stop the question is asked again.
 */
public final class TtyPrompter implements Prompter {

    private final boolean batchMode;

    /**
     * @param batchMode true: nobody is ever asked
     */
    public TtyPrompter(boolean batchMode) {
        this.batchMode = batchMode;
    }

    @Override
    public synchronized @Nullable String ask(String prompt, Echo echo) {
        if (batchMode) {
            return null;
        }
        try (Tty tty = Terminal.openTty()) {
            if (tty == null) {
                return null;
            }
            Termios before = Termios.of(tty.fd);
            if (before == null) {
                return null;
            }
            boolean hide = echo == Echo.OFF;
            Borrowed loan =
                    Borrowed.take(
                            tty.fd,
                            before,
                            hide ? before.hidden() : before.shown(),
                            Libc.TCSETSF,
                            new Asking(tty, prompt, hide));
            if (loan == null && hide) {
                // Rather no answer than one that all can read.
                return null;
            }
            try {
                // At the start of the line, as OpenSSH: over what was typed before the echo was
                // off.
                tty.print("\r" + prompt);
                String answer = tty.line();
                if (hide) {
                    tty.print("\n");
                }
                return answer;
            } finally {
                if (loan != null) {
                    loan.giveBack();
                }
            }
        }
    }

    /** What befalls an open question from outside. */
    private record Asking(Tty tty, String prompt, boolean hidden) implements Borrowed.Watcher {

        @Override
        public void taken() {
            tty.print(prompt);
        }

        @Override
        public void ending() {
            if (hidden) {
                tty.print("\n");
            }
        }
    }
}
