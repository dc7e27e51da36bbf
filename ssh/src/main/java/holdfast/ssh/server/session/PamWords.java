package holdfast.ssh.server.session;

import holdfast.ssh.log.Log;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.system.Account;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;

/**
 * What the session modules of PAM's service would tell somebody who logs in: pam_motd(8) and
 * pam_mail(8), which is where Debian's message of the day comes from (its sshd_config has PrintMotd
 * no). Sessions are opened by runuser, under its own service, and so these two are never asked.
 *
 * <p>As root, on a thread that may wait: pam_motd of Debian has /etc/update-motd.d run first.
 */
final class PamWords {

    private static final String MOTD = "/etc/motd:/run/motd:/usr/lib/motd";
    private static final String MOTD_DIRECTORIES = "/etc/motd.d:/run/motd.d:/usr/lib/motd.d";
    private static final Path UPDATES = Path.of("/etc/update-motd.d");
    private static final Path DYNAMIC = Path.of("/run/motd.dynamic");

    /** Of one text, and of all of them. */
    private static final int MOST_BYTES = 64 * 1024;

    /** Files that include one another are followed so deep. */
    private static final int DEEPEST = 8;

    /** Scripts that take longer are killed: the person waits for their shell. */
    private static final long UPDATE_SECONDS = 20;

    /** One update at a time: they write the same file. */
    private static final Object UPDATING = new Object();

    private final Path services;
    private final Path updates;
    private final Path dynamic;
    private final Log log;
    private final StringBuilder text = new StringBuilder();

    private PamWords(Path services, Path updates, Path dynamic, Log log) {
        this.services = services;
        this.updates = updates;
        this.dynamic = dynamic;
        this.log = log;
    }

    /** Each line ended by \n. */
    static String of(String service, Account account, Log log) {
        return of(Path.of("/etc/pam.d"), UPDATES, DYNAMIC, service, account, log);
    }

    /** The same with the system's files elsewhere. */
    static String of(
            Path services, Path updates, Path dynamic, String service, Account account, Log log) {
        PamWords words = new PamWords(services, updates, dynamic, log);
        words.service(service, account, 0);
        return words.text.toString();
    }

    /** Whether a service's sessions have pam_motd, which leaves MOTD_SHOWN in their environment. */
    static boolean showsMotd(String service) {
        return showsMotd(Path.of("/etc/pam.d"), service, 0);
    }

    private static boolean showsMotd(Path services, String name, int depth) {
        if (depth > DEEPEST || name.contains("/")) {
            return false;
        }
        for (String line : Found.lines(services.resolve(name))) {
            String[] words = words(line);
            boolean session = words.length > 2 && words[0].replaceFirst("^-", "").equals("session");
            if (words.length > 1 && words[0].equals("@include")) {
                if (showsMotd(services, words[1], depth + 1)) {
                    return true;
                }
            } else if (session && (words[1].equals("include") || words[1].equals("substack"))) {
                if (showsMotd(services, words[2], depth + 1)) {
                    return true;
                }
            } else if (session && words[2].endsWith("pam_motd.so")) {
                return true;
            }
        }
        return false;
    }

    /** A control of several words stands in brackets. */
    private static String[] words(String line) {
        int comment = line.indexOf('#');
        return (comment < 0 ? line : line.substring(0, comment))
                .replaceAll("\\[[^]]*]", "[]")
                .strip()
                .split("\\s+", -1);
    }

    private void service(String name, Account account, int depth) {
        if (depth > DEEPEST || name.contains("/")) {
            return;
        }
        for (String line : Found.lines(services.resolve(name))) {
            String[] words = words(line);
            if (words.length > 1 && words[0].equals("@include")) {
                service(words[1], account, depth + 1);
            } else if (words.length > 2 && words[0].replaceFirst("^-", "").equals("session")) {
                List<String> arguments = List.of(words).subList(3, words.length);
                String module = words[2].substring(words[2].lastIndexOf('/') + 1);
                if (words[1].equals("include") || words[1].equals("substack")) {
                    service(words[2], account, depth + 1);
                } else if (module.equals("pam_motd.so")) {
                    motd(arguments);
                } else if (module.equals("pam_mail.so")) {
                    mail(arguments, account);
                }
            }
        }
    }

