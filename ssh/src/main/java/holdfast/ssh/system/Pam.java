package holdfast.ssh.system;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Asks PAM whether somebody is who they say, and whether they may come in.
 *
 * <p>Authentication and account only: session modules would change this process and belong to the
 * child ({@link Become}). Each call may wait for seconds (pam_unix waits after a wrong password),
 * on the thread that calls; use a platform thread.
 */
public final class Pam {

    private static final int SUCCESS = 0;
    private static final int BUFFER_ERROR = 5;
    private static final int PERMISSION_DENIED = 6;
    private static final int AUTH_ERROR = 7;
    private static final int CRED_INSUFFICIENT = 8;
    private static final int AUTHINFO_UNAVAILABLE = 9;
    private static final int USER_UNKNOWN = 10;
    private static final int MAX_TRIES = 11;
    private static final int NEW_PASSWORD_REQUIRED = 12;
    private static final int CONVERSATION_ERROR = 19;

    private static final int DISALLOW_NULL = 1;
    private static final int CHANGE_EXPIRED = 0x20;

    private static final int ITEM_USER = 2;
    private static final int ITEM_TTY = 3;
    private static final int ITEM_HOST = 4;

    /** Limits of PAM's own headers: messages at once, bytes of an answer. */
    private static final int MESSAGES = 32;

    private static final int ANSWER_BYTES = 512;

    /** As much of a message as a person is shown. */
    private static final int TEXT_BYTES = 4096;

    private Pam() {}

    /** One thing PAM says or asks. */
    public record Prompt(Kind kind, String text) {
        /** What is expected. */
        public enum Kind {
            SECRET,
            SHOWN,
            ERROR,
            INFO
        }
    }

    /** Answers PAM's questions. */
    public interface Conversation {

        /**
         * What the person says, or what is known already.
         *
         * @return an answer for each prompt, in order; for ERROR and INFO it is not looked at. The
         *     arrays are wiped after use. Null ends the attempt.
         */
        char @Nullable [] @Nullable [] answer(List<Prompt> prompts);

        /** Whether the person can be asked for a new password when theirs has expired. */
        default boolean mayChange() {
            return false;
        }
    }

    /**
     * How it came out.
     *
     * @param code PAM's number
     * @param words what PAM says of it
     */
    public record Verdict(Result result, int code, String words) {
        /** In the order of how far it came. */
        public enum Result {
            /** Proven and allowed. */
            ACCEPTED,
            /** Proven, but the password must be changed first. */
            PASSWORD_EXPIRED,
            /** Proven, but the account may not come in (expired, locked, hours). */
            NOT_ALLOWED,
            /** Not proven. */
            REFUSED,
            /** PAM itself failed, or is not there. */
            BROKEN
        }
    }

    /** libpam, loaded on first use. */
    private static final class Library {
        static final @Nullable Library ONE = load();

        final MemorySegment start;
        final MemorySegment end;
        final MemorySegment setItem;
        final MemorySegment getItem;
        final MemorySegment authenticate;
        final MemorySegment account;
        final MemorySegment change;
        final MemorySegment words;
        final MemorySegment calloc = Native.symbol("calloc");
        final MemorySegment free = Native.symbol("free");
        final MethodHandle converse;

        private Library(SymbolLookup pam) throws ReflectiveOperationException {
            start = pam.findOrThrow("pam_start");
            end = pam.findOrThrow("pam_end");
            setItem = pam.findOrThrow("pam_set_item");
            getItem = pam.findOrThrow("pam_get_item");
            authenticate = pam.findOrThrow("pam_authenticate");
            account = pam.findOrThrow("pam_acct_mgmt");
            change = pam.findOrThrow("pam_chauthtok");
            words = pam.findOrThrow("pam_strerror");
            converse =
                    MethodHandles.lookup()
                            .findVirtual(
                                    Attempt.class,
                                    "converse",
                                    MethodType.methodType(
                                            int.class,
                                            int.class,
                                            MemorySegment.class,
                                            MemorySegment.class,
                                            MemorySegment.class));
        }

        // Restricted because a library could do anything; this one is the system's own.
        @SuppressWarnings("restricted")
        private static @Nullable Library load() {
            try {
                return new Library(SymbolLookup.libraryLookup("libpam.so.0", Arena.global()));
            } catch (IllegalArgumentException
                    | java.util.NoSuchElementException
                    | ReflectiveOperationException e) {
                return null;
            }
        }

        String words(int code) {
            return Native.string(Native.raw(words, 0, code, 0), 256);
        }
    }

    /** True if libpam can be loaded. */
    public static boolean available() {
        return Library.ONE != null;
    }

    /**
     * Authenticates and checks the account.
     *
     * @param service the file of /etc/pam.d, as {@code sshd}
     * @param host where they come from, for PAM's rules and its log
     * @param allowEmpty PermitEmptyPasswords
     */
    public static Verdict authenticate(
            String service,
            String user,
            String host,
            boolean allowEmpty,
            Conversation conversation) {
        return attempt(service, user, host, true, allowEmpty ? 0 : DISALLOW_NULL, conversation);
    }

