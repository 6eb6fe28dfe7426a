//! One live stream: subscribe, pipeline, publish, the channels beside them, and the end of it all.

mod publication;
mod subscription;

use std::sync::Arc;
use std::time::Duration;

use rillbox_trickle::Client;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use self::publication::CLOSE;
use self::publication::Publication;
use self::subscription::Subscription;
use super::channel_urls::ChannelUrls;
use super::channels::{ChannelInputs, Channels};
use super::condition::Phase;
use super::event::StreamEvent;
use super::meters::Meters;
use super::pipeline::{Pipeline, PipelineError};
use super::streams::Stream;

/// A server that cannot be reached for this long ends the stream.
const UNREACHABLE: Duration = Duration::from_secs(30);

/// Where a stream comes from and goes to, and when it gives up.
#[derive(Clone, Debug)]
pub struct StreamConfig {
    /// Its channels.
    pub urls: ChannelUrls,
    /// How long it waits.
    pub times: StreamTimes,
}

/// How long streams wait. [`Default`] is 60 s for input and 10 s to drain.
#[derive(Clone, Copy, Debug)]
pub struct StreamTimes {
    /// For a byte of input; then the stream is over.
    pub input: Duration,
    /// For what is under way to go out, once the input has ended.
    pub drain: Duration,
}

impl Default for StreamTimes {
    fn default() -> Self {
        Self { input: Duration::from_secs(60), drain: Duration::from_secs(10) }
    }
}

/// Why a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ending {
    phase: Phase,
    reason: String,
}

impl Ending {
    fn ended(reason: impl Into<String>) -> Self {
        Self { phase: Phase::Ended, reason: reason.into() }
    }

    fn failed(reason: impl Into<String>) -> Self {
        Self { phase: Phase::Failed, reason: reason.into() }
    }
}

/// Runs a stream to its end; cancelling its `stop` ends its input, and what is under way still goes out. The condition in
/// its `meters` says at last why it ended, after everything has been released, the processor too.
pub async fn run(stream: Arc<Stream>, client: Client, pipeline: Pipeline, channel_inputs: ChannelInputs) {
    let Pipeline { source, emitted, mut stages, .. } = pipeline;
    let (StreamConfig { urls, times }, meters) = (stream.config.clone(), &stream.meters);
    let channels = Channels::start(&stream, &client, channel_inputs);
    let mut ends: JoinSet<Ending> = JoinSet::new();
    let subscription = Subscription::new(client.clone(), urls.subscribe, source, meters.clone(), times.input);
    let cut = CancellationToken::new();
    let publication = Publication::new(client, urls.publish, emitted, meters.clone(), cut.clone());
    // Stops the input alone; the rest follows by itself when no more comes.
    let input = stream.stop.child_token();
    ends.spawn({
        let input = input.clone();
        async move {
            input.run_until_cancelled_owned(subscription.run()).await.unwrap_or_else(|| Ending::ended("stopped"))
        }
    });
    ends.spawn(publication.run());
    let ending = supervise(&mut ends, &mut stages, &input, meters, times.drain).await;
    // Readers are told of the end, however it came.
    cut.cancel();
    let _ = timeout(CLOSE, async { while ends.join_next().await.is_some() {} }).await;
    ends.shutdown().await;
    stages.shutdown().await;
    meters.life.emit(StreamEvent::Stopped { failed: ending.phase == Phase::Failed, reason: ending.reason.clone() });
    channels.end().await;
    match ending.phase {
        Phase::Failed => tracing::warn!(reason = ending.reason, "stream failed"),
        _ => tracing::info!(reason = ending.reason, "stream ended"),
    }
    meters.life.end(ending.phase, ending.reason);
}

/// Waits until everything has ended, or the time to drain is over. The first end ends the input, and is the reason unless a stage
/// broke.
async fn supervise(
    ends: &mut JoinSet<Ending>,
    stages: &mut JoinSet<Result<(), PipelineError>>,
    input: &CancellationToken,
    meters: &Meters,
    drain: Duration,
) -> Ending {
    let mut ending: Option<Ending> = None;
    // Set anew when the first end comes.
    let deadline = sleep(Duration::MAX);
    tokio::pin!(deadline);
    loop {
        let (end, is_stage) = tokio::select! {
            Some(end) = ends.join_next() => (Some(end.unwrap_or_else(|error| Ending::failed(error.to_string()))), false),
            Some(stage) = stages.join_next() => (stage_ending(stage), true),
            () = &mut deadline => return cut_off(ending),
        };
        match (&ending, end) {
            (None, Some(end)) => {
                ending = Some(end);
                input.cancel();
                meters.life.enter(Phase::Draining);
                deadline.as_mut().reset(Instant::now() + drain);
            }
            // A stage that broke takes its neighbours along, who may be heard of first.
            (Some(first), Some(end)) if is_stage && first.phase == Phase::Ended => ending = Some(end),
            _ => {}
        }
        if ends.is_empty() && stages.is_empty() {
            return ending.unwrap_or_else(|| Ending::ended("the input ended"));
        }
    }
}

/// The end of a stream whose time to drain is over.
fn cut_off(first: Option<Ending>) -> Ending {
    let first = first.map(|ending| format!("{}; ", ending.reason)).unwrap_or_default();
    Ending::failed(format!("{first}what was under way did not go out in time"))
}

fn stage_ending(stage: Result<Result<(), PipelineError>, tokio::task::JoinError>) -> Option<Ending> {
    match stage {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(Ending::failed(error.to_string())),
        Err(error) => Some(Ending::failed(PipelineError::Stage(error).to_string())),
    }
}
