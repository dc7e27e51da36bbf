package holdfast.trials.bench;

import holdfast.trials.harness.Client;
import holdfast.trials.harness.Command;
import holdfast.trials.harness.Ended;
import holdfast.trials.harness.Running;
import holdfast.trials.harness.Sshd;
import holdfast.trials.harness.Trees;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.jspecify.annotations.Nullable;

/**
 * OpenSSH's own regression tests, as Debian's package openssh-tests installs them, with our client,
 * our server or both in the place of theirs: {@code --client ours|theirs} (ours), {@code --server
 * ours|theirs} (theirs), {@code --parallel N} (2) at a time, and the names of tests, or all that
 * the suite's Makefile names. With {@code --root DIR} the suite and all programs but ours are those
 * of another system whose root directory that is, as debootstrap makes one. As root each test has a
 * network and processes of its own, so that tests do not meet at the ports that many of them share
 * and nothing outlives one; otherwise there is one at a time, and what needs root is skipped by the
 * suite. What a test that failed left in its logs is kept in trials/target/regress.
 */
final class Regress {

    /** What the longest need, which start a client some hundred times, on a busy machine. */
    private static final Duration PATIENCE = Duration.ofMinutes(40);

    /** They try ssh-keygen and its kin, which are Debian's in every run. */
    private static final Set<String> OTHER_PROGRAMS =
            Set.of(
                    "addrmatch",
                    "keygen-change",
                    "keygen-comment",
                    "keygen-convert",
                    "keygen-knownhosts",
                    "keygen-moduli",
                    "keygen-sshfp",
                    "krl",
                    "sshsig");

    /** With whose programs a test is known to fail. */
    private enum With {
        OUR_CLIENT,
        OUR_SERVER,
        OUR_CLIENT_THEIR_SERVER;

        boolean holds(Ends ends) {
            return switch (this) {
                case OUR_CLIENT -> ends.ourClient();
                case OUR_SERVER -> ends.ourServer();
                case OUR_CLIENT_THEIR_SERVER -> ends.ourClient() && !ends.ourServer();
            };
        }
    }

    private record Known(String test, With with, String reason) {}

    /** What fails and is to stay so. */
    private static final List<Known> KNOWN =
            List.of(
                    new Known(
                            "cert-hostkey",
                            With.OUR_CLIENT,
                            "a certificate that names no principal is taken for none, as from OpenSSH 10.3"),
                    new Known(
                            "hostkey-agent",
                            With.OUR_CLIENT,
                            "certificates of hosts whose keys are DSA or on hardware are not known"),
                    new Known(
                            "kextype",
                            With.OUR_CLIENT_THEIR_SERVER,
                            "asks an sshd older than ML-KEM for all that the client has"),
                    new Known("agent", With.OUR_SERVER, "DSA keys, as from OpenSSH 10"),
                    new Known("cert-hostkey", With.OUR_SERVER, "host keys on hardware are refused"),
                    new Known(
                            "cert-userkey",
                            With.OUR_SERVER,
                            "a certificate that names no principal is good for nobody, as from OpenSSH 10.3"),
                    new Known("cfgmatch", With.OUR_SERVER, "Match rdomain is refused"),
                    new Known(
                            "hostkey-agent",
                            With.OUR_SERVER,
                            "host keys on hardware, and DSA certificates"),
                    new Known(
                            "hostkey-rotate",
                            With.OUR_SERVER,
                            "host keys on hardware, and DSA ones, are refused"),
                    new Known("keyscan", With.OUR_SERVER, "host keys on hardware are refused"),
                    new Known("keytype", With.OUR_SERVER, "host keys on hardware are refused"),
                    new Known(
                            "knownhosts-command",
                            With.OUR_SERVER,
                            "host keys on hardware are refused"));

    private record Ends(boolean ourClient, boolean ourServer) {}

    private enum Fate {
        PASSED,
        FAILED,
        KNOWN_TO_FAIL,
        NOT_RUN
    }

    private final Ends ends;

    /** The root directory of the system whose tests and programs these are. */
    private final Path system;

    private final boolean root = Sshd.user().equals("root");
    private final Path kept =
            Client.checkout().resolve("trials").resolve("target").resolve("regress");

    private Regress(Ends ends, Path system) {
        this.ends = ends;
        this.system = system;
    }

    private static Path suite(Path system) {
        return system.resolve("usr/lib/openssh/regress");
    }

    private boolean elsewhere() {
        return system.getNameCount() > 0;
    }

