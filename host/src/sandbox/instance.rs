//! One instance of a component: a Store, and calls into it that end in time.

use std::time::{Duration, Instant};

use rillbox_media::{AudioFrame, Picture, VideoFrame};
use thiserror::Error;
use wasmtime::component::{Resource, ResourceTableError};
use wasmtime::{Store, Trap, UpdateDeadline, WasmBacktrace};

use super::bindings::LiveProcessor;
use super::bindings::exports::rillbox::processor::processor as wit;
use super::bindings::rillbox::processor::types::Error as Misuse;
use super::context::{Guest, GuestOutput};
use super::engine::{Component, Engine};
use super::graphics::{Pending, Uses};
use super::guard::guarded;
use super::http::HttpAccess;
use super::imports::video::Staged;
use super::imports::{audio, video};
use super::limits::Refusals;
use super::rate::{SoundCredit, SoundOrder};
use super::work::Work;
use crate::registry::{Description, Isolation, PixelFormatName};

const INSTANTIATE: Duration = Duration::from_secs(1);
const DESCRIBE: Duration = Duration::from_secs(1);
const LOAD: Duration = Duration::from_secs(30);
const START: Duration = Duration::from_secs(2);
const UPDATE: Duration = Duration::from_millis(100);
const STOP: Duration = Duration::from_millis(100);

/// How late timers, and the turn of whoever waits for one, are on a busy machine.
const TIMER_SLACK: Duration = Duration::from_millis(10);

/// Whose instance it is, and what it may call.
#[derive(Clone)]
pub struct Identity {
    /// The stream's id.
    pub stream: String,
    /// The processor as `name@version`.
    pub processor: String,
    /// When the stream started.
    pub started: Instant,
    /// Where its requests may go.
    pub http: HttpAccess,
}

/// Why a call gave no result.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Failure {
    /// The guest said so. The instance goes on.
    #[error("the processor reports: {0}")]
    Reported(String),
    /// The guest broke. The instance is of no more use.
    #[error("the processor trapped: {0}")]
    Trap(String),
    /// The guest asked for more memory than it may have, and broke over it.
    #[error("the processor ran out of its {limit} bytes of memory: {detail}")]
    Memory {
        /// The limit.
        limit: usize,
        /// The trap.
        detail: String,
    },
    /// The guest was stopped at the end of its time.
    #[error("the processor ran longer than {} ms", .0.as_millis())]
    Overrun(Duration),
    /// The guest was stopped because its frame could wait no longer: the machine was busy with others. The guest is not to blame, but
    /// cannot go on from there.
    #[error("the machine was too busy: the processor ran for {} of its {} ms", .ran.as_millis(), .budget.as_millis())]
    Starved {
        /// How long it ran.
        ran: Duration,
        /// How long it could have.
        budget: Duration,
    },
    /// The GPU was busy with others for so long that the frame could wait no longer. The guest is not to blame, and goes on.
    #[error("the GPU was busy with others")]
    Busy,
    /// What the guest had on the GPU is gone, be it with the GPU or because that was too busy to be given more. The guest is not to
    /// blame, but cannot go on from there.
    #[error("what the processor had on the GPU is lost")]
    Lost,
}

impl Failure {
    /// Whether the instance must be replaced.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::Reported(_) | Self::Busy)
    }

    /// Whether the guest did nothing wrong.
    pub fn is_blameless(&self) -> bool {
        matches!(self, Self::Starved { .. } | Self::Lost)
    }

    /// Whether the guest was stopped because of the time.
    pub fn is_late(&self) -> bool {
        matches!(self, Self::Overrun(_) | Self::Starved { .. })
    }
}

/// What became of a picture.
#[derive(Debug)]
pub enum VideoResult {
    /// Shown as it came.
    Unchanged,
    /// Shown as this.
    Replaced(Picture),
    /// Shown as what comes from the GPU.
    Pending(Pending),
    /// Not shown.
    Withheld,
}

/// A component's instance. Dropping it frees everything the guest had.
pub struct Instance {
    engine: Engine,
    store: Store<Guest>,
    exports: LiveProcessor,
    sound: SoundCredit,
    order: SoundOrder,
    uses: Uses,
    /// Running time of the last call for a frame, or for params.
    ran: Duration,
}

