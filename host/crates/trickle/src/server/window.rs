//! The rules of one channel, free of I/O: which segments exist, which number comes next, and who ends what when.
//!
//! A channel is the next number to be written and five slots; segment `n` lives in slot `n % 5`. Invariants:
//! * a segment that leaves its slot is ended first, so nobody waits on what can no longer be written;
//! * the next number only grows, except when a publisher starts over, and then the rest of the window is emptied;
//! * a publisher's connection counts as soon as it exists, its segment's number only from its first byte.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::log::{Budget, End, Log};
use crate::seq::Seq;

/// Segments that a channel keeps, the open and the announced ones among them.
pub(crate) const WINDOW: u64 = 5;

/// A segment nobody publishes is given up once the channel is this many segments past it.
const GIVE_UP_BEHIND: u64 = 3;

/// What a subscriber asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReadIndex {
    /// `-1`: the next segment to be written.
    Next,
    /// `-2`: the newest segment that has been begun.
    Current,
    At(u64),
}

/// What a publisher asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteIndex {
    /// `-1`: the next segment to be written.
    Next,
    At(Seq),
}

/// Answer to a subscriber.
pub(crate) enum Read {
    Segment { seq: Seq, log: Log, latest: u64 },
    Missing { latest: u64 },
    Closed { latest: u64 },
}

/// Answer to a publisher.
pub(crate) enum Write {
    /// Bytes go into the claim's log.
    Open(Claim),
    /// The segment is over already; its bytes stay as they are.
    Ended(Seq),
    /// The channel closed in the meantime.
    Closed,
    /// Numbers are used up.
    Exhausted,
}

/// A publisher's hold on a segment. Given back exactly once, through [`Window::finish`] or [`Window::abort`].
#[derive(Clone)]
pub(crate) struct Claim {
    pub(crate) seq: Seq,
    pub(crate) log: Log,
    /// Its first byte may move the channel's numbers backwards.
    restart: bool,
}

/// Whether a publisher sent anything on the claim it gives back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrote {
    Nothing,
    Bytes,
}

/// State of a channel.
pub(crate) struct Window {
    next_write: u64,
    slots: [Option<Slot>; WINDOW as usize],
    closed: bool,
    last_write: Instant,
    budget: Arc<Budget>,
}

struct Slot {
    seq: Seq,
    log: Log,
    /// A publisher has had it, now or before; false for one that only readers wait for.
    claimed: bool,
    publishers: u32,
    /// Publishers among them that have sent bytes.
    flowing: u32,
    /// Set while bytes are there but their publisher vanished: when to stop waiting for it.
    abandoned_until: Option<Instant>,
}

impl Window {
    pub(crate) fn new(now: Instant, budget: Arc<Budget>) -> Self {
        Self { next_write: 0, slots: Default::default(), closed: false, last_write: now, budget }
    }

