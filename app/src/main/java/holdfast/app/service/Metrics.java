package holdfast.app.service;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import holdfast.ssh.server.ConnectionStatus;
import holdfast.ssh.server.Departure;
import holdfast.ssh.server.Server;
import io.prometheus.metrics.config.EscapingScheme;
import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import io.prometheus.metrics.model.snapshots.CounterSnapshot;
import io.prometheus.metrics.model.snapshots.CounterSnapshot.CounterDataPointSnapshot;
import io.prometheus.metrics.model.snapshots.GaugeSnapshot;
import io.prometheus.metrics.model.snapshots.GaugeSnapshot.GaugeDataPointSnapshot;
import io.prometheus.metrics.model.snapshots.Labels;
import io.prometheus.metrics.model.snapshots.MetricSnapshots;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;

/** A server's figures for Prometheus, at {@code /metrics}. */
public final class Metrics implements AutoCloseable {

    private final Server server;
    private final HttpServer http;

    private Metrics(Server server, HttpServer http) {
        this.server = server;
        this.http = http;
    }

    /** Serves at {@code address}. */
    public static Metrics open(InetSocketAddress address, Server server) throws IOException {
        Metrics metrics = new Metrics(server, HttpServer.create(address, 16));
        metrics.http.createContext("/metrics", metrics::answer);
        metrics.http.start();
        return metrics;
    }

    /** Where it is served. */
    public InetSocketAddress address() {
        return http.getAddress();
    }

    private void answer(HttpExchange exchange) throws IOException {
        try (exchange) {
            if (!exchange.getRequestMethod().equals("GET")) {
                exchange.sendResponseHeaders(405, -1);
                return;
            }
            ByteArrayOutputStream body = new ByteArrayOutputStream();
            PrometheusTextFormatWriter.create()
                    .write(body, snapshots(), EscapingScheme.UNDERSCORE_ESCAPING);
            exchange.getResponseHeaders()
                    .set("Content-Type", PrometheusTextFormatWriter.CONTENT_TYPE);
            exchange.sendResponseHeaders(200, body.size());
            body.writeTo(exchange.getResponseBody());
        }
    }

    private MetricSnapshots snapshots() {
        Map<ConnectionStatus.State, Integer> states = new EnumMap<>(ConnectionStatus.State.class);
        int unanswered = 0;
        for (ConnectionStatus one : server.connections()) {
            states.merge(one.state(), 1, Integer::sum);
            unanswered += one.unanswered();
        }
        GaugeSnapshot.Builder connections =
                GaugeSnapshot.builder()
                        .name("holdfast_sshd_connections")
                        .help("Connections by state");
        for (ConnectionStatus.State state : ConnectionStatus.State.values()) {
            connections.dataPoint(
                    GaugeDataPointSnapshot.builder()
                            .labels(Labels.of("state", state.name().toLowerCase(Locale.ROOT)))
                            .value(states.getOrDefault(state, 0))
                            .build());
        }
        CounterSnapshot.Builder ended =
                CounterSnapshot.builder()
                        .name("holdfast_sshd_connections_ended")
                        .help("Connections that have ended, by why");
        for (Departure why : Departure.values()) {
            ended.dataPoint(
                    CounterDataPointSnapshot.builder()
                            .labels(Labels.of("why", why.label()))
                            .value((double) server.counts().departures(why))
                            .build());
        }
        return MetricSnapshots.of(
                connections.build(),
                ended.build(),
                gauge(
                        "holdfast_sshd_unanswered_probes",
                        "Keepalives outstanding over all connections",
                        unanswered),
                gauge(
                        "holdfast_sshd_logins_in_progress",
                        "Connections not yet authenticated",
                        server.startups()),
                gauge("holdfast_sshd_penalised_sources", "Sources kept out", server.penalised()),
                gauge(
                        "holdfast_sshd_uptime_seconds",
                        "Time since the server started",
                        server.uptime().toMillis() / 1000.0),
                counter(
                        "holdfast_sshd_connections_accepted",
                        "Connections let as far as the key exchange",
                        (double) server.counts().connections()),
                counter("holdfast_sshd_logins", "Users let in", (double) server.counts().logins()),
                counter(
                        "holdfast_sshd_probes_sent",
                        "Keepalives sent",
                        (double) server.counts().probes()));
    }

    private static GaugeSnapshot gauge(String name, String help, double value) {
        return GaugeSnapshot.builder()
                .name(name)
                .help(help)
                .dataPoint(GaugeDataPointSnapshot.builder().value(value).build())
                .build();
    }

    private static CounterSnapshot counter(String name, String help, double value) {
        return CounterSnapshot.builder()
                .name(name)
                .help(help)
                .dataPoint(CounterDataPointSnapshot.builder().value(value).build())
                .build();
    }

    @Override
    public void close() {
        http.stop(0);
    }
}
