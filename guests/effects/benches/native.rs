//! What `green` does to a picture, as this machine's own code: a copy in, the effect, a copy out. Prints JSON; times are
//! microseconds.
//!
//! `scripts/bench sandbox` builds it for x86-64-v3 and holds the sandbox's figures against it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use effects::Green;
use rillbox_sdk::{I420Mut, PixelFormat};

/// Width and height of a picture.
const SIZE: (u32, u32) = (1920, 1080);

fn main() {
    // Cargo adds flags of its own to a benchmark's arguments.
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse::<usize>().ok()).unwrap_or(200);
    let (width, height) = SIZE;
    let source: Vec<u8> = (0..PixelFormat::I420.bytes(width, height)).map(|at| ((at * 31) >> 3) as u8).collect();
    let green = Green::default();
    // Made once: the host's allocator keeps what it has for the next frame, too.
    let (mut data, mut shown) = (Vec::with_capacity(source.len()), Vec::with_capacity(source.len()));
    let mut times = Vec::new();
    for round in 0..rounds + rounds / 10 {
        let began = Instant::now();
        data.clear();
        data.extend_from_slice(black_box(&source));
        if let Some(mut planes) = I420Mut::split(&mut data, width, height) {
            green.paint(&mut planes, width);
        }
        shown.clear();
        shown.extend_from_slice(black_box(&data));
        black_box(&shown);
        // The first tenth warms up.
        if round >= rounds / 10 {
            times.push(began.elapsed());
        }
    }
    times.sort_unstable();
    let at = |share: f64| micros(times[((times.len() - 1) as f64 * share).round() as usize]);
    println!(
        r#"{{"count": {}, "p50_us": {:.1}, "p99_us": {:.1}, "max_us": {:.1}}}"#,
        times.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
