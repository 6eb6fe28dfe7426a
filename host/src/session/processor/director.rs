//! Starts the lanes of a stream, and puts another processor in the place of the one at work.

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio_util::task::AbortOnDropHandle;

use super::cast::{Cast, Role};
use super::inlet::{Inlets, Sample};
use super::lane::{Handle, Lane, Moved, ORDERS, Order, Stage};
use super::slot::Slot;
use super::started::Processor;
use crate::registry::Lease;
use crate::sandbox::Engine;

/// Calls that wait while lanes change.
const CALLS: usize = 4;

/// Asks a stream's director.
#[derive(Clone, Debug)]
pub struct Direction(mpsc::Sender<Call>);

enum Call {
    Sample(oneshot::Sender<Sample>),
    Change(Box<Role>, oneshot::Sender<Vec<Handle>>),
}

impl Direction {
    /// Copies of the last frames; `None` when the stream has ended.
    pub async fn sample(&self) -> Option<Sample> {
        let (to, from) = oneshot::channel();
        self.0.send(Call::Sample(to)).await.ok()?;
        from.await.ok()
    }

    /// Puts another processor to work from the next frames on, and waits until the old one has stopped. `None` when the stream
    /// has ended.
    pub async fn change(&self, role: Role) -> Option<Vec<Handle>> {
        let (to, from) = oneshot::channel();
        self.0.send(Call::Change(Box::new(role), to)).await.ok()?;
        from.await.ok()
    }
}

/// The task that knows a stream's lanes. It ends when they have.
pub(in crate::session) struct Director {
    engine: Engine,
    stage: Stage,
    /// Of the processor at work.
    lease: Lease,
    calls: mpsc::Receiver<Call>,
    /// To every lane.
    orders: Vec<mpsc::Sender<Order>>,
    lanes: JoinSet<Result<(), JoinError>>,
}

impl Director {
    /// Starts the lanes of the first processor.
    pub fn start(engine: Engine, stage: Stage, role: Role, inlets: Inlets) -> (Self, Direction, Vec<Handle>) {
        let (direction, calls) = mpsc::channel(CALLS);
        let lease = role.lease;
        let mut director = Self { engine, stage, lease, calls, orders: Vec::new(), lanes: JoinSet::new() };
        let mut parts = Parts::new(role.cast);
        parts.give(inlets, &mut director);
        parts.begin_shared(&mut director);
        (director, Direction(direction), parts.handles)
    }

    /// Runs until the lanes have ended; an error is a lane that panicked.
    pub async fn run(mut self) -> Result<(), JoinError> {
        loop {
            tokio::select! {
                Some(call) = self.calls.recv() => match call {
                    Call::Sample(to) => drop(to.send(self.sample().await)),
                    Call::Change(role, to) => {
                        if let Some(handles) = self.change(*role).await? {
                            // Whoever asked may be gone; the change stands.
                            let _ = to.send(handles);
                        }
                    }
                },
                ended = self.lanes.join_next() => match ended {
                    Some(ended) => ended.flatten()?,
                    None => return Ok(()),
                },
            }
        }
    }

    async fn sample(&self) -> Sample {
        let mut sample = Sample::default();
        for lane in &self.orders {
            let (to, from) = oneshot::channel();
            if lane.send(Order::Sample(to)).await.is_ok()
                && let Ok(more) = from.await
            {
                sample = sample.or(more);
            }
        }
        sample
    }

