//! The task that owns a stream's instances: it gives them frames, survives what they do, and passes on what they will not.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rillbox_media::{AudioFrame, VideoFrame};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::frames::{Item, Timed};
use super::happenings::{Happening, Origin, clipped};
use super::meters::{Meters, Phase};
use crate::sandbox::{Component, Engine, Failure, GuestOutput, Identity, Instance, VideoResult};

/// A live picture is dropped when its turn comes so long after it was due.
const MAX_AGE: Duration = Duration::from_millis(250);

/// A host that was held up for a moment catches up by itself: pictures are dropped when they have been late for so long.
const GRACE: Duration = Duration::from_millis(500);

/// Even where every picture is old, one is shown this often: a host that is too slow gives a slow stream, not an empty one.
const KEEP_ALIVE: Duration = Duration::from_millis(500);

/// How long a frame waits for an instance in the place of a broken one.
const REPLACEMENT_WAIT: Duration = Duration::from_millis(20);

/// The first pause after a failure that follows another without a good frame in between; it doubles up to [`MAX_BACKOFF`].
const BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// So many failures within [`QUARANTINE_SPAN`] end the processor's part in the stream.
const QUARANTINE: usize = 5;
const QUARANTINE_SPAN: Duration = Duration::from_secs(60);

/// Why a processor did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// In `load`.
    #[error("`load`: {0}")]
    Load(Failure),
    /// In `start`, or before it.
    #[error("`start`: {0}")]
    Start(Failure),
    /// The guests' threads are gone: the host is shutting down.
    #[error("the host is shutting down")]
    Down,
}

/// New params for a processor, and where to say whether it took them.
pub struct Update {
    params: String,
    taken: oneshot::Sender<Result<(), Failure>>,
}

/// How one instance of a component is made.
#[derive(Clone)]
struct Recipe {
    engine: Engine,
    component: Component,
    identity: Identity,
}

impl Recipe {
    async fn make(self, params: String) -> Result<Instance, StartError> {
        let mut instance =
            Instance::new(&self.engine, &self.component, &self.identity).await.map_err(StartError::Start)?;
        instance.load().await.map_err(StartError::Load)?;
        instance.start(&params).await.map_err(StartError::Start)?;
        Ok(instance)
    }

    fn spawn(&self, params: &str) -> Option<JoinHandle<Result<Instance, StartError>>> {
        self.engine.spawn(self.clone().make(params.to_owned()))
    }
}

/// A started processor that has not been given a stream yet.
pub struct Processor {
    recipe: Recipe,
    instance: Instance,
    params: String,
}

impl Processor {
    /// Makes an instance, and has it `load` and `start`.
    pub async fn start(
        engine: &Engine,
        component: &Component,
        identity: &Identity,
        params: String,
    ) -> Result<Self, StartError> {
        let recipe = Recipe { engine: engine.clone(), component: component.clone(), identity: identity.clone() };
        let making = recipe.spawn(&params).ok_or(StartError::Down)?;
        let instance = making.await.map_err(|_| StartError::Down)??;
        Ok(Self { recipe, instance, params })
    }

    /// Gives it frames from now on. The task ends when both of its inputs have.
    pub(super) fn run(self, inlets: Inlets, outlet: Outlet, meters: Arc<Meters>) -> Option<Running> {
        let (updates, received) = mpsc::channel(8);
        let engine = self.recipe.engine.clone();
        let worker = Worker {
            recipe: self.recipe,
            params: self.params,
            slot: Slot::Ready(Box::new(self.instance)),
            failures: VecDeque::new(),
            in_a_row: 0,
            live: inlets.live,
            last_shown: Instant::now(),
            late_since: None,
            place: inlets.place,
            outlet,
            meters,
        };
        let task = engine.spawn(worker.run(inlets, received))?;
        Some(Running { updates: Handle(updates), task })
    }
}

/// Where a processor's frames come from. One that does not take a kind of frame has a closed channel for it.
pub(super) struct Inlets {
    pub video: mpsc::Receiver<Timed<VideoFrame>>,
    pub audio: mpsc::Receiver<Timed<AudioFrame>>,
    /// Old pictures are dropped; on files none is.
    pub live: bool,
    /// Which of the stream's instances it is for: 0, or 1 for the one that has sound to itself.
    place: usize,
}