    static void run(List<String> words) throws IOException, InterruptedException {
        List<String> tests = new ArrayList<>(words);
        Ends ends = new Ends(ours(tests, "--client", "ours"), ours(tests, "--server", "theirs"));
        int parallel = Integer.parseInt(taken(tests, "--parallel", "2", "[1-9][0-9]?"));
        Path system = Path.of(taken(tests, "--root", "/", ".+")).toAbsolutePath();
        if (!Files.isRegularFile(suite(system).resolve("test-exec.sh"))) {
            throw new IllegalArgumentException(
                    "OpenSSH's own tests are not here (apt-get install openssh-tests)");
        }
        for (String test : tests) {
            if (!Files.isRegularFile(suite(system).resolve(test + ".sh"))) {
                throw new IllegalArgumentException("regress: no such test: " + test);
            }
        }
        if (ends.ourClient() || ends.ourServer()) {
            Client.holdfast().warm();
        }
        new Regress(ends, system).all(tests.isEmpty() ? all(suite(system)) : tests, parallel);
    }

    private static boolean ours(List<String> words, String option, String usual) {
        return taken(words, option, usual, "ours|theirs").equals("ours");
    }

    /** Takes an option and its value out of the words. */
    private static String taken(List<String> words, String option, String usual, String shape) {
        int at = words.indexOf(option);
        if (at < 0) {
            return usual;
        }
        if (at + 1 == words.size() || !words.get(at + 1).matches(shape)) {
            throw new IllegalArgumentException("regress: " + option + ": expected " + shape);
        }
        words.remove(at);
        return words.remove(at);
    }

    /** The tests that the Makefile names, those with other people's clients too. */
    private static List<String> all(Path suite) throws IOException {
        List<String> tests = new ArrayList<>();
        boolean inside = false;
        for (String line : Files.readAllLines(suite.resolve("Makefile"))) {
            if (line.matches("(LTESTS|INTEROP_TESTS)\\+?=.*")) {
                inside = true;
                line = line.substring(line.indexOf('=') + 1);
            }
            if (inside) {
                Arrays.stream(line.replace("\\", "").strip().split("\\s+"))
                        .filter(name -> !name.isEmpty() && !OTHER_PROGRAMS.contains(name))
                        .forEach(tests::add);
                inside = line.endsWith("\\");
            }
        }
        return tests;
    }

    private void all(List<String> tests, int parallel) throws IOException, InterruptedException {
        // A name that no test looks for in the paths of its files: "hostkey" would be one.
        Path place = Files.createTempDirectory("holdfast-r");
        Files.setPosixFilePermissions(place, PosixFilePermissions.fromString("rwxr-xr-x"));
        Thread cleaning = new Thread(() -> Trees.remove(place));
        Runtime.getRuntime().addShutdownHook(cleaning);
        Path programs = Files.createDirectory(place.resolve("bin"));
        for (String name : List.of("ssh", "sshd")) {
            Files.createSymbolicLink(programs.resolve(name), Client.checkout().resolve("holdfast"));
        }
        // The one key that takes its time.
        Path rsa = place.resolve("ssh-rsa");
        Command.of("ssh-keygen", "-q", "-N", "", "-t", "rsa", "-f", rsa.toString())
                .end(Duration.ofMinutes(1));
        List<Fate> fates = new ArrayList<>();
        try (ExecutorService pool = Executors.newFixedThreadPool(root ? parallel : 1)) {
            List<Future<Fate>> running = new ArrayList<>();
            for (int i = 0; i < tests.size(); i++) {
                String test = tests.get(i);
                Path directory = Files.createDirectory(place.resolve(Integer.toString(i)));
                Callable<Fate> errand = () -> fate(test, directory, programs, rsa);
                running.add(pool.submit(errand));
            }
            for (Future<Fate> one : running) {
                fates.add(one.get());
            }
        } catch (ExecutionException e) {
            throw new AssertionError(String.valueOf(e.getCause()), e);
        }
        int notRun = count(fates, Fate.NOT_RUN);
        System.out.printf(
                "regress: %d of %d passed, %d failed, %d known to fail, %d not run"
                        + " (%s client, %s server)%n",
                count(fates, Fate.PASSED),
                fates.size() - notRun,
                count(fates, Fate.FAILED),
                count(fates, Fate.KNOWN_TO_FAIL),
                notRun,
                ends.ourClient() ? "our" : "their",
                ends.ourServer() ? "our" : "their");
        if (fates.contains(Fate.FAILED)) {
            throw new AssertionError("regress: logs of what failed are in " + kept);
        }
    }

    private static int count(List<Fate> fates, Fate fate) {
        return (int) fates.stream().filter(fate::equals).count();
    }

