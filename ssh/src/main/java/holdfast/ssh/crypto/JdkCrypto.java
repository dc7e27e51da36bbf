package holdfast.ssh.crypto;

import java.security.Provider;
import java.security.Security;
import java.util.Optional;
import org.apache.sshd.common.util.security.AbstractSecurityProviderRegistrar;
import org.apache.sshd.common.util.security.SecurityUtils;
import org.apache.sshd.common.util.security.eddsa.generic.EdDSASupport;

/**
 * Makes MINA take its cryptography from the JDK alone: Ed25519 in the place of Bouncy Castle's, and
 * no search for other providers.
 */
public final class JdkCrypto {

    private JdkCrypto() {}

    /** Must run before any other MINA class is touched; a second call does nothing. */
    public static void install() {
        Installed.touch();
    }

    /** The virtual machine initialises a class once, whoever comes first. */
    private static final class Installed {
        static {
            System.setProperty(SecurityUtils.SECURITY_PROVIDER_REGISTRARS, "none");
            SecurityUtils.registerSecurityProvider(new SunEc());
        }

        static void touch() {}
    }

    private static final class SunEc extends AbstractSecurityProviderRegistrar {

        SunEc() {
            super("JDK");
        }

        @Override
        public boolean isEnabled() {
            return true;
        }

        @Override
        public boolean isSupported() {
            return true;
        }

        @Override
        public String getProviderName() {
            return "SunEC";
        }

        @Override
        public Provider getSecurityProvider() {
            return Security.getProvider("SunEC");
        }

        /** The JDK chooses the provider of everything itself. */
        @Override
        public boolean isNamedProviderUsed() {
            return false;
        }

        @Override
        public String getDefaultSecurityEntitySupportValue(Class<?> entity) {
            return "";
        }

        @Override
        public Optional<EdDSASupport<?, ?>> getEdDSASupport() {
            return Optional.of(new Ed25519());
        }
    }
}
