//! Operations beside references, one line each.

use std::collections::BTreeMap;
use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use rillbox_compute::{Allowance, Cost, Error};

/// Rounds of what is quick, and of what is not.
const ROUNDS: std::ops::RangeInclusive<usize> = 5..=15;

/// No further rounds after this time.
const ENOUGH: Duration = Duration::from_millis(200);

/// Who does the same.
#[derive(Clone, Copy)]
pub enum Library {
    BurnFlex,
    FastImageResize,
    /// As one would write it by hand.
    PlainLoop,
}

/// Remembers what an operation was said to cost.
#[derive(Default)]
struct Noted(Duration);

impl Allowance for Noted {
    fn admit(&mut self, cost: Cost) -> Result<(), Error> {
        self.0 += cost.time;
        Ok(())
    }
}

/// What was measured, by the operations' names; displayed as JSON.
#[derive(Default)]
pub struct Table(BTreeMap<String, String>);

impl Table {
    /// Measures an operation, and the same by another library, in turns.
    pub fn add<T, R>(
        &mut self,
        name: impl Into<String>,
        library: Library,
        own: impl Fn(&mut dyn Allowance) -> Result<T, Error>,
        reference: impl Fn() -> R,
    ) -> Result<(), Error> {
        let mut noted = Noted::default();
        own(&mut noted)?;
        let took = timed(|| own(&mut Noted::default()))?;
        let other = timed(|| Ok(reference()))?;
        let [took, other, estimate] = [took, other, noted.0].map(|time| time.as_secs_f64() * 1e3);
        let line = format!(
            "{{\"ms\":{took:.3},\"{library}_ms\":{other:.3},\"ratio\":{:.2},\"estimate\":{:.2}}}",
            took / other,
            estimate / took
        );
        let name = name.into();
        assert!(self.0.insert(name.clone(), line).is_none(), "{name} is measured twice");
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(|(name, line)| format!("\"{name}\":{line}")).collect();
        write!(to, "{{{}}}", lines.join(","))
    }
}

impl fmt::Display for Library {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(match self {
            Self::BurnFlex => "burn-flex",
            Self::FastImageResize => "fast_image_resize",
            Self::PlainLoop => "plain loop",
        })
    }
}

/// The middle one of several rounds.
pub fn timed<T>(mut work: impl FnMut() -> Result<T, Error>) -> Result<Duration, Error> {
    let (mut times, all) = (Vec::new(), Instant::now());
    while times.len() < *ROUNDS.start() || times.len() < *ROUNDS.end() && all.elapsed() < ENOUGH {
        let began = Instant::now();
        black_box(work()?);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
