//! The place of an instance: one that works, a fresh one in the making, or none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep_until, timeout_at};

use super::load::Load;
use super::recovery::{Recovery, Verdict};
use super::started::{Making, Processor, Recipe, StartError};
use crate::sandbox::{Failure, GuestOutput, Instance};
use crate::session::event::{Origin, StreamEvent, clipped};
use crate::session::guest_meters::InstanceRole;
use crate::session::meters::Meters;
use crate::session::timing::Timing;

/// How long frames wait, all of them together, for an instance in the place of a broken one.
const REPLACEMENT_WAIT: Duration = Duration::from_millis(20);

pub(super) struct Slot {
    recipe: Box<Recipe>,
    /// The params that the processor took last: a fresh instance is started with them.
    taken: String,
    /// The params given last that were not refused. They differ from `taken` only while there is no instance; the next instance
    /// gets them.
    wanted: String,
    state: State,
    recovery: Recovery,
    /// As which its memory is noted.
    role: InstanceRole,
    /// Whether frames wait for an instance, however long it takes.
    timing: Timing,
    meters: Arc<Meters>,
    pub load: Load,
    /// What an instance sent that is gone.
    left: Vec<GuestOutput>,
}

enum State {
    Ready(Box<Instance>),
    Replacing(Replacement),
    /// Nothing is tried before this time.
    Resting(Instant),
    /// Nothing is tried again.
    Quarantined {
        _until_gone: Quarantine,
    },
    /// There is nothing to try: the host is shutting down, or another processor takes over.
    Over,
}

/// A place in quarantine, until this is dropped.
struct Quarantine(Arc<Meters>);

impl Quarantine {
    fn begin(meters: &Arc<Meters>) -> Self {
        meters.life.begin_quarantine();
        Self(meters.clone())
    }
}

impl Drop for Quarantine {
    fn drop(&mut self) {
        self.0.life.end_quarantine();
    }
}

/// A fresh instance in the making.
struct Replacement {
    making: Making,
    /// Until then frames wait for it.
    awaited: Instant,
}

impl Replacement {
    /// What has been made, if it is there in time for the frame that waits.
    async fn within_wait(&mut self) -> Option<<Making as Future>::Output> {
        timeout_at(self.awaited.into(), &mut self.making).await.ok()
    }
}

impl Slot {
    pub fn new(processor: Processor, role: InstanceRole, timing: Timing, meters: Arc<Meters>) -> Self {
        let Processor { recipe, instance, params } = processor;
        let state = State::Ready(instance);
        let load = Load::new(recipe.standing(), Instant::now());
        let slot = Self {
            recipe,
            wanted: params.clone(),
            taken: params,
            state,
            recovery: Recovery::default(),
            role,
            timing,
            meters,
            load,
            left: Vec::new(),
        };
        slot.weigh();
        slot
    }

    /// Notes how much memory the instance has.
    fn weigh(&self) {
        let (bytes, on_gpu) = match &self.state {
            State::Ready(instance) => (instance.memory(), instance.gpu_memory()),
            _ => (0, 0),
        };
        self.meters.guest.memory.of(self.role).set(bytes as u64);
        self.meters.guest.gpu_memory.of(self.role).set(on_gpu as u64);
    }

    /// The instance, or `None` where frames pass through.
    pub async fn instance(&mut self) -> Option<&mut Instance> {
        if let State::Resting(until) = self.state
            && (!self.timing.is_live() || until <= Instant::now())
        {
            sleep_until(until.into()).await;
            self.replace();
        }
        if let State::Replacing(replacement) = &mut self.state {
            let awaited = match self.timing {
                Timing::Live => replacement.within_wait().await,
                Timing::File => Some((&mut replacement.making).await),
            };
            if let Some(made) = awaited {
                self.made(made.unwrap_or_else(|error| Err(StartError::of(error)))).await;
            }
        }
        match &mut self.state {
            State::Ready(instance) => Some(instance),
            _ => None,
        }
    }

    /// Takes what was made, and tells it of params that have changed since.
    async fn made(&mut self, made: Result<Instance, StartError>) {
        match made {
            Ok(mut instance) => {
                let wanted = self.wanted.clone();
                let told = if wanted == self.taken { Ok(()) } else { instance.update_params(&wanted).await };
                self.state = State::Ready(Box::new(instance));
                match told {
                    // Whoever gave them was told that they were taken: the next instance gets them.
                    Err(failure) if failure.is_blameless() => self.failed(&failure),
                    told => self.told(told, wanted),
                }
            }
            Err(StartError::Load(failure) | StartError::Start(failure)) => {
                self.count(&failure);
                self.broke(&failure);
            }
            // Its task was ended.
            Err(StartError::Down) => self.state = State::Over,
        }
    }

