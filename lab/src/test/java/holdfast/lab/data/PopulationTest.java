package holdfast.lab.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import holdfast.lab.middlebox.IdleNat.Expiry;
import holdfast.lab.sim.NatTimeouts;
import holdfast.lab.sim.NatTimeouts.Row;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class PopulationTest {

    private static final String HEADER =
            "name,category,idle_timeout_s,range,on_expiry,source_url_or_citation,year,confidence\n";

    private static final String GOOD = "box,home,300,,silent_drop,somewhere,2020,high\n";

    @Test
    void ninety_one_real_timeouts_are_shipped_each_with_its_source() {
        NatTimeouts shipped = Population.shipped();
        assertThat(shipped.rows()).hasSize(91);
        assertThat(shipped.rows()).allMatch(row -> !row.source().isBlank());
        assertThat(shipped.rows()).extracting(Row::timeout).contains(Duration.ofSeconds(350));
        assertThat(shipped.rows())
                .extracting(Row::expiry)
                .contains(
                        Expiry.SILENT,
                        Expiry.RESET_SPEAKER,
                        Expiry.RESET_BOTH,
                        Expiry.CLOSE,
                        Expiry.REVIVE);
    }

    @Test
    void quoted_fields_may_hold_commas_and_quotes() {
        Row row =
                NatTimeouts.parse("f", HEADER + "\"a, \"\"b\"\"\",home,5,,close,\"x, y\",,low\n")
                        .rows()
                        .getFirst();
        assertThat(row.name()).isEqualTo("a, \"b\"");
        assertThat(row.source()).isEqualTo("x, y");
        assertThat(row.year()).isNull();
    }

    @Test
    void a_bad_row_is_rejected_with_its_line() {
        rejected("a,home,abc,,x,src,2020,high", "idle_timeout_s: expected seconds, got \"abc\"");
        rejected("a,home,-5,,x,src,2020,high", "idle_timeout_s: expected seconds, got \"-5\"");
        rejected("a,home,0,,x,src,2020,high", "idle_timeout_s: expected seconds, got \"0\"");
        rejected("a,home,5,,x,,2020,high", "source_url_or_citation: no source");
        rejected("a,home,5,,x,src,20,high", "year: expected a year or nothing, got \"20\"");
        rejected(
                "a,home,5,,x,src,2020,sure",
                "confidence: expected low, medium or high, got \"sure\"");
        rejected("a,home,5,,x,src,2020", "expected 8 fields, got 7");
        rejected("a,home,5,,\"x,src,2020,high", "a quote is not closed");
        rejected(",home,5,,x,src,2020,high", "name and category are not empty");
        rejected("", "expected 8 fields, got 1");
    }

    @Test
    void a_file_without_its_header_or_rows_is_rejected() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> NatTimeouts.parse("f.csv", GOOD))
                .withMessageStartingWith("f.csv line 1: expected the header");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> NatTimeouts.parse("f.csv", HEADER))
                .withMessage("f.csv line 1: no rows after the header");
    }

    private static void rejected(String row, String because) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> NatTimeouts.parse("f.csv", HEADER + GOOD + row + "\n"))
                .withMessage("f.csv line 3: " + because);
    }
}
