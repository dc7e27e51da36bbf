package holdfast.trials.bench;

import holdfast.trials.harness.NatLab;
import java.time.Duration;

/** What befalls a connection in the survival table, each with the reason for what it does. */
enum Trouble {
    EXPIRY_DROP(
            "D",
            "the NAT forgets an idle flow and drops what comes afterwards",
            NatLab.Mode.BLACKHOLE,
            """
            The mapping expires after %1$s of silence and nothing makes it again: whatever either end sends \
            afterwards is dropped without a word. Keepalives below the limit keep the mapping from ever \
            expiring. Keepalives above it come too late to hold the path, but they still find the death out: \
            the client gives up (count + 1) intervals after the last byte it received. Without them the client \
            waits for TCP, which retransmits for about 15 minutes if there is something to send and for ever if \
            there is not. The server is told by nobody: its process stays as a ghost until its own TCP gives up.\
            """),
    EXPIRY_RESET(
            "R",
            "the NAT forgets an idle flow and resets whoever speaks",
            NatLab.Mode.RST,
            """
            As D, but the NAT answers a packet without mapping with a reset. That reset goes to the one who \
            spoke, and only to him: a client that speaks (by itself or by a keepalive) dies at once, and the \
            server that was not told stays as a ghost; when the server speaks first it is the other way round, \
            and a client without keepalives sits before a dead connection for ever.\
            """),
    EXPIRY_REVIVE(
            "V",
            "the NAT forgets an idle flow and takes it up again at the client's next packet",
            NatLab.Mode.REVIVE,
            """
            Linux's own way (nf_conntrack_tcp_loose) behind a firewall that drops unknown packets from outside. \
            A packet of the client makes the mapping again, with the same port, so nothing is lost when the \
            client speaks first. A server that speaks first sends into nothing until the client says something: \
            without keepalives that may be never, while even a keepalive above the limit opens the way, and \
            TCP's next retransmission then brings what was waiting.\
            """),
    EXPIRY_LOOSE(
            "V, open",
            "as V, on a router without a firewall",
            NatLab.Mode.LOOSE,
            """
            Linux as it comes. When the client speaks first all is as in V. What the server sends to a \
            forgotten mapping is addressed to the router itself, whose kernel knows no such connection and \
            answers with a reset: the server's end is gone at once. The client is not told before it speaks, \
            and then by the server's machine, which knows the connection no more either.\
            """),
    EXPIRY_REMAP(
            "X",
            "the NAT forgets an idle flow and gives the client's next packet another port",
            NatLab.Mode.REMAP,
            """
            As V, but the new mapping has another port outside (masquerade fully-random). The server's kernel \
            knows no connection with that port and answers with a reset, which the NAT hands to the client: the \
            client dies as soon as it speaks, within one round trip. The server's connection is untouched by \
            this, and it keeps its process as a ghost. What a server says first is dropped, and as long as the \
            client is silent nobody knows.\
            """),
    CUT_LONG(
            "cut, long",
            "nothing crosses the path for 20 s, then all is well again",
            NatLab.Mode.BLACKHOLE,
            """
            The NAT loses no mapping, so whoever is still there when the path returns goes on where he was: TCP \
            retransmits, at 0.2 s and then twice as long each time, and its next try after the return delivers \
            everything, seconds late. Only the impatient die: a client whose keepalives tolerate less than the \
            outage gives up a connection that would have lived. This is the price of short keepalives, and it is \
            OpenSSH's as much as ours. The server keeps a ghost where the client's farewell could not cross.\
            """),
    CUT_SHORT(
            "cut, short",
            "nothing crosses the path for 4 s, then all is well again",
            NatLab.Mode.BLACKHOLE,
            """
            An outage below every bound. Everybody lives; what was said meanwhile arrives with TCP's next \
            retransmission.\
            """),
    FORGET(
            "forget",
            "the NAT restarts and forgets every flow, also those in use",
            NatLab.Mode.BLACKHOLE,
            """
            Keepalives cannot prevent this: the mapping is lost although it was never idle. From then on it is \
            D, for every setting. Keepalives decide only when the client is told.\
            """),
    ROAM(
            "roam",
            "the client gets another address",
            NatLab.Mode.BLACKHOLE,
            """
            A TCP connection is bound to the address it began with. The kernel cannot send from an address that \
            it no longer has and tells nobody, and what the server sends goes to an address where nobody is: both \
            ends wait as in D. Only something above TCP could carry the session over.\
            """),
    REWAN(
            "WAN change",
            "the NAT gets another address outside",
            NatLab.Mode.REMAP,
            """
            The reconnect of a DSL line. Every mapping is lost with the old address. The client's next packet \
            leaves from the new one, the server's kernel knows no such connection and answers with a reset: the \
            client dies when it speaks, as in X. What the server says goes to the old address, where nobody is.\
            """),
    KILL(
            "kill",
            "from now on every packet of the connection is answered with a reset",
            NatLab.Mode.BLACKHOLE,
            """
            A firewall that wants the connection gone. Like R without the idleness: whoever speaks is told at \
            once, whoever is silent is never told, because the reset answers the sender and the other end hears \
            nothing. With keepalives the client is the one who speaks, one interval later at the most.\
            """),
    LOSS(
            "loss 20 %",
            "one packet in five is lost, both ways, until the end",
            NatLab.Mode.BLACKHOLE,
            """
            A bad line is no dead line. TCP repeats what was lost; a keepalive that is answered late is answered. \
            Nobody may give up here.\
            """),
    RATE(
            "rate",
            "32 kbit/s with a queue of half a second, and 60 kB are to be said",
            NatLab.Mode.BLACKHOLE,
            """
            Not a fault of the path but of the reckoning. A keepalive waits behind what is being sent, here up \
            to 15 s of it, and an SSH packet, which is up to 32 kB and here 8 s long, counts only when it is \
            there whole. When the client is the one who sends, it may hear nothing for longer than the 12 s that \
            three unanswered keepalives of 3 s allow, although its bytes cross all the time, and then both clients \
            give up a connection that works. Whether they do hangs on how the line's queue falls out that day. \
            When the server sends, whole packets keep arriving and are signs of life. Patience cures it: the 12 s \
            interval tolerates 48 s.\
            """);