impl Instance {
    /// Makes an instance; none of the guest's exports has been called.
    pub async fn new(engine: &Engine, component: &Component, identity: &Identity) -> Result<Self, Failure> {
        let mut store = Store::new(engine.wasmtime(), Guest::new(identity, engine));
        store.limiter(|guest| &mut guest.budget);
        store.set_hostcall_fuel(engine.limits().copied);
        // Handles of the guest's own making cost the host memory, too. Those that a call lends count while it runs, and there may be as
        // many as there are: what the host has made for a guest is refused before that, with an error.
        store.set_max_component_handles(engine.limits().handles.saturating_mul(2));
        store.epoch_deadline_callback(|mut store| {
            let guest = store.data_mut();
            if guest.timer.left().is_zero() {
                return Ok(UpdateDeadline::Interrupt);
            }
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(guest.timer.yield_turn())))
        });
        let exports = run(engine, &mut store, INSTANTIATE, async |store| {
            component.pre.instantiate_async(store).await.map(Ok).map_err(explained)
        })
        .await
        .map_err(|failure| declared(failure, &store))?;
        Ok(Self {
            engine: engine.clone(),
            store,
            exports,
            sound: SoundCredit::new(),
            order: SoundOrder::default(),
            uses: component.uses,
            ran: Duration::ZERO,
        })
    }

    /// What the processor says of itself.
    pub async fn describe(&mut self) -> Result<Description, Failure> {
        let exports = self.exports.rillbox_processor_processor();
        let described =
            run(&self.engine, &mut self.store, DESCRIBE, async |store| exports.call_describe(store).await.map(Ok))
                .await?;
        Ok(description(described))
    }

    /// Work done once.
    pub async fn load(&mut self) -> Result<(), Failure> {
        self.store.data_mut().graphics.prepare(self.uses).await;
        let exports = self.exports.rillbox_processor_processor();
        run(&self.engine, &mut self.store, LOAD, async |store| exports.call_load(store).await).await
    }

    /// The stream begins.
    pub async fn start(&mut self, params: &str) -> Result<(), Failure> {
        let exports = self.exports.rillbox_processor_processor();
        run(&self.engine, &mut self.store, START, async |store| exports.call_start(store, params).await).await
    }

    /// Params changed.
    pub async fn update_params(&mut self, params: &str) -> Result<(), Failure> {
        let exports = self.exports.rillbox_processor_processor();
        let told =
            run(&self.engine, &mut self.store, UPDATE, async |store| exports.call_update_params(store, params).await)
                .await;
        self.ran = self.store.data().timer.ran();
        told
    }

    /// The stream ends.
    pub async fn stop(&mut self) -> Result<(), Failure> {
        let exports = self.exports.rillbox_processor_processor();
        let stopped = run(&self.engine, &mut self.store, STOP, async |store| exports.call_stop(store).await.map(Ok));
        stopped.await.and(self.settle())
    }

    /// Counts what the GPU did after earlier calls, and tells of what it did not do in time.
    fn settle(&mut self) -> Result<(), Failure> {
        let guest = self.store.data_mut();
        guest.graphics.settle(&mut guest.work)
    }

    /// Gives the guest a picture.
    pub async fn video(&mut self, frame: &VideoFrame) -> Result<VideoResult, Failure> {
        self.ran = Duration::ZERO;
        self.settle()?;
        let room = self.store.data_mut().graphics.room().await;
        let own = video::Frame::new(frame.picture.clone(), frame.pts);
        let guest = self.store.data_mut();
        let own = guest.table.push(own).map_err(|_| full(guest.no_handle()))?;
        let borrow = || Resource::new_borrow(own.rep());
        let (exports, budget) = (self.exports.rillbox_processor_processor(), self.engine.limits().frame_budget);
        let outcome =
            run(&self.engine, &mut self.store, budget, async |store| exports.call_process_video(store, borrow()).await)
                .await;
        let guest = self.store.data_mut();
        self.ran = guest.timer.ran();
        let frame = guest.table.delete(own).map_err(|error| Failure::Trap(error.to_string()))?;
        Ok(match (outcome?, frame.staged) {
            (wit::VideoOutcome::Replaced, Some(Staged::Picture(picture))) => VideoResult::Replaced(picture),
            (wit::VideoOutcome::Replaced, Some(Staged::Download(download))) => {
                VideoResult::Pending(guest.graphics.pending(download, frame.picture.color(), room))
            }
            (wit::VideoOutcome::Replaced, None) => {
                let why = "`replaced` without a picture staged before, as by `replace-pixels`";
                return Err(Failure::Reported(why.to_owned()));
            }
            (wit::VideoOutcome::Unchanged, _) => VideoResult::Unchanged,
            (wit::VideoOutcome::Withheld, _) => VideoResult::Withheld,
        })
    }

    /// Gives the guest samples, and takes what is to be heard instead.
    pub async fn audio(&mut self, samples: AudioFrame) -> Result<Vec<AudioFrame>, Failure> {
        self.ran = Duration::ZERO;
        self.settle()?;
        self.sound.earn(seconds(&samples));
        let given = samples.pts;
        // Counted as if it were retained, for the guest may keep it.
        let own = audio::push(self.store.data_mut(), samples, false).map_err(full)?;
        let rep = own.rep();
        let (exports, budget) = (self.exports.rillbox_processor_processor(), self.engine.limits().frame_budget);
        let frames = run(&self.engine, &mut self.store, budget, async |store| {
            exports.call_process_audio(store, Resource::new_own(rep)).await
        })
        .await;
        let guest = self.store.data_mut();
        self.ran = guest.timer.ran();
        let frames = frames?;
        let taken: Result<Vec<AudioFrame>, _> = frames
            .into_iter()
            .map(|frame| {
                let frame = guest.table.delete(frame)?;
                guest.budget.release(frame.counted);
                Ok::<_, ResourceTableError>(frame.samples)
            })
            .collect();
        let taken = taken.map_err(|error| Failure::Trap(error.to_string()))?;
        let ordered = self.order.check(given, taken.iter().map(|frame| frame.pts));
        ordered.map_err(|error| Failure::Reported(error.to_string()))?;
        let heard = taken.iter().map(seconds).sum();
        if !self.sound.spend(heard) {
            let left = self.sound.left();
            return Err(Failure::Reported(format!(
                "{heard:.2} s of sound, of which only {left:.2} s were given before"
            )));
        }
        Ok(taken)
    }

    /// What the guest sent since the last call of this.
    pub fn take_output(&mut self) -> impl Iterator<Item = GuestOutput> + use<> {
        let guest = self.store.data_mut();
        std::mem::take(&mut guest.output).into_iter()
    }

    /// Running time of the last call for a frame or for params: its imports count, waiting for the processor does not. Zero if there
    /// was no call; what an earlier one had the GPU do, if that is why.
    pub fn ran(&self) -> Duration {
        let overrun = self.store.data().graphics.overrun;
        if overrun.is_zero() { self.ran } else { overrun }
    }

    /// What was refused to the guest since the last call of this.
    pub fn take_refusals(&mut self) -> Refusals {
        self.store.data_mut().take_refusals()
    }

    /// What the host did for the guest since the last call of this, but for what a [`Pending`] picture tells.
    pub fn take_work(&mut self) -> Work {
        std::mem::take(&mut self.store.data_mut().work)
    }

    /// Bytes of the guest's images and buffers on the GPU, which count in its memory, too.
    pub fn gpu_memory(&self) -> usize {
        self.store.data().graphics.memory
    }

    /// Bytes of the guest's memories, tables, tensors and retained frames.
    pub fn memory(&self) -> usize {
        self.store.data().budget.used()
    }
}

