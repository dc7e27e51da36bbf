package holdfast.trials;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ExtensionContext.Namespace;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.jupiter.api.extension.TestWatcher;
import org.opentest4j.TestAbortedException;

/**
 * Gives each trial its {@link Stage}, takes it down, and says loudly which trials could not be run.
 */
final class Staged implements ParameterResolver, AfterEachCallback, TestWatcher {

    private static final Namespace NAMESPACE = Namespace.create(Staged.class);

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        return parameter.getParameter().getType() == Stage.class;
    }

    @Override
    public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
        Stage stage = new Stage();
        context.getStore(NAMESPACE).put(Stage.class, stage);
        return stage;
    }

    @Override
    public void afterEach(ExtensionContext context) throws InterruptedException {
        Stage stage = context.getStore(NAMESPACE).get(Stage.class, Stage.class);
        if (stage != null) {
            try (stage) {
                // A trial that failed may well have left something: its own failure is the news.
                Throwable failure = context.getExecutionException().orElse(null);
                if (failure == null) {
                    stage.proveNothingLeft();
                } else if (!(failure instanceof TestAbortedException)) {
                    System.out.println(
                            "AUTOPSY of "
                                    + context.getRequiredTestClass().getSimpleName()
                                    + "."
                                    + context.getRequiredTestMethod().getName()
                                    + "\n"
                                    + stage.autopsy());
                }
            }
        }
    }

    @Override
    public void testAborted(ExtensionContext context, @Nullable Throwable cause) {
        notRun(context, cause == null ? "aborted" : String.valueOf(cause.getMessage()));
    }

    @Override
    public void testDisabled(ExtensionContext context, Optional<String> reason) {
        notRun(context, reason.orElse("disabled"));
    }

    private static synchronized void notRun(ExtensionContext context, String reason) {
        String line =
                context.getRequiredTestClass().getSimpleName()
                        + "."
                        + context.getRequiredTestMethod().getName()
                        + ": "
                        + reason.replace('\n', ' ');
        System.out.println("NOT RUN: " + line);
        Path file = Path.of(System.getProperty("basedir", "."), "target", "not-run.txt");
        try {
            Files.createDirectories(file.getParent());
            Files.writeString(
                    file, line + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