    /**
     * Checks only whether the account may come in, for those who proved it with a key. The words
     * are what its modules say to the user, if anything.
     */
    public static Verdict account(String service, String user, String host) {
        List<String> said = new ArrayList<>();
        Verdict verdict =
                attempt(
                        service,
                        user,
                        host,
                        false,
                        0,
                        prompts -> {
                            prompts.forEach(prompt -> said.add(prompt.text()));
                            return new char[prompts.size()][];
                        });
        return verdict.result() == Verdict.Result.BROKEN
                ? verdict
                : new Verdict(verdict.result(), verdict.code(), String.join("\n", said));
    }

    private static Verdict attempt(
            String service,
            String user,
            String host,
            boolean authenticate,
            int flags,
            Conversation conversation) {
        Library pam = Library.ONE;
        if (pam == null) {
            return new Verdict(Verdict.Result.BROKEN, -1, "PAM is not installed");
        }
        if (user.indexOf('\0') >= 0 || host.indexOf('\0') >= 0 || service.indexOf('\0') >= 0) {
            return new Verdict(Verdict.Result.REFUSED, USER_UNKNOWN, pam.words(USER_UNKNOWN));
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment handle = arena.allocate(ValueLayout.JAVA_LONG);
            MemorySegment conv = arena.allocate(16, 8);
            conv.set(
                    ValueLayout.ADDRESS,
                    0,
                    stub(pam.converse.bindTo(new Attempt(pam, conversation)), arena));
            int code =
                    (int)
                            Native.raw(
                                    pam.start,
                                    Native.string(arena, service).address(),
                                    Native.string(arena, user).address(),
                                    conv.address(),
                                    handle.address(),
                                    0,
                                    0);
            if (code != SUCCESS) {
                return new Verdict(Verdict.Result.BROKEN, code, pam.words(code));
            }
            long pamh = handle.get(ValueLayout.JAVA_LONG, 0);
            Verdict verdict = null;
            try {
                item(pam, arena, pamh, ITEM_HOST, host);
                // As OpenSSH: some modules fail without a terminal.
                item(pam, arena, pamh, ITEM_TTY, "ssh");
                verdict =
                        judge(
                                pam,
                                arena,
                                pamh,
                                user,
                                authenticate,
                                flags,
                                conversation.mayChange());
                return verdict;
            } finally {
                Native.raw(pam.end, pamh, verdict == null ? CONVERSATION_ERROR : verdict.code, 0);
            }
        }
    }

    private static Verdict judge(
            Library pam,
            Arena arena,
            long pamh,
            String user,
            boolean authenticate,
            int flags,
            boolean mayChange) {
        if (authenticate) {
            int code = (int) Native.raw(pam.authenticate, pamh, flags, 0);
            if (code != SUCCESS) {
                Verdict.Result result =
                        switch (code) {
                            case PERMISSION_DENIED,
                                    AUTH_ERROR,
                                    CRED_INSUFFICIENT,
                                    AUTHINFO_UNAVAILABLE,
                                    USER_UNKNOWN,
                                    MAX_TRIES,
                                    CONVERSATION_ERROR ->
                                    Verdict.Result.REFUSED;
                            default -> Verdict.Result.BROKEN;
                        };
                return new Verdict(result, code, pam.words(code));
            }
        }
        int code = (int) Native.raw(pam.account, pamh, flags, 0);
        if (code == NEW_PASSWORD_REQUIRED && mayChange) {
            // The modules ask for the old and the new one, as OpenSSH has them do.
            code = (int) Native.raw(pam.change, pamh, CHANGE_EXPIRED, 0);
            if (code != SUCCESS) {
                return new Verdict(Verdict.Result.REFUSED, code, pam.words(code));
            }
        }
        if (code == SUCCESS && !user.equals(name(pam, arena, pamh))) {
            // A module may map names; a login as somebody else was not asked for.
            return new Verdict(Verdict.Result.BROKEN, USER_UNKNOWN, "PAM changed the user's name");
        }
        Verdict.Result result =
                switch (code) {
                    case SUCCESS -> Verdict.Result.ACCEPTED;
                    case NEW_PASSWORD_REQUIRED -> Verdict.Result.PASSWORD_EXPIRED;
                    default -> Verdict.Result.NOT_ALLOWED;
                };
        return new Verdict(result, code, pam.words(code));
    }

    private static void item(Library pam, Arena arena, long pamh, int item, String value) {
        Native.raw(pam.setItem, pamh, item, Native.string(arena, value).address());
    }

    private static String name(Library pam, Arena arena, long pamh) {
        MemorySegment item = arena.allocate(ValueLayout.JAVA_LONG);
        int code = (int) Native.raw(pam.getItem, pamh, ITEM_USER, item.address());
        return code == SUCCESS ? Native.string(item.get(ValueLayout.JAVA_LONG, 0), 1024) : "";
    }