    private Fate fate(String test, Path directory, Path programs, Path rsa)
            throws IOException, InterruptedException {
        Command.of("cp", "-a", suite(system) + "/.", directory.toString())
                .end(Duration.ofMinutes(1));
        Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxr-xr-x"));
        for (String name : List.of("ssh-rsa", "ssh-rsa.pub")) {
            Files.copy(
                    rsa.resolveSibling(name),
                    directory.resolve(name),
                    StandardCopyOption.COPY_ATTRIBUTES);
        }
        String said;
        int status;
        long start = System.nanoTime();
        Running running = command(test, directory, programs).start();
        try {
            Ended ended = running.end(PATIENCE);
            said = ended.out() + ended.err();
            status = ended.status();
        } catch (AssertionError late) {
            said = running.out().text() + "not over after " + PATIENCE.toMinutes() + " minutes\n";
            status = 124;
        }
        long seconds = Duration.ofNanos(System.nanoTime() - start).toSeconds();
        String last = said.strip().substring(said.strip().lastIndexOf('\n') + 1);
        Known known = known(test);
        Fate fate;
        String words;
        if (status == 0 && last.toLowerCase(Locale.ROOT).startsWith("skipped")) {
            fate = Fate.NOT_RUN;
            words = "not run: " + last.substring(last.indexOf(':') + 1).strip();
        } else if (status == 0) {
            fate = Fate.PASSED;
            words = known == null ? "passed" : "passed, and is held to fail: " + known.reason();
        } else {
            keep(test, directory, said);
            fate = known == null ? Fate.FAILED : Fate.KNOWN_TO_FAIL;
            words = known == null ? "failed: " + last : "fails, as is known: " + known.reason();
        }
        System.out.printf("%s: %s (%d s)%n", test, words, seconds);
        Trees.remove(directory);
        return fate;
    }

    private @Nullable Known known(String test) {
        return KNOWN.stream()
                .filter(known -> known.test().equals(test) && known.with().holds(ends))
                .findFirst()
                .orElse(null);
    }

    private Command command(String test, Path directory, Path programs) {
        List<String> words = new ArrayList<>();
        if (root) {
            words.addAll(
                    List.of("unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"));
        }
        words.addAll(
                List.of(
                        "sh",
                        "-c",
                        // Zeros without end: what Debian's own run of the suite gives it to read.
                        (root ? "ip link set lo up && " : "") + "\"$@\" </dev/zero; exit $?",
                        "sh"));
        if (elsewhere()) {
            Path into = Client.checkout().resolve("trials").resolve("in-root");
            words.addAll(List.of(into.toString(), system.toString()));
        }
        words.addAll(
                List.of(
                        "sh",
                        directory.resolve("test-exec.sh").toString(),
                        directory.toString(),
                        directory.resolve(test + ".sh").toString()));
        String here = directory.toString();
        return Command.of(words)
                .in(directory)
                .env("BUILDDIR", here)
                .env("OBJ", here)
                .env(".OBJDIR", here)
                .env("SUDO", "")
                .env("TEST_SHELL", "sh")
                .env("TEST_SSH_PORT", Integer.toString(root ? 4242 : Sshd.freePort()))
                .env(
                        "TEST_SSH_SSH",
                        ends.ourClient() ? programs.resolve("ssh").toString() : "/usr/bin/ssh")
                .env(
                        "TEST_SSH_SSHD",
                        ends.ourServer()
                                ? programs.resolve("sshd").toString()
                                : elsewhere() ? "/usr/sbin/sshd" : Sshd.program())
                .env("TEST_SSH_SSHD_SESSION", "/usr/lib/openssh/sshd-session")
                .env("TEST_SSH_SSHD_AUTH", "/usr/lib/openssh/sshd-auth")
                // The suite is older than penalties, and would earn some.
                .env("TEST_SSH_SSHD_CONFOPTS", ends.ourServer() ? "PerSourcePenalties no" : "")
                .env("TEST_SSH_SFTPSERVER", "/usr/lib/openssh/sftp-server")
                .env("TEST_SSH_SFTP", "/usr/bin/sftp")
                .env("TEST_SSH_SCP", "/usr/bin/scp")
                .env("TEST_SSH_PLINK", "/usr/bin/plink")
                .env("TEST_SSH_PUTTYGEN", "/usr/bin/puttygen")
                .env("TEST_SSH_CONCH", "/usr/bin/conch3")
                .env("TEST_SSH_DROPBEAR", "/usr/sbin/dropbear")
                .env("TEST_SSH_DROPBEARKEY", "/usr/bin/dropbearkey")
                .env("TEST_SSH_DROPBEARCONVERT", "/usr/bin/dropbearconvert")
                .env("TEST_SSH_DBCLIENT", "/usr/bin/dbclient")
                .env("TEST_SSH_IPV6", "yes")
                .env("TEST_SSH_ECC", "yes")
                .env("TEST_SSH_UNSAFE_PERMISSIONS", "1");
    }

    private void keep(String test, Path directory, String said) {
        Path logs = kept.resolve(test);
        Trees.remove(logs);
        try {
            Files.createDirectories(logs);
            Files.writeString(logs.resolve("said"), said);
            try (DirectoryStream<Path> failed = Files.newDirectoryStream(directory, "*.log")) {
                for (Path log : failed) {
                    // Of newer suites some are links to what has been cleared away.
                    if (Files.isRegularFile(log)) {
                        Files.copy(log, logs.resolve(log.getFileName()));
                    }
                }
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
