package holdfast.lab.sim;

import static org.assertj.core.api.Assertions.assertThat;

import holdfast.lab.sim.Run.How;
import holdfast.lab.sim.Survival.Fate;
import holdfast.lab.sim.Survival.Keepalive;
import holdfast.lab.sim.Survival.Row;
import holdfast.lab.sim.Survival.Speaker;
import holdfast.lab.sim.Survival.Times;
import holdfast.lab.sim.Survival.Trouble;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class SurvivalTest {

    private static final Times TIMES = Times.usual();

    private static Row row(Trouble trouble, Keepalive keepalive, Speaker speaker) {
        return Survival.row(TIMES, keepalive, speaker, trouble);
    }

    @Test
    void every_cell_of_the_matrix_is_a_row_and_breaks_no_invariant() {
        List<Row> rows = Survival.table(TIMES);
        assertThat(rows).hasSize(11 * 4 * 2);
        for (Row row : rows) {
            Run run =
                    World.run(
                            Survival.scenario(
                                    TIMES, row.keepalive(), row.speaker(), row.trouble()));
            assertThat(run.violations()).as(row.toString()).isEmpty();
        }
    }

    @Test
    void a_keepalive_below_the_limit_lives_through_every_way_of_expiring() {
        for (Trouble trouble : List.of(Trouble.values()).subList(0, 6)) {
            for (Speaker speaker : Speaker.values()) {
                assertThat(row(trouble, Keepalive.BELOW_LIMIT, speaker).fate())
                        .as("%s %s", trouble, speaker)
                        .isEqualTo(Fate.LIVED);
            }
        }
    }

    @Test
    void without_a_keepalive_a_forgetful_box_costs_fifteen_minutes_after_the_first_word() {
        Row row = row(Trouble.SILENT, Keepalive.NONE, Speaker.CLIENT);
        assertThat(row.fate()).isEqualTo(Fate.DIED);
        assertThat(row.clientBy()).isEqualTo(How.RETRANSMISSION_GIVEN_UP);
        Duration spoke = TIMES.struck().until(TIMES.speaks());
        assertThat(row.client()).isBetween(spoke.plusSeconds(920), spoke.plusSeconds(970));
    }

    @Test
    void a_reviving_box_kills_only_who_lets_the_server_speak_first() {
        assertThat(row(Trouble.REVIVE, Keepalive.NONE, Speaker.CLIENT).fate())
                .isEqualTo(Fate.LIVED);
        Row row = row(Trouble.REVIVE, Keepalive.NONE, Speaker.SERVER);
        assertThat(row.fate()).isEqualTo(Fate.DIED);
        assertThat(row.serverBy()).isEqualTo(How.RESET);
    }

    @Test
    void a_dead_flow_is_noticed_by_the_client_in_count_and_one_intervals() {
        Row row = row(Trouble.FLOW_DEATH, Keepalive.BELOW_LIMIT, Speaker.CLIENT);
        assertThat(row.clientBy()).isEqualTo(How.CONDEMNED);
        // Four intervals after the last reply, which came up to one interval before the trouble.
        assertThat(row.client()).isBetween(Duration.ofMinutes(3), Duration.ofMinutes(4));
        assertThat(row.serverBy()).isEqualTo(How.RETRANSMISSION_GIVEN_UP);
    }

    @Test
    void an_outage_in_silence_harms_nobody() {
        for (Keepalive keepalive : Keepalive.values()) {
            assertThat(row(Trouble.CUT, keepalive, Speaker.SERVER).fate())
                    .as("%s", keepalive)
                    .isEqualTo(Fate.LIVED);
        }
    }
}