    // Restricted because a wrong signature can crash the VM: it is struct pam_conv's.
    @SuppressWarnings("restricted")
    private static MemorySegment stub(MethodHandle converse, Arena arena) {
        return Linker.nativeLinker()
                .upcallStub(
                        converse,
                        FunctionDescriptor.of(
                                ValueLayout.JAVA_INT,
                                ValueLayout.JAVA_INT,
                                ValueLayout.ADDRESS,
                                ValueLayout.ADDRESS,
                                ValueLayout.ADDRESS),
                        arena);
    }

    /** What PAM calls back. */
    private static final class Attempt {
        private final Library pam;
        private final Conversation conversation;

        Attempt(Library pam, Conversation conversation) {
            this.pam = pam;
            this.conversation = conversation;
        }

        /** Never throws: an exception that reached C would end the VM. */
        // Called by PAM through a handle, in the shape of struct pam_conv.
        @SuppressWarnings({"UnusedMethod", "UnusedVariable"})
        int converse(int count, MemorySegment messages, MemorySegment into, MemorySegment data) {
            try {
                return count < 1 || count > MESSAGES
                        ? CONVERSATION_ERROR
                        : converse(count, messages.address(), into.address());
            } catch (Throwable t) {
                return CONVERSATION_ERROR;
            }
        }

        private int converse(int count, long messages, long into) {
            MemorySegment pointers = Native.pointer(messages, 8L * count);
            List<Prompt> prompts = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                MemorySegment message =
                        Native.pointer(pointers.getAtIndex(ValueLayout.JAVA_LONG, i), 16);
                Prompt.Kind kind =
                        switch (message.get(ValueLayout.JAVA_INT, 0)) {
                            case 1 -> Prompt.Kind.SECRET;
                            case 2 -> Prompt.Kind.SHOWN;
                            case 3 -> Prompt.Kind.ERROR;
                            case 4 -> Prompt.Kind.INFO;
                            default -> null;
                        };
                if (kind == null) {
                    return CONVERSATION_ERROR;
                }
                String text = Native.string(message.get(ValueLayout.JAVA_LONG, 8), TEXT_BYTES);
                prompts.add(new Prompt(kind, text));
            }
            char @Nullable [] @Nullable [] answers = conversation.answer(prompts);
            if (answers == null || answers.length != count) {
                wipe(answers);
                return CONVERSATION_ERROR;
            }
            try {
                return hand(prompts, answers, into);
            } finally {
                wipe(answers);
            }
        }

        /** The answers into memory that PAM frees, and its modules wipe. */
        private int hand(List<Prompt> prompts, char[] @Nullable [] answers, long into) {
            int count = prompts.size();
            long responses = Native.raw(pam.calloc, count, 16, 0);
            if (responses == 0) {
                return BUFFER_ERROR;
            }
            MemorySegment all = Native.pointer(responses, 16L * count);
            boolean whole = true;
            for (int i = 0; i < count && whole; i++) {
                char[] answer = answers[i];
                boolean asked =
                        switch (prompts.get(i).kind) {
                            case SECRET, SHOWN -> true;
                            case ERROR, INFO -> false;
                        };
                if (asked) {
                    long copy = answer == null ? 0 : copy(answer);
                    whole = copy != 0;
                    all.set(ValueLayout.JAVA_LONG, 16L * i, copy);
                }
            }
            if (!whole) {
                for (int i = 0; i < count; i++) {
                    forget(all.get(ValueLayout.JAVA_LONG, 16L * i));
                }
                Native.raw(pam.free, responses, 0, 0);
                return CONVERSATION_ERROR;
            }
            Native.pointer(into, 8).set(ValueLayout.JAVA_LONG, 0, responses);
            return SUCCESS;
        }

        /** 0 for an answer that is too long or has a zero byte, which C would cut short. */
        private long copy(char[] answer) {
            if (answer.length >= ANSWER_BYTES) {
                return 0;
            }
            ByteBuffer bytes = ByteBuffer.allocate(answer.length * 3);
            try {
                StandardCharsets.UTF_8
                        .newEncoder()
                        .onMalformedInput(CodingErrorAction.REPLACE)
                        .encode(CharBuffer.wrap(answer), bytes, true);
                bytes.flip();
                int length = bytes.remaining();
                if (length >= ANSWER_BYTES) {
                    return 0;
                }
                for (int i = 0; i < length; i++) {
                    if (bytes.get(i) == 0) {
                        return 0;
                    }
                }
                long copy = Native.raw(pam.calloc, ANSWER_BYTES, 1, 0);
                if (copy != 0) {
                    MemorySegment.copy(
                            MemorySegment.ofArray(bytes.array()),
                            0,
                            Native.pointer(copy, ANSWER_BYTES),
                            0,
                            length);
                }
                return copy;
            } finally {
                Arrays.fill(bytes.array(), (byte) 0);
            }
        }

        private void forget(long copy) {
            if (copy != 0) {
                Native.pointer(copy, ANSWER_BYTES).fill((byte) 0);
                Native.raw(pam.free, copy, 0, 0);
            }
        }

        private static void wipe(char @Nullable [] @Nullable [] answers) {
            if (answers != null) {
                for (char[] answer : answers) {
                    if (answer != null) {
                        Arrays.fill(answer, '\0');
                    }
                }
            }
        }
    }
}
