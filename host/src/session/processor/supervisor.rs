//! Starts the lanes of a stream, and puts another processor in the place of the one at work.

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio_util::task::AbortOnDropHandle;

use super::inlet::{Inlets, LastFrames};
use super::instances::{Candidate, Instances};
use super::lane::{Lane, LaneContext, Moved, ORDERS, Order, ParamsHandle};
use super::slot::Slot;
use super::started::Processor;
use crate::registry::Lease;
use crate::sandbox::Engine;
use crate::session::guest_meters::InstanceRole;

/// Calls that wait while lanes change.
const CALLS: usize = 4;

/// Asks a stream's supervisor.
#[derive(Clone, Debug)]
pub struct SupervisorHandle(mpsc::Sender<Call>);

enum Call {
    LastFrames(oneshot::Sender<LastFrames>),
    Change(Box<Candidate>, oneshot::Sender<Vec<ParamsHandle>>),
}

impl SupervisorHandle {
    /// Copies of the last frames; `None` when the stream has ended.
    pub async fn last_frames(&self) -> Option<LastFrames> {
        let (to, from) = oneshot::channel();
        self.0.send(Call::LastFrames(to)).await.ok()?;
        from.await.ok()
    }

    /// Puts another processor to work from the next frames on, and waits until the old one has stopped. `None` when the stream
    /// has ended.
    pub async fn change(&self, candidate: Candidate) -> Option<Vec<ParamsHandle>> {
        let (to, from) = oneshot::channel();
        self.0.send(Call::Change(Box::new(candidate), to)).await.ok()?;
        from.await.ok()
    }
}

/// The task that knows a stream's lanes. It ends when they have.
pub(in crate::session) struct Supervisor {
    engine: Engine,
    context: LaneContext,
    /// Of the processor at work.
    lease: Lease,
    calls: mpsc::Receiver<Call>,
    /// To every lane.
    orders: Vec<mpsc::Sender<Order>>,
    lanes: JoinSet<Result<(), JoinError>>,
}

impl Supervisor {
    /// Starts the lanes of the first processor.
    pub fn start(
        engine: Engine,
        context: LaneContext,
        candidate: Candidate,
        inlets: Inlets,
    ) -> (Self, SupervisorHandle, Vec<ParamsHandle>) {
        let (calls_to, calls) = mpsc::channel(CALLS);
        let lease = candidate.lease;
        let mut supervisor = Self { engine, context, lease, calls, orders: Vec::new(), lanes: JoinSet::new() };
        let mut pending = PendingInstances::new(candidate.instances);
        pending.give(inlets, &mut supervisor);
        pending.begin_shared(&mut supervisor);
        (supervisor, SupervisorHandle(calls_to), pending.handles)
    }

