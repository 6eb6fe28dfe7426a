//! The task that owns one instance: it gives it frames, and passes on what it will not take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rillbox_media::{AudioFrame, VideoFrame};
use tokio::sync::{mpsc, oneshot};

use super::debt::Debt;
use super::inlet::{Inlet, Inlets, LastFrames};
use super::lateness::Lateness;
use super::slot::Slot;
use crate::sandbox::{Failure, GuestOutput, Priority, VideoResult};
use crate::session::event::StreamEvent;
use crate::session::frames::{Item, Timed};
use crate::session::meters::Meters;
use crate::session::timing::Timing;

/// Orders that wait while a call runs.
pub(super) const ORDERS: usize = 8;

/// What all lanes of a stream share.
#[derive(Clone)]
pub(in crate::session) struct LaneContext {
    /// To the encoder.
    pub items: mpsc::Sender<Item>,
    /// Values for the data channel, where the stream has one.
    pub data: Option<mpsc::Sender<String>>,
    /// Whether frames can wait.
    pub timing: Timing,
    pub meters: Arc<Meters>,
}

impl LaneContext {
    async fn send(&self, item: Item) {
        // The encoder is gone only when the stream is being taken down.
        let _ = self.items.send(item).await;
    }

    /// Passes a frame by its processor.
    async fn bypass(&self, item: Item) {
        self.meters.frames.skipped.add(1);
        self.send(item).await;
    }

    /// Never waits: the data channel must not hold up frames.
    fn publish(&self, value: String) {
        if let Some(data) = &self.data
            && data.try_send(value).is_err()
        {
            self.meters.channels.data.dropped.add(1);
        }
    }
}

/// What a lane is told to do between two frames.
pub(super) enum Order {
    /// Give the processor new params, and say whether it took them.
    Update { params: String, taken: oneshot::Sender<Result<(), Failure>> },
    /// Give copies of the last frames.
    LastFrames(oneshot::Sender<LastFrames>),
    /// Give the inlets back, and end.
    Leave(oneshot::Sender<Inlets>),
}

/// Sends updates of params to a processor at work.
#[derive(Clone)]
pub struct ParamsHandle(pub(super) mpsc::Sender<Order>);

impl ParamsHandle {
    /// Gives it new params; `None` when it has no stream any more.
    pub async fn update(&self, params: String) -> Option<Result<(), Failure>> {
        let (taken, answer) = oneshot::channel();
        self.0.send(Order::Update { params, taken }).await.ok()?;
        answer.await.ok()
    }
}

/// One task's part of a stream.
pub(super) struct Lane {
    pub inlets: Inlets,
    /// Without one, frames pass by.
    pub slot: Option<Slot>,
    pub context: LaneContext,
    debt: Debt,
    lateness: Lateness,
}

/// A lane that goes on elsewhere, with what it is told.
pub(super) type Moved = Box<(Lane, mpsc::Receiver<Order>)>;

impl Lane {
    pub fn new(inlets: Inlets, slot: Option<Slot>, context: LaneContext) -> Self {
        Self { inlets, slot, context, debt: Debt::default(), lateness: Lateness::new() }
    }

    /// Where it is to run from now on.
    pub fn priority(&self) -> Priority {
        self.slot.as_ref().map_or(Priority::Foreground, |slot| slot.load.priority(Instant::now()))
    }

    /// Ends when its tracks have, when it is told to leave, or when it is to run with another priority.
    pub async fn run(mut self, priority: Priority, mut orders: mpsc::Receiver<Order>) -> Option<Moved> {
        while self.inlets.are_open() {
            if self.priority() != priority {
                return Some(Box::new((self, orders)));
            }
            let Inlets { video, audio } = &mut self.inlets;
            tokio::select! {
                biased;
                Some(order) = orders.recv() => self.obey(order).await,
                // Nothing once, when a track is over.
                frame = Inlet::next(audio) => if let Some(frame) = frame { self.audio(frame).await },
                frame = Inlet::next(video) => if let Some(frame) = frame { self.video(frame).await },
            }
        }
        if let Some(slot) = &mut self.slot {
            slot.stop().await;
        }
        self.take_output();
        None
    }

