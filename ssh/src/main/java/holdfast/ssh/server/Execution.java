package holdfast.ssh.server;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;
import org.apache.sshd.server.Environment;
import org.apache.sshd.server.ExitCallback;
import org.apache.sshd.server.channel.ChannelSession;
import org.apache.sshd.server.command.Command;
import org.jspecify.annotations.Nullable;

/**
 * One command of a user, run by {@code /bin/sh -c} as the user this process runs as.
 *
 * <p>Three virtual threads carry its pipes and block where there is nothing to carry, so that a
 * silent command costs nothing.
 */
final class Execution implements Command {

    private static final int CHUNK = 32 * 1024;
    private static final int CANNOT_RUN = 126;

    private final String user;
    private final String command;
    private final Consumer<ServerEvent> watcher;
    private @Nullable InputStream in;
    private @Nullable OutputStream out;
    private @Nullable OutputStream err;
    private @Nullable ExitCallback ended;
    private volatile @Nullable Process process;

    Execution(String user, String command, Consumer<ServerEvent> watcher) {
        this.user = user;
        this.command = command;
        this.watcher = watcher;
    }

    @Override
    public void setInputStream(InputStream stream) {
        in = stream;
    }

    @Override
    public void setOutputStream(OutputStream stream) {
        out = stream;
    }

    @Override
    public void setErrorStream(OutputStream stream) {
        err = stream;
    }

    @Override
    public void setExitCallback(ExitCallback callback) {
        ended = callback;
    }

    @Override
    public void start(ChannelSession channel, Environment environment) throws IOException {
        InputStream stdin = in;
        OutputStream stdout = out;
        OutputStream stderr = err;
        ExitCallback callback = ended;
        if (stdin == null || stdout == null || stderr == null || callback == null) {
            throw new IOException("the channel has no streams");
        }
        Process started;
        try {
            ProcessBuilder builder = new ProcessBuilder("/bin/sh", "-c", command);
            builder.environment().putAll(environment.getEnv());
            started = builder.start();
        } catch (IOException e) {
            stderr.write("cannot run /bin/sh\n".getBytes(StandardCharsets.UTF_8));
            stderr.flush();
            callback.onExit(CANNOT_RUN);
            return;
        }
        process = started;
        watcher.accept(new ServerEvent.Started(user, command));
        String name = "command of " + user;
        Thread.ofVirtual().name(name + " stdin").start(() -> feed(stdin, started));
        Thread output =
                Thread.ofVirtual()
                        .name(name + " stdout")
                        .start(() -> carry(started.getInputStream(), stdout));
        Thread errors =
                Thread.ofVirtual()
                        .name(name + " stderr")
                        .start(() -> carry(started.getErrorStream(), stderr));
        Thread.ofVirtual().name(name).start(() -> await(started, output, errors, callback));
    }

    @Override
    public void destroy(ChannelSession channel) {
        Process running = process;
        if (running != null) {
            // The shell's children too: a signal to the shell alone leaves them behind.
            running.descendants().forEach(ProcessHandle::destroy);
            running.destroy();
        }
    }

    private void await(Process running, Thread output, Thread errors, ExitCallback callback) {
        try {
            int status = running.waitFor();
            output.join();
            errors.join();
            watcher.accept(new ServerEvent.Finished(user, status));
            callback.onExit(status);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void feed(InputStream from, Process running) {
        byte[] buffer = new byte[CHUNK];
        try (OutputStream to = running.getOutputStream()) {
            int count;
            while ((count = from.read(buffer)) >= 0) {
                to.write(buffer, 0, count);
                to.flush();
            }
        } catch (IOException ended) {
            // The command reads no more, or the channel is gone: either way nothing is left to do.
        }
    }

    private void carry(InputStream from, OutputStream to) {
        byte[] buffer = new byte[CHUNK];
        try (from) {
            int count;
            while ((count = from.read(buffer)) >= 0) {
                to.write(buffer, 0, count);
                to.flush();
                watcher.accept(new ServerEvent.Printed(user, count));
            }
        } catch (IOException ended) {
            // The channel is gone; closing the pipe tells the command, as SIGPIPE.
        }
    }
}
