package holdfast.ssh.config;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The names of algorithms, kind by kind: those OpenSSH knows, its defaults in its order, and those
 * that Holdfast has. A name that OpenSSH knows and Holdfast lacks may be asked for and is dropped.
 */
enum Algorithms {
    CIPHERS(
            "Bad SSH2 cipher spec '%s'.",
            "3des-cbc aes128-cbc aes192-cbc aes256-cbc aes128-ctr aes192-ctr aes256-ctr"
                    + " aes128-gcm@openssh.com aes256-gcm@openssh.com"
                    + " chacha20-poly1305@openssh.com",
            "chacha20-poly1305@openssh.com aes128-gcm@openssh.com aes256-gcm@openssh.com"
                    + " aes128-ctr aes192-ctr aes256-ctr",
            ""),
    /**
     * OpenSSH's order suits Java as well: for packets of 32 KiB umac-64 is 4 times and umac-128 3
     * times as quick as hmac-sha2-256 (8.5, 6.5 and 1.9 GB/s, on a processor that has instructions
     * for SHA-256), so that umac comes first here too.
     */
    MACS(
            "Bad SSH2 MAC spec '%s'.",
            "hmac-sha1 hmac-sha1-96 hmac-sha2-256 hmac-sha2-512 hmac-md5 hmac-md5-96"
                    + " umac-64@openssh.com umac-128@openssh.com hmac-sha1-etm@openssh.com"
                    + " hmac-sha1-96-etm@openssh.com hmac-sha2-256-etm@openssh.com"
                    + " hmac-sha2-512-etm@openssh.com hmac-md5-etm@openssh.com"
                    + " hmac-md5-96-etm@openssh.com umac-64-etm@openssh.com"
                    + " umac-128-etm@openssh.com",
            "umac-64-etm@openssh.com umac-128-etm@openssh.com hmac-sha2-256-etm@openssh.com"
                    + " hmac-sha2-512-etm@openssh.com hmac-sha1-etm@openssh.com"
                    + " umac-64@openssh.com umac-128@openssh.com hmac-sha2-256 hmac-sha2-512"
                    + " hmac-sha1",
            ""),
    KEX(
            "Bad SSH2 KexAlgorithms '%s'.",
            "diffie-hellman-group1-sha1 diffie-hellman-group14-sha1"
                    + " diffie-hellman-group14-sha256 diffie-hellman-group16-sha512"
                    + " diffie-hellman-group18-sha512 diffie-hellman-group-exchange-sha1"
                    + " diffie-hellman-group-exchange-sha256 ecdh-sha2-nistp256"
                    + " ecdh-sha2-nistp384 ecdh-sha2-nistp521 curve25519-sha256"
                    + " curve25519-sha256@libssh.org sntrup761x25519-sha512"
                    + " sntrup761x25519-sha512@openssh.com mlkem768x25519-sha256",
            "mlkem768x25519-sha256 sntrup761x25519-sha512 sntrup761x25519-sha512@openssh.com"
                    + " curve25519-sha256 curve25519-sha256@libssh.org ecdh-sha2-nistp256"
                    + " ecdh-sha2-nistp384 ecdh-sha2-nistp521"
                    + " diffie-hellman-group-exchange-sha256 diffie-hellman-group16-sha512"
                    + " diffie-hellman-group18-sha512 diffie-hellman-group14-sha256",
            ""),
    /** Host keys, and user keys alike: both are names of signatures. */
    SIGNATURES(
            "Bad key types '%s'.",
            "ssh-ed25519 ssh-ed25519-cert-v01@openssh.com sk-ssh-ed25519@openssh.com"
                    + " sk-ssh-ed25519-cert-v01@openssh.com ecdsa-sha2-nistp256"
                    + " ecdsa-sha2-nistp256-cert-v01@openssh.com ecdsa-sha2-nistp384"
                    + " ecdsa-sha2-nistp384-cert-v01@openssh.com ecdsa-sha2-nistp521"
                    + " ecdsa-sha2-nistp521-cert-v01@openssh.com"
                    + " sk-ecdsa-sha2-nistp256@openssh.com"
                    + " sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"
                    + " webauthn-sk-ecdsa-sha2-nistp256@openssh.com ssh-dss"
                    + " ssh-dss-cert-v01@openssh.com ssh-rsa ssh-rsa-cert-v01@openssh.com"
                    + " rsa-sha2-256 rsa-sha2-256-cert-v01@openssh.com rsa-sha2-512"
                    + " rsa-sha2-512-cert-v01@openssh.com",
            "ssh-ed25519-cert-v01@openssh.com ecdsa-sha2-nistp256-cert-v01@openssh.com"
                    + " ecdsa-sha2-nistp384-cert-v01@openssh.com"
                    + " ecdsa-sha2-nistp521-cert-v01@openssh.com"
                    + " sk-ssh-ed25519-cert-v01@openssh.com"
                    + " sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"
                    + " rsa-sha2-512-cert-v01@openssh.com rsa-sha2-256-cert-v01@openssh.com"
                    + " ssh-ed25519 ecdsa-sha2-nistp256 ecdsa-sha2-nistp384"
                    + " ecdsa-sha2-nistp521 sk-ssh-ed25519@openssh.com"
                    + " sk-ecdsa-sha2-nistp256@openssh.com rsa-sha2-512 rsa-sha2-256",
            "sk-ssh-ed25519-cert-v01@openssh.com sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"
                    + " webauthn-sk-ecdsa-sha2-nistp256@openssh.com ssh-dss"
                    + " ssh-dss-cert-v01@openssh.com");

