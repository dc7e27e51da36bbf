package holdfast.ssh.mux;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.ssh.log.Log;
import holdfast.ssh.system.LocalSocket;
import holdfast.ssh.system.PassedFile;
import holdfast.ssh.system.Processes;
import holdfast.ssh.system.SystemException;
import java.nio.channels.ByteChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A master over a connection that nobody uses. */
final class MuxMasterTest {

    @TempDir Path directory;

    private static final class Nobody implements MuxMaster.Host {
        @Override
        public boolean permits(String question) {
            return false;
        }

        @Override
        public String name() {
            return "nobody";
        }

        @Override
        public MuxMaster.@Nullable Session session(
                MuxMessage.NewSession wish,
                PassedFile in,
                PassedFile out,
                PassedFile err,
                MuxMaster.Reports to) {
            return null;
        }

        @Override
        public MuxMaster.@Nullable Session stdio(
                MuxMessage.StdioForward wish, PassedFile in, PassedFile out, MuxMaster.Reports to) {
            return null;
        }

        @Override
        public void carry(ByteChannel client) {}

        @Override
        public void open(MuxMessage.Forward forward, MuxMaster.Answer answer) {}

        @Override
        public @Nullable String close(MuxMessage.Forward forward) {
            return null;
        }

        @Override
        public void terminate() {}

        @Override
        public void listeningEnded() {}

        @Override
        public MuxMaster.Liveness liveness(boolean recentWillDo) {
            return new MuxMaster.Liveness(null, Duration.ZERO);
        }

        @Override
        public String describe(String what) {
            return "";
        }

        @Override
        public void clientsChanged() {}
    }

    @Test
    void nobody_is_kept_who_comes_while_it_closes() throws Exception {
        for (int round = 0; round < 100; round++) {
            String path = directory.resolve("m" + round).toString();
            MuxMaster master =
                    MuxMaster.listen(
                            path,
                            Processes.user(),
                            new Nobody(),
                            new Log(Log.Level.QUIET, line -> {}));
            assertThat(master).isNotNull();
            List<LocalSocket> came = new CopyOnWriteArrayList<>();
            AtomicBoolean over = new AtomicBoolean();
            Runnable coming =
                    () -> {
                        try {
                            while (!over.get()) {
                                came.add(LocalSocket.connect(path));
                            }
                        } catch (SystemException e) {
                            // it listens no more
                        }
                    };
            List<Thread> threads =
                    List.of(Thread.ofPlatform().start(coming), Thread.ofPlatform().start(coming));
            while (came.size() < 3) {
                Thread.onSpinWait();
            }
            Objects.requireNonNull(master).close();
            over.set(true);
            for (Thread thread : threads) {
                thread.join();
            }
            for (LocalSocket one : came) {
                one.patience(Duration.ofSeconds(20));
                byte[] some = new byte[1];
                while (one.read(some)) {
                    // its hello
                }
                one.close();
            }
        }
    }
}
