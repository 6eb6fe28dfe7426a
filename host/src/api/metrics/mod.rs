//! Metrics in Prometheus' text format: of the host, of each stream that runs, and of each processor over all its streams.
//!
//! A stream has series of its own while it runs. What it counted stays in those of its processor, which never fall.

mod family;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus::TextEncoder;
use prometheus::proto::MetricFamily;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::family::{counter, counters, gauge, gauges, histogram, histograms};
use super::error::ApiError;
use super::status::state;
use super::system::VERSION;
use super::{App, Shared};
use crate::session::{ByKind, COUNTS, Done, Phase, Stream, Streams, StreamsSnapshot, Totals, Work};
use crate::telemetry::Usage;

/// A counter's name, what it counts, and where it is.
type StreamCount = (&'static str, &'static str, fn(&Totals) -> u64);

/// What is counted of the streams of a processor themselves.
const STREAM_COUNTS: [StreamCount; 3] = [
    ("streams_started", "Streams that were started.", |totals| totals.started),
    ("streams_ended", "Streams that ended as they should.", |totals| totals.ended),
    ("streams_failed", "Streams that ended by an error.", |totals| totals.failed),
];

/// The route.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(metrics))
}

/// Metrics for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "system",
    security(("token" = ["read"])),
    responses((status = 200, description = "Prometheus' text format", body = String, content_type = "text/plain")))]
async fn metrics(State(streams): App) -> Result<Response, ApiError> {
    // Off the threads that carry the streams' bytes: it is some thousand lines with many streams.
    let text = tokio::task::spawn_blocking(move || TextEncoder::new().encode_to_string(&families(&streams)));
    let text = text.await.map_err(|error| ApiError::internal(error.to_string()))?;
    let text = text.map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response())
}

/// Everything at this moment.
fn families(streams: &Streams) -> Vec<MetricFamily> {
    let snapshot = streams.snapshot();
    let mut families = host(streams, &snapshot);
    families.extend(gpu(streams));
    families.extend(Usage::now().iter().flat_map(process));
    families.extend(of_streams(&snapshot));
    families.extend(of_processors(&snapshot));
    // The format has no empty ones.
    families.retain(|family| !family.get_metric().is_empty());
    families
}

fn host(streams: &Streams, snapshot: &StreamsSnapshot) -> Vec<MetricFamily> {
    let phases: Vec<_> = snapshot.running.iter().map(|stream| stream.meters.life.condition().borrow().phase).collect();
    let mut states = vec![gauge(&[("state", "STARTING")], snapshot.starting as f64)];
    for phase in [Phase::Connecting, Phase::Online, Phase::Degraded, Phase::Draining] {
        let count = phases.iter().filter(|other| **other == phase).count();
        states.push(gauge(&[("state", state(phase))], count as f64));
    }
    vec![
        gauges("rillbox_build_info", "The host's version.", [gauge(&[("version", VERSION)], 1.0)]),
        gauges("rillbox_streams", "Streams that are not over, by state.", states),
        gauges(
            "rillbox_streams_limit",
            "Streams that may run at once.",
            [gauge(&[], streams.host().max_streams as f64)],
        ),
        gauges(
            "rillbox_guest_tasks",
            "Tasks that own an instance of a processor or make one.",
            [gauge(&[], streams.host().engine.tasks() as f64)],
        ),
    ]
}

/// The GPU that shaders run on, once it is open.
fn gpu(streams: &Streams) -> Vec<MetricFamily> {
    let gpu = streams.host().engine.gpu();
    let Some(device) = gpu.opened() else { return Vec::new() };
    let (sent, received) = gpu.moved();
    let moved = [("to", sent), ("from", received)];
    vec![
        gauges(
            "rillbox_gpu_info",
            "The GPU that shaders run on.",
            [gauge(&[("name", &device.info().name), ("driver", &device.info().driver)], 1.0)],
        ),
        gauges("rillbox_gpu_waiting", "Results that are on their way.", [gauge(&[], device.waiting() as f64)]),
        counters(
            "rillbox_gpu_bytes_total",
            "Bytes sent to the GPU and received from it, since it was opened.",
            moved.map(|(direction, bytes)| counter(&[("direction", direction)], bytes as f64)),
        ),
        counters(
            "rillbox_gpu_lost_total",
            "GPUs that were lost and opened anew.",
            [counter(&[], gpu.reopened() as f64)],
        ),
    ]
}

/// Under the names that Prometheus' own libraries give them.
fn process(usage: &Usage) -> Vec<MetricFamily> {
    let uptime = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().saturating_sub(usage.started);
    let one = |name, help, value| gauges(name, help, [gauge(&[], value)]);
    vec![
        counters(
            "process_cpu_seconds_total",
            "Processor time of the process, in seconds.",
            [counter(&[], usage.cpu.as_secs_f64())],
        ),
        one("process_resident_memory_bytes", "Resident memory in bytes.", usage.resident_memory as f64),
        one("process_virtual_memory_bytes", "Mapped memory in bytes.", usage.virtual_memory as f64),
        one("process_open_fds", "Open descriptors.", usage.open_files as f64),
        one(
            "process_max_fds",
            "Descriptors that may be open.",
            usage.max_files.map_or(f64::INFINITY, |max| max as f64),
        ),
        one("process_threads", "Threads.", usage.threads as f64),
        one("process_start_time_seconds", "Start of the process, since 1970.", usage.started.as_secs_f64()),
        one("rillbox_uptime_seconds", "Time since the start of the process.", uptime.as_secs_f64()),
    ]
}

