//! Submissions that a device has not finished, and whose fault it is when one of them is late.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::owner::Owner;

/// Submissions that the device has not finished yet, in their order; since when it has been with the first.
#[derive(Debug)]
pub(crate) struct Line {
    waiting: VecDeque<Place>,
    /// Submissions that there were before.
    joined: u64,
    since: Instant,
    /// Whose submission the driver is being given, and since when: some work on it before they take it, and tell of nothing meanwhile.
    given: Option<(u64, Instant)>,
}

/// A submission's place in the line.
#[derive(Debug)]
struct Place {
    number: u64,
    owner: Arc<Owner>,
    /// What was made for it.
    bytes: usize,
    since: Instant,
    /// For how long since then the device was with earlier ones of the same owner.
    own: Duration,
}

impl Place {
    fn leave(&self) {
        self.owner.running.fetch_sub(1, Ordering::Relaxed);
        self.owner.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Line {
    pub fn new(now: Instant) -> Self {
        Self { waiting: VecDeque::new(), joined: 0, since: now, given: None }
    }

    /// The number that the next one to join gets.
    pub fn next(&self) -> u64 {
        self.joined
    }

    pub fn join(&mut self, owner: Arc<Owner>, bytes: usize, now: Instant) {
        owner.running.fetch_add(1, Ordering::Relaxed);
        owner.bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.waiting.is_empty() {
            self.since = now;
        }
        self.waiting.push_back(Place { number: self.joined, owner, bytes, since: now, own: Duration::ZERO });
        self.joined += 1;
    }

    /// The driver is being given a submission of this owner.
    pub fn give(&mut self, owner: u64, now: Instant) {
        self.given = Some((owner, now));
    }

    /// The driver has taken it.
    pub fn taken(&mut self, now: Instant) {
        self.since = (self.since + self.given_to_another(now)).min(now);
        self.given = None;
    }

    /// For how long, since the device is with the first, the driver has been given a submission of another. That is nobody's time: it
    /// may work on that one, or wait for the first to be done.
    fn given_to_another(&self, now: Instant) -> Duration {
        match (self.given, self.waiting.front()) {
            (Some((owner, began)), Some(first)) if first.owner.id != owner => {
                now.saturating_duration_since(began.max(self.since))
            }
            _ => Duration::ZERO,
        }
    }

    /// This one, and so all before it, is done. It may be told of more than once.
    pub fn done(&mut self, number: u64, now: Instant) {
        while let Some(first) = self.waiting.pop_front_if(|first| first.number <= number) {
            first.leave();
            let since = std::mem::replace(&mut self.since, now);
            for place in self.waiting.iter_mut().filter(|place| place.owner.id == first.owner.id) {
                place.own += now.saturating_duration_since(since.max(place.since));
            }
        }
    }

    /// This one is not to be done; those before it still are.
    pub fn leave(&mut self, number: u64, now: Instant) {
        let place = self.waiting.iter().position(|place| place.number == number);
        if let Some(left) = place.and_then(|place| self.waiting.remove(place)) {
            left.leave();
            self.since = if place == Some(0) { now } else { self.since };
        }
    }

    /// Whether the device is with commands of this owner, and has been for most of the time since it was given the first of those
    /// that it has not finished. What the owner waits for behind others of its own is its own time.
    pub fn is_held_by(&self, owner: u64, now: Instant) -> bool {
        let Some(first) = self.waiting.front().filter(|first| first.owner.id == owner) else { return false };
        let with_it = now.saturating_duration_since(self.since.max(first.since));
        let own = first.own + with_it.saturating_sub(self.given_to_another(now));
        own * 2 >= now.saturating_duration_since(first.since)
    }

    /// Whose submission the device has been with for at least so long.
    pub fn held_for(&self, time: Duration, now: Instant) -> Option<u64> {
        if let Some((owner, _)) = self.given.filter(|(_, began)| now.saturating_duration_since(*began) >= time) {
            return Some(owner);
        }
        let is_held = now.saturating_duration_since(self.since).saturating_sub(self.given_to_another(now)) >= time;
        self.waiting.front().filter(|_| is_held).map(|first| first.owner.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> (Line, impl Fn(u64) -> Instant) {
        let start = Instant::now();
        (Line::new(start), move |millis| start + Duration::from_millis(millis))
    }

    /// Catches an owner that its own backlog excuses.
    #[test]
    fn waiting_for_work_of_ones_own_is_no_excuse() {
        let ((mut line, at), owner) = (line(), Owner::new());
        for _ in 0..8 {
            line.join(owner.clone(), 100, at(0));
        }
        for done in 0..7 {
            line.done(done, at(200 * (done + 1)));
            assert!(line.is_held_by(owner.id, at(200 * (done + 1))), "after {done}");
            assert!(line.is_held_by(owner.id, at(200 * (done + 1) + 1)), "a moment after {done}");
        }
        assert_eq!(owner.running.load(Ordering::Relaxed), 1);
        line.done(7, at(1_600));
        assert!(!line.is_held_by(owner.id, at(1_600)), "nothing is left");
        assert_eq!(owner.running.load(Ordering::Relaxed), 0);
    }

    /// Catches an owner that is blamed for time in which the device was with others, or had nothing of it yet.
    #[test]
    fn waiting_for_others_is_an_excuse() {
        let ((mut line, at), [heavy, light]) = (line(), [Owner::new(), Owner::new()]);
        line.join(heavy.clone(), 100, at(0));
        line.join(light.clone(), 100, at(10));
        line.join(light.clone(), 100, at(20));
        assert!(line.is_held_by(heavy.id, at(300)) && !line.is_held_by(light.id, at(300)));
        line.done(0, at(300));
        line.done(1, at(310));
        // Since 20 it has waited for 280 ms of another's and 10 ms of its own.
        assert!(!line.is_held_by(light.id, at(320)) && !line.is_held_by(heavy.id, at(320)));
        // At its own work for as long as it waited for others.
        assert!(!line.is_held_by(light.id, at(579)) && line.is_held_by(light.id, at(581)));
    }

    /// Catches small work of others between an owner's own that excuses it for longer than it takes, and the others blamed for it.
    #[test]
    fn others_in_between_excuse_for_their_own_time() {
        let ((mut line, at), [heavy, light]) = (line(), [Owner::new(), Owner::new()]);
        for owner in [&heavy, &light, &heavy, &light, &heavy] {
            line.join(owner.clone(), 100, at(0));
        }
        for (number, time) in [(0, 200), (1, 210), (2, 410)] {
            line.done(number, at(time));
        }
        assert!(!line.is_held_by(heavy.id, at(415)) && !line.is_held_by(light.id, at(415)));
        line.done(3, at(420));
        assert!(line.is_held_by(heavy.id, at(421)));
    }

    /// Catches an owner that is blamed since its work is done and nobody is told: the driver is with work of another's before it takes it.
    #[test]
    fn what_a_driver_does_as_it_takes_work_is_not_the_time_of_what_it_has() {
        let ((mut line, at), [heavy, light]) = (line(), [Owner::new(), Owner::new()]);
        line.join(light.clone(), 100, at(0));
        line.join(heavy.clone(), 100, at(1));
        line.give(heavy.id, at(10));
        assert!(!line.is_held_by(light.id, at(200)) && !line.is_held_by(heavy.id, at(200)));
        assert_eq!(line.held_for(Duration::from_millis(150), at(200)), Some(heavy.id));
        line.taken(at(300));
        assert!(!line.is_held_by(light.id, at(305)));
        assert_eq!(line.held_for(Duration::from_millis(150), at(305)), None);
        line.done(0, at(306));
        line.give(heavy.id, at(310));
        assert!(line.is_held_by(heavy.id, at(800)), "its own");
    }

    /// Catches a device that is given up for many short pieces of work, and commands that were never given to it counted.
    #[test]
    fn each_submission_has_its_own_time_to_hang() {
        let ((mut line, at), owner) = (line(), Owner::new());
        for _ in 0..3 {
            line.join(owner.clone(), 100, at(0));
        }
        line.done(0, at(150));
        line.leave(1, at(160));
        assert_eq!(line.held_for(Duration::from_millis(100), at(200)), None);
        assert_eq!(line.held_for(Duration::from_millis(100), at(270)), Some(owner.id));
        assert_eq!([&owner.running, &owner.bytes].map(|count| count.load(Ordering::Relaxed)), [1, 100]);
    }
}
