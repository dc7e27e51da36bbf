package holdfast.ssh.hostkeys;

import holdfast.ssh.config.ClientComfort;
import holdfast.ssh.config.ClientCredentials;
import holdfast.ssh.config.ClientForwards;
import holdfast.ssh.config.ClientProtocol;
import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.config.ClientSettings.StrictHostKeyChecking;
import holdfast.ssh.config.HostTrust;
import holdfast.ssh.log.Log;
import holdfast.ssh.terminal.Prompter;
import java.lang.reflect.RecordComponent;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What the tests of this package start from: settings, keys, a person who answers, a log. */
final class Given {

    static final String ED25519 =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4kJQVAR/p1Agi5R0glOBQN9PREjLSi7ESJzfyGMANq";
    static final String OTHER_ED25519 =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF3YKJx69emPu4r2sg8DgFClU9hy3ytjnz6r00Tc0/rh";
    static final String ECDSA =
            "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBFLQQJOBuSFq"
                    + "kCunXHELvyCYAVY4Rt3Y51xnZ/5Jie60z9h8Ps6asDlTMkTIfqFElCWrMgKIXh7ptzP8OeOI/1k=";
    static final String RSA =
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCyF7U1tMhpjIewg0OvXFUlE3VISteZR1o4EBBMAy7dFvxS2Jg0"
                    + "MMU0kBj8ZyBqv/Tm3AdFS1973f0PSs3ll30eDeum/Zk8CsNaRIRpCMXrjDTPdsAtuXFE4+J+5Mnf"
                    + "RhH4nDz0ghqMUIpBgBQJ+2X+Z2uSZ6EGRGV7Bk7zZVfSYxyWxHl7rgcQWYRYZnkzKZiVV5EIl7Z6"
                    + "lJCTplK3wMOV+XP4utHbJrPSlXKrEOE9s0wz6BECf5Sk+aIsgYdFlpwwxpmOeKA4w5W8BlLNzr7L"
                    + "r2sjPpAH5HXlJ1ULuHDS6EY/qH7ZxMnaklPJnALmSlHIyPfD98sAXeis3VMXfDvh";
    static final String RSA_1024 =
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCtMNAict4s0OyRnnHfGHXOduFEHR6C+ffQ7OOQ4DWDLA6ztRA1"
                    + "c4GsQTyfgdZBCdoucEkGbsGYPaHfTdBIAGK3WBWUkxYGw5NdTr2DiHeAPyrsxMBZKyVVGZbEJ5WC"
                    + "kz9xWmFvC+uUr6x84K7fBzn0ZODQlOrIp6UhycScW0gUTQ==";

    final List<String> said = new ArrayList<>();
    final List<String> asked = new ArrayList<>();
    final List<String> answers = new ArrayList<>();
    final Log log = new Log(Log.Level.INFO, said::add);

    /** Answers in turn, and then nobody does. */
    final Prompter person =
            (prompt, echo) -> {
                asked.add(prompt);
                return answers.isEmpty() ? null : answers.removeFirst();
            };

    static HostKey key(String text) {
        int space = text.indexOf(' ');
        HostKey key = HostKey.of(text.substring(0, space), text.substring(space + 1));
        if (key == null) {
            throw new AssertionError(text);
        }
        return key;
    }

    /** Settings of a client that connects to example.com and asks, with {@code given} on top. */
    static ClientSettings settings(Map<String, ?> given) {
        Map<String, Object> values = new HashMap<>();
        values.put("originalHost", "example.com");
        values.put("host", "example.com");
        values.put("user", "jdoe");
        values.put("port", 22);
        values.put("addressFamily", ClientSettings.AddressFamily.ANY);
        values.put("strictHostKeyChecking", StrictHostKeyChecking.ASK);
        values.put("passwordAuthentication", true);
        values.put("kbdInteractiveAuthentication", true);
        values.put("requestTty", ClientSettings.RequestTty.AUTO);
        values.put("sessionType", ClientSettings.SessionType.DEFAULT);
        values.put("logLevel", Log.Level.INFO);
        values.put("requiredRsaSize", 1024);
        values.put("comfort", ClientComfort.NONE);
        values.put("trust", HostTrust.FILES);
        values.put("protocol", ClientProtocol.PLAIN);
        values.put("connectionAttempts", 1);
        values.put("numberOfPasswordPrompts", 3);
        values.put(
                "forwards",
                new ClientForwards(List.of(), List.of(), null, false, false, 0, false, null));
        values.put(
                "credentials",
                new ClientCredentials(
                        List.of(),
                        false,
                        true,
                        null,
                        null,
                        ClientCredentials.AddKeys.NO,
                        Duration.ZERO,
                        "internal"));
        values.putAll(given);
        RecordComponent[] parts = ClientSettings.class.getRecordComponents();
        Class<?>[] types = new Class<?>[parts.length];
        Object[] arguments = new Object[parts.length];
        for (int i = 0; i < parts.length; i++) {
            types[i] = parts[i].getType();
            Object value = values.remove(parts[i].getName());
            arguments[i] = value == null ? nothing(types[i]) : value;
        }
        if (!values.isEmpty()) {
            throw new AssertionError("no such settings: " + values.keySet());
        }
        try {
            return ClientSettings.class.getDeclaredConstructor(types).newInstance(arguments);
        } catch (ReflectiveOperationException e) {
            throw new LinkageError(e.getMessage(), e);
        }
    }

    private static @Nullable Object nothing(Class<?> type) {
        if (type == boolean.class) {
            return false;
        } else if (type == int.class) {
            return 0;
        } else if (type == long.class) {
            return 0L;
        } else if (type == List.class) {
            return List.of();
        } else if (type == Map.class) {
            return Map.of();
        } else if (type == Duration.class) {
            return Duration.ZERO;
        }
        return null;
    }
}