    /** What came after OpenSSH 10.0: may be asked for, and is left out of the list. */
    private static final String NEWER_KEX = "mlkem768nistp256-sha256";

    private static final String NEWER_SIGNATURES =
            "ssh-mldsa44-ed25519 ssh-mldsa44-ed25519-cert"
                    + " webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com";

    private static final String AES_FIRST =
            "aes128-gcm@openssh.com aes256-gcm@openssh.com chacha20-poly1305@openssh.com"
                    + " aes128-ctr aes192-ctr aes256-ctr";

    private final String badSpec;
    private final String all;
    private final String defaults;
    private final String lacking;

    Algorithms(String badSpec, String all, String defaults, String lacking) {
        this.badSpec = badSpec;
        this.all = all;
        this.defaults = defaults;
        this.lacking = lacking;
    }

    /** OpenSSH's default names in its order, those that Holdfast lacks included. */
    List<String> defaults() {
        return List.of(defaults.split(" "));
    }

    /** The ciphers' default order for a processor with AES instructions. */
    static List<String> ciphersWithAesFirst() {
        return List.of(AES_FIRST.split(" "));
    }

    /** What OpenSSH says of a list it does not understand. */
    String badSpec(String list) {
        return badSpec.replace("%s", list);
    }

    /** The first name in {@code list} (without its + or ^) that OpenSSH does not know, or null. */
    @Nullable String unknownIn(String list) {
        if (list.isEmpty()) {
            return "";
        }
        for (String name : list.split(",", -1)) {
            if (name.isEmpty()) {
                // OpenSSH stops looking here (cipher.c ciphers_valid).
                return null;
            }
            if (!knows(name)) {
                return name;
            }
        }
        return null;
    }

    private boolean knows(String name) {
        boolean wildcards = this == SIGNATURES;
        String newer = this == KEX ? NEWER_KEX : wildcards ? NEWER_SIGNATURES : "";
        for (String known : List.of((all + " " + newer).split(" "))) {
            if (known.equals(name) || (wildcards && Patterns.list(known, name, false) != 0)) {
                return true;
            }
        }
        return false;
    }

    boolean has(String name) {
        return !(" " + lacking + " ").contains(" " + name + " ");
    }

