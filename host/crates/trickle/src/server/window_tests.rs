//! The window's rules, one test each.

use super::*;

const GRACE: Duration = Duration::from_secs(3);

struct Bench {
    window: Window,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        Self { window: Window::new(now, Budget::new(1 << 20, 1 << 20)), now }
    }

    /// A channel with segments `0..next` published and complete.
    fn with_segments(next: u64) -> Self {
        let mut bench = Self::new();
        (0..next).for_each(|number| bench.publish(number));
        bench
    }

    fn open(&mut self, number: u64) -> Claim {
        self.try_open(number, false).expect("the segment can be written")
    }

    fn try_open(&mut self, number: u64, reset: bool) -> Option<Claim> {
        match self.window.open_write(WriteIndex::At(Seq::new(number).unwrap()), reset) {
            Write::Open(claim) => Some(claim),
            _ => None,
        }
    }

    fn first_byte(&mut self, claim: &Claim) {
        self.window.first_byte(claim, self.now);
        claim.log.append(bytes::Bytes::from_static(b"x")).unwrap();
    }

    fn publish(&mut self, number: u64) {
        let claim = self.open(number);
        self.first_byte(&claim);
        self.window.finish(&claim, Wrote::Bytes, self.now);
    }

    fn read(&mut self, index: ReadIndex) -> Option<(u64, Log)> {
        match self.window.open_read(index) {
            Read::Segment { seq, log, .. } => Some((seq.get(), log)),
            _ => None,
        }
    }

    fn at(&mut self, number: u64) -> Option<Log> {
        self.read(ReadIndex::At(number)).map(|(_, log)| log)
    }
}

#[test]
fn the_next_number_moves_with_the_first_byte_and_not_with_the_connection() {
    let mut bench = Bench::new();
    let claim = bench.open(0);
    assert_eq!(bench.window.latest(), 0);
    bench.first_byte(&claim);
    assert_eq!(bench.window.latest(), 1);
}

#[test]
fn an_empty_segment_counts() {
    let mut bench = Bench::new();
    let claim = bench.open(0);
    bench.window.finish(&claim, Wrote::Nothing, bench.now);
    assert_eq!(bench.window.latest(), 1);
    assert!(claim.log.is_ended());
}

#[test]
fn before_any_write_readers_wait_for_the_first_two() {
    let mut bench = Bench::new();
    assert_eq!(bench.read(ReadIndex::Next).unwrap().0, 0);
    assert_eq!(bench.read(ReadIndex::Current).unwrap().0, 0);
    assert!(bench.at(0).is_some() && bench.at(1).is_some());
    assert!(bench.at(2).is_none());
}

#[test]
fn next_and_current_are_relative_to_what_was_begun() {
    let mut bench = Bench::with_segments(3);
    let open = bench.open(3);
    bench.first_byte(&open);
    assert_eq!(bench.read(ReadIndex::Next).unwrap().0, 4);
    assert_eq!(bench.read(ReadIndex::Current).unwrap().0, 3);
}

#[test]
fn two_ahead_exists_only_once_it_is_announced() {
    let mut bench = Bench::with_segments(1);
    assert!(bench.at(2).is_none());
    bench.open(2);
    assert!(bench.at(2).is_some());
}

#[test]
fn five_segments_stay_the_announced_one_among_them() {
    let mut bench = Bench::with_segments(7);
    assert!(bench.at(1).is_none());
    assert!(bench.at(2).is_some());
    bench.open(7);
    assert!(bench.at(2).is_none());
    assert!(bench.at(3).is_some());
}

#[test]
fn numbers_without_a_place_are_missing() {
    let mut bench = Bench::new();
    assert!(bench.at(i64::MAX as u64).is_none());
    assert!(bench.at(u64::MAX).is_none());
    let last = bench.open(Seq::MAX.get());
    bench.first_byte(&last);
    assert!(matches!(bench.window.open_write(WriteIndex::Next, false), Write::Exhausted));
    assert!(bench.read(ReadIndex::Next).is_none());
    bench.publish(0);
    assert_eq!(bench.window.latest(), 1, "a publisher that starts over repairs the channel");
}

#[test]
fn a_late_segment_does_not_move_the_number_back() {
    let mut bench = Bench::new();
    let (zero, one) = (bench.open(0), bench.open(1));
    bench.first_byte(&one);
    bench.first_byte(&zero);
    assert_eq!(bench.window.latest(), 2);
}

#[test]
fn a_finished_segment_is_not_written_again() {
    let mut bench = Bench::with_segments(3);
    assert!(bench.try_open(0, false).is_none());
    assert_eq!(bench.window.latest(), 3);
}

#[test]
fn a_publisher_more_than_a_window_behind_starts_over() {
    let mut bench = Bench::with_segments(10);
    let waiting = bench.at(10).unwrap();
    let kept = bench.at(7).unwrap();
    bench.publish(0);
    assert_eq!(bench.window.latest(), 1);
    assert!(waiting.is_ended() && kept.is_ended());
    assert!(bench.at(7).is_none() && bench.at(10).is_none());
}

#[test]
fn starting_over_spares_what_the_publisher_announced() {
    let mut bench = Bench::with_segments(10);
    let (zero, one) = (bench.open(0), bench.open(1));
    bench.first_byte(&zero);
    assert!(!one.log.is_ended());
    bench.first_byte(&one);
    assert_eq!(bench.window.latest(), 2);
}

