//! A seed's case: a component made up at random in one of several ways.

use std::sync::LazyLock;

use arbitrary::Unstructured;
use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};
use wasm_encoder::{Component, RawSection};
use wasm_mutate::WasmMutate;
use wasm_smith::{Config, Module};

use crate::binary::{Section, sections};
use crate::harness::guest;
use crate::harness::text::{Text, dummy, encode, with_contract};
use crate::{calls, functions};

/// Longest random input of a generator, in bytes.
const BYTES: usize = 8 << 10;

/// Of so many cases one begins with a real guest, which takes a hundred times longer to compile than a small one.
const REAL: u32 = 12;

/// Kinds of cases: those whose processor calls the host, and those that may be taken for sound.
const CALLS: &str = "calls at random";
const FUNCTIONS: &str = "any functions of our world";
const CHANGED: &str = "sound modules changed";
const DAMAGED: &str = "sound components damaged";

/// Those of which some live, frames and all. Any component, and any module, is none of our world: all of them are
/// refused.
pub const LIVING: [&str; 4] = [CALLS, FUNCTIONS, CHANGED, DAMAGED];

/// A component, or what was one.
pub struct Case {
    /// How it was made.
    pub kind: &'static str,
    pub bytes: Vec<u8>,
}

/// The case of a seed: the same for the same seed.
pub fn make(seed: u64) -> Case {
    let mut random = SmallRng::seed_from_u64(seed);
    let (kind, bytes) = match random.random_range(0..9) {
        0..3 => (CALLS, calls::processor(&mut random)),
        3 => (FUNCTIONS, of_our_world(&mut random)),
        4 => (CHANGED, changed(&mut random)),
        5 | 6 => (DAMAGED, damaged(&mut random)),
        7 => ("any component", any_component(&mut random)),
        _ => ("any module", any_module(&mut random)),
    };
    Case { kind, bytes }
}

/// A seed's case whose processor calls the host.
pub fn of_calls(seed: u64) -> Case {
    Case { kind: CALLS, bytes: calls::processor(&mut SmallRng::seed_from_u64(seed)) }
}

/// Small sound components, to begin with.
static SMALL: LazyLock<Vec<Text>> = LazyLock::new(|| {
    let log = r#"(import "rillbox:processor/log@0.1.0" "log" (func $log (param i32 i32 i32 i32 i32)))"#;
    let time = r#"(import "rillbox:processor/clock@0.1.0" "now" (func $now (result i64)))"#;
    let retain =
        r#"(import "rillbox:processor/video@0.1.0" "[method]video-frame.retain" (func $retain (param i32 i32)))"#;
    let publish = r#"(import "rillbox:processor/data@0.1.0" "publish" (func $publish (param i32 i32 i32)))"#;
    vec![
        Text::new("small"),
        Text::new("logs").importing(log).importing(time).with(
            "process-video",
            "(call $log (i32.const 2) (i32.const 256) (i32.const 4) (i32.const 0) (i32.const 0))
             (drop (call $now)) (call $drop (local.get 0)) (i32.const 16)",
        ),
        Text::new("keeps").importing(retain).with(
            "process-video",
            "(call $retain (local.get 0) (i32.const 160)) (call $drop (local.get 0)) (i32.const 16)",
        ),
        Text::new("tells").importing(publish).with(
            "process-video",
            "(i32.store8 (i32.const 200) (i32.const 55)) (call $publish (i32.const 200) (i32.const 1) (i32.const 160))
             (call $drop (local.get 0)) (i32.const 16)",
        ),
    ]
});

static REAL_GUESTS: LazyLock<Vec<Vec<u8>>> =
    LazyLock::new(|| ["green", "echo", "analyze"].map(|name| std::fs::read(guest(name)).unwrap()).to_vec());

/// Random functions under the contract's names, with imports of it at hand.
fn of_our_world(random: &mut SmallRng) -> Vec<u8> {
    if random.random_range(0..20) == 0 {
        return dummy(None);
    }
    functions::module(random).map(|module| encoded(&module)).unwrap_or_default()
}

