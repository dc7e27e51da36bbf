package holdfast.ssh.system;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class PrivateGroupTest {

    private static final List<String> PASSWD =
            List.of(
                    "root:x:0:0:root:/root:/bin/bash",
                    "ann:x:1000:1000:Ann:/home/ann:/bin/sh",
                    "bob:x:1001:1001::/home/bob:/bin/sh",
                    "cleo:x:1002:100::/home/cleo:/bin/sh",
                    "dan:x:1003:100::/home/dan:/bin/sh",
                    "nonsense");

    private static final List<String> GROUPS =
            List.of(
                    "root:x:0:",
                    "users:x:100:",
                    "ann:x:1000:",
                    "bob:x:1001:ann",
                    "both:x:1004:ann,bob",
                    "alone:x:1005:ann",
                    "nobody:x:1006:",
                    "nonsense");

    private static boolean is(long gid, long uid) {
        return PrivateGroup.of(gid, uid, PASSWD, GROUPS);
    }

    @Test
    void a_group_is_private_to_the_one_user_who_is_in_it() {
        assertThat(is(1000, 1000)).isTrue();
        assertThat(is(1005, 1000)).isTrue();
        assertThat(is(0, 0)).isTrue();
    }

    @Test
    void a_group_with_another_in_it_or_nobody_or_that_is_none_is_not() {
        assertThat(is(1000, 1001)).as("another's").isFalse();
        assertThat(is(1001, 1001)).as("another is a member").isFalse();
        assertThat(is(100, 1002)).as("of two by their primary group").isFalse();
        assertThat(is(1004, 1000)).as("of two members").isFalse();
        assertThat(is(1006, 1000)).as("empty").isFalse();
        assertThat(is(4711, 1000)).as("unknown").isFalse();
        assertThat(is(1000, 4711)).as("unknown user").isFalse();
    }
}
