package holdfast.ssh.server;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.core.time.Moment;
import holdfast.ssh.config.ServerSettings.MaxStartups;
import holdfast.ssh.config.ServerSettings.NetBlockSize;
import holdfast.ssh.config.ServerSettings.Overflow;
import holdfast.ssh.config.ServerSettings.PerSourcePenalties;
import holdfast.ssh.log.Log;
import holdfast.ssh.server.Doorkeeper.Offence;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class DoorkeeperTest {

    private static final NetBlockSize BLOCK = new NetBlockSize(32, 128);
    private int dice;

    private static PerSourcePenalties penalties(int sources, Overflow overflow) {
        return new PerSourcePenalties(
                true,
                Duration.ofSeconds(90),
                Duration.ofSeconds(5),
                Duration.ofSeconds(5),
                Duration.ofSeconds(1),
                Duration.ofSeconds(10),
                Duration.ofSeconds(10),
                Duration.ofSeconds(600),
                Duration.ofSeconds(15),
                sources,
                sources,
                overflow,
                overflow);
    }

    private Doorkeeper keeper(MaxStartups startups, int perSource, NetBlockSize block) {
        return keeper(startups, perSource, block, penalties(100, Overflow.PERMISSIVE));
    }

    private Doorkeeper keeper(
            MaxStartups startups, int perSource, NetBlockSize block, PerSourcePenalties penalties) {
        return new Doorkeeper(
                new Doorkeeper.Rules(startups, perSource, block, penalties), bound -> dice);
    }

    private Doorkeeper patient() {
        return keeper(new MaxStartups(10, 30, 100), Integer.MAX_VALUE, BLOCK);
    }

    private static @Nullable String why(
            Doorkeeper keeper, InetAddress from, boolean exempt, double seconds) {
        Doorkeeper.Refusal refusal = keeper.enter(from, exempt, at(seconds));
        return refusal == null ? null : refusal.why();
    }

    private static InetAddress ip(String text) {
        try {
            return InetAddress.getByName(text);
        } catch (UnknownHostException e) {
            throw new IllegalArgumentException(e);
        }
    }

    private static Moment at(double seconds) {
        return new Moment((long) (seconds * 1e9));
    }

    @Test
    void from_the_tenth_login_in_progress_on_chance_decides_and_at_the_hundredth_all_are_refused() {
        Doorkeeper keeper = patient();
        for (int i = 0; i < 10; i++) {
            assertThat(keeper.enter(ip("192.0.2." + i), false, at(0))).isNull();
        }
        dice = 29;
        assertThat(why(keeper, ip("192.0.2.99"), false, 0)).isEqualTo("past MaxStartups");
        dice = 30;
        assertThat(keeper.enter(ip("192.0.2.99"), false, at(0))).isNull();
        dice = 99;
        for (int i = 11; i < 100; i++) {
            assertThat(keeper.enter(ip("192.0.2." + i), false, at(0))).isNull();
        }
        assertThat(why(keeper, ip("192.0.2.1"), false, 0)).isEqualTo("past MaxStartups");
        assertThat(keeper.startups()).isEqualTo(100);
        keeper.leave(ip("192.0.2.1"));
        assertThat(keeper.enter(ip("192.0.2.1"), false, at(0))).isNull();
    }

    @Test
    void the_chance_rises_from_the_rate_to_all_as_sshd_computes_it() {
        Doorkeeper keeper = keeper(new MaxStartups(10, 30, 100), Integer.MAX_VALUE, BLOCK);
        dice = 99;
        for (int i = 0; i < 55; i++) {
            assertThat(keeper.enter(ip("10.0.0." + i), false, at(0))).isNull();
        }
        // 30 + 70 * (55 - 10) / 90 = 65
        dice = 64;
        assertThat(keeper.enter(ip("10.0.1.1"), false, at(0))).isNotNull();
        dice = 65;
        assertThat(keeper.enter(ip("10.0.1.1"), false, at(0))).isNull();
    }

    @Test
    void one_source_may_be_a_whole_network_and_has_its_own_limit() {
        Doorkeeper keeper = keeper(new MaxStartups(10, 30, 100), 2, new NetBlockSize(24, 64));
        assertThat(keeper.enter(ip("192.0.2.1"), false, at(0))).isNull();
        assertThat(keeper.enter(ip("192.0.2.200"), false, at(0))).isNull();
        assertThat(why(keeper, ip("192.0.2.3"), false, 0)).isEqualTo("past MaxStartups");
        assertThat(keeper.enter(ip("192.0.3.3"), false, at(0))).isNull();
        assertThat(keeper.enter(ip("2001:db8::1"), false, at(0))).isNull();
        assertThat(keeper.enter(ip("2001:db8::ffff:1"), false, at(0))).isNull();
        assertThat(keeper.enter(ip("2001:db8::2"), false, at(0))).isNotNull();
        assertThat(keeper.enter(ip("2001:db8:0:1::2"), false, at(0))).isNull();
        keeper.leave(ip("192.0.2.77"));
        assertThat(keeper.enter(ip("192.0.2.3"), false, at(0))).isNull();
    }

    @Test
    void penalties_add_up_and_count_only_from_their_least_time_on() {
        Doorkeeper keeper = patient();
        InetAddress guesser = ip("198.51.100.7");
        keeper.penalise(guesser, Offence.AUTH_FAIL, at(0));
        keeper.penalise(guesser, Offence.AUTH_FAIL, at(0.1));
        assertThat(keeper.enter(guesser, false, at(0.2))).isNull();
        keeper.penalise(guesser, Offence.AUTH_FAIL, at(0));
        assertThat(why(keeper, guesser, false, 0.3)).isEqualTo("penalty: failed authentication");
        assertThat(keeper.penalised(at(0.3))).isEqualTo(1);
        assertThat(keeper.enter(guesser, true, at(0.3))).as("exempt").isNull();
        assertThat(keeper.enter(ip("198.51.100.8"), false, at(0.3))).isNull();
        assertThat(keeper.enter(guesser, false, at(14.9))).isNotNull();
        assertThat(keeper.enter(guesser, false, at(15.1))).isNull();
        assertThat(keeper.penalised(at(15.1))).isZero();
    }

    @Test
    void the_log_hears_of_a_penalty_when_it_is_new_and_when_it_begins_to_count() {
        Doorkeeper keeper =
                keeper(new MaxStartups(10, 30, 100), Integer.MAX_VALUE, new NetBlockSize(24, 64));
        InetAddress guesser = ip("198.51.100.7");
        assertThat(keeper.penalise(guesser, Offence.AUTH_FAIL, at(0)))
                .isEqualTo(
                        "srclimit_penalise: ipv4: new 198.51.100.0/24 deferred penalty of 5 seconds"
                                + " for penalty: failed authentication");
        assertThat(keeper.penalise(guesser, Offence.AUTH_FAIL, at(0))).isNull();
        assertThat(keeper.penalise(ip("198.51.100.8"), Offence.GRACE_EXCEEDED, at(0.5)))
                .isEqualTo(
                        "srclimit_penalise: 198.51.100.0/24: activating ipv4 penalty of 19.500"
                                + " seconds for penalty: exceeded LoginGraceTime");
        assertThat(keeper.penalise(guesser, Offence.AUTH_FAIL, at(1))).isNull();
        assertThat(keeper.penalise(ip("2001:db8::7"), Offence.CRASH, at(0)))
                .isEqualTo(
                        "srclimit_penalise: ipv6: new 2001:db8::/64 active penalty of 90 seconds"
                                + " for penalty: caused crash");
    }

    @Test
    void a_penalty_never_lasts_longer_than_its_most() {
        Doorkeeper keeper = patient();
        InetAddress breaker = ip("198.51.100.7");
        for (int i = 0; i < 50; i++) {
            keeper.penalise(breaker, Offence.CRASH, at(0));
        }
        assertThat(keeper.enter(breaker, false, at(599))).isNotNull();
        assertThat(keeper.enter(breaker, false, at(601))).isNull();
    }

    @Test
    void with_more_sources_than_are_remembered_the_nearest_to_its_end_is_forgotten() {
        Doorkeeper keeper =
                keeper(
                        new MaxStartups(10, 30, 100),
                        Integer.MAX_VALUE,
                        BLOCK,
                        penalties(2, Overflow.PERMISSIVE));
        keeper.penalise(ip("10.0.0.1"), Offence.CRASH, at(0));
        keeper.penalise(ip("10.0.0.2"), Offence.CRASH, at(1));
        keeper.penalise(ip("10.0.0.3"), Offence.CRASH, at(2));
        assertThat(keeper.enter(ip("10.0.0.1"), false, at(3))).isNull();
        assertThat(keeper.enter(ip("10.0.0.2"), false, at(3))).isNotNull();
        assertThat(keeper.enter(ip("10.0.0.3"), false, at(3))).isNotNull();
    }

    @Test
    void or_everybody_new_is_turned_away_until_some_are_forgotten() {
        Doorkeeper keeper =
                keeper(
                        new MaxStartups(10, 30, 100),
                        Integer.MAX_VALUE,
                        BLOCK,
                        penalties(2, Overflow.DENY_ALL));
        keeper.penalise(ip("10.0.0.1"), Offence.CRASH, at(0));
        keeper.penalise(ip("10.0.0.2"), Offence.CRASH, at(1));
        assertThat(why(keeper, ip("10.0.0.9"), false, 3)).isEqualTo("too many penalised addresses");
        assertThat(why(keeper, ip("10.0.0.1"), false, 3)).isEqualTo("too many penalised addresses");
        assertThat(keeper.enter(ip("10.0.0.9"), false, at(91))).isNull();
    }

    private static Doorkeeper.News error(String text) {
        return new Doorkeeper.News(Log.Level.ERROR, text);
    }

    @Test
    void the_log_hears_of_throttling_when_it_begins_every_five_minutes_and_when_it_is_over() {
        Doorkeeper keeper = keeper(new MaxStartups(3, 100, 3), Integer.MAX_VALUE, BLOCK);
        for (int i = 0; i < 3; i++) {
            assertThat(keeper.enter(ip("192.0.2." + i), false, at(0))).isNull();
        }
        assertThat(keeper.news()).isNull();
        for (int i = 0; i < 4; i++) {
            // At LogLevel INFO the first of them stands for all.
            assertThat(keeper.enter(ip("192.0.2.9"), false, at(i)))
                    .isEqualTo(
                            new Doorkeeper.Refusal(
                                    "past MaxStartups",
                                    i == 0 ? Log.Level.INFO : Log.Level.VERBOSE));
            assertThat(keeper.news())
                    .isEqualTo(i == 0 ? error("beginning MaxStartups throttling") : null);
        }
        assertThat(keeper.enter(ip("192.0.2.9"), false, at(301)))
                .isEqualTo(new Doorkeeper.Refusal("past MaxStartups", Log.Level.INFO));
        assertThat(keeper.news())
                .isEqualTo(error("in MaxStartups throttling for 00:05:01, 5 connections dropped"));
        keeper.leave(ip("192.0.2.0"));
        assertThat(keeper.enter(ip("192.0.2.9"), false, at(4000))).isNull();
        assertThat(keeper.news()).isNull();
        keeper.leave(ip("192.0.2.9"));
        keeper.leave(ip("192.0.2.2"));
        assertThat(keeper.enter(ip("192.0.2.9"), false, at(4001))).isNull();
        assertThat(keeper.news())
                .isEqualTo(
                        new Doorkeeper.News(
                                Log.Level.INFO,
                                "exited MaxStartups throttling after 01:06:41, 5 connections"
                                        + " dropped"));
        assertThat(keeper.news()).isNull();
    }

    @Test
    void a_source_beyond_its_own_limit_is_a_part_of_the_throttling_and_one_with_a_penalty_is_not() {
        Doorkeeper keeper = keeper(new MaxStartups(10, 30, 100), 1, BLOCK);
        assertThat(keeper.enter(ip("192.0.2.1"), false, at(0))).isNull();
        assertThat(keeper.enter(ip("192.0.2.1"), false, at(0)))
                .isEqualTo(new Doorkeeper.Refusal("past MaxStartups", Log.Level.INFO));
        assertThat(keeper.news()).isEqualTo(error("beginning MaxStartups throttling"));
        assertThat(keeper.enter(ip("192.0.2.2"), false, at(8 * 86_400 + 3600))).isNull();
        assertThat(keeper.news())
                .isEqualTo(
                        new Doorkeeper.News(
                                Log.Level.INFO,
                                "exited MaxStartups throttling after 01w1d01h, 1 connections"
                                        + " dropped"));
        keeper.penalise(ip("192.0.2.3"), Offence.CRASH, at(0));
        assertThat(keeper.enter(ip("192.0.2.3"), false, at(1)))
                .isEqualTo(new Doorkeeper.Refusal("penalty: caused crash", Log.Level.INFO));
        assertThat(keeper.news()).isNull();
    }
}
