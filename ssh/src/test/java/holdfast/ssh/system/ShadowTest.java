package holdfast.ssh.system;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class ShadowTest {

    private static final List<String> FILE =
            List.of(
                    "root:!$6$abc$def:19000:0:99999:7:::",
                    "guest:$6$saltsalt$x:19000:0:99999:7::19500:",
                    "odd:*:19000:0:99999:7::soon:",
                    "open::::::::");

    @Test
    void a_line_tells_the_hash_and_the_last_day() {
        assertThat(Shadow.find(FILE, "root").orElseThrow().locked()).isTrue();
        Shadow.Entry guest = Shadow.find(FILE, "guest").orElseThrow();
        assertThat(guest.locked()).isFalse();
        assertThat(guest.expired(19500)).isFalse();
        assertThat(guest.expired(19501)).isTrue();
        assertThat(Shadow.find(FILE, "odd").orElseThrow().expired(20000)).isTrue();
        assertThat(Shadow.find(FILE, "open").orElseThrow().hash()).isEmpty();
        assertThat(Shadow.find(FILE, "gues")).isEmpty();
    }

    @Test
    void a_password_expires_when_it_is_too_old_or_was_never_the_users_own() {
        List<String> file =
                List.of(
                        "aged:x:100:0:30:7:::",
                        "forced:x:0:0:99999:7:::",
                        "lasting:x:100:0::7:::",
                        "open::::::::");
        Shadow.Entry aged = Shadow.find(file, "aged").orElseThrow();
        assertThat(aged.passwordExpired(130)).isFalse();
        assertThat(aged.passwordExpired(131)).isTrue();
        assertThat(Shadow.find(file, "forced").orElseThrow().passwordExpired(1)).isTrue();
        assertThat(Shadow.find(file, "lasting").orElseThrow().passwordExpired(99_999)).isFalse();
        assertThat(Shadow.find(file, "open").orElseThrow().passwordExpired(99_999)).isFalse();
    }

    @Test
    void a_hash_is_not_shown() {
        assertThat(Shadow.find(FILE, "guest").orElseThrow().toString()).doesNotContain("salt");
    }

    /** The example of crypt(5)'s sha512crypt, from its specification. */
    @Test
    void crypt_agrees_with_the_specification_of_its_hash() {
        String hash =
                "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJu"
                        + "esI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
        assertThat(Shadow.matches(hash, "Hello world!")).isTrue();
        assertThat(Shadow.matches(hash, "Hello world")).isFalse();
        assertThat(Shadow.matches("*", "")).isFalse();
        assertThat(Shadow.matches("", "")).isFalse();
    }
}
