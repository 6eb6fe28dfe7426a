//! Times that can be believed. A unit whose time does not follow from the one before waits for the next of its track: if that
//! goes on from there the time has jumped, and if it does not the one time was wrong and is put right.

use crate::time::{JUMP, Unwrapper};
use crate::ts::AccessUnit;
use crate::{TICKS_PER_SECOND, Ticks};

/// Steps within this, either way, are believed at once; pictures of some streams come without decoding times, out of order.
const DOUBT: i64 = TICKS_PER_SECOND;

/// Equal steps in a row that make a track steady. From then on a step of [`STRIDE`] of them is doubted too.
const STEADY: u8 = 8;
const STRIDE: i64 = 4;

/// A unit with the times that it is decoded with.
pub(crate) struct Placed {
    pub unit: AccessUnit,
    pub pts: Option<Ticks>,
    pub dts: Option<Ticks>,
}

/// What came of a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Steps of more than ten seconds.
    pub jumps: u64,
    /// Times that had to be guessed.
    pub repaired: u64,
}

/// The time of one track. Tracks may be far apart, so each has its own.
#[derive(Default)]
pub(crate) struct Timeline {
    last: Option<Ticks>,
    /// The last step forward that was believed.
    step: i64,
    /// Steps in a row that were as long as the one before.
    steady: u8,
    /// From the decoding time to the presentation time of the last unit.
    reorder: i64,
    held: Option<Held>,
}

struct Held {
    unit: AccessUnit,
    pts: Option<Ticks>,
    at: Ticks,
}

impl Timeline {
    /// Hands on the unit, or keeps it until the next; a unit that was kept comes first.
    pub fn place(&mut self, unit: AccessUnit, times: &mut Unwrapper, emit: &mut dyn FnMut(Placed)) -> Findings {
        let mut findings = Findings::default();
        let Some(raw) = unit.dts.or(unit.pts) else {
            findings.jumps += self.flush(times, emit).jumps;
            emit(Placed { unit, pts: None, dts: None });
            return findings;
        };
        let at = times.nearest(raw);
        let pts = unit.pts.map(|raw| at.nearest(raw));
        if let (Some(held), Some(last)) = (self.held.take(), self.last) {
            let (from_last, from_held) = (at - last - 2 * self.step, at - held.at - self.step);
            if from_held.abs() <= from_last.abs() {
                findings.jumps += self.believe(held.unit, held.pts, held.at, times, emit);
            } else {
                findings.repaired += 1;
                self.repair(held, at, times, emit);
            }
        }
        if self.last.is_some_and(|last| self.doubts(at - last)) {
            self.held = Some(Held { unit, pts, at });
        } else {
            findings.repaired += u64::from(pts.is_some_and(|pts| !follows(pts, at)));
            findings.jumps += self.believe(unit, pts, at, times, emit);
        }
        findings
    }

    /// Hands on the unit that was kept: no other is coming that could tell.
    pub fn flush(&mut self, times: &mut Unwrapper, emit: &mut dyn FnMut(Placed)) -> Findings {
        let jumps = self.held.take().map_or(0, |held| self.believe(held.unit, held.pts, held.at, times, emit));
        Findings { jumps, repaired: 0 }
    }

    fn doubts(&self, step: i64) -> bool {
        step.abs() > DOUBT.max(2 * self.step) || (self.steady >= STEADY && step > STRIDE * self.step)
    }

    /// Takes the time as it is; gives 1 where it is a jump.
    fn believe(
        &mut self,
        unit: AccessUnit,
        pts: Option<Ticks>,
        at: Ticks,
        times: &mut Unwrapper,
        emit: &mut dyn FnMut(Placed),
    ) -> u64 {
        let step = self.last.map_or(0, |last| at - last);
        if step.abs() <= JUMP {
            let equal = (step - self.step).abs() <= self.step / 4;
            self.steady = if equal { self.steady.saturating_add(1) } else { 0 };
            self.step = if step > 0 { step } else { self.step };
        }
        self.last = Some(at);
        times.follow(at);
        match pts {
            Some(pts) if follows(pts, at) => self.reorder = pts - at,
            _ => {}
        }
        let pts = pts.map(|pts| if follows(pts, at) { pts } else { at + self.reorder });
        emit(Placed { unit, pts, dts: Some(at) });
        u64::from(step.abs() > JUMP)
    }

