//! A file into a channel, at the speed at which it is meant to be seen or as fast as the server takes it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::ProgressBar;
use rillbox_media::{FileChunk, FileSegments, OpenError, SegmentMode};
use rillbox_trickle::{ChannelUrl, Client, ControlError, PublishError, Publisher, PublisherConfig, create};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// What the segments hold.
const CONTENT_TYPE: &str = "video/MP2T";

/// Chunks, about one a frame, that are read ahead of the server.
const READ_AHEAD: usize = 32;

/// Without real time: segments that may wait for the server's answer before another is begun.
const IN_FLIGHT: u64 = 2;

/// Without real time: longest wait for that answer, after which the publisher's own rules decide.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often answers are looked for; the publisher tells them in its counts alone.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// What is published, where and how.
#[derive(Clone, Debug)]
pub struct PublishOptions {
    /// A regular file that FFmpeg opens.
    pub file: PathBuf,
    /// The channel. It is created where the server allows that, continued where it exists, and closed at the end.
    pub url: ChannelUrl,
    /// Connections to the server.
    pub client: Client,
    /// Whether each frame waits for its time. Without it the server sets the pace, and subscribers may fall behind.
    pub realtime: bool,
    /// Times that the file is played; 0 plays it until `stop`.
    pub loops: u32,
    /// Whether packets are copied where that is possible.
    pub mode: SegmentMode,
    /// Ends publishing after the frame that is being sent; the channel is closed as at the file's end.
    pub stop: CancellationToken,
}

/// What was published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishSummary {
    /// Segments that the server took in full.
    pub segments: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Segments that were given up because the server failed or was too slow.
    pub skipped: u64,
    /// Media time up to the last frame.
    pub played: Duration,
    /// Whether packets were copied, not encoded.
    pub copied: bool,
    /// Whether `stop` came before the end.
    pub stopped: bool,
}

/// Plays a file into a channel and closes the channel.
///
/// # Errors
/// The file cannot be read as media, the server cannot be reached, somebody closed the channel, or the server took no
/// segment. Where the file fails on the way, the channel is closed first.
pub async fn publish(options: PublishOptions) -> anyhow::Result<PublishSummary> {
    let (file, mode) = (options.file.clone(), options.mode);
    let segments = spawn_blocking(move || FileSegments::open(file, mode)).await.context("reading the file")??;
    let copied = segments.copies();
    match segments.why_encoded() {
        None => tracing::info!(file = %options.file.display(), "copying packets"),
        Some(why) => tracing::info!(file = %options.file.display(), why, "encoding"),
    }
    let bar = super::progress(length(&segments, options.loops));
    let publisher = connect(&options).await?;
    let (chunks, reader) = read(segments, options.loops);
    let mut player = Player { publisher, begun: 0, played: Duration::ZERO, bar };
    let ended = player.play(chunks, &options).await;
    let summary = player.close(&options, ended).await;
    // It has ended, or will as soon as it sees that nobody takes its chunks.
    reader.await.context("reading the file")?;
    Ok(PublishSummary { copied, ..summary? })
}

/// Media time of all passes; `None` for ever.
fn length(segments: &FileSegments, loops: u32) -> Option<Duration> {
    (loops > 0).then(|| segments.duration().saturating_mul(loops))
}

/// Creates the channel and finds where to go on in one that exists.
async fn connect(options: &PublishOptions) -> anyhow::Result<Publisher> {
    let (client, url) = (options.client.clone(), options.url.clone());
    match create(&client, &url, CONTENT_TYPE).await {
        // A server that creates no channels may have this one: its first segment tells.
        Ok(()) | Err(ControlError::NotFound) => {}
        Err(error) => return Err(error).with_context(|| format!("cannot create {url}")),
    }
    let mut config = PublisherConfig::default();
    if !options.realtime {
        config.write_timeout = PATIENCE;
    }
    match Publisher::resume(client.clone(), url.clone(), config.clone()).await {
        Ok(publisher) => Ok(publisher),
        Err(PublishError::NotFound) => Ok(Publisher::new(client, url, config)),
        Err(error) => Err(error).with_context(|| format!("cannot publish to {url}")),
    }
}

