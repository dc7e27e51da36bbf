package holdfast.ssh.server.auth;

import holdfast.ssh.auth.PublicIdentity;
import holdfast.ssh.system.Account;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The tokens of AuthorizedKeysFile and its like (sshd_config(5), TOKENS).
 *
 * @param values what each letter stands for
 */
record Tokens(Map<Character, String> values) {

    static Tokens forFile(Account account) {
        return new Tokens(
                Map.of(
                        'h',
                        account.home().toString(),
                        'u',
                        account.name(),
                        'U',
                        Integer.toUnsignedString(account.uid())));
    }

    static Tokens forCommand(
            Account account,
            String connection,
            PublicIdentity key,
            String fingerprint,
            @Nullable Certificate certificate,
            String authorityFingerprint) {
        Map<Character, String> values = new HashMap<>(forFile(account).values);
        values.put('C', connection);
        values.put('D', "");
        values.put('f', fingerprint);
        values.put('k', Base64.getEncoder().encodeToString(key.blob()));
        values.put('t', key.algorithm());
        if (certificate != null) {
            PublicIdentity authority = certificate.authority();
            values.put('F', authorityFingerprint);
            values.put('K', Base64.getEncoder().encodeToString(authority.blob()));
            values.put('T', authority.algorithm());
            values.put('i', certificate.keyId());
            values.put('s', Long.toUnsignedString(certificate.serial()));
        }
        return new Tokens(values);
    }

    /**
     * Replaces {@code %h} and the others.
     *
     * @throws IllegalArgumentException naming a token that means nothing here
     */
    String expand(String text) {
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c != '%') {
                out.append(c);
                continue;
            }
            if (++i == text.length()) {
                throw new IllegalArgumentException("invalid format: ends in %");
            }
            char letter = text.charAt(i);
            String value = letter == '%' ? "%" : values.get(letter);
            if (value == null) {
                throw new IllegalArgumentException("unknown key %" + letter);
            }
            out.append(value);
        }
        return out.toString();
    }
}