    /// Puts the unit halfway between the last one and the next.
    fn repair(&mut self, held: Held, next: Ticks, times: &mut Unwrapper, emit: &mut dyn FnMut(Placed)) {
        let Some(last) = self.last else { return };
        let between = if (0..=2 * DOUBT).contains(&(next - last)) { (next - last) / 2 } else { self.step };
        let at = last + between;
        let pts = held.pts.map(|pts| match (pts - held.at, pts - at) {
            // Both times are wrong by as much.
            (0..=DOUBT, _) => at + (pts - held.at),
            // The decoding time alone is.
            (_, 0..=DOUBT) => pts,
            _ => at + self.reorder,
        });
        self.last = Some(at);
        times.follow(at);
        emit(Placed { unit: held.unit, pts, dts: Some(at) });
    }
}

/// Whether a presentation time can belong to a decoding time.
fn follows(pts: Ticks, dts: Ticks) -> bool {
    (-DOUBT..=JUMP).contains(&(pts - dts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WRAP;

    const FRAME: u64 = 3_600;

    fn unit(pts: u64, dts: u64) -> AccessUnit {
        AccessUnit { pts: Some(pts), dts: Some(dts), data: Vec::new(), damaged: false }
    }

    /// Presentation times that come of units, and what was found.
    fn play(units: impl IntoIterator<Item = (u64, u64)>) -> (Vec<i64>, Findings) {
        let (mut timeline, mut times) = (Timeline::default(), Unwrapper::default());
        let (mut given, mut found) = (Vec::new(), Findings::default());
        let mut emit = |placed: Placed| given.push(placed.pts.unwrap().0);
        let mut add = |more: Findings| {
            found = Findings { jumps: found.jumps + more.jumps, repaired: found.repaired + more.repaired };
        };
        for (pts, dts) in units {
            add(timeline.place(unit(pts, dts), &mut times, &mut emit));
        }
        add(timeline.flush(&mut times, &mut emit));
        (given, found)
    }

    /// Catches one wrong time that is taken for a jump.
    #[test]
    fn one_wrong_time_is_put_right() {
        let right: Vec<u64> = (0..50).map(|frame| 8_000_000 + frame * FRAME).collect();
        for wrong in [-20 * 90_000, 20 * 90_000, 3 * 90_000, -3 * 90_000, 18_000, WRAP / 2, 77 * WRAP / 100] {
            let times = right.iter().enumerate().map(|(at, time)| {
                let time = if at == 20 { (*time as i64 + wrong).rem_euclid(WRAP) as u64 } else { *time };
                (time, time)
            });
            let (given, found) = play(times);
            let wanted: Vec<i64> = right.iter().map(|time| *time as i64).collect();
            assert_eq!(given, wanted, "{wrong}");
            assert_eq!(found, Findings { jumps: 0, repaired: 1 }, "{wrong}");
        }
    }

    /// Catches a jump that is missed, or that costs a unit its time or its place.
    #[test]
    fn a_jump_is_one_for_every_unit_after_it() {
        for jump in [-60 * 90_000_i64, 11 * 90_000, 3_600 * 90_000] {
            let times: Vec<i64> =
                (0..40).map(|frame| 9_000_000 + frame * 3_600 + if frame < 20 { 0 } else { jump }).collect();
            let (given, found) = play(times.iter().map(|time| (*time as u64, *time as u64)));
            assert_eq!(given, times);
            assert_eq!(found, Findings { jumps: 1, repaired: 0 });
        }
    }

    /// Catches an order of decoding that is taken for wrong times.
    #[test]
    fn times_out_of_order_and_long_pauses_are_as_they_are() {
        let shown = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8].map(|frame| 900_000 + frame * FRAME);
        let (given, found) = play(shown.map(|time| (time, time)));
        assert_eq!(given, shown.map(|time| time as i64));
        assert_eq!(found, Findings::default());
        let slides = [0, 4, 8, 12, 40, 44].map(|second| 900_000 + second * 90_000);
        assert_eq!(play(slides.map(|time| (time, time))).0, slides.map(|time| time as i64));
    }

    /// Catches a presentation time far from its decoding time that is believed.
    #[test]
    fn a_presentation_time_far_from_its_decoding_time_is_guessed() {
        let times = (0..10).map(|frame| {
            let dts = 900_000 + frame * FRAME;
            (if frame == 5 { dts + 20 * 90_000 } else { dts + 2 * FRAME }, dts)
        });
        let (given, found) = play(times);
        assert!(given.windows(2).all(|pair| pair[1] - pair[0] == FRAME as i64), "{given:?}");
        assert_eq!(found.repaired, 1);
    }
}