/// A stream, or a processor, with what it has counted.
struct Row<'a> {
    labels: Vec<(&'static str, &'a str)>,
    totals: Totals,
}

fn labels<'a>(stream: &'a Stream, processor: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![("stream", &stream.id), ("processor", processor)]
}

fn of_streams(snapshot: &StreamsSnapshot) -> Vec<MetricFamily> {
    // Their processors may be changed meanwhile.
    let processors: Vec<_> = snapshot.running.iter().map(|stream| stream.processor()).collect();
    let row = |stream, processor| Row { labels: labels(stream, processor), totals: Totals::of(&stream.meters) };
    let rows: Vec<_> = snapshot.running.iter().zip(&processors).map(|(stream, name)| row(stream, name)).collect();
    let mut families = of_totals("stream", &rows);
    let streams = || snapshot.running.iter().zip(&rows);
    let memory = streams().map(|(stream, row)| gauge(&row.labels, stream.meters.guest.memory.sum() as f64));
    families.push(gauges("rillbox_stream_guest_memory_bytes", "Memory of the processor's instances.", memory));
    let gpu = streams().map(|(stream, row)| gauge(&row.labels, stream.meters.guest.gpu_memory.sum() as f64));
    families.push(gauges("rillbox_stream_gpu_memory_bytes", "Memory that they have on the GPU.", gpu));
    let uptime = streams().map(|(stream, row)| gauge(&row.labels, stream.meters.life.uptime().as_secs_f64()));
    families.push(gauges("rillbox_stream_uptime_seconds", "Time since the stream's start.", uptime));
    families
}

fn of_processors(snapshot: &StreamsSnapshot) -> Vec<MetricFamily> {
    let row =
        |(processor, totals): (_, &Totals)| Row { labels: vec![("processor", processor)], totals: totals.clone() };
    let rows: Vec<_> = snapshot.processors.iter().map(row).collect();
    let mut families = of_totals("processor", &rows);
    for (name, help, count) in STREAM_COUNTS {
        let samples = rows.iter().map(|row| counter(&row.labels, count(&row.totals) as f64));
        families.push(counters(format!("rillbox_processor_{name}_total"), help, samples));
    }
    let of = |processor| snapshot.running.iter().filter(move |stream| stream.processor() == processor);
    let running = snapshot
        .processors
        .iter()
        .map(|(processor, _)| gauge(&[("processor", processor)], of(processor).count() as f64));
    families.push(gauges("rillbox_processor_streams", "Streams that run.", running));
    families
}

/// What both kinds of rows have.
fn of_totals(of: &str, rows: &[Row]) -> Vec<MetricFamily> {
    let mut families = Vec::new();
    for (index, count) in COUNTS.iter().enumerate() {
        let samples = rows.iter().map(|row| counter(&row.labels, row.totals.counts[index] as f64));
        families.push(counters(format!("rillbox_{of}_{}_total", count.name), count.help, samples));
    }
    let latency = rows.iter().map(|row| histogram(&row.labels, &row.totals.latency));
    let help = "From bytes received to bytes encoded, of each picture.";
    families.push(histograms(format!("rillbox_{of}_latency_seconds"), help, latency));
    let guest_time = rows.iter().map(|row| histogram(&row.labels, &row.totals.guest_time));
    let help = "The processor's time for each picture.";
    families.push(histograms(format!("rillbox_{of}_guest_time_seconds"), help, guest_time));
    families.extend(of_work(of, "tensor", rows, |work| &work.tensors));
    families.extend(of_work(of, "gpu", rows, |work| &work.gpu));
    families
}

/// Operations by kind: on tensors, or on the GPU.
fn of_work(of: &str, place: &str, rows: &[Row], belonging: fn(&Work) -> &ByKind) -> [MetricFamily; 2] {
    let samples = |value: fn(Done) -> f64| {
        rows.iter().flat_map(move |row| {
            belonging(&row.totals.guest_work).iter().map(move |(kind, done)| {
                let labels = [&row.labels[..], &[("kind", kind.name())]].concat();
                counter(&labels, value(done))
            })
        })
    };
    let count = samples(|done| done.operations as f64);
    let time = samples(|done| done.time.as_secs_f64());
    [
        counters(format!("rillbox_{of}_{place}_operations_total"), "Operations of the host for the processor.", count),
        counters(format!("rillbox_{of}_{place}_seconds_total"), "Time that they took, in seconds.", time),
    ]
}
