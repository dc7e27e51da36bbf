package holdfast.ssh.link;

import java.util.List;
import java.util.Map;
import org.apache.sshd.common.kex.KexProposalOption;
import org.jspecify.annotations.Nullable;

/** What a key exchange comes to, in the words that OpenSSH has for it (kex.c, ssherr.c). */
public final class KeyExchangeWords {

    private KeyExchangeWords() {}

    /**
     * The first kind of algorithm that two sides have none of in common, and what the peer offers:
     * {@code no matching cipher found. Their offer: 3des-cbc}; null: they agree.
     */
    public static @Nullable String nothingInCommon(
            Map<KexProposalOption, String> ours, Map<KexProposalOption, String> theirs) {
        for (KexProposalOption option : KexProposalOption.VALUES) {
            String kind =
                    switch (option) {
                        case ALGORITHMS -> "key exchange method";
                        case SERVERKEYS -> "host key type";
                        case C2SENC, S2CENC -> "cipher";
                        case C2SMAC, S2CMAC -> "MAC";
                        case C2SCOMP, S2CCOMP -> "compression method";
                        case C2SLANG, S2CLANG -> null;
                    };
            String offer = theirs.get(option);
            if (kind != null && offer != null && !anyIn(ours.get(option), offer)) {
                return "no matching " + kind + " found. Their offer: " + offer;
            }
        }
        return null;
    }

    private static boolean anyIn(@Nullable String ours, String theirs) {
        if (ours == null) {
            return false;
        }
        List<String> offer = List.of(theirs.split(",", -1));
        for (String name : ours.split(",", -1)) {
            if (!name.startsWith("ext-info-")
                    && !name.startsWith("kex-strict-")
                    && offer.contains(name)) {
                return true;
            }
        }
        return false;
    }

    /** The lines of the debug log about what was agreed on, in a client's order. */
    public static List<String> agreed(Map<KexProposalOption, String> agreed) {
        return List.of(
                "kex: algorithm: " + agreed.get(KexProposalOption.ALGORITHMS),
                "kex: host key algorithm: " + agreed.get(KexProposalOption.SERVERKEYS),
                "kex: server->client cipher: "
                        + agreed.get(KexProposalOption.S2CENC)
                        + " MAC: "
                        + mac(agreed.get(KexProposalOption.S2CMAC))
                        + " compression: "
                        + agreed.get(KexProposalOption.S2CCOMP),
                "kex: client->server cipher: "
                        + agreed.get(KexProposalOption.C2SENC)
                        + " MAC: "
                        + mac(agreed.get(KexProposalOption.C2SMAC))
                        + " compression: "
                        + agreed.get(KexProposalOption.C2SCOMP));
    }

    /** The name of a MAC as OpenSSH shows it: a cipher may have its own. */
    public static String mac(@Nullable String name) {
        return name == null || name.equals("aead") ? "<implicit>" : name;
    }
}
