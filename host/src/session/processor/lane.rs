//! The task that owns one instance: it gives it frames, and passes on what it will not take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rillbox_media::{AudioFrame, VideoFrame};
use tokio::sync::{mpsc, oneshot};

use super::debt::Debt;
use super::inlet::{Inlet, Inlets, Sample};
use super::lateness::Lateness;
use super::slot::Slot;
use crate::sandbox::{Failure, GuestOutput, Place, VideoResult};
use crate::session::frames::{Item, Timed};
use crate::session::happenings::Happening;
use crate::session::meters::Meters;

/// Orders that wait while a call runs.
pub(super) const ORDERS: usize = 8;

/// What all lanes of a stream share.
#[derive(Clone)]
pub(in crate::session) struct Stage {
    /// To the encoder.
    pub items: mpsc::Sender<Item>,
    /// Values for the data channel, where the stream has one.
    pub data: Option<mpsc::Sender<String>>,
    /// Old pictures are dropped; on files none is.
    pub live: bool,
    pub meters: Arc<Meters>,
}

impl Stage {
    async fn send(&self, item: Item) {
        // The encoder is gone only when the stream is being taken down.
        let _ = self.items.send(item).await;
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
    Sample(oneshot::Sender<Sample>),
    /// Give the inlets back, and end.
    Leave(oneshot::Sender<Inlets>),
}

/// Sends updates of params to a processor at work.
#[derive(Clone)]
pub struct Handle(pub(super) mpsc::Sender<Order>);

impl Handle {
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
    pub stage: Stage,
    debt: Debt,
    lateness: Lateness,
}

/// A lane that goes on elsewhere, with what it is told.
pub(super) type Moved = Box<(Lane, mpsc::Receiver<Order>)>;

impl Lane {
    pub fn new(inlets: Inlets, slot: Option<Slot>, stage: Stage) -> Self {
        Self { inlets, slot, stage, debt: Debt::default(), lateness: Lateness::new() }
    }

    /// Where it is to run from now on.
    pub fn place(&self) -> Place {
        self.slot.as_ref().map_or(Place::Front, |slot| slot.load.place(Instant::now()))
    }

    /// Ends when its tracks have, when it is told to leave, or when it is to run in another place.
    pub async fn run(mut self, place: Place, mut orders: mpsc::Receiver<Order>) -> Option<Moved> {
        while self.inlets.are_open() {
            if self.place() != place {
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
            Order::Sample(to) => drop(to.send(self.inlets.sample())),
            Order::Leave(to) => drop(to.send(std::mem::take(&mut self.inlets))),
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
            return self.stage.send(Item::Video(timed)).await;
        };
        // Each picture is counted, be it dropped for another reason.
        let owed = self.debt.covers_picture(timed.frame.pts) && self.stage.live;
        if self.stage.live && self.lateness.drops(timed.due) {
            return self.stage.meters.frames_dropped.add(1);
        }
        if owed {
            self.stage.meters.frames_skipped.add(1);
            return self.stage.send(Item::Video(timed)).await;
        }
        let Some(instance) = slot.instance().await else {
            self.stage.meters.frames_skipped.add(1);
            return self.stage.send(Item::Video(timed)).await;
        };
        let began = Instant::now();
        let result = instance.video(&timed.frame).await;
        let (took, ran) = (began.elapsed(), instance.ran());
        self.stage.meters.guest_time(took);
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
            self.stage.meters.frames_withheld.add(1);
        }
        self.stage.send(item).await;
    }

    async fn audio(&mut self, timed: Timed<AudioFrame>) {
        let Some(slot) = &mut self.slot else {
            return self.stage.send(Item::Audio(timed)).await;
        };
        if self.debt.covers_samples(&timed.frame) && self.stage.live {
            self.stage.meters.frames_skipped.add(1);
            return self.stage.send(Item::Audio(timed)).await;
        }
        let Some(instance) = slot.instance().await else {
            self.stage.meters.frames_skipped.add(1);
            return self.stage.send(Item::Audio(timed)).await;
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
            self.stage.send(Item::Audio(Timed { frame, arrived: timed.arrived, due: timed.due })).await;
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
            self.stage.meters.overrun(took);
        }
        if let Some(slot) = &mut self.slot {
            slot.failed(failure);
        }
    }

    fn take_output(&mut self) {
        let Some(slot) = &mut self.slot else { return };
        for output in slot.take_output() {
            self.stage.meters.guest_outputs.add(1);
            match output {
                GuestOutput::Data(value) => self.stage.publish(value),
                GuestOutput::Event(name, fields) => self.stage.meters.tell(Happening::Emitted(name, fields)),
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
