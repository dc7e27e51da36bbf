package holdfast.ssh.mux;

import holdfast.ssh.config.Endpoint;
import holdfast.ssh.config.ForwardSpec;
import holdfast.ssh.mux.MuxMessage.Forward;
import org.jspecify.annotations.Nullable;

/** Forwards as a control socket has them, and as we have them. */
public final class SharedForwards {

    /** readconf.c's host of what connects to wherever each client says. */
    private static final String SOCKS = "socks";

    private SharedForwards() {}

    /** One of LocalForward or DynamicForward. */
    public static Forward local(ForwardSpec spec) {
        return encode(
                spec, spec.connect() instanceof Endpoint.Socks ? Forward.DYNAMIC : Forward.LOCAL);
    }

    /** One of RemoteForward. */
    public static Forward remote(ForwardSpec spec) {
        return encode(spec, Forward.REMOTE);
    }

    private static Forward encode(ForwardSpec spec, int kind) {
        return new Forward(
                kind,
                switch (spec.listen()) {
                    case Endpoint.Tcp(String host, int _) ->
                            host == null ? "" : host.isEmpty() ? "*" : host;
                    case Endpoint.Unix(String path) -> path;
                    case Endpoint.Socks _ -> "";
                },
                port(spec.listen()),
                switch (spec.connect()) {
                    case Endpoint.Tcp(String host, int _) -> host == null ? "" : host;
                    case Endpoint.Unix(String path) -> path;
                    case Endpoint.Socks _ -> SOCKS;
                },
                port(spec.connect()));
    }

    private static int port(Endpoint endpoint) {
        return switch (endpoint) {
            case Endpoint.Tcp(String _, int port) -> port;
            case Endpoint.Unix _ -> MuxMessage.UNIX_PATH;
            case Endpoint.Socks _ -> 0;
        };
    }

    /** What is asked for; null: it makes no sense. */
    public static @Nullable ForwardSpec decode(Forward forward) {
        boolean unix = forward.listenPort() == MuxMessage.UNIX_PATH;
        String at = forward.listenHost();
        Endpoint listen =
                unix
                        ? new Endpoint.Unix(at)
                        : new Endpoint.Tcp(at.isEmpty() ? null : at, forward.listenPort());
        if (unix && at.isEmpty()) {
            return null;
        }
        String to = forward.connectHost();
        return switch (forward.kind()) {
            case Forward.DYNAMIC -> unix ? null : new ForwardSpec(listen, new Endpoint.Socks());
            case Forward.LOCAL, Forward.REMOTE -> {
                if (to.isEmpty()) {
                    yield null;
                }
                if (forward.connectPort() == MuxMessage.UNIX_PATH) {
                    yield new ForwardSpec(listen, new Endpoint.Unix(to));
                }
                if (forward.connectPort() != 0) {
                    yield new ForwardSpec(listen, new Endpoint.Tcp(to, forward.connectPort()));
                }
                yield forward.kind() == Forward.REMOTE
                        ? new ForwardSpec(listen, new Endpoint.Socks())
                        : null;
            }
            default -> null;
        };
    }

    /** In mux.c's words. */
    public static String describe(Forward forward, boolean gatewayPorts) {
        String at = forward.listenHost();
        String here = at.isEmpty() ? (gatewayPorts ? "*" : "LOCALHOST") : at;
        String to = forward.connectHost() + ":" + forward.connectPort();
        return switch (forward.kind()) {
            case Forward.LOCAL ->
                    "local forward " + here + ":" + forward.listenPort() + " -> " + to;
            case Forward.DYNAMIC ->
                    "dynamic forward " + here + ":" + forward.listenPort() + " -> *";
            case Forward.REMOTE ->
                    "remote forward "
                            + (at.isEmpty() ? "LOCALHOST" : at)
                            + ":"
                            + forward.listenPort()
                            + " -> "
                            + to;
            default -> "unknown forward type " + forward.kind();
        };
    }
}
