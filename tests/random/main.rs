//! Components without end: random ones, real ones with random changes, and damaged ones go through what an upload goes
//! through, and are run if they are taken. Nothing may panic, hang or grow.
//!
//! As a test it takes a fixed number of seeded cases. `make fuzz` goes on for as long as it is asked to; a case that fails is
//! named by its seed and kept as `target/fuzz/SEED.wasm`.

mod arguments;
mod binary;
mod calls;
mod cases;
mod contract;
mod functions;
mod life;
mod tally;
mod watch;

#[path = "../harness/mod.rs"]
#[allow(dead_code, reason = "the tests of the whole use the rest of it")]
mod harness;

use std::time::{Duration, Instant};

use contract::CONTRACT;
use harness::host::Host;
use life::{Fate, Sandbox};
use reqwest::StatusCode;
use rillbox::sandbox::Choice;
use tally::Tally;
use watch::{Use, Watch};

/// Cases of a test run.
const CASES: u64 = 1_500;

/// Cases after which everything that is made once has been made.
const WARM: u64 = 250;

/// Cases of calls alone where there is a GPU, with seeds of their own: a case that fails is kept under its seed.
const ON_GPU: u64 = 200;
const FIRST_ON_GPU: u64 = 1 << 40;

/// Cases that go through the real program.
const THROUGH: u64 = 12;

/// How far the run goes.
struct Plan {
    seed: u64,
    /// None for [`CASES`].
    time: Option<Duration>,
}

impl Plan {
    /// `RILLBOX_FUZZ_SEED` is the first case, and `RILLBOX_FUZZ_SECONDS` how long it goes on, 0 for ever.
    fn from_environment() -> Self {
        let number = |name: &str| {
            let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
            Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
        };
        let time = number("RILLBOX_FUZZ_SECONDS").map(|seconds| match seconds {
            0 => Duration::MAX,
            seconds => Duration::from_secs(seconds),
        });
        Self { seed: number("RILLBOX_FUZZ_SEED").unwrap_or(1), time }
    }

    fn goes_on(&self, cases: u64, since: Instant) -> bool {
        match self.time {
            None => cases < CASES,
            Some(time) => since.elapsed() < time,
        }
    }
}

/// Catches a component that panics the host, holds it up beyond every limit of time, or leaves memory, threads or descriptors
/// behind, whatever is in it.
#[test]
fn random_components_neither_panic_nor_hang_nor_grow() {
    let (watch, sandbox, mut tally) = (Watch::start(), Sandbox::new(Choice::Cpu), Tally::default());
    let (plan, began) = (Plan::from_environment(), Instant::now());
    let (mut cases, mut warm) = (0, None);
    while plan.goes_on(cases, began) {
        let seed = plan.seed.wrapping_add(cases);
        let case = cases::make(seed);
        let running = watch.begin(seed, &case.bytes);
        let fate = sandbox.live(&case.bytes);
        running.survived();
        tally.count(case.kind, &fate);
        cases += 1;
        match &warm {
            None if cases == WARM => warm = Some(Use::now()),
            Some(warm) if cases % WARM == 0 => Use::now().assert_no_more_than(warm, seed),
            _ => {}
        }
        if plan.time.is_some() && cases % 500 == 0 {
            println!("{cases} cases, {:?}: {tally}", began.elapsed());
        }
    }
    println!("{cases} cases from seed {} in {:?}: {tally}", plan.seed, began.elapsed());
    if plan.time.is_none() {
        tally.assert_meaningful();
    }
}

/// Catches calls that panic the host, hold it up or leave something behind where there is a GPU: tensors and shaders
/// are worked on there.
#[test]
fn random_calls_do_a_gpu_no_harm() {
    let (watch, sandbox, mut tally) = (Watch::start(), Sandbox::new(Choice::Any), Tally::default());
    let mut warm = None;
    for cases in 1..=ON_GPU {
        let seed = FIRST_ON_GPU + cases;
        let case = cases::of_calls(seed);
        let running = watch.begin(seed, &case.bytes);
        let fate = sandbox.live(&case.bytes);
        running.survived();
        tally.count(case.kind, &fate);
        match &warm {
            None if cases == ON_GPU / 2 => warm = Some(Use::now()),
            Some(warm) if cases == ON_GPU => Use::now().assert_no_more_than(warm, seed),
            _ => {}
        }
    }
    println!("{ON_GPU} cases: {tally}");
}

/// Catches what only the real program does with such uploads: an answer that blames the host, or none.
#[tokio::test(flavor = "multi_thread")]
async fn random_components_are_answered_by_the_program() {
    let host = Host::start();
    for seed in 1..=THROUGH {
        let case = cases::make(seed);
        let (code, answer) = host.offer(&format!("case-{seed}"), case.bytes).await;
        let answered = code == StatusCode::CREATED || code == StatusCode::UNPROCESSABLE_ENTITY;
        assert!(answered, "case {seed}, {}: {code} {answer}", case.kind);
    }
    assert_eq!(host.get("/health").await.0, StatusCode::OK);
    assert!(host.panics().is_empty(), "{:?}", host.panics());
}

/// Catches a case that is another one the next time: its seed would tell nothing.
#[test]
fn a_seed_is_a_case() {
    for seed in 1..=20 {
        assert_eq!(cases::make(seed).bytes, cases::make(seed).bytes, "seed {seed}");
    }
}

/// Catches an import of the contract that no case calls, such as one that was added to it.
#[test]
fn every_import_is_called() {
    let cases: Vec<_> = (1..=ON_GPU).map(|seed| cases::of_calls(seed).bytes).collect();
    for import in CONTRACT.interfaces.iter().flatten() {
        let name = import.function.name.as_bytes();
        let calls = |case: &&Vec<u8>| case.windows(name.len()).any(|text| text == name);
        assert!(cases.iter().any(|case| calls(&case)), "{}", import.function.name);
    }
}

/// Catches a sandbox in which nothing lives: every case would be refused, and no limit be met.
#[test]
fn a_sound_component_lives_through_all_of_it() {
    let bytes = harness::text::Text::new("sound").component();
    assert_eq!(Sandbox::new(Choice::Cpu).live(&bytes), Fate::Lived { failures: 0 });
}
