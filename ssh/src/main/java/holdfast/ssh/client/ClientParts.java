package holdfast.ssh.client;

import holdfast.ssh.config.ClientSettings;
import holdfast.ssh.crypto.Algorithms;
import holdfast.ssh.crypto.JdkCrypto;
import holdfast.ssh.link.LinkLoop;
import holdfast.ssh.log.Log;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.List;
import org.apache.sshd.client.SshClient;
import org.apache.sshd.client.config.hosts.HostConfigEntryResolver;
import org.apache.sshd.client.config.keys.ClientIdentityLoader;
import org.apache.sshd.common.compression.BuiltinCompressions;
import org.apache.sshd.common.config.keys.FilePasswordProvider;
import org.apache.sshd.common.forward.DefaultForwarderFactory;
import org.apache.sshd.common.kex.extension.DefaultClientKexExtensionHandler;
import org.apache.sshd.common.random.JceRandomFactory;
import org.apache.sshd.common.random.SingletonRandomFactory;
import org.apache.sshd.core.CoreModuleProperties;
import org.jspecify.annotations.Nullable;

final class ClientParts {
    final Log log;

    ClientParts(ClientSettings settings, holdfast.ssh.terminal.Prompter prompter, Log log) {
        this.log = log;
    }

    Log log() {
        return log;
    }

    String methodUsed() {
        return "publickey";
    }

    @Nullable List<String> describe(@Nullable Throwable t) {
        return t == null ? null : List.of("" + t);
    }

    private static final class Lean extends SshClient {
        void ready() {
            checkConfig();
        }
    }

    SshClient factories(ClientSettings settings, InetSocketAddress address, LinkLoop loop)
            throws ClientFailure {
        JdkCrypto.install();
        Lean client = new Lean();
        Algorithms.install(
                client,
                Algorithms.Side.CLIENT,
                settings.kexAlgorithms(),
                settings.ciphers(),
                settings.macs(),
                settings.hostKeyAlgorithms());
        client.setRandomFactory(new SingletonRandomFactory(JceRandomFactory.INSTANCE));
        client.setCompressionFactories(List.of(BuiltinCompressions.none));
        client.setKexExtensionHandler(DefaultClientKexExtensionHandler.INSTANCE);
        client.setForwarderFactory(DefaultForwarderFactory.INSTANCE);
        client.setChannelFactories(List.of());
        client.setGlobalRequestHandlers(
                List.of(org.apache.sshd.common.global.KeepAliveHandler.INSTANCE));
        client.setServerKeyVerifier((s, a, k) -> true);
        client.setHostConfigEntryResolver(HostConfigEntryResolver.EMPTY);
        client.setClientIdentityLoader(ClientIdentityLoader.DEFAULT);
        client.setFilePasswordProvider(FilePasswordProvider.EMPTY);
        client.setKeyIdentityProvider(
                new org.apache.sshd.common.keyprovider.FileKeyPairProvider(
                        settings.identityFiles()));
        Duration forever = Duration.ofDays(365_000);
        CoreModuleProperties.IDLE_TIMEOUT.set(client, Duration.ZERO);
        CoreModuleProperties.AUTH_TIMEOUT.set(client, Duration.ZERO);
        CoreModuleProperties.WAIT_FOR_SPACE_TIMEOUT.set(client, forever);
        client.ready();
        return client;
    }
}
