package holdfast.ssh.system;

import holdfast.ssh.stream.Tap;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** A child under test, read to its end. */
record Run(String output, String errors, Exit exit) {

    static final Path SHELL = Path.of("/bin/sh");

    static Spawn shell(String script) {
        return Spawn.of(SHELL)
                .name("sh")
                .argument("-c")
                .argument(script)
                .environment(Map.of("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"))
                .stdio(Spawn.Stdio.PIPES);
    }

    static Run of(Spawn spawn) throws Exception {
        return of(spawn, "");
    }

    static Run of(Spawn spawn, String input) throws Exception {
        Child child = spawn.start();
        CompletableFuture<String> output = drink(child.output());
        Tap errors = child.errors();
        CompletableFuture<String> said =
                errors == null ? CompletableFuture.completedFuture("") : drink(errors);
        if (!input.isEmpty()) {
            ByteBuffer bytes = ByteBuffer.wrap(input.getBytes(StandardCharsets.UTF_8));
            child.input().write(bytes);
        }
        child.input().finishOutput();
        Run run =
                new Run(
                        output.get(10, TimeUnit.SECONDS),
                        said.get(10, TimeUnit.SECONDS),
                        exit(child));
        child.output().close();
        child.input().close();
        return run;
    }

    static Exit exit(Child child) throws Exception {
        CompletableFuture<Exit> exit = new CompletableFuture<>();
        child.onExit(exit::complete);
        return exit.get(10, TimeUnit.SECONDS);
    }

    /** All that comes until the end. */
    static CompletableFuture<String> drink(Tap tap) {
        CompletableFuture<String> all = new CompletableFuture<>();
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        tap.wantRead(
                new Tap.Ready() {
                    @Override
                    public void ready() throws IOException {
                        ByteBuffer room = ByteBuffer.allocate(8192);
                        int count = tap.read(room);
                        if (count < 0) {
                            all.complete(bytes.toString(StandardCharsets.UTF_8));
                            return;
                        }
                        bytes.write(room.array(), 0, count);
                        tap.wantRead(this);
                    }

                    @Override
                    public void failed(Throwable why) {
                        all.completeExceptionally(why);
                    }
                });
        return all;
    }
}