/// A sound module with random changes that leave it valid.
fn changed(random: &mut SmallRng) -> Vec<u8> {
    let real = random.random_range(0..REAL) == 0;
    let (before, mut module, after) =
        if real { parts(pick::<Vec<u8>>(random, &REAL_GUESTS)) } else { Default::default() };
    if !real {
        module = small(random).bare();
    }
    for _ in 0..random.random_range(1..6) {
        if let Some(next) = mutation(&module, random) {
            module = next;
        }
    }
    if !real {
        return encoded(&module);
    }
    let mut component = Component::new();
    component.section(&RawSection { id: 1, data: &module });
    // The preamble is in both.
    [&before[..], &component.finish()[8..], &after[..]].concat()
}

/// One change, where one was found.
fn mutation(module: &[u8], random: &mut SmallRng) -> Option<Vec<u8>> {
    let mut mutate = WasmMutate::default();
    mutate.seed(random.random()).fuel(200).preserve_semantics(random.random());
    let mut made = mutate.run(module).ok()?;
    made.next()?.ok()
}

/// A sound component with bytes of it changed, taken out, doubled, or cut off.
fn damaged(random: &mut SmallRng) -> Vec<u8> {
    let mut bytes = match random.random_range(0..REAL) {
        0 => pick::<Vec<u8>>(random, &REAL_GUESTS).clone(),
        _ => small(random).component(),
    };
    for _ in 0..random.random_range(1..5) {
        let at = random.random_range(0..bytes.len());
        let length = random.random_range(1..16).min(bytes.len() - at);
        match random.random_range(0..6) {
            0..3 => bytes[at] = random.random(),
            3 => drop(bytes.drain(at..at + length)),
            4 => {
                let piece = bytes[at..at + length].to_vec();
                drop(bytes.splice(at..at, piece));
            }
            _ => bytes[at] ^= 1 << random.random_range(0..8),
        }
        if bytes.is_empty() {
            break;
        }
    }
    if random.random_range(0..10) == 0 {
        bytes.truncate(random.random_range(0..=bytes.len()));
    }
    bytes
}

/// Anything that is a component.
fn any_component(random: &mut SmallRng) -> Vec<u8> {
    let bytes = noise(random);
    let made = wasm_smith::Component::new(modest(), &mut Unstructured::new(&bytes));
    made.map(|component| component.to_bytes()).unwrap_or_default()
}

/// Any module, within a component that has nothing else.
fn any_module(random: &mut SmallRng) -> Vec<u8> {
    let bytes = noise(random);
    let Ok(module) = Module::new(modest(), &mut Unstructured::new(&bytes)) else { return Vec::new() };
    let mut component = Component::new();
    component.section(&RawSection { id: 1, data: &module.to_bytes() });
    component.finish()
}

/// Of the size of small processors, and with all that the format has: what the engine does not take it must refuse.
fn modest() -> Config {
    Config {
        max_memory32_bytes: 64 << 20,
        max_memory64_bytes: 64 << 20,
        max_table_elements: 100_000,
        ..Config::default()
    }
}

/// The module as a component of our world, or as it is where it cannot be one.
fn encoded(module: &[u8]) -> Vec<u8> {
    // The encoder is made for what compilers make, and may not stand anything else.
    std::panic::catch_unwind(|| encode(&with_contract(module.to_vec())).ok())
        .ok()
        .flatten()
        .unwrap_or_else(|| module.to_vec())
}

/// One of the small sound components.
pub fn small(random: &mut SmallRng) -> Text {
    pick(random, &SMALL).clone()
}

fn pick<'a, T>(random: &mut SmallRng, from: &'a [T]) -> &'a T {
    &from[random.random_range(0..from.len())]
}

/// Bytes for a generator.
pub fn noise(random: &mut SmallRng) -> Vec<u8> {
    let mut bytes = vec![0; random.random_range(64..BYTES)];
    random.fill_bytes(&mut bytes);
    bytes
}

/// A component as what is before its largest section, that section's content, which is its module, and what is behind.
fn parts(component: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let largest = sections(component).into_iter().max_by_key(|section| section.end - section.content);
    let Section { start, content, end, .. } = largest.expect("a section");
    (component[..start].to_vec(), component[content..end].to_vec(), component[end..].to_vec())
}