#[test]
fn reset_ends_earlier_segments_and_replaces_a_finished_one() {
    let mut bench = Bench::with_segments(2);
    let open = bench.open(2);
    bench.first_byte(&open);
    let again = bench.try_open(1, true).unwrap();
    assert!(again.log.is_empty());
    assert!(!open.log.is_ended(), "later ones are let be until the first byte");
    bench.first_byte(&again);
    assert_eq!(bench.window.latest(), 2);
    let third = bench.try_open(3, true).unwrap();
    assert!(again.log.is_ended());
    assert!(!third.log.is_ended());
}

#[test]
fn publishers_of_one_number_share_a_segment_and_the_first_to_finish_ends_it() {
    let mut bench = Bench::new();
    let (a, b) = (bench.open(0), bench.open(0));
    assert!(a.log.is(&b.log));
    bench.first_byte(&a);
    bench.first_byte(&b);
    bench.window.finish(&b, Wrote::Bytes, bench.now);
    assert!(a.log.is_ended());
}

#[test]
fn a_replaced_segment_ends() {
    let mut bench = Bench::with_segments(1);
    let waiting = bench.at(1).unwrap();
    bench.publish(5);
    bench.open(6);
    assert!(waiting.is_ended());
}

#[test]
fn a_reader_ahead_does_not_evict_a_newer_segment() {
    let mut bench = Bench::with_segments(1);
    let announced = bench.open(6);
    assert!(bench.at(1).is_none());
    assert!(!announced.log.is_ended());
}

#[test]
fn a_segment_nobody_publishes_ends_once_it_is_behind() {
    let mut bench = Bench::with_segments(1);
    let waiting = bench.at(1).unwrap();
    bench.publish(2);
    assert!(!waiting.is_ended());
    bench.publish(3);
    assert!(waiting.is_ended());
}

#[test]
fn a_vanished_publisher_has_its_grace() {
    let mut bench = Bench::new();
    let lost = bench.open(0);
    bench.first_byte(&lost);
    let until = bench.window.abort(&lost, Wrote::Bytes, bench.now, GRACE).unwrap();
    let back = bench.open(0);
    assert!(back.log.is(&lost.log));
    bench.window.expire(&lost, until);
    assert!(!back.log.is_ended(), "it came back");
    let until = bench.window.abort(&back, Wrote::Nothing, bench.now, GRACE).unwrap();
    bench.window.expire(&back, until - Duration::from_millis(1));
    assert!(!back.log.is_ended());
    bench.window.expire(&back, until);
    assert!(back.log.is_ended());
}

#[test]
fn a_later_segment_ends_an_abandoned_one_but_no_active_one() {
    let mut bench = Bench::new();
    let (lost, active) = (bench.open(0), bench.open(1));
    bench.first_byte(&lost);
    bench.first_byte(&active);
    bench.window.abort(&lost, Wrote::Bytes, bench.now, GRACE);
    bench.publish(2);
    assert!(lost.log.is_ended());
    assert!(!active.log.is_ended());
}

#[test]
fn a_publisher_that_vanishes_before_its_first_byte_changes_nothing() {
    let mut bench = Bench::new();
    let lost = bench.open(0);
    assert_eq!(bench.window.abort(&lost, Wrote::Nothing, bench.now, GRACE), None);
    assert_eq!(bench.window.latest(), 0);
    assert!(!lost.log.is_ended());
}

#[test]
fn a_displaced_claim_has_no_say() {
    let mut bench = Bench::new();
    let old = bench.open(0);
    bench.publish(5);
    bench.window.first_byte(&old, bench.now);
    bench.window.finish(&old, Wrote::Bytes, bench.now);
    assert_eq!(bench.window.latest(), 6);
    assert!(bench.at(5).is_some());
}

#[test]
fn a_segment_can_be_ended_by_request_and_stays_readable() {
    let mut bench = Bench::new();
    let open = bench.open(0);
    bench.first_byte(&open);
    assert!(bench.window.end_segment(open.seq));
    assert!(bench.at(0).unwrap().is_ended());
    assert!(!bench.window.end_segment(Seq::new(3).unwrap()));
    let announced = bench.open(1);
    assert!(bench.window.end_segment(announced.seq));
    assert_eq!(bench.window.latest(), 2);
}

#[test]
fn closing_tells_everybody() {
    let mut bench = Bench::with_segments(1);
    let waiting = bench.at(1).unwrap();
    bench.window.close();
    assert!(waiting.is_ended());
    assert!(matches!(bench.window.open_read(ReadIndex::Next), Read::Closed { latest: 1 }));
    assert!(matches!(bench.window.open_write(WriteIndex::Next, false), Write::Closed));
}

#[test]
fn idle_means_no_bytes_and_no_publisher_at_work() {
    let mut bench = Bench::new();
    let timeout = Duration::from_secs(1);
    let later = bench.now + Duration::from_secs(2);
    bench.at(0).unwrap();
    bench.open(0);
    assert!(!bench.window.is_idle(bench.now + timeout, timeout));
    assert!(bench.window.is_idle(later, timeout), "waiting on either side does not count");
    let active = bench.open(0);
    bench.first_byte(&active);
    assert!(!bench.window.is_idle(later, timeout));
    bench.window.finish(&active, Wrote::Bytes, later);
    assert!(!bench.window.is_idle(later, timeout));
    assert!(bench.window.is_idle(later + timeout * 2, timeout));
}
