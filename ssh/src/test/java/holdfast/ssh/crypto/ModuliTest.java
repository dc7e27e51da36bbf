package holdfast.ssh.crypto;

import static org.assertj.core.api.Assertions.assertThat;

import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class ModuliTest {

    @TempDir Path directory;

    private final List<String> warned = new ArrayList<>();

    /** Its primes are none, which nobody looks at here. */
    private static String line(int bits, String before) {
        return before + (bits - 1) + " 2 " + BigInteger.ONE.shiftLeft(bits - 1).toString(16);
    }

    private static String line(int bits) {
        return line(bits, "20220714110357 2 6 100 ");
    }

    private Moduli of(String... lines) throws Exception {
        Path file = Files.write(directory.resolve("moduli"), List.of(lines));
        return new Moduli(file, warned::add);
    }

    private static int bits(Moduli.@Nullable Group group) {
        return Objects.requireNonNull(group).bits();
    }

    @Test
    void the_shortest_that_is_longer_than_wanted_is_taken_else_the_longest() throws Exception {
        Moduli moduli = of("# Time Type", line(2048), line(3072), line(4096), line(8192));
        assertThat(bits(moduli.choose(2048, 3000, 8192))).isEqualTo(3072);
        assertThat(bits(moduli.choose(2048, 8192, 8192))).isEqualTo(8192);
        assertThat(bits(moduli.choose(2048, 5000, 6000))).isEqualTo(4096);
        assertThat(bits(moduli.choose(1024, 1024, 8192))).isEqualTo(2048);
        assertThat(warned).isEmpty();
    }

    @Test
    void what_is_out_of_range_has_no_group() throws Exception {
        Moduli moduli = of(line(4096));
        assertThat(moduli.choose(1024, 1024, 2047)).isNull();
        assertThat(moduli.choose(9000, 9000, 16_000)).isNull();
        assertThat(moduli.choose(4096, 3072, 8192)).isNull();
        assertThat(moduli.choose(-1, -1, -1)).isNull();
    }

    @Test
    void lines_that_promise_no_safe_prime_are_passed_over() {
        assertThat(Moduli.group(line(2048))).isNotNull();
        assertThat(Moduli.group("# " + line(2048))).isNull();
        assertThat(Moduli.group(line(2048, "20220714110357 4 6 100 "))).isNull();
        assertThat(Moduli.group(line(2048, "20220714110357 2 7 100 "))).isNull();
        assertThat(Moduli.group(line(2048, "20220714110357 2 0 100 "))).isNull();
        assertThat(Moduli.group(line(2048) + "0")).isNull();
        assertThat(Moduli.group("x 2 6 100 2047 2 zz")).isNull();
        assertThat(Moduli.group("")).isNull();
    }

    @Test
    void without_a_file_or_a_fitting_line_a_group_of_RFC_3526_is_taken() throws Exception {
        Moduli missing = new Moduli(directory.resolve("none"), warned::add);
        assertThat(bits(missing.choose(2048, 2048, 2048))).isEqualTo(2048);
        assertThat(bits(missing.choose(2048, 3072, 4096))).isEqualTo(4096);
        assertThat(bits(missing.choose(2048, 8192, 8192))).isEqualTo(8192);
        assertThat(warned)
                .hasSize(3)
                .containsOnly(
                        "WARNING: could not open "
                                + directory.resolve("none")
                                + " (No such file or directory), using fixed modulus");
        warned.clear();
        assertThat(bits(of(line(8192)).choose(2048, 2048, 4096))).isEqualTo(4096);
        assertThat(warned)
                .containsExactly("WARNING: no suitable primes in " + directory.resolve("moduli"));
    }

    @Test
    void a_file_that_has_changed_is_read_again() throws Exception {
        Moduli moduli = of(line(3072));
        assertThat(bits(moduli.choose(2048, 2048, 8192))).isEqualTo(3072);
        Path file = Files.write(directory.resolve("moduli"), List.of(line(4096)));
        Files.setLastModifiedTime(file, FileTime.fromMillis(1_000_000_000_000L));
        assertThat(bits(moduli.choose(2048, 2048, 8192))).isEqualTo(4096);
    }
}
