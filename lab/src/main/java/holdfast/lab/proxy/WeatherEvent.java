package holdfast.lab.proxy;

import holdfast.core.time.Moment;
import holdfast.lab.middlebox.Direction;
import holdfast.lab.middlebox.End;
import holdfast.lab.middlebox.Flow;
import java.time.Duration;

/** Something that somebody who could see the whole path would have seen. */
public sealed interface WeatherEvent {

    Flow flow();

    Moment at();

    /** A client connected to the proxy. */
    record Opened(Flow flow, Moment at) implements WeatherEvent {}

    /** There will be no connection: the target refused it, or there are too many. */
    record Refused(Flow flow, String reason, Moment at) implements WeatherEvent {}

    /** An end handed {@code bytes} to its TCP. */
    record Spoke(Flow flow, Direction direction, int bytes, Moment at) implements WeatherEvent {}

    /** {@code bytes} were delivered to the other end, in order. */
    record Heard(Flow flow, Direction direction, int bytes, Moment at) implements WeatherEvent {}

    /**
     * A segment got lost, for the first time; that its repeats get lost too is not told.
     *
     * @param acknowledged whether its sender believes that it arrived
     */
    record Swallowed(
            Flow flow,
            Direction direction,
            int bytes,
            String box,
            String reason,
            boolean acknowledged,
            Moment at)
            implements WeatherEvent {}

    /** A box no longer knows the flow, after {@code idle} without a packet of either side. */
    record Forgotten(Flow flow, String box, Duration idle, Moment at) implements WeatherEvent {}

    /** A box knows the flow again, as if it had never forgotten. */
    record Revived(Flow flow, String box, Moment at) implements WeatherEvent {}

    /** A box knows the flow again, but under another address or port. */
    record Remapped(Flow flow, String box, Moment at) implements WeatherEvent {}

    /** This end was told by a RST that there is no such connection. */
    record Reset(Flow flow, End end, Moment at) implements WeatherEvent {}

    /** This end was told that nothing more will come. */
    record Ended(Flow flow, End end, Moment at) implements WeatherEvent {}

    /** This end's TCP has given up sending again. */
    record GaveUp(Flow flow, End end, Moment at) implements WeatherEvent {}

    /**
     * Nothing of the flow is left.
     *
     * @param toServer bytes delivered to the server
     * @param toClient bytes delivered to the client
     */
    record Closed(Flow flow, long toServer, long toClient, Moment at) implements WeatherEvent {}
}
