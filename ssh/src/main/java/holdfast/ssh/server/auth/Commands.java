package holdfast.ssh.server.auth;

import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.ServerTokens;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.Reason;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.system.Account;
import holdfast.ssh.system.BoundedOutput;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** AuthorizedKeysCommand and AuthorizedPrincipalsCommand: run as somebody, bounded, checked. */
final class Commands {

    /** A command that takes longer is killed; OpenSSH leaves that to LoginGraceTime. */
    private static final int SECONDS = 30;

    /** What a command says beyond this refuses the login. */
    private static final int MOST_BYTES = 4 * 1024 * 1024;

    /** As Debian builds OpenSSH's. */
    private static final String PATH = "/usr/local/bin:/usr/bin:/bin:/usr/games";

    /** What a child ends with that could not become the program. */
    private static final int NOT_EXECUTED = 127;

    private Commands() {}

    /**
     * Runs a command and returns what it said, or null (with a line in the log) if it failed.
     *
     * @param keyword for messages
     * @param user whose login it is: the argument where none is given
     * @throws ConfigException it has a token that there is none of
     */
    static @Nullable InputStream output(
            Machine machine,
            String keyword,
            String command,
            Tokens tokens,
            String user,
            Account runner,
            Log log)
            throws ConfigException {
        List<String> words = ServerTokens.command(command, tokens.values());
        if (words.isEmpty()) {
            log.error(keyword + " \"" + command + "\" contains invalid quotes");
            return null;
        }
        if (words.size() == 1) {
            words = List.of(words.getFirst(), user);
        }
        Path program = Octets.path(words.get(0));
        if (!program.isAbsolute()) {
            log.error(keyword + " path is not absolute");
            return null;
        }
        if (!Files.exists(program)) {
            log.error(
                    "Could not stat "
                            + keyword
                            + " \""
                            + program
                            + "\": No such file or directory");
            return null;
        }
        String unsafe = UserFiles.unsafe(program, 0, null);
        if (unsafe != null) {
            log.error("Unsafe " + keyword + " \"" + program + "\": " + unsafe);
            return null;
        }
        String named = keyword + " " + ServerTokens.joined(words);
        if (!Files.isExecutable(program)) {
            // Only root asks for everybody here: what nobody may execute.
            log.error(
                    keyword + " execve \"" + ServerTokens.joined(words) + "\": Permission denied");
            log.info(named + BoundedOutput.ended(NOT_EXECUTED));
            return null;
        }
        try {
            return run(machine, keyword, named, words, runner, log);
        } catch (IOException e) {
            String reason = Reason.ofProgram(e);
            if (reason == null) {
                log.error(keyword + " " + program + ": " + Reason.of(e));
                return null;
            }
            log.error(keyword + " execve \"" + ServerTokens.joined(words) + "\": " + reason);
            log.info(named + BoundedOutput.ended(NOT_EXECUTED));
            return null;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return null;
        }
    }

    private static @Nullable InputStream run(
            Machine machine,
            String keyword,
            String named,
            List<String> words,
            Account runner,
            Log log)
            throws IOException, InterruptedException {
        List<String> command = new ArrayList<>();
        if (machine.own().uid() != runner.uid()) {
            if (!machine.privileged()) {
                log.error(keyword + ": only root can run it as " + runner.name());
                return null;
            }
            command.addAll(
                    List.of(
                            "/usr/bin/setpriv",
                            "--reuid=" + runner.uid(),
                            "--regid=" + runner.gid(),
                            "--init-groups",
                            "--"));
        }
        command.addAll(words);
        ProcessBuilder builder = new ProcessBuilder(Octets.words(command));
        Map<String, String> environment = builder.environment();
        String language = environment.get("LANG");
        environment.clear();
        if (language != null) {
            environment.put("LANG", language);
        }
        environment.put("PATH", PATH);
        environment.put("USER", runner.name());
        environment.put("LOGNAME", runner.name());
        environment.put("HOME", runner.home().toString());
        builder.directory(Path.of("/").toFile());
        builder.redirectError(ProcessBuilder.Redirect.DISCARD);
        builder.redirectInput(Path.of("/dev/null").toFile());
        Process process = builder.start();
        // Ends it from outside, so that a command that neither speaks nor ends holds nobody.
        var killer =
                java.util.concurrent.CompletableFuture.delayedExecutor(SECONDS, TimeUnit.SECONDS);
        var alarm =
                java.util.concurrent.CompletableFuture.runAsync(
                        () -> {
                            if (process.isAlive()) {
                                log.error(keyword + " took longer than " + SECONDS + " s; killed");
                                process.descendants().forEach(ProcessHandle::destroyForcibly);
                                process.destroyForcibly();
                            }
                        },
                        killer);
        try (InputStream out = process.getInputStream()) {
            byte[] said = out.readNBytes(MOST_BYTES + 1);
            if (said.length > MOST_BYTES) {
                log.error(keyword + " said more than " + MOST_BYTES + " bytes; ignored");
                return null;
            }
            int status = process.waitFor();
            if (status != 0) {
                // A name that a directory does not know is no error of this server's.
                log.write(
                        BoundedOutput.bySignal(status) ? Log.Level.ERROR : Log.Level.INFO,
                        named + BoundedOutput.ended(status));
                return null;
            }
            return new ByteArrayInputStream(said);
        } finally {
            alarm.cancel(false);
            process.destroyForcibly();
        }
    }
}