impl Inlets {
    /// One for a processor that takes both kinds, or one for each of two.
    pub fn share(
        video: mpsc::Receiver<Timed<VideoFrame>>,
        audio: mpsc::Receiver<Timed<AudioFrame>>,
        live: bool,
        split: bool,
    ) -> Vec<Self> {
        if !split {
            return vec![Self { video, audio, live, place: 0 }];
        }
        let (_, no_audio) = mpsc::channel(1);
        let (_, no_video) = mpsc::channel(1);
        vec![Self { video, audio: no_audio, live, place: 0 }, Self { video: no_video, audio, live, place: 1 }]
    }
}

/// Where what a processor makes goes.
#[derive(Clone)]
pub(super) struct Outlet {
    /// To the encoder.
    pub items: mpsc::Sender<Item>,
    /// Values for the data channel, where the stream has one.
    pub data: Option<mpsc::Sender<String>>,
}

impl Outlet {
    /// Never waits: the data channel must not hold up frames.
    fn publish(&self, value: String, meters: &Meters) {
        if let Some(data) = &self.data
            && data.try_send(value).is_err()
        {
            meters.channels.data.dropped.add(1);
        }
    }
}

/// A processor at work.
pub(super) struct Running {
    pub updates: Handle,
    pub task: JoinHandle<()>,
}

/// Sends updates to a processor at work.
#[derive(Clone)]
pub struct Handle(mpsc::Sender<Update>);

impl Handle {
    /// Gives it new params; `None` when the stream has ended.
    pub async fn update(&self, params: String) -> Option<Result<(), Failure>> {
        let (taken, answer) = oneshot::channel();
        self.0.send(Update { params, taken }).await.ok()?;
        answer.await.ok()
    }
}

enum Slot {
    Ready(Box<Instance>),
    /// A fresh instance is being made.
    Replacing(JoinHandle<Result<Instance, StartError>>),
    /// Nothing is tried before this time.
    Resting(Instant),
    /// Nothing is tried again.
    Quarantined,
}

struct Worker {
    recipe: Recipe,
    params: String,
    slot: Slot,
    failures: VecDeque<Instant>,
    in_a_row: u32,
    live: bool,
    /// When a picture last had its turn.
    last_shown: Instant,
    /// Since when pictures have been late.
    late_since: Option<Instant>,
    /// Which of the stream's instances this is.
    place: usize,
    outlet: Outlet,
    meters: Arc<Meters>,
}

impl Worker {
    async fn run(mut self, mut inlets: Inlets, mut updates: mpsc::Receiver<Update>) {
        self.weigh();
        let (mut video_open, mut audio_open) = (true, true);
        while video_open || audio_open {
            tokio::select! {
                biased;
                Some(update) = updates.recv() => self.update(update).await,
                audio = inlets.audio.recv(), if audio_open => match audio {
                    Some(frame) => self.audio(frame).await,
                    None => audio_open = false,
                },
                video = inlets.video.recv(), if video_open => match video {
                    Some(frame) => self.video(frame).await,
                    None => video_open = false,
                },
            }
        }
        if let Slot::Ready(instance) = &mut self.slot
            && let Err(failure) = instance.stop().await
        {
            tracing::debug!(%failure, "the processor did not stop well");
        }
        self.take_output();
    }

    async fn update(&mut self, update: Update) {
        let taken = match self.instance().await {
            Some(instance) => instance.update_params(&update.params).await,
            None => Ok(()),
        };
        self.take_output();
        match &taken {
            Ok(()) => self.params = update.params,
            Err(failure) => self.failed(failure.clone()),
        }
        // Nobody waits for the answer any more: the update stands all the same.
        let _ = update.taken.send(taken);
    }

    async fn video(&mut self, timed: Timed<VideoFrame>) {
        if self.live && self.is_too_late(timed.due) {
            self.meters.frames_dropped.add(1);
            return;
        }
        self.last_shown = Instant::now();
        let mut frame = timed.frame;
        let began = Instant::now();
        let Some(instance) = self.instance().await else {
            return self.send(Item::Video(Timed { frame, ..timed })).await;
        };
        let result = instance.video(&frame).await;
        self.meters.guest_time(began.elapsed());
        self.take_output();
        match result {
            Ok(VideoResult::Unchanged) => self.in_a_row = 0,
            Ok(VideoResult::Replaced(picture)) => {
                self.in_a_row = 0;
                frame.picture = picture;
            }
            Ok(VideoResult::Withheld) => {
                self.in_a_row = 0;
                self.meters.frames_withheld.add(1);
                self.send(Item::Withheld(Timed { frame, arrived: timed.arrived, due: timed.due })).await;
                return;
            }
            Err(failure) => self.failed(failure),
        }
        self.send(Item::Video(Timed { frame, arrived: timed.arrived, due: timed.due })).await;
    }

