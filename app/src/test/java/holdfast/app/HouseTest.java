package holdfast.app;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaCall;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaFieldAccess;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.dependencies.SlicesRuleDefinition;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The rules of the house, each with its reason: see ARCHITECTURE.md. */
final class HouseTest {

    private static final JavaClasses HOUSE =
            new ClassFileImporter()
                    .withImportOption(new ImportOption.DoNotIncludeTests())
                    .importPackages("holdfast");

    /** The tests of a module run in its directory. */
    private static final Path MAP = Path.of("../ARCHITECTURE.md");

    private static final String[] CLOCKS_AND_THREADS_OF_LANG = {
        "java.lang.Thread",
        "java.lang.Thread$Builder",
        "java.lang.ThreadLocal",
        "java.lang.ProcessBuilder",
        "java.lang.Process",
        "java.lang.Runtime",
        "java.lang.System$Logger"
    };

    @Test
    void every_room_is_looked_at() {
        // Else the rules below would hold for an empty house.
        for (String room : new String[] {"core", "ssh", "app"}) {
            assertThat(HOUSE.that(resideInAPackage("holdfast." + room + "..")))
                    .as(room)
                    .isNotEmpty();
        }
    }

    @Test
    void core_knows_no_room_above_it() {
        noClasses()
                .that()
                .resideInAPackage("holdfast.core..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("holdfast.ssh..", "holdfast.lab..", "holdfast.app..")
                .because("core decides and the other rooms act on it, never the other way round")
                .check(HOUSE);
    }

    @Test
    void core_is_pure() {
        classes()
                .that()
                .resideInAPackage("holdfast.core..")
                .should()
                .onlyDependOnClassesThat(
                        resideInAnyPackage(
                                        "holdfast.core..",
                                        "java.lang",
                                        "java.lang.annotation",
                                        "java.lang.invoke",
                                        "java.lang.runtime",
                                        "java.util",
                                        "java.util.function",
                                        "java.util.stream",
                                        "org.jspecify.annotations")
                                .or(named("java.time.Duration"))
                                // Memory, wherever it lies, and nothing more.
                                .or(named("java.nio.ByteBuffer"))
                                .or(named("java.nio.Buffer"))
                                .or(anArray()))
                .because(
                        "a decision that touches no file, socket, library or clock can be simulated"
                                + " for thousands of days in a second, and fails by seed")
                .check(HOUSE);
    }

    @Test
    void core_starts_no_thread_reads_no_clock_and_rolls_no_dice() {
        noClasses()
                .that()
                .resideInAPackage("holdfast.core..")
                .should()
                .dependOnClassesThat(
                        namedAnyOf(CLOCKS_AND_THREADS_OF_LANG)
                                .or(
                                        namedAnyOf(
                                                "java.util.Random",
                                                "java.util.Timer",
                                                "java.util.Date",
                                                "java.util.UUID",
                                                "java.util.Scanner")))
                .orShould()
                .callMethodWhere(readsTheClock())
                .because(
                        "time and chance come in as arguments: the same events, the same decisions")
                .check(HOUSE);
    }

    @Test
    void only_ssh_knows_the_library_that_speaks_ssh() {
        noClasses()
                .that()
                .resideOutsideOfPackage("holdfast.ssh..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("org.apache.sshd..")
                .because("so that a later MINA, or another transport, can come in")
                .check(HOUSE);
    }

    @Test
    void configuration_and_host_keys_do_not_know_it_either() {
        noClasses()
                .that()
                .resideInAnyPackage("holdfast.ssh.config..", "holdfast.ssh.hostkeys..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("org.apache.sshd..")
                .because(
                        "what people wrote in OpenSSH's files means what OpenSSH means by it, and a"
                                + " bad line is found before any of the library is loaded")
                .check(HOUSE);
    }

    @Test
    void ssh_knows_neither_the_lab_nor_the_app() {
        noClasses()
                .that()
                .resideInAPackage("holdfast.ssh..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("holdfast.lab..", "holdfast.app..")
                .because("the arrows are app → ssh → core")
                .check(HOUSE);
    }

    @Test
    void the_lab_knows_only_core() {
        noClasses()
                .that()
                .resideInAPackage("holdfast.lab..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("holdfast.ssh..", "holdfast.app..", "org.apache.sshd..")
                .because("weather troubles bytes of any protocol: the arrows are app → lab → core")
                .allowEmptyShould(true)
                .check(HOUSE);
    }

    @Test
    void a_middlebox_has_no_sockets_and_no_threads() {
        noClasses()
                .that()
                .resideInAnyPackage("holdfast.lab.middlebox..", "holdfast.lab.sim..")
                .should()
                .dependOnClassesThat(
                        resideInAnyPackage(
                                        "java.io..",
                                        "java.net..",
                                        "java.nio..",
                                        "java.util.concurrent..")
                                .and(not(namedAnyOf("java.io.Serializable")))
                                .or(namedAnyOf(CLOCKS_AND_THREADS_OF_LANG)))
                .orShould()
                .callMethodWhere(readsTheClock())
                .because("one model of a fault serves simulated time and real sockets alike")
                .allowEmptyShould(true)
                .check(HOUSE);
    }

    @Test
    void the_proxy_does_not_know_who_walks_in_its_weather() {
        noClasses()
                .that()
                .resideInAPackage("holdfast.lab.proxy..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("holdfast.core.liveness..")
                .because("a fault that knew the liveness it tests would prove nothing")
                .allowEmptyShould(true)
                .check(HOUSE);
    }

    @Test
    void only_the_app_ends_the_process() {
        noClasses()
                .that()
                .resideOutsideOfPackage("holdfast.app..")
                .should()
                .callMethodWhere(
                        describe(
                                "System.exit or Runtime.exit/halt",
                                (JavaCall<?> call) ->
                                        (targets(call, System.class)
                                                        || targets(call, Runtime.class))
                                                && Set.of("exit", "halt")
                                                        .contains(call.getTarget().getName())))
                .because(
                        "whoever else ended the process would leave a raw terminal and lost output"
                                + " behind")
                .check(HOUSE);
    }

    @Test
    void only_the_app_writes_to_standard_output() {
        noClasses()
                .that()
                .resideOutsideOfPackage("holdfast.app..")
                .should()
                .accessFieldWhere(
                        describe(
                                "System.out or System.err",
                                (JavaFieldAccess access) ->
                                        targets(access, System.class)
                                                && Set.of("out", "err")
                                                        .contains(access.getTarget().getName())))
                .because("standard output belongs to the remote command, byte for byte")
                .check(HOUSE);
    }

    @Test
    void configuration_host_keys_and_ciphers_start_no_thread() {
        noClasses()
                .that()
                .resideInAnyPackage(
                        "holdfast.ssh.config..", "holdfast.ssh.hostkeys..", "holdfast.ssh.crypto..")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("java.util.concurrent")
                .orShould()
                .dependOnClassesThat(
                        namedAnyOf(
                                "java.lang.Thread$Builder",
                                "java.lang.Thread$Builder$OfPlatform",
                                "java.lang.Thread$Builder$OfVirtual"))
                .orShould()
                .callConstructor(Thread.class, Runnable.class)
                .orShould()
                .callMethod(Thread.class, "startVirtualThread", Runnable.class)
                .because("files, keys and ciphers are worked on by whoever calls, in its own time")
                .check(HOUSE);
    }

    @Test
    void the_packages_form_no_circle() {
        SlicesRuleDefinition.slices()
                .matching("holdfast.(*).(*)..")
                .should()
                .beFreeOfCycles()
                .because("what goes round in a circle can be understood only as a whole")
                .check(HOUSE);
    }

    @Test
    void the_map_names_every_package_and_none_that_is_not_there() throws IOException {
        TreeSet<String> there = new TreeSet<>();
        for (JavaClass one : HOUSE) {
            if (one.getPackageName().matches("holdfast\\.(core|ssh|lab|app)\\..+")) {
                there.add(one.getPackageName().replaceFirst("^holdfast\\.(\\w+)\\.", "$1 "));
            }
        }
        TreeSet<String> told = new TreeSet<>();
        TreeSet<String> mentioned = new TreeSet<>();
        String room = "";
        for (String line : Files.readAllLines(MAP)) {
            Matcher row =
                    Pattern.compile("(core|ssh|lab|app|   ) +([a-z.]+)  +\\S.*").matcher(line);
            if (line.startsWith("trials ")) {
                break; // a room that this one does not see
            }
            if (!row.matches()) {
                continue;
            }
            room = row.group(1).isBlank() ? room : row.group(1);
            told.add(room + " " + row.group(2));
            Matcher other = Pattern.compile("\\b[a-z]+\\.[a-z]+\\b").matcher(line);
            while (other.find()) {
                mentioned.add(room + " " + other.group());
            }
        }
        assertThat(there).containsAll(told);
        there.removeAll(told);
        assertThat(mentioned).as("packages that have no row of their own").containsAll(there);
    }

    @Test
    void what_the_map_calls_a_class_is_one() throws IOException {
        TreeSet<String> there = new TreeSet<>(Set.of(".HouseTest", ".SshServer")); // MINA's
        for (JavaClass one : HOUSE) {
            there.add("." + one.getName().replace('$', '.'));
        }
        Matcher named =
                Pattern.compile("`((?:[a-z]+\\.)*[A-Z]\\w+(?:\\.[A-Z]\\w+)*)[^`A-Z]*`")
                        .matcher(Files.readString(MAP));
        int count = 0;
        while (named.find()) {
            String name = "." + named.group(1);
            assertThat(there).as(name).anyMatch(full -> full.endsWith(name));
            count++;
        }
        assertThat(count).isGreaterThan(20);
    }

    private static DescribedPredicate<JavaClass> named(String name) {
        return namedAnyOf(name);
    }

    private static DescribedPredicate<JavaClass> namedAnyOf(String... names) {
        Set<String> all = Set.of(names);
        return describe("one of " + all, one -> all.contains(one.getName()));
    }

    private static DescribedPredicate<JavaClass> anArray() {
        return describe("an array of primitives", JavaClass::isArray);
    }

    private static DescribedPredicate<JavaCall<?>> readsTheClock() {
        return describe(
                "reading the clock",
                call ->
                        targets(call, System.class)
                                && Set.of("nanoTime", "currentTimeMillis")
                                        .contains(call.getTarget().getName()));
    }

    private static boolean targets(JavaAccess<?> access, Class<?> owner) {
        return access.getTargetOwner().isEquivalentTo(owner);
    }
}
