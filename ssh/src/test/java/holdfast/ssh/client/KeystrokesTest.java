package holdfast.ssh.client;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class KeystrokesTest {

    private final ByteArrayOutputStream sent = new ByteArrayOutputStream();
    private final AtomicInteger packets = new AtomicInteger();
    private final CountDownLatch chaffed = new CountDownLatch(3);

    private final Keystrokes.Line line =
            new Keystrokes.Line() {
                @Override
                public void send(ByteBuffer typed) {
                    packets.incrementAndGet();
                    synchronized (sent) {
                        while (typed.hasRemaining()) {
                            sent.write(typed.get());
                        }
                    }
                }

                @Override
                public void chaff() {
                    chaffed.countDown();
                }
            };

    private String sent() {
        synchronized (sent) {
            return sent.toString(StandardCharsets.US_ASCII);
        }
    }

    @Test
    void what_is_typed_arrives_whole_and_in_order_whatever_comes_between() throws Exception {
        Keystrokes keys = new Keystrokes(Duration.ofMillis(5), line);
        StringBuilder expected = new StringBuilder();
        for (int i = 0; i < 300; i++) {
            String text = i % 50 == 49 ? "paste".repeat(100) : "k" + i;
            expected.append(text);
            keys.typed(text.getBytes(StandardCharsets.US_ASCII));
        }
        keys.flush();
        assertThat(sent()).isEqualTo(expected.toString());
    }

    @Test
    void after_a_key_something_goes_on_leaving() throws Exception {
        Keystrokes keys = new Keystrokes(Duration.ofMillis(5), line);
        keys.typed(new byte[] {'x'});
        assertThat(chaffed.await(30, TimeUnit.SECONDS)).isTrue();
        assertThat(sent()).isEqualTo("x");
    }

    @Test
    void without_an_interval_all_goes_at_once_and_nothing_else_does() throws Exception {
        Keystrokes keys = new Keystrokes(Duration.ZERO, line);
        for (int i = 0; i < 5; i++) {
            keys.typed(new byte[] {'x'});
            assertThat(packets).hasValue(i + 1);
        }
        assertThat(chaffed.getCount()).isEqualTo(3);
    }

    @Test
    void what_cannot_be_sent_is_told_to_whoever_types() throws Exception {
        CountDownLatch tried = new CountDownLatch(1);
        Keystrokes keys =
                new Keystrokes(
                        Duration.ofMillis(1),
                        new Keystrokes.Line() {
                            @Override
                            public void send(ByteBuffer typed) throws IOException {
                                tried.countDown();
                                throw new IOException("closed");
                            }

                            @Override
                            public void chaff() {}
                        });
        keys.typed(new byte[] {'x'});
        tried.await();
        assertThatThrownBy(
                        () -> {
                            for (int i = 0; i < 30_000; i++) {
                                keys.typed(new byte[] {'y'});
                                Thread.sleep(1);
                            }
                        })
                .hasMessage("closed");
    }
}
