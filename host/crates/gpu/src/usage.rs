//! What work on a device took.

use std::ops::AddAssign;
use std::time::Duration;

/// Work of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// How often.
    pub passes: u64,
    /// How long on the device; 0 where it has no clock.
    pub time: Duration,
}

/// Work on the device, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Between planes and pixels.
    pub color: Share,
    /// Users' programs.
    pub programs: Share,
}

/// What one pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    Color,
    Program,
}

impl Usage {
    /// Of passes that began and ended at these counts of a clock, with so many nanoseconds a count.
    pub(crate) fn of(passes: &[Pass], counts: &[u64], period: Option<f32>) -> Self {
        let mut usage = Self::default();
        let times = counts.as_chunks().0.iter().map(|[began, ended]| {
            let counts = ended.saturating_sub(*began) as f64;
            Duration::from_nanos((counts * f64::from(period.unwrap_or(0.0))) as u64)
        });
        for (pass, time) in passes.iter().zip(times.chain(std::iter::repeat(Duration::ZERO))) {
            let share = match pass {
                Pass::Color => &mut usage.color,
                Pass::Program => &mut usage.programs,
            };
            share.passes += 1;
            share.time += time;
        }
        usage
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, more: Self) {
        for (share, more) in [(&mut self.color, more.color), (&mut self.programs, more.programs)] {
            share.passes += more.passes;
            share.time += more.time;
        }
    }
}
