package holdfast.ssh.config;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** What -L, -R, -D and -W take, and what they do not. */
class ForwardSpecTest {

    private static String local(String text) {
        ForwardSpec spec = ForwardSpec.parse(text, ForwardSpec.Kind.LOCAL);
        return spec == null ? "bad" : spec.printedListen() + " " + spec.printedConnect();
    }

    private static String remote(String text) {
        ForwardSpec spec = ForwardSpec.parse(text, ForwardSpec.Kind.REMOTE);
        return spec == null ? "bad" : spec.printedListen() + " " + spec.printedConnect();
    }

    @Test
    void ports_addresses_and_paths_stand_at_either_end() {
        assertThat(local("80:web:81")).isEqualTo("80 [web]:81");
        assertThat(local("*:80:[::1]:81")).isEqualTo("[*]:80 [::1]:81");
        assertThat(local(":80:web:81")).isEqualTo("[]:80 [web]:81");
        assertThat(local("/a/b:web:81")).isEqualTo("/a/b [web]:81");
        assertThat(local("80:/a/b")).isEqualTo("80 /a/b");
        assertThat(local("h:80:/a/b")).isEqualTo("[h]:80 /a/b");
        assertThat(local("/a:/b")).isEqualTo("/a /b");
        assertThat(local("/a\\:1:web:81")).isEqualTo("/a:1 [web]:81");
        assertThat(local("[/a:b]:[/c]")).isEqualTo("/a:b /c");
        assertThat(remote("80:[/a/b]")).isEqualTo("80 /a/b");
        assertThat(remote("0:web:81")).isEqualTo("0 [web]:81");
        assertThat(remote("1080")).isEqualTo("1080 [socks]:0");
    }

    @Test
    void what_openssh_does_not_take_is_bad() {
        for (String text :
                new String[] {
                    "",
                    "80",
                    "80:81",
                    "0:web:81",
                    "80:web:0",
                    "80:web:x",
                    "80:web:81:x:y",
                    "80:[::1:81",
                    "65536:web:81",
                    "80:web:81\\",
                    "[::1]x:80:web:81"
                }) {
            assertThat(local(text)).as(text).isEqualTo("bad");
        }
        assertThat(remote("bad:")).isEqualTo("bad");
    }
}