    /// Each track goes over as soon as its lane is between two frames. `None` when all tracks have ended.
    async fn change(&mut self, role: Role) -> Result<Option<Vec<Handle>>, JoinError> {
        let mut leaving = std::mem::take(&mut self.lanes);
        let mut given_back = JoinSet::new();
        for lane in std::mem::take(&mut self.orders) {
            let (to, from) = oneshot::channel();
            if lane.send(Order::Leave(to)).await.is_ok() {
                given_back.spawn(from);
            }
        }
        let mut parts = Parts::new(role.cast);
        while let Some(inlets) = given_back.join_next().await {
            // A lane whose tracks have ended gives nothing back.
            if let Ok(Ok(inlets)) = inlets {
                parts.give(inlets, self);
            }
        }
        parts.begin_shared(self);
        // Until it had left, an old lane could have put the stream into quarantine.
        self.stage.meters.quarantine(false);
        while let Some(ended) = leaving.join_next().await {
            ended.flatten()?;
        }
        // Those at work note theirs with the next frame.
        let meters = &self.stage.meters;
        meters.guest_memory.iter().chain(&meters.guest_gpu_memory).for_each(|memory| memory.set(0));
        self.lease = role.lease;
        Ok((!self.orders.is_empty()).then_some(parts.handles))
    }

    /// Starts one lane; gives what updates its processor, if it has one.
    fn begin(&mut self, inlets: Inlets, processor: Option<Processor>) -> Option<Handle> {
        let (orders, received) = mpsc::channel(ORDERS);
        let handle = processor.as_ref().map(|_| Handle(orders.clone()));
        let guests = processor.is_some();
        let track = usize::from(inlets.video.is_none());
        let slot = processor.map(|processor| Slot::new(processor, track, !self.stage.live, self.stage.meters.clone()));
        let lane = Lane::new(inlets, slot, self.stage.clone());
        if guests {
            let engine = self.engine.clone();
            let first = start(&engine, lane, received);
            self.lanes.spawn(follow(engine, first));
        } else {
            // A track that passes by does not wait for guests' threads.
            let place = lane.place();
            self.lanes.spawn(async move {
                lane.run(place, received).await;
                Ok(())
            });
        }
        self.orders.push(orders);
        handle
    }
}

/// A lane on guests' threads.
type Task = AbortOnDropHandle<Option<Moved>>;

/// Has a lane run where it is to.
fn start(engine: &Engine, lane: Lane, orders: mpsc::Receiver<Order>) -> Task {
    let place = lane.place();
    AbortOnDropHandle::new(engine.spawn(place, lane.run(place, orders)))
}

/// Follows a lane from place to place until it ends.
async fn follow(engine: Engine, mut task: Task) -> Result<(), JoinError> {
    while let Some(moved) = task.await? {
        let (lane, orders) = *moved;
        task = start(&engine, lane, orders);
    }
    Ok(())
}

/// Instances whose tracks have not come yet.
struct Parts {
    /// What takes both tracks, and those of them that have come.
    shared: Option<(Processor, Inlets)>,
    video: Option<Processor>,
    audio: Option<Processor>,
    /// What updates those that have begun.
    handles: Vec<Handle>,
}

impl Parts {
    fn new(cast: Cast) -> Self {
        let handles = Vec::new();
        match cast {
            Cast::Shared(processor) => {
                Self { shared: Some((processor, Inlets::default())), video: None, audio: None, handles }
            }
            Cast::Apart { video, audio } => Self { shared: None, video, audio, handles },
        }
    }

    /// Begins with tracks that have come, unless others have to come too.
    fn give(&mut self, inlets: Inlets, director: &mut Director) {
        if let Some((_, tracks)) = &mut self.shared {
            tracks.video = inlets.video.or(tracks.video.take());
            tracks.audio = inlets.audio.or(tracks.audio.take());
            return;
        }
        if inlets.video.is_some() {
            let processor = self.video.take();
            self.handles.extend(director.begin(Inlets { video: inlets.video, audio: None }, processor));
        }
        if inlets.audio.is_some() {
            let processor = self.audio.take();
            self.handles.extend(director.begin(Inlets { video: None, audio: inlets.audio }, processor));
        }
    }

    /// Begins with all tracks that there are.
    fn begin_shared(&mut self, director: &mut Director) {
        if let Some((processor, inlets)) = self.shared.take()
            && inlets.are_open()
        {
            self.handles.extend(director.begin(inlets, Some(processor)));
        }
    }
}