    async fn obey(&mut self, order: Order) {
        match order {
            Order::Update { params, taken } => {
                let result = self.update(params).await;
                // Nobody waits for the answer any more: the update stands all the same.
                let _ = taken.send(result);
            }
            Order::LastFrames(to) => drop(to.send(self.inlets.last_frames())),
            Order::Leave(to) => {
                if let Some(slot) = &mut self.slot {
                    slot.leave();
                }
                // The stream may be over meanwhile.
                let _ = to.send(std::mem::take(&mut self.inlets));
            }
        }
    }

    async fn update(&mut self, params: String) -> Result<(), Failure> {
        let Some(slot) = &mut self.slot else { return Ok(()) };
        let began = Instant::now();
        let taken = slot.update(params).await;
        self.take_output();
        if taken.as_ref().is_err_and(Failure::is_late) {
            self.debt.overrun(began.elapsed());
        }
        taken
    }

    async fn video(&mut self, timed: Timed<VideoFrame>) {
        let Some(slot) = &mut self.slot else {
            return self.context.send(Item::Video(timed)).await;
        };
        // Each picture is counted, be it dropped for another reason.
        let owed = self.debt.covers_picture(timed.frame.pts) && self.context.timing.is_live();
        if self.context.timing.is_live() && self.lateness.drops(timed.due) {
            return self.context.meters.frames.dropped.add(1);
        }
        if owed {
            return self.context.bypass(Item::Video(timed)).await;
        }
        let Some(instance) = slot.instance().await else {
            return self.context.bypass(Item::Video(timed)).await;
        };
        let began = Instant::now();
        let result = instance.video(&timed.frame).await;
        let (took, ran) = (began.elapsed(), instance.ran());
        self.context.meters.guest_time(took);
        slot.load.ran(ran, Instant::now());
        self.take_output();
        let item = match result {
            Ok(result) => {
                self.good();
                shown(timed, result)
            }
            Err(failure) => {
                self.failed(&failure, took, ran);
                Item::Video(timed)
            }
        };
        if matches!(item, Item::Withheld(_)) {
            self.context.meters.frames.withheld.add(1);
        }
        self.context.send(item).await;
    }

    async fn audio(&mut self, timed: Timed<AudioFrame>) {
        let Some(slot) = &mut self.slot else {
            return self.context.send(Item::Audio(timed)).await;
        };
        if self.debt.covers_samples(&timed.frame) && self.context.timing.is_live() {
            return self.context.bypass(Item::Audio(timed)).await;
        }
        let Some(instance) = slot.instance().await else {
            return self.context.bypass(Item::Audio(timed)).await;
        };
        let began = Instant::now();
        let result = instance.audio(timed.frame.clone()).await;
        let (took, ran) = (began.elapsed(), instance.ran());
        slot.load.ran(ran, Instant::now());
        self.take_output();
        let frames = match result {
            Ok(frames) => {
                self.good();
                frames
            }
            Err(failure) => {
                self.failed(&failure, took, ran);
                vec![timed.frame]
            }
        };
        for frame in frames {
            self.context.send(Item::Audio(Timed { frame, arrived: timed.arrived, due: timed.due })).await;
        }
    }

    fn good(&mut self) {
        if let Some(slot) = &mut self.slot {
            slot.good();
        }
    }

    /// A call failed that held up its frame for `took`, of which it ran for `ran`.
    fn failed(&mut self, failure: &Failure, took: Duration, ran: Duration) {
        if failure.is_late() {
            self.debt.overrun(ran);
            self.context.meters.overrun(took);
        }
        if let Some(slot) = &mut self.slot {
            slot.failed(failure);
        }
    }

    fn take_output(&mut self) {
        let Some(slot) = &mut self.slot else { return };
        for output in slot.take_output() {
            self.context.meters.guest.outputs.add(1);
            match output {
                GuestOutput::Data(value) => self.context.publish(value),
                GuestOutput::Event(name, fields) => self.context.meters.life.emit(StreamEvent::Emitted(name, fields)),
            }
        }
    }
}

fn shown(mut timed: Timed<VideoFrame>, result: VideoResult) -> Item {
    match result {
        VideoResult::Unchanged => {}
        VideoResult::Replaced(picture) => timed.frame.picture = picture,
        VideoResult::Pending(pending) => return Item::Pending(timed, pending),
        VideoResult::Withheld => return Item::Withheld(timed),
    }
    Item::Video(timed)
}