/// Makes one call: running for `budget` at most, and over within twice that on the wall clock.
async fn run<T>(
    engine: &Engine,
    store: &mut Store<Guest>,
    budget: Duration,
    call: impl AsyncFnOnce(&mut Store<Guest>) -> wasmtime::Result<Result<T, String>>,
) -> Result<T, Failure> {
    let guest = store.data_mut();
    let waited = guest.timer.begin(budget);
    guest.budget.begin();
    guest.stdio.begin();
    let wall = wall(budget);
    guest.graphics.begin(wall);
    store.set_epoch_deadline(1);
    let ended = {
        let _running = engine.activity().enter();
        waited.during(guarded(tokio::time::timeout(wall, call(store)))).await
    };
    // What was recorded for a call that broke goes nowhere, as does its instance.
    let is_over = matches!(ended, Ok(Ok(Ok(_))));
    let submitted = if is_over { store.data_mut().graphics.submit() } else { Ok(()) };
    let result = match ended {
        Err(panic) => Err(Failure::Trap(clip(panic.to_string()))),
        Ok(Err(_elapsed)) => match store.data().timer.ran() {
            ran if ran < budget => Err(Failure::Starved { ran, budget }),
            _ => Err(Failure::Overrun(wall)),
        },
        Ok(Ok(Ok(result))) => result.map_err(|message| Failure::Reported(clip(message))),
        Ok(Ok(Err(error))) => Err(classify(&error, store.data_mut(), budget)),
    };
    match (result, submitted) {
        // What the guest has on the GPU is not what it takes it for.
        (Ok(_) | Err(Failure::Reported(_)), Err(failure)) if failure.is_fatal() => Err(failure),
        (Ok(_), Err(failure)) | (Err(failure), _) => Err(failure),
        (Ok(value), Ok(())) => Ok(value),
    }
}

