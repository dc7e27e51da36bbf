package holdfast.ssh.server.auth;

import holdfast.ssh.auth.Certificate;
import holdfast.ssh.auth.PublicIdentity;
import holdfast.ssh.config.ServerTokens;
import holdfast.ssh.octets.Octets;
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
                ServerTokens.ofUser(
                        account.name(),
                        Integer.toUnsignedLong(account.uid()),
                        Octets.text(account.home())));
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
}
