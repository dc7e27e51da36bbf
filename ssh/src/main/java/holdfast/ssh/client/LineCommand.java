package holdfast.ssh.client;

import holdfast.ssh.config.ForwardSpec;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a person types after {@code ~C}, understood: process_cmdline of OpenSSH's clientloop.c. */
sealed interface LineCommand {

    /** Nothing was typed. */
    record Nothing() implements LineCommand {}

    /** List what can be typed. */
    record Help() implements LineCommand {}

    /** Run this here. */
    record Run(String command) implements LineCommand {}

    /** Begin to forward. */
    record Open(ForwardSpec.Kind kind, ForwardSpec spec) implements LineCommand {}

    /** End a forwarding; of {@code spec} only where it listens means something. */
    record Cancel(ForwardSpec.Kind kind, ForwardSpec spec) implements LineCommand {}

    /** Not understood; {@code words} say what of it. */
    record Bad(String words) implements LineCommand {}

    /**
     * Reads a line.
     *
     * @param typed null: none was
     * @param permitLocal PermitLocalCommand: whether {@code !} is understood
     */
    static LineCommand read(@Nullable String typed, boolean permitLocal) {
        String line = typed == null ? "" : typed.stripLeading();
        if (line.startsWith("-")) {
            line = line.substring(1);
        }
        if (line.isEmpty()) {
            return new Nothing();
        }
        char first = line.charAt(0);
        if (first == 'h' || first == 'H' || first == '?') {
            return new Help();
        }
        if (first == '!' && permitLocal) {
            return new Run(line.substring(1));
        }
        boolean cancel = first == 'K';
        if (cancel) {
            line = line.substring(1);
        }
        ForwardSpec.Kind kind =
                switch (line.isEmpty() ? ' ' : line.charAt(0)) {
                    case 'L' -> ForwardSpec.Kind.LOCAL;
                    case 'R' -> ForwardSpec.Kind.REMOTE;
                    case 'D' -> ForwardSpec.Kind.DYNAMIC;
                    default -> null;
                };
        if (kind == null) {
            return new Bad("Invalid command.");
        }
        String rest = line.substring(1).stripLeading();
        if (cancel) {
            // One or two fields, whatever it was.
            ForwardSpec spec = ForwardSpec.parse(rest, ForwardSpec.Kind.DYNAMIC);
            return spec == null
                    ? new Bad("Bad forwarding close specification.")
                    : new Cancel(kind, spec);
        }
        ForwardSpec spec = ForwardSpec.parse(rest, kind);
        if (spec == null) {
            return new Bad(
                    kind == ForwardSpec.Kind.REMOTE
                            ? "Bad remote forwarding specification."
                            : "Bad local forwarding specification.");
        }
        return new Open(kind, spec);
    }

    /** What {@link Help} prints, a line each. */
    static List<String> help(boolean permitLocal) {
        List<String> lines =
                List.of(
                        "Commands:",
                        "      -L[bind_address:]port:host:hostport    Request local forward",
                        "      -R[bind_address:]port:host:hostport    Request remote forward",
                        "      -D[bind_address:]port                  Request dynamic forward",
                        "      -KL[bind_address:]port                 Cancel local forward",
                        "      -KR[bind_address:]port                 Cancel remote forward",
                        "      -KD[bind_address:]port                 Cancel dynamic forward",
                        "      !args                                  Execute local command");
        return permitLocal ? lines : lines.subList(0, lines.size() - 1);
    }
}
