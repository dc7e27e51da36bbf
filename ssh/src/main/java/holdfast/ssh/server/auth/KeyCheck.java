package holdfast.ssh.server.auth;

import holdfast.ssh.auth.Certificate;
import holdfast.ssh.auth.KeyList;
import holdfast.ssh.auth.PublicIdentity;
import holdfast.ssh.config.ConfigException;
import holdfast.ssh.config.PathGlob;
import holdfast.ssh.config.Patterns;
import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.config.ServerTokens;
import holdfast.ssh.hostkeys.Fingerprint;
import holdfast.ssh.log.Log;
import holdfast.ssh.log.Reason;
import holdfast.ssh.octets.Octets;
import holdfast.ssh.system.Account;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.time.Instant;
import java.time.ZoneId;
import java.time.format.DateTimeFormatter;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Whether a key or certificate may log in as a user, and what it may do then: OpenSSH's
 * auth2-pubkey.c and auth2-pubkeyfile.c. Reads files and runs commands, so it waits.
 *
 * @param host the client's name, looked up only when asked for
 * @param connection the two addresses and ports as {@code %C} gives them
 * @param now seconds since 1970
 * @param toClient takes what the client is told once it is in (auth_debug_add)
 */
record KeyCheck(
        Machine machine,
        ServerSettings settings,
        Account account,
        String address,
        Supplier<String> host,
        String connection,
        long now,
        Log log,
        Consumer<String> toClient) {

    /** So many broken lines of a file are told of at each look, and no more. */
    private static final int TOLD = 5;

    /**
     * Files that one pattern of AuthorizedKeysFile stands for at most: a user may fill a directory.
     */
    private static final int MOST_KEY_FILES = 1000;

    private static final DateTimeFormatter TIME =
            DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss", Locale.ROOT);

    /**
     * What the key may do, or null if it may not even log in.
     *
     * @throws ConfigException the configuration has a token here that there is none of: OpenSSH's
     *     process ends there, and lets nobody in by what stands behind it
     */
    @Nullable KeyOptions allowed(PublicIdentity key, @Nullable Certificate certificate)
            throws ConfigException {
        if (RevokedKeys.refuses(settings, key, log)
                || (certificate != null
                        && RevokedKeys.refuses(settings, certificate.authority(), log))) {
            return null;
        }
        for (String name : settings.authorizedKeysFile()) {
            if (name.equalsIgnoreCase("none")) {
                continue;
            }
            for (Path file : files(name)) {
                log.debug("trying public key file " + file);
                InputStream in =
                        UserFiles.open(
                                machine,
                                account,
                                file,
                                settings.strictModes(),
                                "authorized keys",
                                log);
                KeyOptions found =
                        in == null ? null : inKeys(in, file.toString(), key, certificate);
                if (found != null) {
                    return found;
                }
            }
        }
        if (certificate != null && settings.trustedUserCaKeys() != null) {
            KeyOptions found = byTrustedAuthority(certificate, settings.trustedUserCaKeys());
            if (found != null) {
                return found;
            }
        }
        return byCommand(key, certificate);
    }

    /** Expands the tokens of a file's name; relative to the home directory. */
    private Path path(String name) throws ConfigException {
        return ServerTokens.file(name, Tokens.forFile(account).values());
    }

    // ---- authorized_keys

    private @Nullable KeyOptions inKeys(
            InputStream in, String file, PublicIdentity key, @Nullable Certificate certificate) {
        Search search = new Search(file, key, certificate);
        try {
            UserFiles.read(in, search);
        } catch (IOException e) {
            log.info(file + ": " + Reason.of(e));
        }
        return search.found;
    }

    private final class Search implements UserFiles.Reader {
        private final String file;
        private final @Nullable Certificate certificate;
        private final PublicIdentity wanted;
        private @Nullable KeyOptions found;
        private int told;

        Search(String file, PublicIdentity key, @Nullable Certificate certificate) {
            this.file = file;
            this.certificate = certificate;
            this.wanted = certificate == null ? key : certificate.authority();
        }

        @Override
        public boolean line(int number, String text) {
            if (found != null) {
                return true; // read to the end all the same: the time must not tell the line
            }
            String line = text.strip();
            if (line.isEmpty() || line.startsWith("#")) {
                return true;
            }
            String where = file + ":" + number;
            PublicIdentity here = keyAt(line);
            String options = "";
            if (here == null) {
                int end = KeyOptions.end(line);
                if (end < 0) {
                    broken(where, "invalid key option string");
                    return true;
                }
                options = line.substring(0, end);
                here = keyAt(line.substring(end).strip());
                if (here == null) {
                    broken(where, "not a key");
                    return true;
                }
            }
            KeyOptions parsed;
            try {
                parsed = KeyOptions.parse(options);
            } catch (KeyOptions.Bad e) {
                broken(where, "bad key options: " + e.reason());
                return true;
            }
            if (here.equals(wanted) && parsed.certAuthority() == (certificate != null)) {
                found = matched(where, here, parsed);
            }
            return true;
        }

        private void broken(String where, String why) {
            if (++told <= TOLD) {
                log.info(where + ": " + why + "; line skipped");
            }
        }

        private @Nullable KeyOptions matched(
                String where, PublicIdentity here, KeyOptions options) {
            String named = here.typeName() + " " + fingerprint(here);
            log.debug(
                    where
                            + ": matching "
                            + (certificate == null ? "key" : "CA")
                            + " found: "
                            + named);
            if (!authorised(options, certificate != null, where)) {
                refuse("Refused by key options");
                return null;
            }
            if (certificate == null) {
                log.verbose("Accepted key " + named + " found at " + where);
                return options;
            }
            KeyOptions granted = KeyOptions.of(certificate, log);
            if (granted == null) {
                refuse("Invalid certificate options");
                return null;
            }
            if (!authorised(granted, false, where)) {
                refuse("Refused by certificate options");
                return null;
            }
            String principals = options.principals();
            String refusal;
            if (principals != null
                    && certificate.principals().stream()
                            .noneMatch(List.of(principals.split(",", -1))::contains)) {
                refusal = "Certificate does not contain an authorized principal";
            } else {
                refusal =
                        certificate.refusal(
                                Certificate.Kind.USER,
                                principals == null ? account.name() : null,
                                now);
            }
            KeyOptions both = null;
            if (refusal == null) {
                try {
                    both = options.and(granted);
                } catch (KeyOptions.Bad e) {
                    refusal = e.reason();
                }
            }
            if (refusal != null) {
                refuse(refusal);
                return null;
            }
            String type = "CA " + certificate.authority().typeName();
            log.verbose(accepted(certificate, type) + " found at " + where);
            return both;
        }
    }

    /**
     * @param type the authority's, as OpenSSH has it in its two places
     */
    private String accepted(Certificate certificate, String type) {
        return "Accepted certificate ID \""
                + Safe.text(certificate.keyId())
                + "\" (serial "
                + Long.toUnsignedString(certificate.serial())
                + ") signed by "
                + type
                + " "
                + fingerprint(certificate.authority());
    }

    /** A key in the form of a .pub file at the start of {@code text}, or null. */
    static @Nullable PublicIdentity keyAt(String text) {
        return PublicIdentity.ofLine(text);
    }

    /** Whether the conditions of a key's options hold here and now (auth_authorise_keyopts). */
    private boolean authorised(KeyOptions options, boolean authorityAllowed, String where) {
        if (options.expires() != 0 && options.expires() < now) {
            return no(where + ": entry expired at " + time(options.expires()));
        }
        if (options.principals() != null && !options.certAuthority()) {
            return no(where + ": principals on non-CA key");
        }
        if (!authorityAllowed && options.certAuthority()) {
            return no(where + ": cert-authority flag invalid here");
        }
        String from = options.from();
        if (from != null) {
            Addresses.Answer answer = Addresses.hostAndAddress(host.get(), address, from);
            if (answer != Addresses.Answer.YES) {
                if (answer == Addresses.Answer.INVALID) {
                    log.debug(where + ": invalid from criteria");
                }
                log.info(
                        where
                                + ": Authentication tried for "
                                + account.name()
                                + " with correct key but not from a permitted host (host="
                                + host.get()
                                + ", ip="
                                + address
                                + ", required="
                                + Safe.text(from)
                                + ").");
                toClient.accept(
                        where
                                + ": Your host '"
                                + host.get()
                                + "' is not permitted to use this key for login.");
                return false;
            }
        }
        String ranges = options.sourceAddress();
        if (ranges != null) {
            Addresses.Answer answer = Addresses.ranges(address, ranges);
            if (answer != Addresses.Answer.YES) {
                if (answer == Addresses.Answer.INVALID) {
                    log.error(where + ": Certificate source-address invalid");
                }
                log.info(
                        where
                                + ": Authentication tried for "
                                + account.name()
                                + " with valid certificate but not from a permitted source"
                                + " address ("
                                + address
                                + ").");
                toClient.accept(
                        where
                                + ": Your address '"
                                + address
                                + "' is not permitted to use this certificate for login.");
                return false;
            }
        }
        describe(options, where);
        return true;
    }

    /** auth_log_authopts: the log has some more of it than the client. */
    private void describe(KeyOptions options, String where) {
        tell(where + ": " + options.described(settings));
        if (settings.permitUserEnvironment() != null) {
            options.environment()
                    .forEach((name, value) ->
                            tell(where + ": environment: " + Safe.text(name + "=" + value)));
        }
        if (options.expires() != 0) {
            log.debug(where + ": expires at " + time(options.expires()));
        }
        String principals = options.principals();
        if (principals != null) {
            log.debug(where + ": authorized principals: \"" + Safe.text(principals) + "\"");
        }
        String command = options.command();
        if (command != null) {
            log.debug(where + ": forced command: \"" + Safe.text(command) + "\"");
        }
        if (settings.allowTcpForwarding().local()) {
            options.permitOpen().forEach(one -> log.debug(where + ": permitted open: " + one));
        }
        if (settings.allowTcpForwarding().remote()) {
            options.permitListen().forEach(one -> log.debug(where + ": permitted listen: " + one));
        }
    }

    /** As OpenSSH's format_absolute_time has it. */
    private static String time(long seconds) {
        return TIME.format(Instant.ofEpochSecond(seconds).atZone(ZoneId.systemDefault()));
    }

    private boolean no(String why) {
        tell(why);
        return false;
    }

    private void refuse(String why) {
        log.error(why);
        toClient.accept(why);
    }

    private void tell(String text) {
        log.debug(text);
        toClient.accept(text);
    }

    // ---- TrustedUserCAKeys

    private @Nullable KeyOptions byTrustedAuthority(Certificate certificate, Path authorities)
            throws ConfigException {
        PublicIdentity authority = certificate.authority();
        try {
            if (!KeyList.lists(authorities, authority)) {
                log.debug2(
                        "CA "
                                + authority.typeName()
                                + " "
                                + fingerprint(authority)
                                + " is not listed in "
                                + authorities);
                return null;
            }
        } catch (IOException e) {
            log.error("TrustedUserCAKeys " + authorities + ": " + Reason.of(e));
            return null;
        }
        KeyOptions byPrincipal = null;
        String principalsFile = settings.authorizedPrincipalsFile();
        if (principalsFile != null && !principalsFile.equalsIgnoreCase("none")) {
            Path file = path(principalsFile);
            InputStream in =
                    UserFiles.open(
                            machine,
                            account,
                            file,
                            settings.strictModes(),
                            "authorized principals",
                            log);
            if (in != null) {
                byPrincipal = inPrincipals(in, file.toString(), certificate);
            }
        } else {
            principalsFile = null;
        }
        if (byPrincipal == null && settings.authorizedPrincipalsCommand() != null) {
            InputStream in =
                    command(
                            "AuthorizedPrincipalsCommand",
                            settings.authorizedPrincipalsCommand(),
                            settings.authorizedPrincipalsCommandUser(),
                            certificate.identity(),
                            certificate);
            if (in != null) {
                byPrincipal = inPrincipals(in, "(command)", certificate);
            }
        }
        boolean listed = principalsFile != null || settings.authorizedPrincipalsCommand() != null;
        if (listed && byPrincipal == null) {
            refuse("Certificate does not contain an authorized principal");
            return null;
        }
        String refusal =
                certificate.refusal(Certificate.Kind.USER, listed ? null : account.name(), now);
        if (refusal != null) {
            refuse(refusal);
            return null;
        }
        KeyOptions granted = KeyOptions.of(certificate, log);
        if (granted == null) {
            refuse("Invalid certificate options");
            return null;
        }
        if (!authorised(granted, false, "cert")) {
            refuse("Refused by certificate options");
            return null;
        }
        KeyOptions result = granted;
        if (byPrincipal != null) {
            if (!authorised(byPrincipal, false, "principals")) {
                refuse("Refused by certificate principals options");
                return null;
            }
            try {
                result = byPrincipal.and(granted);
            } catch (KeyOptions.Bad e) {
                refuse(e.reason());
                return null;
            }
        }
        log.verbose(accepted(certificate, authority.typeName() + " CA") + " via " + authorities);
        return result;
    }

    private @Nullable KeyOptions inPrincipals(
            InputStream in, String file, Certificate certificate) {
        KeyOptions[] found = new KeyOptions[1];
        int[] told = {0};
        try {
            UserFiles.read(
                    in,
                    (number, text) -> {
                        int comment = text.indexOf('#');
                        String line = (comment < 0 ? text : text.substring(0, comment)).strip();
                        if (found[0] != null || line.isEmpty()) {
                            return true;
                        }
                        int space = Math.max(line.lastIndexOf(' '), line.lastIndexOf('\t'));
                        String principal = line.substring(space + 1);
                        try {
                            KeyOptions options =
                                    KeyOptions.parse(space < 0 ? "" : line.substring(0, space));
                            if (certificate.principals().contains(principal)) {
                                found[0] = options;
                            }
                        } catch (KeyOptions.Bad e) {
                            if (++told[0] <= TOLD) {
                                log.info(
                                        file
                                                + ":"
                                                + number
                                                + ": bad principals options: "
                                                + e.reason()
                                                + "; line skipped");
                            }
                        }
                        return true;
                    });
        } catch (IOException e) {
            log.info(file + ": " + Reason.of(e));
        }
        return found[0];
    }

    // ---- AuthorizedKeysCommand

    private @Nullable KeyOptions byCommand(PublicIdentity key, @Nullable Certificate certificate)
            throws ConfigException {
        String command = settings.authorizedKeysCommand();
        if (command == null) {
            return null;
        }
        InputStream in =
                command(
                        "AuthorizedKeysCommand",
                        command,
                        settings.authorizedKeysCommandUser(),
                        key,
                        certificate);
        return in == null ? null : inKeys(in, command, key, certificate);
    }

    private @Nullable InputStream command(
            String keyword,
            String command,
            @Nullable String runAs,
            PublicIdentity key,
            @Nullable Certificate certificate)
            throws ConfigException {
        String name =
                runAs == null ? null : ServerTokens.expand(runAs, Map.of('u', account.name()));
        Account runner = null;
        try {
            runner = name == null ? null : machine.account(name);
        } catch (IOException e) {
            runner = null;
        }
        if (runner == null) {
            log.error(keyword + "User \"" + name + "\" not found: No such file or directory");
            return null;
        }
        Tokens tokens =
                Tokens.forCommand(
                        account,
                        connection,
                        key,
                        fingerprint(key),
                        certificate,
                        certificate == null ? "" : fingerprint(certificate.authority()));
        return Commands.output(machine, keyword, command, tokens, account.name(), runner, log);
    }

    String fingerprint(PublicIdentity key) {
        return fingerprint(settings, key);
    }

    /** How the log names a key under FingerprintHash. */
    static String fingerprint(ServerSettings settings, PublicIdentity key) {
        return switch (settings.fingerprintHash()) {
            case MD5 -> Fingerprint.md5(key.keyBlob());
            case SHA1 -> Fingerprint.base64("SHA1", "SHA-1", key.keyBlob());
            case SHA256 -> key.fingerprint();
            case SHA384 -> Fingerprint.base64("SHA384", "SHA-384", key.keyBlob());
            case SHA512 -> Fingerprint.base64("SHA512", "SHA-512", key.keyBlob());
        };
    }

    /** Whether a pattern list of signature algorithms has this one. */
    static boolean has(List<String> algorithms, String algorithm) {
        for (String pattern : algorithms) {
            if (Patterns.matches(algorithm, pattern)) {
                return true;
            }
        }
        return false;
    }

    /**
     * What a pattern (glob(7)) stands for, as from OpenSSH 10.0 on, to its user's eyes; itself
     * where it is none.
     */
    private List<Path> files(String name) throws ConfigException {
        Path file = path(name);
        String pattern = Octets.text(file);
        if (!PathGlob.isPattern(pattern)) {
            return List.of(file);
        }
        List<String> found;
        try {
            found = machine.as(account, () -> PathGlob.files(pattern, MOST_KEY_FILES));
        } catch (Exception e) {
            log.debug("cannot look for " + pattern + ": " + Reason.of(e));
            found = List.of();
        }
        return found.isEmpty() ? List.of(file) : found.stream().map(Octets::path).toList();
    }
}
