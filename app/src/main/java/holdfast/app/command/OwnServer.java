package holdfast.app.command;

import holdfast.ssh.Software;
import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.ServerConfig;
import holdfast.ssh.log.Log;
import holdfast.ssh.server.FreshKey;
import holdfast.ssh.server.Server;
import holdfast.ssh.server.ServerParts;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A server in this process on 127.0.0.1, for the user who runs it and nobody else: what {@code
 * holdfast sshd} is, with keys of its own in one directory in place of a configuration.
 */
final class OwnServer implements AutoCloseable {

    private final Server server;
    private final Path directory;
    private final String hostKey;
    private final int port;

    private OwnServer(Server server, Path directory, String hostKey, int port) {
        this.server = server;
        this.directory = directory;
        this.hostKey = hostKey;
        this.port = port;
    }

    /**
     * Listens.
     *
     * @param directory the user's own; keys that are not in it are made
     * @param user who is served: nobody can be but who runs this, or root serves somebody
     * @param wantedPort 0: a free one
     * @param options lines of sshd_config, before what this sets itself
     */
    static OwnServer start(
            Path directory, String user, int wantedPort, List<String> options, Log log)
            throws IOException, ConfigException {
        String hostKey = FreshKey.at(directory.resolve("host_ed25519"), "holdfast-here-host");
        String userKey = FreshKey.at(directory.resolve("id_ed25519"), "holdfast-here");
        Files.writeString(directory.resolve("authorized_keys"), userKey + "\n");
        int port = wantedPort == 0 ? freePort() : wantedPort;
        List<String> lines = new ArrayList<>(options);
        lines.addAll(
                List.of(
                        "ListenAddress 127.0.0.1:" + port,
                        "HostKey \"" + directory.resolve("host_ed25519") + "\"",
                        "AuthorizedKeysFile \"" + directory.resolve("authorized_keys") + "\"",
                        "AllowUsers " + user,
                        "PasswordAuthentication no",
                        "KbdInteractiveAuthentication no",
                        "PermitRootLogin prohibit-password",
                        "StrictModes no",
                        "UsePAM no",
                        "PidFile none",
                        "PerSourcePenalties no",
                        "Subsystem sftp internal-sftp"));
        ServerConfig config = ServerConfig.of(lines);
        log.level(config.global().logLevel());
        Server server = new Server(config, ServerParts.all(), Software.SERVER, log);
        OwnServer own = new OwnServer(server, directory, hostKey, port);
        try {
            server.start();
        } catch (IOException e) {
            own.close();
            throw e;
        }
        return own;
    }

    Server server() {
        return server;
    }

    int port() {
        return port;
    }

    InetSocketAddress address() {
        return new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
    }

    /** The file with the private key that lets in. */
    Path identity() {
        return directory.resolve("id_ed25519");
    }

    /** The line of known_hosts for this server as it is reached at {@code port} of 127.0.0.1. */
    String knownHostsLine(int port) {
        return "[127.0.0.1]:" + port + " " + hostKey;
    }

    /** Ends every connection and every command. */
    @Override
    public void close() throws IOException {
        server.close();
    }

    private static int freePort() throws IOException {
        try (ServerSocket probe = new ServerSocket()) {
            probe.bind(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
            return probe.getLocalPort();
        }
    }
}
