//! A file through a processor into a file: the pipeline of a live stream, without the network.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rillbox_media::{Emit, FileSegments, SegmentMode};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::session::{Host, Meters, Pipeline, Source, Timing};

/// What is run, on what.
pub struct RunOptions {
    /// `NAME` or `NAME@VERSION` in the host's registry.
    pub processor: String,
    /// Anything FFmpeg opens.
    pub input: PathBuf,
    /// MPEG-TS.
    pub output: PathBuf,
    /// As a stream's.
    pub params: Value,
    /// Ends reading; what is under way is still written.
    pub stop: CancellationToken,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// Pictures decoded.
    pub frames_in: u64,
    /// Pictures encoded.
    pub frames_out: u64,
    /// Pictures that the processor withheld.
    pub frames_withheld: u64,
    /// Frames that came out as they were, since the processor failed or was in quarantine.
    pub unprocessed: u64,
    /// Its last error.
    pub last_error: Option<String>,
    /// Median and 99th percentile of the processor's time for a picture.
    pub guest_time: [Duration; 2],
    /// Wall time.
    pub took: Duration,
}

/// Runs a file through a processor.
///
/// # Errors
/// The processor does not start, the input cannot be read, or the output not be written; no output is left then.
pub async fn run(host: &Host, options: RunOptions) -> anyhow::Result<RunSummary> {
    if options.output.extension().is_none_or(|end| end != "ts") {
        bail!("{}: the output is MPEG-TS; give it a name that ends in .ts", options.output.display());
    }
    let input = options.input.clone();
    let segments = spawn_blocking(move || FileSegments::open(input, SegmentMode::Auto)).await??;
    let prepared = host.prepare("run", Some(&options.processor), &options.params, Timing::File).await?;
    let meters = Arc::new(Meters::new());
    let began = Instant::now();
    let Pipeline { source, emitted, mut stages, .. } =
        Pipeline::start(prepared.pipeline, &host.engine, prepared.candidate, &meters);
    let stop = options.stop;
    let reader = spawn_blocking({
        let stop = stop.clone();
        move || read(segments, &source, &stop)
    });
    let part = options.output.with_extension("ts.part");
    let writer = spawn_blocking({
        let part = part.clone();
        // Whatever is still to be read would not be written.
        move || write(&part, emitted).inspect_err(|_| stop.cancel())
    });
    let mut ended = Ok(());
    while let Some(stage) = stages.join_next().await {
        ended = ended.and(stage.map_err(anyhow::Error::from).and_then(|stage| Ok(stage?)));
    }
    let ended = ended.and(reader.await?).and(writer.await?);
    if let Err(error) = ended {
        // The part is of no use to anybody; that it cannot be removed is not the error to tell.
        let _ = std::fs::remove_file(&part);
        return Err(error);
    }
    std::fs::rename(&part, &options.output).with_context(|| format!("cannot write {}", options.output.display()))?;
    Ok(summary(&meters, began.elapsed()))
}

fn summary(meters: &Meters, took: Duration) -> RunSummary {
    RunSummary {
        frames_in: meters.frames.video_in.get(),
        frames_out: meters.frames.video_out.get(),
        frames_withheld: meters.frames.withheld.get(),
        unprocessed: meters.guest.errors.get()
            + meters.guest.traps.get()
            + meters.guest.overruns.get()
            + meters.frames.skipped.get(),
        last_error: meters.life.condition().borrow().last_error.clone(),
        guest_time: meters.snapshot().guest_time,
        took,
    }
}

fn read(mut segments: FileSegments, source: &mpsc::Sender<Source>, stop: &CancellationToken) -> anyhow::Result<()> {
    let bar = super::progress(Some(segments.duration()));
    while !stop.is_cancelled()
        && let Some(chunk) = segments.next()?
    {
        bar.set_position(super::millis(chunk.at));
        let sent = if chunk.cut { source.blocking_send(Source::EndOfSegment) } else { Ok(()) };
        if sent.is_err() || source.blocking_send(Source::Bytes(chunk.bytes, Instant::now())).is_err() {
            // The pipeline has ended, and says itself why.
            break;
        }
    }
    bar.finish_and_clear();
    Ok(())
}

fn write(path: &Path, mut emitted: mpsc::Receiver<Emit>) -> anyhow::Result<()> {
    let context = || format!("cannot write {}", path.display());
    let mut file = BufWriter::new(File::create(path).with_context(context)?);
    while let Some(emit) = emitted.blocking_recv() {
        if let Emit::Bytes(bytes) = emit {
            file.write_all(&bytes).with_context(context)?;
        }
    }
    file.into_inner().map_err(|error| error.into_error()).and_then(|file| file.sync_all()).with_context(context)
}
