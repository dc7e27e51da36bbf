package holdfast.app.command;

import holdfast.app.service.StatusReport;
import holdfast.app.service.StatusSocket;
import holdfast.ssh.config.Surroundings;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** {@code holdfast sshd status} and {@code drop}: asks a server that runs on this machine. */
final class SshdStatus {

    static final String USAGE =
            """
            usage: holdfast sshd status [--json] [--pid PID]
                   holdfast sshd drop [--pid PID] ID

            status tells how the server is and each of its connections; drop ends one of them.
            Only the server's own user can ask.
            """;

    private SshdStatus() {}

    static int status(List<String> arguments) {
        boolean json = arguments.contains("--json");
        List<String> rest = new ArrayList<>(arguments);
        rest.remove("--json");
        try {
            Chosen chosen = chosen(rest);
            if (!rest.isEmpty()) {
                return misused(rest);
            }
            String answer = StatusSocket.ask(chosen.socket(), "status");
            System.out.print(json ? answer : StatusReport.parse(answer).text());
            if (!json) {
                chosen.leaving().forEach(one -> System.out.println(one.inPassing()));
            }
            System.out.flush();
            return 0;
        } catch (IOException | IllegalArgumentException e) {
            System.err.println("holdfast sshd status: " + e.getMessage());
            return 1;
        }
    }

    static int drop(List<String> arguments) {
        List<String> rest = new ArrayList<>(arguments);
        try {
            Path socket = chosen(rest).socket();
            if (rest.size() != 1 || !rest.getFirst().matches("[0-9]+")) {
                return misused(rest);
            }
            String answer = StatusSocket.ask(socket, "drop " + rest.getFirst());
            System.out.print(answer);
            System.out.flush();
            return answer.startsWith("dropped") ? 0 : 1;
        } catch (IOException | IllegalArgumentException e) {
            System.err.println("holdfast sshd drop: " + e.getMessage());
            return 1;
        }
    }

    private static int misused(List<String> rest) {
        boolean help = rest.contains("--help") || rest.contains("-h");
        (help ? System.out : System.err).print(USAGE);
        return help ? 0 : 2;
    }

    /**
     * The server that is meant.
     *
     * @param leaving those that were stopped and only serve on, which are meant if none other is
     */
    private record Chosen(Path socket, List<StatusReport> leaving) {}

    /** Takes {@code --pid} out of the arguments. */
    private static Chosen chosen(List<String> rest) throws IOException {
        String pid = null;
        int at = rest.indexOf("--pid");
        if (at >= 0 && at + 1 < rest.size()) {
            pid = rest.remove(at + 1);
            rest.remove(at);
        }
        Surroundings here = Surroundings.ofProcess();
        Path directory = StatusSocket.directory(here.environment(), here.uid() == 0);
        List<Path> all = StatusSocket.all(directory);
        return one(all, pid, directory);
    }

    private static Chosen one(List<Path> all, @Nullable String pid, Path directory)
            throws IOException {
        if (pid != null) {
            Path named = directory.resolve("sshd-" + pid + ".sock");
            if (!all.contains(named)) {
                throw new IOException("no holdfast sshd of yours has pid " + pid);
            }
            return new Chosen(named, List.of());
        }
        if (all.isEmpty()) {
            throw new IOException(
                    "no holdfast sshd of yours is running (none in " + directory + ")");
        }
        if (all.size() == 1) {
            return new Chosen(all.getFirst(), List.of());
        }
        List<Path> listening = new ArrayList<>();
        List<StatusReport> leaving = new ArrayList<>();
        List<Path> answering = new ArrayList<>();
        for (Path socket : all) {
            StatusReport report;
            try {
                report = StatusReport.parse(StatusSocket.ask(socket, "status"));
            } catch (IOException | IllegalArgumentException e) {
                continue; // it has ended meanwhile, or hangs
            }
            answering.add(socket);
            if (report.leaving()) {
                leaving.add(report);
            } else {
                listening.add(socket);
            }
        }
        if (listening.size() == 1) {
            return new Chosen(listening.getFirst(), leaving);
        }
        if (answering.size() == 1) {
            return new Chosen(answering.getFirst(), List.of());
        }
        List<String> pids = new ArrayList<>();
        for (Path socket : answering.isEmpty() ? all : answering) {
            String name = String.valueOf(socket.getFileName());
            pids.add(name.substring(5, name.length() - 5));
        }
        if (answering.isEmpty()) {
            throw new IOException("none answers of " + String.join(", ", pids));
        }
        throw new IOException(
                "several are running; say which with --pid: " + String.join(", ", pids));
    }
}
