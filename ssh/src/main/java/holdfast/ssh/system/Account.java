package holdfast.ssh.system;

import java.nio.file.Path;
import java.util.List;

/**
 * One user of this machine, as its user database says (getpwnam(3), getgrouplist(3)).
 *
 * @param gid the primary group's number, {@code group} its name
 * @param groups the numbers of all groups, the primary one included
 * @param groupNames the same by name, where they have one
 * @param shell the login shell; /bin/sh where the database names none
 */
public record Account(
        String name,
        int uid,
        int gid,
        String group,
        List<Integer> groups,
        List<String> groupNames,
        String gecos,
        Path home,
        Path shell) {

    public Account {
        groups = List.copyOf(groups);
        groupNames = List.copyOf(groupNames);
    }
}
