package holdfast.ssh.link;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.util.List;
import org.junit.jupiter.api.Test;

class AddressOrderTest {

    private static InetAddress address(int last) throws Exception {
        return InetAddress.getByAddress(new byte[] {10, 0, 0, (byte) last});
    }

    @Test
    void an_address_that_swallows_everything_does_not_keep_the_others_from_their_turn()
            throws Exception {
        InetAddress one = address(1);
        InetAddress two = address(2);
        InetAddress three = address(3);
        List<InetAddress> all = List.of(one, two, three);
        AddressOrder order = new AddressOrder(two);
        assertThat(order.next(all)).containsExactly(two, three, one);
        assertThat(order.next(all)).containsExactly(three, one, two);
        assertThat(order.next(all)).containsExactly(one, two, three);
        assertThat(order.next(all)).containsExactly(two, three, one);
        // The name has other addresses by now.
        assertThat(order.next(List.of(three, one))).containsExactly(three, one);
        assertThat(order.next(List.of())).isEmpty();
        assertThat(new AddressOrder(null).next(all)).containsExactly(one, two, three);
    }
}
