package holdfast.core.tether;

import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Who may bring a tether its next carrier: both ends prove that they hold its key, over everything
 * that either has said on the new connection (PROTOCOL.md section 6).
 */
public final class Resumption {

    /** A tether's name: 16 random bytes. */
    public static final int ID = 16;

    /** A proof: HMAC-SHA256. */
    public static final int PROOF = 32;

    private static final byte[] CLIENT = Bytes.ascii("tether-1 client resumes\n");
    private static final byte[] SERVER = Bytes.ascii("tether-1 server resumes\n");
    private static final byte[] KEY = Bytes.ascii("tether-1 key\n");

    private Resumption() {}

    /** What the tether's key is derived for, beside the shared secret: both lines as they went. */
    public static byte[] context(String clientLine, String serverLine) {
        return join(KEY, Bytes.ascii(clientLine + "\n" + serverLine + "\n"));
    }

    /**
     * The client's request with its proof; {@code serverLine} is the server's, of this connection.
     */
    public static TetherLine.Resume request(
            Prover prover,
            Bytes id,
            long generation,
            long received,
            long taken,
            Bytes nonce,
            String serverLine) {
        TetherLine.Resume unproved =
                new TetherLine.Resume(
                        id, generation, received, taken, nonce, Bytes.of(new byte[PROOF]));
        byte[] proof = prover.mac(requestMessage(unproved, serverLine));
        return new TetherLine.Resume(id, generation, received, taken, nonce, Bytes.of(proof));
    }

    /**
     * Whether the client holds the key. A server asks this for a tether that it does not know, too,
     * under a key that nobody has, so that both take equally long.
     */
    public static boolean proved(Prover prover, TetherLine.Resume request, String serverLine) {
        return request.proof().matches(prover.mac(requestMessage(request, serverLine)));
    }

    /** The server's answer with its proof. */
    public static Frame.Resumed answer(
            Prover prover,
            TetherLine.Resume request,
            String serverLine,
            long received,
            long taken,
            long from) {
        byte[] proof = prover.mac(answerMessage(request, serverLine, received, taken, from));
        return new Frame.Resumed(received, taken, from, Bytes.of(proof));
    }

    /** Whether the server holds the key, and answered this request. */
    public static boolean proved(
            Prover prover, TetherLine.Resume request, String serverLine, Frame.Resumed answer) {
        return answer.proof()
                .matches(
                        prover.mac(
                                answerMessage(
                                        request,
                                        serverLine,
                                        answer.received(),
                                        answer.taken(),
                                        answer.from())));
    }

    /**
     * A server's whole answer to a request.
     *
     * @param answer what is to be sent on the new connection
     * @param carrier the tether's current one from now on; null: refused, and the connection is to
     *     be closed
     */
    public record Served(byte[] answer, Tether.@Nullable Carrier carrier) {}

    /**
     * Checks a request and answers it. A tether that is not there, a bad proof, a stale generation
     * and an offset that was never sent take the same time and get the same answer.
     *
     * @param tether the one that the request names; null: there is none
     * @param prover its key; where there is none, a key that nobody has
     * @param allowed whether whoever asks may have it, from where he asks
     */
    public static Served serve(
            @Nullable Tether tether,
            Prover prover,
            TetherLine.Resume request,
            String serverLine,
            boolean allowed) {
        boolean proved = proved(prover, request, serverLine);
        Tether.Offsets offsets = tether == null ? null : tether.accept(request, proved && allowed);
        Frame.Resumed answer =
                offsets == null
                        ? answer(prover, request, serverLine, 0, 0, 0)
                        : answer(
                                prover,
                                request,
                                serverLine,
                                offsets.received(),
                                offsets.taken(),
                                offsets.from());
        byte[] bytes = new byte[Frame.LONGEST_CONTROL];
        if (tether == null || offsets == null) {
            int length = new Frame.Refused(Frame.Refused.GONE).write(bytes, 0);
            return new Served(Arrays.copyOf(bytes, length), null);
        }
        int length = answer.write(bytes, 0);
        return new Served(Arrays.copyOf(bytes, length), tether.resume(request, offsets));
    }

    private static byte[] requestMessage(TetherLine.Resume request, String serverLine) {
        return join(CLIENT, request.unproved(), Bytes.ascii(serverLine + "\n"));
    }

    private static byte[] answerMessage(
            TetherLine.Resume request, String serverLine, long received, long taken, long from) {
        byte[] offsets = new byte[24];
        Numbers.putLong(received, offsets, 0);
        Numbers.putLong(taken, offsets, 8);
        Numbers.putLong(from, offsets, 16);
        return join(
                SERVER,
                request.unproved(),
                request.proof().toArray(),
                offsets,
                Bytes.ascii(serverLine + "\n"));
    }

    private static byte[] join(byte[]... parts) {
        int length = 0;
        for (byte[] part : parts) {
            length += part.length;
        }
        byte[] all = new byte[length];
        int at = 0;
        for (byte[] part : parts) {
            System.arraycopy(part, 0, all, at, part.length);
            at += part.length;
        }
        return all;
    }
}
