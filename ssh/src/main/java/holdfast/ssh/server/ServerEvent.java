package holdfast.ssh.server;

/** Something a server saw one of its users do, or did for one. */
public sealed interface ServerEvent {

    /** The name the user logged in under. */
    String user();

    record LoggedIn(String user) implements ServerEvent {}

    /** A command was started. */
    record Started(String user, String command) implements ServerEvent {}

    /** A command printed {@code bytes}, and they were handed to the connection. */
    record Printed(String user, int bytes) implements ServerEvent {}

    /** The client asked whether we are still there, and was answered. */
    record KeepAlive(String user) implements ServerEvent {}

    /** A command ended, and so did everything it had to print. */
    record Finished(String user, int status) implements ServerEvent {}

    /** The connection is gone. */
    record Left(String user) implements ServerEvent {}
}
