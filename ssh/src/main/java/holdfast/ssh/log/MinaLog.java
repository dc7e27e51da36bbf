package holdfast.ssh.log;

import org.jspecify.annotations.Nullable;
import org.slf4j.ILoggerFactory;
import org.slf4j.IMarkerFactory;
import org.slf4j.LoggerFactory;
import org.slf4j.Marker;
import org.slf4j.event.Level;
import org.slf4j.helpers.BasicMarkerFactory;
import org.slf4j.helpers.LegacyAbstractLogger;
import org.slf4j.helpers.MessageFormatter;
import org.slf4j.helpers.NOPLogger;
import org.slf4j.helpers.NOPMDCAdapter;
import org.slf4j.helpers.Reporter;
import org.slf4j.spi.MDCAdapter;
import org.slf4j.spi.SLF4JServiceProvider;

/**
 * Where MINA's own log goes: nowhere, unless somebody asked for {@code -vvv}; then to our log at
 * debug3.
 *
 * <p>Named to slf4j, whose search for it through all of the jar would take each start 10 ms. {@link
 * #to} comes before the first class of MINA's is touched, because a logger is made once for each
 * class.
 */
public final class MinaLog implements SLF4JServiceProvider {

    private static volatile @Nullable Log target;

    private final IMarkerFactory markers = new BasicMarkerFactory();
    private final MDCAdapter contexts = new NOPMDCAdapter();

    /** Made by slf4j. */
    public MinaLog() {}

    /** From now on loggers write to {@code log}, if it shows what they have to say. */
    public static void to(Log log) {
        System.setProperty(LoggerFactory.PROVIDER_PROPERTY_KEY, MinaLog.class.getName());
        // slf4j would say on stderr that it was told so.
        System.setProperty(Reporter.SLF4J_INTERNAL_VERBOSITY_KEY, "WARN");
        target = log.shows(Log.Level.DEBUG3) ? log : null;
    }

    @Override
    public ILoggerFactory getLoggerFactory() {
        return name -> {
            Log log = target;
            return log == null ? NOPLogger.NOP_LOGGER : new Forwarding(name, log);
        };
    }

    @Override
    public IMarkerFactory getMarkerFactory() {
        return markers;
    }

    @Override
    public MDCAdapter getMDCAdapter() {
        return contexts;
    }

    @Override
    public String getRequestedApiVersion() {
        return "2.0.99";
    }

    @Override
    public void initialize() {}

    /** One of MINA's loggers. Its trace level would print keys and data, and is never on. */
    private static final class Forwarding extends LegacyAbstractLogger {

        private static final long serialVersionUID = 1;

        private final transient Log log;

        Forwarding(String name, Log log) {
            this.name = name.substring(name.lastIndexOf('.') + 1);
            this.log = log;
        }

        @Override
        protected void handleNormalizedLoggingCall(
                Level level,
                @Nullable Marker marker,
                String pattern,
                Object @Nullable [] arguments,
                @Nullable Throwable thrown) {
            log.debug3(name + ": " + MessageFormatter.basicArrayFormat(pattern, arguments));
        }

        @Override
        protected @Nullable String getFullyQualifiedCallerName() {
            return null;
        }

        @Override
        public boolean isTraceEnabled() {
            return false;
        }

        @Override
        public boolean isDebugEnabled() {
            return true;
        }

        @Override
        public boolean isInfoEnabled() {
            return true;
        }

        @Override
        public boolean isWarnEnabled() {
            return true;
        }

        @Override
        public boolean isErrorEnabled() {
            return true;
        }
    }
}