    // ---- pam_motd

    private void motd(List<String> arguments) {
        if (!arguments.contains("noupdate")) {
            update();
        }
        String files = value(arguments, "motd=");
        String directories = value(arguments, "motd_dir=");
        boolean neither = files.isEmpty() && directories.isEmpty();
        for (String file : (neither ? MOTD : files).split(":", -1)) {
            if (!file.isEmpty() && show(Octets.path(file))) {
                break; // one stands for those behind it
            }
        }
        Map<String, Path> all = new TreeMap<>();
        for (String directory : (neither ? MOTD_DIRECTORIES : directories).split(":", -1)) {
            if (directory.isEmpty()) {
                continue;
            }
            try (DirectoryStream<Path> entries = Files.newDirectoryStream(Octets.path(directory))) {
                entries.forEach(
                        entry -> all.putIfAbsent(String.valueOf(entry.getFileName()), entry));
            } catch (IOException absent) {
                // and the next
            }
        }
        all.values().forEach(this::show);
    }

    private static String value(List<String> arguments, String name) {
        for (String argument : arguments) {
            if (argument.startsWith(name)) {
                return argument.substring(name.length());
            }
        }
        return "";
    }

    /** Whether there was such a file. */
    private boolean show(Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            if (!Files.isRegularFile(file)) {
                return false;
            }
            byte[] bytes = in.readNBytes(MOST_BYTES);
            if (bytes.length > 0 && text.length() < MOST_BYTES) {
                line(Octets.text(bytes));
            }
            return true;
        } catch (IOException absent) {
            return false;
        }
    }

    private void line(String words) {
        text.append(words);
        if (!words.endsWith("\n")) {
            text.append('\n');
        }
    }

    /** Debian's: the scripts' words of now are what /run/motd.dynamic says. */
    private void update() {
        if (!Files.isDirectory(updates)) {
            return;
        }
        synchronized (UPDATING) {
            Path fresh = dynamic.resolveSibling(dynamic.getFileName() + ".new");
            try {
                ProcessBuilder scripts =
                        new ProcessBuilder("run-parts", "--lsbsysinit", updates.toString());
                scripts.environment().clear();
                scripts.environment()
                        .put(
                                "PATH",
                                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
                scripts.directory(Path.of("/").toFile());
                scripts.redirectInput(Path.of("/dev/null").toFile());
                scripts.redirectError(ProcessBuilder.Redirect.DISCARD);
                Files.deleteIfExists(fresh);
                Files.createFile(fresh);
                scripts.redirectOutput(fresh.toFile());
                Process running = scripts.start();
                if (!running.waitFor(UPDATE_SECONDS, TimeUnit.SECONDS)) {
                    running.descendants().forEach(ProcessHandle::destroyForcibly);
                    running.destroyForcibly();
                    log.error(updates + " took longer than " + UPDATE_SECONDS + " s; killed");
                }
                Files.move(fresh, dynamic, StandardCopyOption.REPLACE_EXISTING);
            } catch (IOException e) {
                log.debug("message of the day: " + e.getMessage());
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }

    // ---- pam_mail

    private void mail(List<String> arguments, Account account) {
        if (arguments.contains("nopen") || arguments.contains("quiet")) {
            return;
        }
        String directory = value(arguments, "dir=");
        Path box = Path.of(directory.isEmpty() ? "/var/mail" : directory, account.name());
        boolean empty = true;
        boolean unread = false;
        try {
            BasicFileAttributes found = Files.readAttributes(box, BasicFileAttributes.class);
            FileTime read = found.lastAccessTime();
            empty = !found.isRegularFile() || found.size() == 0;
            unread = read.compareTo(found.lastModifiedTime()) < 0;
        } catch (IOException absent) {
            empty = true;
        }
        if (empty) {
            if (arguments.contains("empty")) {
                line(
                        arguments.contains("standard")
                                ? "No mail."
                                : "You have no mail in folder " + box + ".");
            }
        } else if (arguments.contains("standard")) {
            line(unread ? "You have new mail." : "You have mail.");
        } else {
            line("You have " + (unread ? "new" : "old") + " mail in folder " + box + ".");
        }
    }
}
