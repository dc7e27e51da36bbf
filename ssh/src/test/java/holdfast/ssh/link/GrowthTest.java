package holdfast.ssh.link;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** When a heap has grown too much, in sizes and times that are literals. */
class GrowthTest {

    private static final long MIB = 1 << 20;
    private static final long SECOND = 1_000_000_000;

    private final Growth growth = new Growth();

    private boolean tooMuch(long mebibytes, long seconds) {
        return growth.tooMuch(mebibytes * MIB, seconds * SECOND);
    }

    private void collected(long mebibytes, long alive, long from, long until) {
        growth.collected(mebibytes * MIB, alive * MIB, from * SECOND, until * SECOND);
    }

    @Test
    void a_small_heap_has_sixteen_mebibytes_to_grow_by() {
        assertThat(tooMuch(10, -5)).isFalse();
        assertThat(tooMuch(26, -4)).isFalse();
        assertThat(tooMuch(27, -3)).isTrue();
    }

    @Test
    void a_large_heap_may_grow_by_as_much_as_lives_in_it() {
        collected(230, 200, 0, 0);
        assertThat(tooMuch(430, 1)).isFalse();
        assertThat(tooMuch(431, 1)).isTrue();
    }

    @Test
    void room_that_is_kept_for_the_young_gives_no_more() {
        collected(32, 5, 0, 0);
        assertThat(tooMuch(48, 1)).isFalse();
        assertThat(tooMuch(49, 1)).isTrue();
    }

    @Test
    void what_it_grows_by_is_counted_from_its_least() {
        assertThat(tooMuch(100, 1)).isFalse();
        assertThat(tooMuch(20, 2)).isFalse();
        assertThat(tooMuch(41, 3)).isTrue();
    }

    @Test
    void a_collection_that_took_long_is_not_followed_by_another_at_once() {
        collected(100, 90, 10, 12);
        assertThat(tooMuch(300, 61)).isFalse();
        assertThat(tooMuch(300, 62)).isTrue();
    }
}