/// How long a call may take in all. Timers are late on a busy machine, and a guest that runs is seen to be out of time at its next
/// turn.
fn wall(budget: Duration) -> Duration {
    budget * 2 - TIMER_SLACK.min(budget)
}

/// An error that says why an instance could not be made, unless its code is to blame: an export of another signature is told of
/// in several steps, of which the last alone means nothing.
fn explained(error: wasmtime::Error) -> wasmtime::Error {
    if error.is::<Trap>() || error.is::<WasmBacktrace>() { error } else { wasmtime::Error::msg(format!("{error:#}")) }
}

fn classify(error: &wasmtime::Error, guest: &mut Guest, budget: Duration) -> Failure {
    if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
        return Failure::Overrun(budget);
    }
    let last_words = guest.stdio.take_last_words();
    let cause = error.root_cause().to_string();
    let detail = clip(if last_words.is_empty() { cause } else { format!("{last_words} ({cause})") });
    if guest.budget.wanted().is_some() {
        Failure::Memory { limit: guest.limits.memory, detail }
    } else {
        Failure::Trap(detail)
    }
}

/// Messages of guests end up in answers and logs.
fn clip(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(1_000));
    message
}

/// An instance that runs out of memory before any of its code has asked for some was declared too large.
fn declared(failure: Failure, store: &Store<Guest>) -> Failure {
    match (failure, store.data().budget.wanted()) {
        (Failure::Memory { limit, .. }, Some(wanted)) => {
            let detail = format!("the component declares memories and tables of {wanted} bytes or more");
            Failure::Memory { limit, detail }
        }
        (failure, _) => failure,
    }
}

/// The guest holds so much that it cannot be given a frame.
fn full(misuse: Misuse) -> Failure {
    let (Misuse::Limit(why) | Misuse::Invalid(why) | Misuse::Unsupported(why)) = misuse;
    Failure::Reported(format!("the frame could not be handed over: {why}"))
}

fn seconds(samples: &AudioFrame) -> f64 {
    samples.samples() as f64 / f64::from(samples.rate.max(1))
}

fn description(described: wit::Description) -> Description {
    Description {
        name: described.name,
        version: described.version,
        params_schema: described.params_schema,
        video: described.media.contains(wit::Media::VIDEO),
        audio: described.media.contains(wit::Media::AUDIO),
        pixel_format: match video::pixel_format(described.pixel_format) {
            rillbox_media::PixelFormat::I420 => PixelFormatName::I420,
            rillbox_media::PixelFormat::Nv12 => PixelFormatName::Nv12,
            rillbox_media::PixelFormat::Rgba8 => PixelFormatName::Rgba8,
            rillbox_media::PixelFormat::Rgb8 => PixelFormatName::Rgb8,
            rillbox_media::PixelFormat::Gray8 => PixelFormatName::Gray8,
        },
        isolation: match described.isolation {
            wit::Isolation::Shared => Isolation::Shared,
            wit::Isolation::Split => Isolation::Split,
        },
        capabilities: described.capabilities,
    }
}
