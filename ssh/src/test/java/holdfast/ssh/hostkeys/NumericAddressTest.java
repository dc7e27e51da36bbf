package holdfast.ssh.hostkeys;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.net.UnknownHostException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class NumericAddressTest {

    @ParameterizedTest
    @ValueSource(
            strings = {
                "127.0.0.1",
                "::",
                "::1",
                "1::",
                "2001:db8::1",
                "2001:db8:0:1:1:1:1:1",
                "1:0:0:2::3",
                "1::2:0:0:3:4",
                "fd00:1:2:3:4:5:6:7"
            })
    void an_address_is_written_in_its_shortest_form(String text) throws UnknownHostException {
        assertThat(NumericAddress.text(InetAddress.getByName(text))).isEqualTo(text);
    }

    @Test
    void a_link_local_address_names_its_interface() throws UnknownHostException {
        assertThat(NumericAddress.text(InetAddress.getByName("fe80::1%1"))).startsWith("fe80::1%");
    }
}
