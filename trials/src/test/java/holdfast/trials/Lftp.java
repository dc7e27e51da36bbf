package holdfast.trials;

import holdfast.trials.harness.Command;
import holdfast.trials.harness.Sshd;

/** lftp(1), which speaks SFTP over any ssh. */
final class Lftp {

    private Lftp() {}

    /** Runs its commands at the trial's server. */
    static Command over(Stage stage, String ssh, String commands) {
        return stage.run(
                "lftp",
                "--norc",
                "-c",
                """
                set cmd:fail-exit true
                set net:max-retries 2
                set sftp:auto-confirm no
                set sftp:connect-program "%s -a -x"
                open sftp://%s:@trial
                """
                                .formatted(ssh, Sshd.user())
                        + commands);
    }
}