    /// Notes whether the instance took params. Those that it did not take are not tried again.
    fn told(&mut self, told: Result<(), Failure>, params: String) {
        match told {
            Ok(()) => {
                self.wanted.clone_from(&params);
                self.taken = params;
            }
            Err(failure) => {
                self.wanted.clone_from(&self.taken);
                self.failed(&failure);
            }
        }
    }

    /// Gives the processor new params. Where there is no instance the next one gets them.
    pub async fn update(&mut self, params: String) -> Result<(), Failure> {
        let Some(instance) = self.instance().await else {
            self.wanted = params;
            return Ok(());
        };
        let told = instance.update_params(&params).await;
        let ran = instance.ran();
        self.load.ran(ran, Instant::now());
        self.told(told.clone(), params);
        told
    }

    /// Another processor takes over: a quarantine is not held against it.
    pub fn leave(&mut self) {
        if matches!(self.state, State::Quarantined { .. }) {
            self.state = State::Over;
        }
    }

    /// The stream ends, or another processor has taken over.
    pub async fn stop(&mut self) {
        if let State::Ready(instance) = &mut self.state
            && let Err(failure) = instance.stop().await
        {
            tracing::debug!(%failure, "the processor did not stop well");
            if matches!(failure, Failure::Overrun(_)) {
                self.load.overran(Instant::now());
            }
        }
    }

    /// What was sent since the last call of this.
    pub fn take_output(&mut self) -> impl Iterator<Item = GuestOutput> + use<> {
        self.weigh();
        let output = match &mut self.state {
            State::Ready(instance) => {
                self.meters.guest.refused.add(instance.take_refusals());
                self.meters.guest.work.add(&instance.take_work());
                Some(instance.take_output())
            }
            _ => None,
        };
        std::mem::take(&mut self.left).into_iter().chain(output.into_iter().flatten())
    }

    /// A frame went well.
    pub fn good(&mut self) {
        self.recovery.good();
    }

    /// Counts a failure, and gets rid of the instance when it is of no more use.
    pub fn failed(&mut self, failure: &Failure) {
        self.count(failure);
        if failure.is_fatal() {
            self.broke(failure);
        }
    }

    fn count(&self, failure: &Failure) {
        let counter = match failure {
            Failure::Reported(_) | Failure::Busy | Failure::Lost => &self.meters.guest.errors,
            Failure::Trap(_) | Failure::Memory { .. } => &self.meters.guest.traps,
            Failure::Overrun(_) | Failure::Starved { .. } => &self.meters.guest.overruns,
        };
        counter.add(1);
        self.meters.life.guest_error(failure.to_string());
        if counter.get().is_power_of_two() {
            let stream = &self.recipe.identity.stream;
            tracing::warn!(stream, %failure, count = counter.get(), "frame passed through");
        }
        self.meters.life.error(Origin::Processor, failure.to_string());
    }

    /// Decides what comes in the place of a broken instance, and when.
    fn broke(&mut self, failure: &Failure) {
        let now = Instant::now();
        match *failure {
            Failure::Overrun(_) => self.load.overran(now),
            Failure::Starved { ran, budget } => self.load.starved(ran, budget, now),
            _ => {}
        }
        self.left = self.take_output().collect();
        match if failure.is_blameless() { Verdict::Replace } else { self.recovery.broke(now) } {
            Verdict::Replace => self.replace(),
            Verdict::Rest(until) => self.state = State::Resting(until),
            Verdict::Quarantine => {
                self.state = State::Quarantined { _until_gone: Quarantine::begin(&self.meters) };
                let message = clipped(format!("the processor is in quarantine; its last failure: {failure}"));
                self.meters.life.emit(StreamEvent::Error { message, suppressed: 0 });
            }
        }
        self.weigh();
    }

    fn replace(&mut self) {
        self.meters.guest.restarts.mark();
        let now = Instant::now();
        let making = self.recipe.spawn(self.load.priority(now), &self.taken);
        self.state = State::Replacing(Replacement { making, awaited: now + REPLACEMENT_WAIT });
    }
}
