package holdfast.ssh.forward;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class InOrderTest {

    private final InOrder order = new InOrder();
    private final List<String> ran = new ArrayList<>();

    private void then(String what) {
        assertThat(order.then(() -> ran.add(what))).isTrue();
    }

    @Test
    void nothing_overtakes_what_has_waited() throws Exception {
        order.later();
        assertThat(
                        order.then(() -> {
                            ran.add("first");
                            then("third");
                        }))
                .isTrue();
        then("second");
        order.answered(request -> ran.add("a request"));
        assertThat(ran).containsExactly("first", "second", "third");
    }

    @Test
    void more_than_a_bound_does_not_wait() {
        order.later();
        for (int i = 0; i < 256; i++) {
            then("one");
        }
        assertThat(order.then(() -> ran.add("too many"))).isFalse();
        assertThat(ran).isEmpty();
    }

    @Test
    void what_a_session_asks_for_waits_for_the_answer_to_what_was_asked_before() throws Exception {
        then("before");
        assertThat(ran).containsExactly("before");
        order.later();
        then("first");
        then("second");
        assertThat(ran).containsExactly("before");
        order.answered(request -> ran.add("a request"));
        then("after");
        assertThat(ran).containsExactly("before", "first", "second", "after");
    }
}