type Chunks = mpsc::Receiver<Result<FileChunk, OpenError>>;

/// Reads on a thread of its own, since decoding and disks block.
fn read(mut segments: FileSegments, loops: u32) -> (Chunks, JoinHandle<()>) {
    let (sender, chunks) = mpsc::channel(READ_AHEAD);
    let reader = spawn_blocking(move || {
        let mut passes = 1;
        loop {
            let next = match segments.next() {
                Ok(None) if passes == loops => return,
                Ok(None) => {
                    passes = passes.saturating_add(1);
                    match segments.rewind() {
                        Ok(()) => continue,
                        Err(error) => Err(error),
                    }
                }
                Ok(Some(chunk)) => Ok(chunk),
                Err(error) => Err(error),
            };
            let failed = next.is_err();
            if sender.blocking_send(next).is_err() || failed {
                return;
            }
        }
    });
    (chunks, reader)
}

/// How playing ended.
enum Ended {
    File,
    Stopped,
}

struct Player {
    publisher: Publisher,
    /// Segments begun.
    begun: u64,
    played: Duration,
    bar: ProgressBar,
}

impl Player {
    async fn play(&mut self, mut chunks: Chunks, options: &PublishOptions) -> anyhow::Result<Ended> {
        let stopped = options.stop.cancelled();
        tokio::pin!(stopped);
        let mut start = None;
        loop {
            let step = async {
                let Some(chunk) = chunks.recv().await else { return Ok(false) };
                let chunk = chunk.with_context(|| format!("reading {}", options.file.display()))?;
                if options.realtime {
                    sleep_until(*start.get_or_insert_with(Instant::now) + chunk.at).await;
                }
                self.send(chunk, options).await?;
                anyhow::Ok(true)
            };
            tokio::select! {
                biased;
                () = &mut stopped => return Ok(Ended::Stopped),
                more = step => if !more? {
                    return Ok(Ended::File);
                },
            }
        }
    }

    async fn send(&mut self, chunk: FileChunk, options: &PublishOptions) -> anyhow::Result<()> {
        if chunk.cut {
            if !options.realtime {
                self.wait_for_answers().await;
            }
            self.publisher.begin();
            self.begun += 1;
        }
        self.publisher.write(chunk.bytes).await.with_context(|| format!("publishing to {}", options.url))?;
        self.played = chunk.at;
        self.bar.set_position(super::millis(chunk.at));
        if chunk.cut {
            let stats = self.publisher.stats();
            self.bar.set_message(format!("{} segments, {} skipped", stats.segments, stats.skipped));
        }
        Ok(())
    }

    /// Waits until few segments are unanswered: the publisher gives up old ones rather than hold new ones back.
    async fn wait_for_answers(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stats = self.publisher.stats();
            let unanswered = self.begun.saturating_sub(stats.segments + stats.skipped);
            if unanswered <= IN_FLIGHT || self.publisher.failing_since().is_some() || Instant::now() >= deadline {
                return;
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Ends the last segment and the channel, however playing ended.
    async fn close(self, options: &PublishOptions, ended: anyhow::Result<Ended>) -> anyhow::Result<PublishSummary> {
        let Self { mut publisher, begun, played, bar } = self;
        let url = &options.url;
        let closed = publisher.close().await;
        bar.finish_and_clear();
        // What failed first explains the rest.
        let stopped = matches!(ended?, Ended::Stopped);
        closed.with_context(|| format!("publishing to {url}"))?;
        let stats = publisher.stats();
        if stats.segments == 0 && begun > 0 {
            bail!("the server took none of {begun} segments for {url}");
        }
        let (segments, bytes, skipped) = (stats.segments, stats.bytes, stats.skipped);
        Ok(PublishSummary { segments, bytes, skipped, played, copied: false, stopped })
    }
}