    /// Runs until the lanes have ended; an error is a lane that panicked.
    pub async fn run(mut self) -> Result<(), JoinError> {
        loop {
            tokio::select! {
                Some(call) = self.calls.recv() => match call {
                    Call::LastFrames(to) => drop(to.send(self.last_frames().await)),
                    Call::Change(candidate, to) => {
                        if let Some(handles) = self.change(*candidate).await? {
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

    async fn last_frames(&self) -> LastFrames {
        let mut last_frames = LastFrames::default();
        for lane in &self.orders {
            let (to, from) = oneshot::channel();
            if lane.send(Order::LastFrames(to)).await.is_ok()
                && let Ok(more) = from.await
            {
                last_frames = last_frames.or(more);
            }
        }
        last_frames
    }

    /// Each track goes over as soon as its lane is between two frames. `None` when all tracks have ended.
    async fn change(&mut self, candidate: Candidate) -> Result<Option<Vec<ParamsHandle>>, JoinError> {
        let mut leaving = std::mem::take(&mut self.lanes);
        let mut given_back = JoinSet::new();
        for lane in std::mem::take(&mut self.orders) {
            let (to, from) = oneshot::channel();
            if lane.send(Order::Leave(to)).await.is_ok() {
                given_back.spawn(from);
            }
        }
        let mut pending = PendingInstances::new(candidate.instances);
        while let Some(inlets) = given_back.join_next().await {
            // A lane whose tracks have ended gives nothing back.
            if let Ok(Ok(inlets)) = inlets {
                pending.give(inlets, self);
            }
        }
        pending.begin_shared(self);
        while let Some(ended) = leaving.join_next().await {
            ended.flatten()?;
        }
        // Those at work note theirs with the next frame.
        let guest = &self.context.meters.guest;
        guest.memory.clear();
        guest.gpu_memory.clear();
        self.lease = candidate.lease;
        Ok((!self.orders.is_empty()).then_some(pending.handles))
    }

    /// Starts one lane; gives what updates its processor, if it has one.
    fn begin(&mut self, inlets: Inlets, processor: Option<Processor>) -> Option<ParamsHandle> {
        let (orders, received) = mpsc::channel(ORDERS);
        let handle = processor.as_ref().map(|_| ParamsHandle(orders.clone()));
        let guests = processor.is_some();
        let role = if inlets.video.is_some() { InstanceRole::Video } else { InstanceRole::Audio };
        let (timing, meters) = (self.context.timing, &self.context.meters);
        let slot = processor.map(|processor| Slot::new(processor, role, timing, meters.clone()));
        let lane = Lane::new(inlets, slot, self.context.clone());
        if guests {
            let engine = self.engine.clone();
            let first = start(&engine, lane, received);
            self.lanes.spawn(follow(engine, first));
        } else {
            // A track that passes by does not wait for guests' threads.
            let priority = lane.priority();
            self.lanes.spawn(async move {
                lane.run(priority, received).await;
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
    let priority = lane.priority();
    AbortOnDropHandle::new(engine.spawn(priority, lane.run(priority, orders)))
}

/// Follows a lane from one priority to another until it ends.
async fn follow(engine: Engine, mut task: Task) -> Result<(), JoinError> {
    while let Some(moved) = task.await? {
        let (lane, orders) = *moved;
        task = start(&engine, lane, orders);
    }
    Ok(())
}

/// Instances whose tracks have not come yet.
struct PendingInstances {
    /// What takes both tracks, and those of them that have come.
    shared: Option<(Processor, Inlets)>,
    video: Option<Processor>,
    audio: Option<Processor>,
    /// What updates those that have begun.
    handles: Vec<ParamsHandle>,
}

impl PendingInstances {
    fn new(instances: Instances) -> Self {
        let handles = Vec::new();
        match instances {
            Instances::Shared(processor) => {
                Self { shared: Some((processor, Inlets::default())), video: None, audio: None, handles }
            }
            Instances::Apart { video, audio } => Self { shared: None, video, audio, handles },
        }
    }

    /// Begins with tracks that have come, unless others have to come too.
    fn give(&mut self, inlets: Inlets, supervisor: &mut Supervisor) {
        if let Some((_, tracks)) = &mut self.shared {
            tracks.video = inlets.video.or(tracks.video.take());
            tracks.audio = inlets.audio.or(tracks.audio.take());
            return;
        }
        if inlets.video.is_some() {
            let processor = self.video.take();
            self.handles.extend(supervisor.begin(Inlets { video: inlets.video, audio: None }, processor));
        }
        if inlets.audio.is_some() {
            let processor = self.audio.take();
            self.handles.extend(supervisor.begin(Inlets { video: None, audio: inlets.audio }, processor));
        }
    }

    /// Begins with all tracks that there are.
    fn begin_shared(&mut self, supervisor: &mut Supervisor) {
        if let Some((processor, inlets)) = self.shared.take()
            && inlets.are_open()
        {
            self.handles.extend(supervisor.begin(inlets, Some(processor)));
        }
    }
}
