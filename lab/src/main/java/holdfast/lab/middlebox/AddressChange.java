package holdfast.lab.middlebox;

import holdfast.core.time.Moment;
import java.util.List;

/**
 * The client gets another address: itself, by moving to another network, or its router does, by
 * dialling in anew. Connections opened afterwards are well.
 *
 * @param at when, earliest first
 */
public record AddressChange(Whose whose, List<Moment> at)
        implements Middlebox<AddressChange.Opened> {

    /** Whose address changes. */
    public enum Whose {
        /** Nothing that belongs to the old address gets anywhere, in either direction. */
        CLIENT,
        /**
         * The client's next packet reaches the server from an address it does not know, and is
         * answered with a RST; what the server sends goes to an address that is nobody's.
         */
        ROUTER
    }

    /**
     * What is remembered of one flow.
     *
     * @param changes how many changes came before it was opened
     * @param byHand how many were made by hand since
     */
    public record Opened(int changes, int byHand) {}

    /** Keeps clear of the mappings that a NAT on the same path hands out, counting from 0. */
    private static final int APART = 1 << 16;

    public AddressChange {
        at = List.copyOf(at);
    }

    public static AddressChange of(Whose whose, Moment... at) {
        return new AddressChange(whose, List.of(at));
    }

    /** Only when changed by hand. */
    public static AddressChange byHand(Whose whose) {
        return new AddressChange(whose, List.of());
    }

    @Override
    public String name() {
        return "address change";
    }

    @Override
    public Scope scope() {
        return Scope.FLOW;
    }

    @Override
    public Opened start(Flow flow) {
        return new Opened(0, 0);
    }

    @Override
    public Turn<Opened> on(Opened opened, Event event, Moment now) {
        return switch (event) {
            case Packet packet -> packet(opened, packet, changes(now));
            case Event.Roam roam when roam.whose() == whose ->
                    Turn.quiet(new Opened(opened.changes, opened.byHand + 1));
            case Event.TimePassed _, Event.ByHand _ -> Turn.quiet(opened);
        };
    }

    private int changes(Moment now) {
        int count = 0;
        for (Moment change : at) {
            if (!now.isBefore(change)) {
                count++;
            }
        }
        return count;
    }

    private Turn<Opened> packet(Opened opened, Packet packet, int changes) {
        boolean outward = packet.direction() == Direction.TO_SERVER;
        if (outward && packet.kind() == Packet.Kind.OPEN) {
            return Turn.pass(new Opened(changes, 0));
        }
        int since = changes - opened.changes + opened.byHand;
        if (since == 0) {
            return Turn.pass(opened);
        }
        Verdict gone = new Verdict.Drop("address is gone");
        int away = packet.mapping() - since * APART;
        return new Turn<>(
                opened,
                switch (whose) {
                    case CLIENT -> gone;
                    case ROUTER ->
                            outward
                                    ? new Verdict.Remap(packet.mapping() + since * APART)
                                    : away >= 0 ? new Verdict.Remap(away) : gone;
                });
    }
}
