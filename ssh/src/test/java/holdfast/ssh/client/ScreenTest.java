package holdfast.ssh.client;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.core.liveness.LinkCommand.ShowDoubt;
import holdfast.core.time.Moment;
import org.junit.jupiter.api.Test;

final class ScreenTest {

    private static Moment at(long seconds) {
        return new Moment(seconds * 1_000_000_000L);
    }

    @Test
    void a_cut_off_session_says_since_when_what_is_tried_for_how_long_and_the_way_out() {
        assertThat(Screen.words(at(10), at(86_410), at(13), '~'))
                .isEqualTo(
                        "[holdfast: cut off for 3 s; reconnecting, what you type is kept; session"
                                + " held for 24 h; ~. leaves now]");
    }

    @Test
    void the_line_says_since_when_what_comes_next_and_the_way_out() {
        assertThat(Screen.words(new ShowDoubt(at(10), at(70)), at(22), '~'))
                .isEqualTo("[holdfast: nothing heard for 12 s; giving up in 48 s; ~. leaves now]");
    }

    @Test
    void long_times_are_told_in_minutes_and_hours() {
        assertThat(Screen.words(new ShowDoubt(at(0), at(7_560)), at(300), '~'))
                .isEqualTo("[holdfast: nothing heard for 5 min; giving up in 2 h; ~. leaves now]");
    }

    @Test
    void where_nothing_gives_the_link_up_the_line_says_so() {
        assertThat(Screen.words(new ShowDoubt(at(0), null), at(7), '~'))
                .isEqualTo(
                        "[holdfast: nothing heard for 7 s; waiting, ServerAliveInterval is off; ~. leaves now]");
    }

    @Test
    void the_way_out_is_the_persons_own_escape_character_or_not_told() {
        ShowDoubt doubt = new ShowDoubt(at(0), at(20));
        assertThat(Screen.words(doubt, at(5), '^')).endsWith("; ^. leaves now]");
        assertThat(Screen.words(doubt, at(5), -1)).endsWith("giving up in 15 s]");
    }
}