    /// The next number to be written, which the protocol calls "latest".
    pub(crate) fn latest(&self) -> u64 {
        self.next_write
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Finds a segment to read, or makes the one that comes next so that the reader can wait for it.
    pub(crate) fn open_read(&mut self, index: ReadIndex) -> Read {
        let latest = self.next_write;
        if self.closed {
            return Read::Closed { latest };
        }
        let wanted = match index {
            ReadIndex::Next => latest,
            ReadIndex::Current => latest.saturating_sub(1),
            ReadIndex::At(number) => number,
        };
        let Some(seq) = Seq::new(wanted) else {
            return Read::Missing { latest };
        };
        if let Some(slot) = self.slot(seq) {
            return Read::Segment { seq, log: slot.log.clone(), latest };
        }
        let comes_next = wanted == latest || (latest == 0 && wanted == 1);
        let taken_by_newer = self.slots[place(seq)].as_ref().is_some_and(|slot| slot.seq > seq);
        if !comes_next || taken_by_newer {
            return Read::Missing { latest };
        }
        let log = self.occupy(seq).log.clone();
        Read::Segment { seq, log, latest }
    }

    /// Gives a publisher its segment. `reset` first ends every earlier one.
    pub(crate) fn open_write(&mut self, index: WriteIndex, reset: bool) -> Write {
        if self.closed {
            return Write::Closed;
        }
        let seq = match index {
            WriteIndex::At(seq) => seq,
            WriteIndex::Next => match Seq::new(self.next_write) {
                Some(seq) => seq,
                None => return Write::Exhausted,
            },
        };
        if reset {
            self.end_before(seq);
        }
        let restart = reset || seq.get() + WINDOW <= self.next_write;
        let slot = match self.slot(seq).map(|slot| slot.log.is_ended()) {
            Some(true) if !reset => return Write::Ended(seq),
            Some(false) => self.slot_mut(seq),
            _ => None,
        };
        let slot = match slot {
            Some(slot) => slot,
            None => self.occupy(seq),
        };
        slot.claimed = true;
        slot.publishers += 1;
        slot.abandoned_until = None;
        Write::Open(Claim { seq, log: slot.log.clone(), restart })
    }

    /// To be called before a claim's first byte becomes visible.
    pub(crate) fn first_byte(&mut self, claim: &Claim, now: Instant) {
        let Some(slot) = self.held(claim) else { return };
        slot.flowing += 1;
        self.last_write = now;
        for slot in self.slots.iter().flatten() {
            if slot.abandoned_until.is_some() && slot.seq < claim.seq {
                slot.log.end(End::Complete);
            }
        }
        if claim.restart && claim.seq.get() + 1 < self.next_write {
            self.start_over(claim.seq);
        } else {
            self.advance_past(claim.seq);
        }
    }

    /// A publisher's body came to its proper end, or there is nothing more to wait for from it.
    pub(crate) fn finish(&mut self, claim: &Claim, wrote: Wrote, now: Instant) {
        claim.log.end(End::Complete);
        let Some(slot) = self.held(claim) else { return };
        slot.release(wrote);
        slot.abandoned_until = None;
        self.last_write = now;
        if wrote == Wrote::Nothing {
            self.advance_past(claim.seq);
        }
    }

    /// A publisher vanished. `Some` asks for [`Window::expire`] at that time: until then it may come back and go on.
    pub(crate) fn abort(&mut self, claim: &Claim, wrote: Wrote, now: Instant, grace: Duration) -> Option<Instant> {
        let slot = self.held(claim)?;
        slot.release(wrote);
        if slot.publishers > 0 || slot.log.is_empty() || slot.log.is_ended() {
            return None;
        }
        let until = now + grace;
        slot.abandoned_until = Some(until);
        self.last_write = now;
        Some(until)
    }

    /// Ends an abandoned segment whose grace is over.
    pub(crate) fn expire(&mut self, claim: &Claim, now: Instant) {
        if let Some(slot) = self.held(claim)
            && slot.abandoned_until.is_some_and(|until| until <= now)
        {
            slot.abandoned_until = None;
            slot.log.end(End::Complete);
        }
    }

    /// Ends one segment by request; it stays readable. `false` when it is not in the window.
    pub(crate) fn end_segment(&mut self, seq: Seq) -> bool {
        let Some(slot) = self.slot_mut(seq) else {
            return false;
        };
        slot.abandoned_until = None;
        slot.log.end(End::Complete);
        let claimed = slot.claimed;
        if claimed && slot.log.is_empty() {
            self.advance_past(seq);
        }
        true
    }

    /// Closes the channel; everybody who waits learns that it is over.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        for slot in self.slots.iter_mut().filter_map(Option::take) {
            slot.log.end(End::Terminated);
        }
    }

    /// Whether nothing was written for longer than `timeout` and nothing is being written.
    pub(crate) fn is_idle(&self, now: Instant, timeout: Duration) -> bool {
        now.saturating_duration_since(self.last_write) > timeout
            && self.slots.iter().flatten().all(|slot| slot.flowing == 0)
    }

    fn slot(&self, seq: Seq) -> Option<&Slot> {
        self.slots[place(seq)].as_ref().filter(|slot| slot.seq == seq)
    }

    fn slot_mut(&mut self, seq: Seq) -> Option<&mut Slot> {
        self.slots[place(seq)].as_mut().filter(|slot| slot.seq == seq)
    }

    /// The slot of a claim, unless another segment has taken its place.
    fn held(&mut self, claim: &Claim) -> Option<&mut Slot> {
        self.slot_mut(claim.seq).filter(|slot| slot.log.is(&claim.log))
    }

    /// Puts a fresh segment into its slot; what was there ends.
    fn occupy(&mut self, seq: Seq) -> &mut Slot {
        let slot = &mut self.slots[place(seq)];
        if let Some(old) = slot.take() {
            old.log.end(End::Complete);
        }
        slot.insert(Slot::new(seq, Log::new(self.budget.clone())))
    }

    fn end_before(&mut self, seq: Seq) {
        for slot in self.slots.iter().flatten().filter(|slot| slot.seq < seq) {
            slot.log.end(End::Complete);
        }
    }

    fn advance_past(&mut self, seq: Seq) {
        self.next_write = self.next_write.max(seq.get() + 1);
        for slot in self.slots.iter().flatten() {
            let behind = slot.seq.get() + GIVE_UP_BEHIND <= self.next_write;
            if behind && slot.publishers == 0 && slot.log.is_empty() {
                slot.log.end(End::Complete);
            }
        }
    }

    /// The channel's numbers go on from `seq`: what else is in the window is of another run, except what the same
    /// publisher may have announced already.
    fn start_over(&mut self, seq: Seq) {
        self.next_write = seq.get() + 1;
        let announced = |slot: &Slot| {
            slot.publishers > 0 && slot.log.is_empty() && slot.seq > seq && slot.seq.get() < seq.get() + WINDOW
        };
        for slot in &mut self.slots {
            if slot.as_ref().is_some_and(|slot| slot.seq != seq && !announced(slot))
                && let Some(old) = slot.take()
            {
                old.log.end(End::Complete);
            }
        }
    }
}

impl Slot {
    fn new(seq: Seq, log: Log) -> Self {
        Self { seq, log, claimed: false, publishers: 0, flowing: 0, abandoned_until: None }
    }

    fn release(&mut self, wrote: Wrote) {
        self.publishers = self.publishers.saturating_sub(1);
        if wrote == Wrote::Bytes {
            self.flowing = self.flowing.saturating_sub(1);
        }
    }
}

fn place(seq: Seq) -> usize {
    // Below WINDOW, so it fits.
    (seq.get() % WINDOW) as usize
}

#[cfg(test)]
#[path = "window_tests.rs"]
mod tests;
