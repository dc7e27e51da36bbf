package holdfast.ssh.server.auth;

import holdfast.ssh.config.ServerConfig;
import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.hostkeys.NumericAddress;
import holdfast.ssh.log.Log;
import holdfast.ssh.server.Login;
import holdfast.ssh.system.Account;
import holdfast.ssh.system.TcpWrappers;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Whether a user who is in may bring their session a connection from elsewhere: the account, the
 * configuration as it is now and the key's own restrictions are asked as at a login.
 *
 * @param options of the key or certificate that let the user in
 */
record Return(ServerAuth shared, String user, KeyOptions options, Log log)
        implements Login.Readmission {

    @Override
    public boolean allows(InetSocketAddress from, @Nullable InetSocketAddress at)
            throws IOException {
        Account account = shared.machine().account(user);
        if (account == null) {
            log.info("Resume refused: user " + Safe.text(user) + " is no more");
            return false;
        }
        String address = NumericAddress.text(from.getAddress());
        boolean names = shared.config().global().useDns();
        Supplier<String> host = () -> names ? ClientName.of(from.getAddress(), log) : address;
        ServerSettings settings =
                shared.config()
                        .settingsFor(
                                new ServerConfig.Connection(
                                        user,
                                        false,
                                        () -> Set.copyOf(account.groupNames()),
                                        host.get(),
                                        address,
                                        at == null ? null : NumericAddress.text(at.getAddress()),
                                        at == null ? -1 : at.getPort()));
        if (!Admission.allows(account, settings, shared.machine(), address, host, log)) {
            return false;
        }
        String refused = at == null ? null : TcpWrappers.refused(ServerAuth.DAEMON, from, at);
        if (refused != null) {
            log.info("refused connect from " + refused);
            return false;
        }
        if (settings.refuseConnection() || !settings.tether()) {
            log.info("Resume of " + Safe.text(user) + " refused by configuration");
            return false;
        }
        String permitted = options.from();
        String ranges = options.sourceAddress();
        if ((permitted != null
                        && Addresses.hostAndAddress(host.get(), address, permitted)
                                != Addresses.Answer.YES)
                || (ranges != null && Addresses.ranges(address, ranges) != Addresses.Answer.YES)) {
            log.info(
                    "Resume of "
                            + Safe.text(user)
                            + " refused: "
                            + address
                            + " is no permitted host of the key");
            return false;
        }
        // A password that has expired meanwhile is asked for at the next login, not now.
        return shared.accountRefusal(
                        settings, account, address, Methods.PUBLICKEY, log, () -> {}, said -> {})
                == null;
    }
}
