package holdfast.ssh.client;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import holdfast.ssh.config.Route;
import holdfast.ssh.log.Log;
import org.junit.jupiter.api.Test;

class ProxyCommandTest {

    @Test
    void a_shell_that_is_not_there_is_told_in_the_system_s_words() {
        assertThatThrownBy(() ->
                        ProxyCommand.start(
                                new Route.Command("/nonexistent", "exec true"), Log.silent()))
                .isInstanceOf(ClientFailure.class)
                .hasMessage("/nonexistent: No such file or directory");
    }
}