    /// Whether a picture that was due at `due` is better dropped.
    fn is_too_late(&mut self, due: Instant) -> bool {
        if due.elapsed() <= MAX_AGE {
            self.late_since = None;
            return false;
        }
        let since = *self.late_since.get_or_insert_with(Instant::now);
        since.elapsed() > GRACE && self.last_shown.elapsed() < KEEP_ALIVE
    }

    async fn audio(&mut self, timed: Timed<AudioFrame>) {
        let original = timed.frame;
        let Some(instance) = self.instance().await else {
            return self.send(Item::Audio(Timed { frame: original, ..timed })).await;
        };
        let result = instance.audio(original.clone()).await;
        self.take_output();
        let frames = match result {
            Ok(frames) => {
                self.in_a_row = 0;
                frames
            }
            Err(failure) => {
                self.failed(failure);
                vec![original]
            }
        };
        for frame in frames {
            self.send(Item::Audio(Timed { frame, arrived: timed.arrived, due: timed.due })).await;
        }
    }

    async fn send(&mut self, item: Item) {
        // The encoder is gone only when the stream is being taken down.
        let _ = self.outlet.items.send(item).await;
    }

    /// The instance, or `None` where frames pass through.
    async fn instance(&mut self) -> Option<&mut Instance> {
        if let Slot::Resting(until) = self.slot
            && until <= Instant::now()
        {
            self.replace();
        }
        if let Slot::Replacing(making) = &mut self.slot {
            match tokio::time::timeout(REPLACEMENT_WAIT, making).await {
                Err(_elapsed) => {}
                Ok(Ok(Ok(instance))) => self.slot = Slot::Ready(Box::new(instance)),
                Ok(Ok(Err(StartError::Load(failure) | StartError::Start(failure)))) => self.broke(failure),
                Ok(Ok(Err(StartError::Down)) | Err(_)) => self.slot = Slot::Quarantined,
            }
        }
        match &mut self.slot {
            Slot::Ready(instance) => Some(instance),
            _ => None,
        }
    }

    fn replace(&mut self) {
        self.meters.guest_restarts.mark();
        self.slot = match self.recipe.spawn(&self.params) {
            Some(making) => Slot::Replacing(making),
            None => Slot::Quarantined,
        };
    }

    /// Counts a failure, and gets rid of the instance when it is of no more use.
    fn failed(&mut self, failure: Failure) {
        let counter = match &failure {
            Failure::Reported(_) => &self.meters.guest_errors,
            Failure::Trap(_) | Failure::Memory { .. } => &self.meters.guest_traps,
            Failure::Overrun(_) => &self.meters.guest_overruns,
        };
        counter.add(1);
        self.meters.guest_error(failure.to_string());
        if counter.get().is_power_of_two() {
            tracing::warn!(stream = self.recipe.identity.stream, %failure, count = counter.get(), "frame passed through");
        }
        self.meters.error(Origin::Processor, failure.to_string());
        if failure.is_fatal() {
            self.broke(failure);
        }
    }

    /// Decides what comes in the place of a broken instance, and when.
    fn broke(&mut self, failure: Failure) {
        let now = Instant::now();
        self.failures.push_back(now);
        self.failures.retain(|time| now.duration_since(*time) < QUARANTINE_SPAN);
        self.in_a_row += 1;
        if self.failures.len() >= QUARANTINE {
            self.slot = Slot::Quarantined;
            self.meters.advance(Phase::Online, Phase::Degraded);
            let message = clipped(format!("the processor is in quarantine; its last failure: {failure}"));
            self.meters.tell(Happening::Error { message, suppressed: 0 });
        } else if self.in_a_row > 1 {
            let pause = BACKOFF.saturating_mul(1 << (self.in_a_row - 2).min(8)).min(MAX_BACKOFF);
            self.slot = Slot::Resting(now + pause);
        } else {
            self.replace();
        }
        self.weigh();
    }

    /// Notes how much memory the instance has.
    fn weigh(&self) {
        let bytes = if let Slot::Ready(instance) = &self.slot { instance.memory() as u64 } else { 0 };
        self.meters.guest_memory[self.place].set(bytes);
    }

    fn take_output(&mut self) {
        self.weigh();
        let Slot::Ready(instance) = &mut self.slot else { return };
        self.meters.guest_refused.add(instance.take_refusals());
        for output in instance.take_output() {
            self.meters.guest_outputs.add(1);
            match output {
                GuestOutput::Data(value) => self.outlet.publish(value, &self.meters),
                GuestOutput::Event(name, fields) => self.meters.tell(Happening::Emitted(name, fields)),
            }
        }
    }
}