    /**
     * Applies what was given to a default list (kex.c kex_assemble_names): {@code +} appends,
     * {@code -} takes away, {@code ^} puts in front, anything else replaces; wildcards stand for
     * every name OpenSSH knows.
     *
     * @return names OpenSSH knows, each once; empty where nothing is left
     */
    List<String> assemble(@Nullable String given, List<String> defaultNames) {
        if (given == null || given.isEmpty()) {
            return defaultNames;
        }
        Set<String> names = new LinkedHashSet<>();
        switch (given.charAt(0)) {
            case '-' -> {
                for (String name : defaultNames) {
                    if (Patterns.list(name, given.substring(1), false) != 1) {
                        names.add(name);
                    }
                }
            }
            case '+' -> {
                names.addAll(defaultNames);
                addMatching(names, given.substring(1));
            }
            case '^' -> {
                addMatching(names, given.substring(1));
                names.addAll(defaultNames);
            }
            default -> addMatching(names, given);
        }
        return new ArrayList<>(names);
    }

    /** What {@code -Q help} lists. */
    private static final List<String> QUERIES =
            List.of(
                    "cipher",
                    "cipher-auth",
                    "compression",
                    "kex",
                    "kex-gss",
                    "key",
                    "key-cert",
                    "key-plain",
                    "key-sig",
                    "mac",
                    "protocol-version",
                    "sig");

    /**
     * The answer to {@code -Q}, a line each; null: there is no such question. Of keywords alone the
     * case does not matter.
     */
    static @Nullable List<String> query(String question) {
        String keyword = question.toLowerCase(Locale.ROOT);
        return switch (keyword.equals("help") || QUERIES.contains(keyword) ? question : keyword) {
            case "help" -> QUERIES;
            case "cipher", "ciphers" -> CIPHERS.here(name -> true);
            case "cipher-auth" ->
                    CIPHERS.here(name -> name.contains("gcm") || name.contains("poly1305"));
            case "mac", "macs" -> MACS.here(name -> true);
            case "kex", "kexalgorithms" -> KEX.here(name -> true);
            case "kex-gss" -> List.of();
            case "compression" -> List.of("none", "zlib@openssh.com");
            case "protocol-version" -> List.of("2");
            case "key" -> keys(name -> true);
            case "key-cert" -> keys(name -> name.contains("-cert-"));
            case "key-plain" -> keys(name -> !name.contains("-cert-"));
            case "key-sig",
                    "hostkeyalgorithms",
                    "hostbasedkeytypes",
                    "hostbasedacceptedkeytypes",
                    "hostbasedacceptedalgorithms",
                    "pubkeyacceptedkeytypes",
                    "pubkeyacceptedalgorithms" ->
                    signatures(name -> true);
            case "sig" -> signatures(name -> !name.contains("-cert-"));
            default -> null;
        };
    }

    /** Those of OpenSSH's names, in its order, that Holdfast has. */
    private List<String> here(Predicate<String> wanted) {
        List<String> names = new ArrayList<>();
        for (String name : all.split(" ", -1)) {
            if (has(name) && wanted.test(name)) {
                names.add(name);
            }
        }
        return names;
    }

    /** A person's hardware keys count: the agent signs with them. */
    private static List<String> signatures(Predicate<String> wanted) {
        List<String> names = new ArrayList<>();
        for (String name : SIGNATURES.all.split(" ", -1)) {
            if (!name.startsWith("ssh-dss") && wanted.test(name)) {
                names.add(name);
            }
        }
        return names;
    }

    private static List<String> keys(Predicate<String> wanted) {
        return signatures(name ->
                !name.startsWith("rsa-") && !name.startsWith("webauthn") && wanted.test(name));
    }

    private void addMatching(Set<String> names, String list) {
        for (String pattern : list.split(",", -1)) {
            for (String known : List.of(all.split(" ", -1))) {
                if (Patterns.list(known, pattern, false) == 1) {
                    names.add(known);
                }
            }
        }
    }
}
