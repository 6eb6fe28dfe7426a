//! A channel into a file.

use std::ffi::OsString;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use indicatif::ProgressBar;
use rillbox_trickle::{Backoff, ChannelUrl, Client, Segment, Start, SubscribeError, Subscriber};
use tokio::fs::{self, File};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// How long a recording that has begun goes on trying when the server fails.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is recorded, and where to.
#[derive(Clone, Debug)]
pub struct RecordOptions {
    /// The channel.
    pub url: ChannelUrl,
    /// Connections to the server.
    pub client: Client,
    /// The file, which is replaced at the end; until then, everything is in `FILE.part` beside it.
    pub file: PathBuf,
    /// The segment to begin with. A channel that was not there yet is recorded from its first, where this is the newest.
    pub start: Start,
    /// How long to wait for a channel that is not there yet, or a server that cannot be reached.
    pub wait: Duration,
    /// Ends recording at once; what has come is kept.
    pub stop: CancellationToken,
}

/// What was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordSummary {
    /// Segments with at least a byte in the file, an unfinished last one included.
    pub segments: u64,
    /// Bytes in the file.
    pub bytes: u64,
    /// Segments that the server had no more when they were asked for.
    pub skipped: u64,
    /// Whether `stop` came before the channel's end.
    pub stopped: bool,
}

/// Appends the bytes of all segments to a file until the channel is over.
///
/// # Errors
/// The file cannot be written; the channel did not come in time, or was over before its first byte: then there is no file.
/// When the server fails for good on the way, the file holds what had come, and the error says so.
pub async fn record(options: RecordOptions) -> anyhow::Result<RecordSummary> {
    let mut sink = Sink::create(&options.file).await?;
    let bar = super::progress(None);
    let ended = follow(&options, &mut sink, &bar).await;
    bar.finish_and_clear();
    let summary = RecordSummary { stopped: options.stop.is_cancelled(), ..sink.summary };
    if summary.bytes == 0 {
        sink.discard().await;
        ended?;
        bail!("nothing was recorded: {} had no data", options.url);
    }
    sink.keep(&options.file).await?;
    ended.with_context(|| {
        format!("{} holds {} segments, then recording failed", options.file.display(), summary.segments)
    })?;
    Ok(summary)
}

/// Reads segment after segment until the channel is over or `stop` comes.
async fn follow(options: &RecordOptions, sink: &mut Sink, bar: &ProgressBar) -> anyhow::Result<()> {
    let mut subscriber = Subscriber::new(options.client.clone(), options.url.clone(), options.start);
    let mut patience = Patience::new(options.wait);
    loop {
        let next = tokio::select! {
            biased;
            () = options.stop.cancelled() => return Ok(()),
            next = subscriber.next() => next,
        };
        let error = match next {
            Ok(mut segment) => {
                let seq = segment.seq();
                let copied = tokio::select! {
                    biased;
                    () = options.stop.cancelled() => return Ok(()),
                    copied = copy(&mut segment, sink) => copied?,
                };
                bar.set_message(format!("{} segments, {} KiB", sink.summary.segments, sink.summary.bytes / 1024));
                match copied {
                    Ok(()) => {
                        patience = Patience::new(PATIENCE);
                        continue;
                    }
                    Err(broken) => {
                        sink.undo().await?;
                        subscriber.seek(Start::Seq(seq));
                        broken
                    }
                }
            }
            Err(SubscribeError::Closed | SubscribeError::NotFound) if sink.summary.segments > 0 => return Ok(()),
            Err(error @ (SubscribeError::Closed | SubscribeError::Interrupted)) => {
                return Err(error).with_context(|| format!("recording {}", options.url));
            }
            Err(error) => error,
        };
        if matches!((&error, options.start), (SubscribeError::NotFound, Start::Current)) {
            // By the time it is asked again, several may have been begun.
            subscriber.seek(Start::Seq(0));
        }
        patience.pause(error, options).await?;
    }
}

/// Appends one segment. The outer error is the file's, the inner the connection's.
async fn copy(segment: &mut Segment, sink: &mut Sink) -> anyhow::Result<Result<(), SubscribeError>> {
    sink.begin(segment.skipped());
    loop {
        match segment.chunk().await {
            Ok(Some(bytes)) => sink.write(bytes).await?,
            Ok(None) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Bounds how long failures in a row are borne.
struct Patience {
    limit: Duration,
    since: Option<Instant>,
    backoff: Backoff,
}

impl Patience {
    fn new(limit: Duration) -> Self {
        Self { limit, since: None, backoff: Backoff::default() }
    }

    /// Pauses before another try, or gives the error back when the time is up: the last try is made then. `stop` ends the pause.
    async fn pause(&mut self, error: SubscribeError, options: &RecordOptions) -> anyhow::Result<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let left = self.limit.saturating_sub(since.elapsed());
        if left.is_zero() {
            let waited = self.limit.as_secs_f32();
            return Err(error).with_context(|| format!("recording {}, tried for {waited:.0} s", options.url));
        }
        tokio::select! {
            () = options.stop.cancelled() => {}
            _ = timeout(left, self.backoff.pause()) => {}
        }
        Ok(())
    }
}

/// The file while it is written.
struct Sink {
    path: PathBuf,
    file: File,
    summary: RecordSummary,
    /// The summary before the segment that is being written.
    before: RecordSummary,
    /// The segment has no bytes yet.
    fresh: bool,
}

impl Sink {
    async fn create(target: &Path) -> anyhow::Result<Self> {
        let mut name = OsString::from(target);
        name.push(".part");
        let path = PathBuf::from(name);
        let file = File::create(&path).await.with_context(|| format!("cannot create {}", path.display()))?;
        let summary = RecordSummary::default();
        Ok(Self { path, file, summary, before: summary, fresh: true })
    }

    /// Begins a segment before which `skipped` were missed; none was missed where the recording itself begins.
    fn begin(&mut self, skipped: u64) {
        if self.summary.segments > 0 {
            self.summary.skipped += skipped;
        }
        self.before = self.summary;
        self.fresh = true;
    }

    async fn write(&mut self, bytes: Bytes) -> anyhow::Result<()> {
        self.file.write_all(&bytes).await.with_context(|| format!("cannot write {}", self.path.display()))?;
        self.summary.bytes += bytes.len() as u64;
        self.summary.segments += u64::from(std::mem::take(&mut self.fresh));
        Ok(())
    }

    /// Takes back what came of a segment that broke off: it will be read again from its start.
    async fn undo(&mut self) -> anyhow::Result<()> {
        self.summary = self.before;
        let undone = async {
            self.file.flush().await?;
            self.file.set_len(self.summary.bytes).await?;
            self.file.seek(SeekFrom::Start(self.summary.bytes)).await
        };
        undone.await.with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(())
    }

    /// Gives the file its name; only now is a file replaced that had it before.
    async fn keep(mut self, target: &Path) -> anyhow::Result<()> {
        let kept = async {
            self.file.flush().await?;
            self.file.sync_all().await?;
            fs::rename(&self.path, target).await
        };
        kept.await.with_context(|| format!("cannot finish {} as {}", self.path.display(), target.display()))
    }

    async fn discard(self) {
        // It is empty: at worst it stays.
        let _ = fs::remove_file(&self.path).await;
    }
}
