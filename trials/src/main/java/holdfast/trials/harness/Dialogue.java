package holdfast.trials.harness;

/** A database and its client, as far as a connection can tell: two programs of Python's. */
public final class Dialogue {

    /** Answers every line with itself; says its port first. */
    public static final String ECHO =
            """
            import socketserver
            class Echo(socketserver.StreamRequestHandler):
                def handle(self):
                    for line in self.rfile: self.wfile.write(line)
            class Server(socketserver.ThreadingTCPServer):
                daemon_threads = True
            with Server(("127.0.0.1", 0), Echo) as server:
                print(server.server_address[1], flush=True)
                server.serve_forever()
            """;

    /**
     * One question, one answer, and so on, until the file exists that its second argument names;
     * its first is the port. It ends with an error as soon as an answer is wrong.
     */
    public static final String ASK =
            """
            import os, socket, sys, time
            s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
            f = s.makefile("rwb")
            n = 0
            while not os.path.exists(sys.argv[2]):
                n += 1
                f.write(b"question %d\\n" % n); f.flush()
                answer = f.readline()
                if answer != b"question %d\\n" % n: sys.exit("%d: %r" % (n, answer))
                time.sleep(0.02)
            print("%d answers, all right" % n)
            """;

    private Dialogue() {}
}
