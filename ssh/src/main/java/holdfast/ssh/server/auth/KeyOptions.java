package holdfast.ssh.server.auth;

import holdfast.ssh.auth.Certificate;
import holdfast.ssh.auth.Wire.Malformed;
import holdfast.ssh.config.Patterns;
import holdfast.ssh.config.ServerSettings;
import holdfast.ssh.log.Log;
import holdfast.ssh.server.Permissions;
import java.time.DateTimeException;
import java.time.LocalDateTime;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What a line of authorized_keys or a certificate says beside the key: the conditions under which
 * it counts, and what it allows then (OpenSSH's struct sshauthopt).
 *
 * @param environment NAME=value by name
 * @param permitOpen HOST:PORT, empty: no limit; so is {@code permitListen}
 * @param from patterns of {@code from=}, null: from anywhere
 * @param sourceAddress ranges of a certificate's source-address, null: from anywhere
 * @param expires seconds since 1970, 0: never
 * @param principals of {@code principals=}
 * @param touchOptional no-touch-required, for security keys
 */
record KeyOptions(
        boolean portForwarding,
        boolean agentForwarding,
        boolean x11Forwarding,
        boolean pty,
        boolean userRc,
        @Nullable String command,
        Map<String, String> environment,
        List<String> permitOpen,
        List<String> permitListen,
        @Nullable String from,
        @Nullable String sourceAddress,
        long expires,
        boolean certAuthority,
        @Nullable String principals,
        boolean touchOptional,
        boolean verifyRequired) {

    /** OpenSSH's SSH_AUTHOPT_ENV_MAX. */
    private static final int MOST_ENVIRONMENT = 1024;

    /** OpenSSH's SSH_AUTHOPT_PERMIT_MAX. */
    private static final int MOST_PERMITS = 4096;

    private static final int LONGEST_HOST = 1024;

    /** A line without options. */
    static final KeyOptions NONE =
            new KeyOptions(
                    true, true, true, true, true, null, Map.of(), List.of(), List.of(), null, null,
                    0, false, null, false, false);

    /** Says which option cannot be understood, in OpenSSH's words. */
    static final class Bad extends Exception {
        private static final long serialVersionUID = 1;

        Bad(String message) {
            super(message);
        }

        String reason() {
            String message = getMessage();
            return message == null ? "" : message;
        }
    }

    // ---- authorized_keys

    /** Reads the options in front of a key, up to the first white space outside of quotes. */
    static KeyOptions parse(String text) throws Bad {
        return new Parser(text).options();
    }

    /** Where the options in front of a key end, or -1 if a quote is not closed. */
    static int end(String line) {
        boolean quoted = false;
        int at = 0;
        while (at < line.length()
                && (quoted || (line.charAt(at) != ' ' && line.charAt(at) != '\t'))) {
            if (line.charAt(at) == '\\' && at + 1 < line.length() && line.charAt(at + 1) == '"') {
                at++; // an escaped quote
            } else if (line.charAt(at) == '"') {
                quoted = !quoted;
            }
            at++;
        }
        return quoted ? -1 : at;
    }

    private static final class Parser {
        private final String text;
        private int at;

        private boolean portForwarding = true;
        private boolean agentForwarding = true;
        private boolean x11Forwarding = true;
        private boolean pty = true;
        private boolean userRc = true;
        private @Nullable String command;
        private final Map<String, String> environment = new LinkedHashMap<>();
        private final List<String> permitOpen = new ArrayList<>();
        private final List<String> permitListen = new ArrayList<>();
        private @Nullable String from;
        private long expires;
        private boolean certAuthority;
        private @Nullable String principals;
        private boolean touchOptional;
        private boolean verifyRequired;

        Parser(String text) {
            this.text = text;
        }

        KeyOptions options() throws Bad {
            while (at < text.length() && !atSpace()) {
                one();
                if (at == text.length() || atSpace()) {
                    break;
                }
                if (text.charAt(at) != ',') {
                    throw new Bad("unknown key option");
                }
                at++;
                if (at == text.length()) {
                    throw new Bad("unexpected end-of-options");
                }
            }
            return new KeyOptions(
                    portForwarding,
                    agentForwarding,
                    x11Forwarding,
                    pty,
                    userRc,
                    command,
                    Collections.unmodifiableMap(environment),
                    List.copyOf(permitOpen),
                    List.copyOf(permitListen),
                    from,
                    null,
                    expires,
                    certAuthority,
                    principals,
                    touchOptional,
                    verifyRequired);
        }

        private boolean atSpace() {
            return text.charAt(at) == ' ' || text.charAt(at) == '\t';
        }

        private void one() throws Bad {
            Boolean on;
            if (flag("restrict", false) != null) {
                portForwarding = false;
                agentForwarding = false;
                x11Forwarding = false;
                pty = false;
                userRc = false;
            } else if (flag("cert-authority", false) != null) {
                certAuthority = true;
            } else if ((on = flag("port-forwarding", true)) != null) {
                portForwarding = on;
            } else if ((on = flag("agent-forwarding", true)) != null) {
                agentForwarding = on;
            } else if ((on = flag("x11-forwarding", true)) != null) {
                x11Forwarding = on;
            } else if ((on = flag("touch-required", true)) != null) {
                touchOptional = !on;
            } else if ((on = flag("verify-required", true)) != null) {
                verifyRequired = on;
            } else if ((on = flag("pty", true)) != null) {
                pty = on;
            } else if ((on = flag("user-rc", true)) != null) {
                userRc = on;
            } else if (valued("command")) {
                command = once("command", command);
            } else if (valued("principals")) {
                principals = once("principals", principals);
            } else if (valued("from")) {
                from = once("from", from);
            } else if (valued("expiry-time")) {
                long time = absoluteTime(quoted());
                expires = expires == 0 ? time : Math.min(expires, time);
            } else if (valued("environment")) {
                environment(quoted());
            } else if (valued("permitopen")) {
                permit(permitOpen, quoted(), false);
            } else if (valued("permitlisten")) {
                permit(permitListen, quoted(), true);
            } else if (valued("tunnel")) {
                tunnel(quoted());
            }
        }

        /** Whether the flag stands here: on, off ({@code no-}), or null. */
        private @Nullable Boolean flag(String name, boolean negatable) {
            if (negatable && text.regionMatches(true, at, "no-", 0, 3) && names(at + 3, name)) {
                at += 3 + name.length();
                return false;
            }
            if (names(at, name)) {
                at += name.length();
                return true;
            }
            return null;
        }

        private boolean names(int from, String name) {
            return text.regionMatches(true, from, name, 0, name.length());
        }

        private boolean valued(String name) {
            if (names(at, name)
                    && at + name.length() < text.length()
                    && text.charAt(at + name.length()) == '=') {
                at += name.length() + 1;
                return true;
            }
            return false;
        }

        private String quoted() throws Bad {
            if (at == text.length() || text.charAt(at) != '"') {
                throw new Bad("missing start quote");
            }
            at++;
            StringBuilder value = new StringBuilder();
            while (at < text.length() && text.charAt(at) != '"') {
                if (text.charAt(at) == '\\'
                        && at + 1 < text.length()
                        && text.charAt(at + 1) == '"') {
                    at++;
                }
                value.append(text.charAt(at++));
            }
            if (at == text.length()) {
                throw new Bad("missing end quote");
            }
            at++;
            return value.toString();
        }

        private String once(String name, @Nullable String before) throws Bad {
            if (before != null) {
                throw new Bad("multiple \"" + name + "\" clauses");
            }
            return quoted();
        }

        private void environment(String setting) throws Bad {
            int equals = setting.indexOf('=');
            if (equals <= 0) {
                throw new Bad("invalid environment string");
            }
            String name = setting.substring(0, equals);
            for (int i = 0; i < name.length(); i++) {
                char c = name.charAt(i);
                if (c > 127 || (!Character.isLetterOrDigit(c) && c != '_')) {
                    throw new Bad("invalid environment string");
                }
            }
            if (environment.size() >= MOST_ENVIRONMENT) {
                throw new Bad("too many environment strings");
            }
            environment.putIfAbsent(name, setting.substring(equals + 1));
        }

        private static void permit(List<String> into, String given, boolean barePort) throws Bad {
            if (into.size() >= MOST_PERMITS) {
                throw new Bad("too many permission directives");
            }
            String full = barePort && given.indexOf(':') < 0 ? "*:" + given : given;
            int colon;
            if (full.startsWith("[")) {
                int close = full.indexOf(']');
                colon =
                        close < 0
                                ? -2
                                : full.length() > close + 1 && full.charAt(close + 1) == ':'
                                        ? close + 1
                                        : -1;
            } else {
                colon = full.indexOf(':');
            }
            if (colon == -2 || colon == 0 || colon >= LONGEST_HOST || full.isEmpty()) {
                throw new Bad("invalid permission hostname");
            }
            if (colon < 0 || !port(full.substring(colon + 1))) {
                throw new Bad("invalid permission port");
            }
            into.add(full);
        }

        private static boolean port(String text) {
            if (text.equals("*")) {
                return true;
            }
            if (text.isEmpty() || text.length() > 5) {
                return false;
            }
            int port = 0;
            for (int i = 0; i < text.length(); i++) {
                char c = text.charAt(i);
                if (c < '0' || c > '9') {
                    return false;
                }
                port = port * 10 + (c - '0');
            }
            return port > 0 && port < 65536;
        }

        /** Understood, so that the line counts; there are no tunnel devices to force. */
        private static void tunnel(String device) throws Bad {
            if (device.equalsIgnoreCase("any")) {
                return;
            }
            try {
                int number = Integer.parseInt(device);
                if (number >= 0 && number < 0x7ffffffd) {
                    return;
                }
            } catch (NumberFormatException e) {
                throw new Bad("invalid tun device");
            }
            throw new Bad("invalid tun device");
        }
    }

    /** YYYYMMDD[Z] or YYYYMMDDHHMM[SS][Z], in seconds since 1970. */
    static long absoluteTime(String text) throws Bad {
        boolean utc = text.endsWith("Z") || text.endsWith("UTC");
        String digits =
                utc ? text.substring(0, text.length() - (text.endsWith("Z") ? 1 : 3)) : text;
        if (digits.length() != 8 && digits.length() != 12 && digits.length() != 14) {
            throw new Bad("invalid expires time");
        }
        for (int i = 0; i < digits.length(); i++) {
            if (digits.charAt(i) < '0' || digits.charAt(i) > '9') {
                throw new Bad("invalid expires time");
            }
        }
        String full = digits + "0".repeat(14 - digits.length());
        try {
            LocalDateTime time =
                    LocalDateTime.of(
                            number(full, 0, 4),
                            number(full, 4, 6),
                            number(full, 6, 8),
                            number(full, 8, 10),
                            number(full, 10, 12),
                            number(full, 12, 14));
            long seconds =
                    time.atZone(utc ? ZoneOffset.UTC : ZoneId.systemDefault()).toEpochSecond();
            if (seconds <= 0) {
                throw new Bad("invalid expires time");
            }
            return seconds;
        } catch (DateTimeException e) {
            throw new Bad("invalid expires time");
        }
    }

    private static int number(String text, int from, int to) {
        return Integer.parseInt(text.substring(from, to));
    }

    // ---- certificates

    /** What a user's certificate says, or null (with a line in the log) where it cannot be used. */
    static @Nullable KeyOptions of(Certificate certificate, Log log) {
        if (certificate.kind() != Certificate.Kind.USER) {
            return null;
        }
        boolean portForwarding = false;
        boolean agentForwarding = false;
        boolean x11Forwarding = false;
        boolean pty = false;
        boolean userRc = false;
        boolean touchOptional = false;
        boolean verifyRequired = false;
        String command = null;
        String sourceAddress = null;
        for (Certificate.Option option : certificate.critical()) {
            String name = option.name();
            try {
                switch (name) {
                    case "verify-required" -> {
                        flagOnly(option);
                        verifyRequired = true;
                    }
                    case "force-command" -> {
                        if (command != null) {
                            log.error("Certificate has multiple force-command options");
                            return null;
                        }
                        command = option.text();
                    }
                    case "source-address" -> {
                        if (sourceAddress != null) {
                            log.error("Certificate has multiple source-address options");
                            return null;
                        }
                        sourceAddress = option.text();
                        if (Addresses.ranges(null, sourceAddress) == Addresses.Answer.INVALID) {
                            log.error("Certificate source-address contains invalid entries");
                            return null;
                        }
                    }
                    default -> {
                        log.error(
                                "Certificate critical option \""
                                        + Safe.text(name)
                                        + "\" is not supported");
                        return null;
                    }
                }
            } catch (Malformed e) {
                log.error("Certificate option \"" + Safe.text(name) + "\" corrupt (extra data)");
                return null;
            }
        }
        for (Certificate.Option option : certificate.extensions()) {
            String name = option.name();
            try {
                switch (name.toLowerCase(Locale.ROOT)) {
                    case "no-touch-required" -> touchOptional = flagOnly(option);
                    case "permit-x11-forwarding" -> x11Forwarding = flagOnly(option);
                    case "permit-agent-forwarding" -> agentForwarding = flagOnly(option);
                    case "permit-port-forwarding" -> portForwarding = flagOnly(option);
                    case "permit-pty" -> pty = flagOnly(option);
                    case "permit-user-rc" -> userRc = flagOnly(option);
                    default ->
                            log.info(
                                    "Certificate extension \""
                                            + Safe.text(name)
                                            + "\" is not supported");
                }
            } catch (Malformed e) {
                log.error("Certificate option \"" + Safe.text(name) + "\" corrupt (extra data)");
                return null;
            }
        }
        return new KeyOptions(
                portForwarding,
                agentForwarding,
                x11Forwarding,
                pty,
                userRc,
                command,
                Map.of(),
                List.of(),
                List.of(),
                null,
                sourceAddress,
                0,
                false,
                null,
                touchOptional,
                verifyRequired);
    }

    private static boolean flagOnly(Certificate.Option option) throws Malformed {
        if (option.data().length != 0) {
            throw new Malformed("extra data");
        }
        return true;
    }

    // ---- both together

    /**
     * What holds where both are asked for: a freedom needs both, a limit needs one. The conditions
     * of authorized_keys have been checked by then and are not carried on.
     */
    KeyOptions and(KeyOptions other) throws Bad {
        if (command != null && other.command != null && !command.equals(other.command)) {
            throw new Bad("forced command options do not match");
        }
        return new KeyOptions(
                portForwarding && other.portForwarding,
                agentForwarding && other.agentForwarding,
                x11Forwarding && other.x11Forwarding,
                pty && other.pty,
                userRc && other.userRc,
                command != null ? command : other.command,
                environment.isEmpty() ? other.environment : environment,
                permitOpen.isEmpty() ? other.permitOpen : permitOpen,
                permitListen.isEmpty() ? other.permitListen : permitListen,
                from != null ? from : other.from,
                sourceAddress != null ? sourceAddress : other.sourceAddress,
                expires == 0
                        ? other.expires
                        : other.expires == 0 ? expires : Math.min(expires, other.expires),
                false,
                null,
                touchOptional && other.touchOptional,
                verifyRequired || other.verifyRequired);
    }

    /**
     * What the session may do.
     *
     * @param environmentNames pattern list of PermitUserEnvironment; null: no variables at all
     */
    Permissions permissions(@Nullable String environmentNames) {
        Map<String, String> permitted = new LinkedHashMap<>();
        if (environmentNames != null) {
            environment.forEach((name, value) -> {
                if (Patterns.list(name, environmentNames, false) == 1) {
                    permitted.put(name, value);
                }
            });
        }
        return new Permissions(
                command,
                permitted,
                pty,
                agentForwarding,
                portForwarding,
                x11Forwarding,
                userRc,
                permitOpen.isEmpty() ? null : permitOpen,
                permitListen.isEmpty() ? null : permitListen);
    }

    /** For the log and for the client, in OpenSSH's words (auth_log_authopts). */
    String described(ServerSettings settings) {
        ServerSettings.Forwarding tcp = settings.allowTcpForwarding();
        StringBuilder text = new StringBuilder("key options:");
        text.append(agentForwarding ? " agent-forwarding" : "");
        text.append(command == null ? "" : " command");
        boolean environs = settings.permitUserEnvironment() != null && !environment.isEmpty();
        text.append(environs ? " environment" : "");
        text.append(expires == 0 ? "" : "expires"); // it has no space there
        text.append(touchOptional ? " no-touch-required" : "");
        text.append(permitOpen.isEmpty() || !tcp.local() ? "" : " permitopen");
        text.append(permitListen.isEmpty() || !tcp.remote() ? "" : " permitlisten");
        text.append(portForwarding ? " port-forwarding" : "");
        text.append(principals == null ? "" : " principals");
        text.append(pty ? " pty" : "");
        text.append(verifyRequired ? " uv" : "");
        text.append(userRc ? " user-rc" : "");
        text.append(x11Forwarding ? " x11-forwarding" : "");
        return text.toString();
    }
}