    final String name;
    final String says;
    final String why;
    final NatLab.Mode mode;

    Trouble(String name, String says, NatLab.Mode mode, String why) {
        this.name = name;
        this.says = says;
        this.mode = mode;
        this.why = why;
    }

    /** Whether it comes by silence alone. */
    boolean expiry() {
        return switch (this) {
            case EXPIRY_DROP, EXPIRY_RESET, EXPIRY_REVIVE, EXPIRY_LOOSE, EXPIRY_REMAP -> true;
            case CUT_LONG, CUT_SHORT, FORGET, ROAM, REWAN, KILL, LOSS, RATE -> false;
        };
    }

    /** How long it lasts, or zero if it stays. */
    Duration lasts() {
        return switch (this) {
            case CUT_LONG -> Duration.ofSeconds(20);
            case CUT_SHORT -> Duration.ofSeconds(4);
            case EXPIRY_DROP,
                    EXPIRY_RESET,
                    EXPIRY_REVIVE,
                    EXPIRY_LOOSE,
                    EXPIRY_REMAP,
                    FORGET,
                    ROAM,
                    REWAN,
                    KILL,
                    LOSS,
                    RATE ->
                    Duration.ZERO;
        };
    }

    /** Bytes said before the words that are waited for. */
    int burden() {
        return this == RATE ? 60_000 : 0;
    }

    /** Makes it happen; what comes by silence happens by itself. */
    void strike(NatLab lab) {
        switch (this) {
            case EXPIRY_DROP, EXPIRY_RESET, EXPIRY_REVIVE, EXPIRY_LOOSE, EXPIRY_REMAP -> {}
            case CUT_LONG, CUT_SHORT -> lab.cut();
            case FORGET -> lab.forget();
            case ROAM -> lab.roam("10.77.1.3");
            case REWAN -> lab.rewan("10.77.2.3");
            case KILL -> lab.kill();
            case LOSS -> lab.loss(20);
            case RATE -> lab.rate("32kbit", 500);
        }
    }
}
