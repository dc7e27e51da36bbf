package holdfast.ssh.server.auth;

import holdfast.ssh.config.Patterns;
import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.log.Log;
import holdfast.ssh.system.Account;
import holdfast.ssh.system.Shadow;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Supplier;

/** Whether a user may log in at all, whatever they prove: OpenSSH's allowed_user (auth.c). */
final class Admission {

    private Admission() {}

    /** False with a line in the log saying why. */
    static boolean allows(
            Account account,
            ServerSettings settings,
            Machine machine,
            String address,
            Supplier<String> host,
            Log log)
            throws IOException {
        String name = account.name();
        if (!machine.privileged() && machine.own().uid() != account.uid()) {
            log.info(
                    "User "
                            + name
                            + " not allowed because this server runs as "
                            + machine.own().name());
            return false;
        }
        String chroot = settings.chrootDirectory();
        if (chroot == null || chroot.equalsIgnoreCase("none")) {
            Path shell = account.shell();
            if (!Files.exists(shell)) {
                log.info(
                        "User " + name + " not allowed because shell " + shell + " does not exist");
                return false;
            }
            if (!Files.isRegularFile(shell) || !executable(shell)) {
                log.info(
                        "User "
                                + name
                                + " not allowed because shell "
                                + shell
                                + " is not executable");
                return false;
            }
        }
        Shadow.Entry entry = settings.usePam() ? null : machine.shadowOf(account);
        if (entry != null && entry.locked()) {
            log.info("User " + name + " not allowed because account is locked");
            return false;
        }
        if (entry != null && entry.expired(System.currentTimeMillis() / 86_400_000)) {
            log.info("Account " + name + " has expired");
            return false;
        }
        if (settings.denyUsers().isEmpty()
                && settings.allowUsers().isEmpty()
                && settings.denyGroups().isEmpty()
                && settings.allowGroups().isEmpty()) {
            return true;
        }
        String refused = "User " + name + " from " + host.get() + " not allowed because ";
        for (String pattern : settings.denyUsers()) {
            if (fits(name, host.get(), address, pattern)) {
                log.info(refused + "listed in DenyUsers");
                return false;
            }
        }
        if (!settings.allowUsers().isEmpty()
                && settings.allowUsers().stream()
                        .noneMatch(pattern -> fits(name, host.get(), address, pattern))) {
            log.info(refused + "not listed in AllowUsers");
            return false;
        }
        if (settings.denyGroups().isEmpty() && settings.allowGroups().isEmpty()) {
            return true;
        }
        List<String> groups = account.groupNames();
        if (groups.isEmpty()) {
            log.info(refused + "not in any group");
            return false;
        }
        if (anyGroup(groups, settings.denyGroups())) {
            log.info(refused + "a group is listed in DenyGroups");
            return false;
        }
        if (!settings.allowGroups().isEmpty() && !anyGroup(groups, settings.allowGroups())) {
            log.info(refused + "none of user's groups are listed in AllowGroups");
            return false;
        }
        return true;
    }

    private static boolean executable(Path shell) throws IOException {
        return ((int) Files.getAttribute(shell, "unix:mode") & 0111) != 0;
    }

    /** {@code USER} or {@code USER@HOST}, the latter a pattern or a range of addresses. */
    static boolean fits(String user, String host, String address, String pattern) {
        int at = pattern.lastIndexOf('@');
        if (at < 0) {
            return Patterns.matches(user, pattern);
        }
        return Patterns.matches(user, pattern.substring(0, at))
                && Addresses.hostAndAddress(host, address, pattern.substring(at + 1))
                        == Addresses.Answer.YES;
    }

    private static boolean anyGroup(List<String> groups, List<String> patterns) {
        return patterns.stream()
                .anyMatch(pattern ->
                        groups.stream().anyMatch(group -> Patterns.matches(group, pattern)));
    }
}
