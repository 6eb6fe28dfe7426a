//! Processors that call the host at random, with what may be meant and what cannot be.

use rand::RngExt;
use rand::rngs::SmallRng;

use crate::harness::text::Text;

/// All imports but one, which every text has: the one that gives a picture back.
const IMPORTS: &str = r#"
    (import "rillbox:processor/log@0.1.0" "log" (func $log (param i32 i32 i32 i32 i32)))
    (import "rillbox:processor/clock@0.1.0" "now" (func $now (result i64)))
    (import "rillbox:processor/data@0.1.0" "publish" (func $publish (param i32 i32 i32)))
    (import "rillbox:processor/data@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
    (import "rillbox:processor/video@0.1.0" "[method]video-frame.width" (func $width (param i32) (result i32)))
    (import "rillbox:processor/video@0.1.0" "[method]video-frame.retain" (func $retain (param i32 i32)))
    (import "rillbox:processor/video@0.1.0" "[method]video-frame.pixels" (func $pixels (param i32 i32 i32)))
    (import "rillbox:processor/video@0.1.0" "[method]video-frame.replace-pixels"
      (func $replace (param i32 i32 i32 i32 i32 i32 i32)))
    (import "rillbox:processor/audio@0.1.0" "[resource-drop]audio-frame" (func $drop-audio (param i32)))"#;

/// Exports that get calls, how each of them ends as it should, and whether it may be without end: that takes its whole time.
const EXPORTS: [(&str, &str, bool); 5] = [
    ("load", "(i32.const 16)", false),
    ("start", "(i32.const 16)", false),
    ("update-params", "(i32.const 16)", true),
    ("stop", "", true),
    ("process-video", "(call $drop (local.get 0)) (i32.const 16)", true),
];

/// A processor with random statements in some of its exports.
pub fn processor(random: &mut SmallRng) -> Vec<u8> {
    let mut text = Text::new("calls").importing(IMPORTS).and(
        "(func $again (param i32) (result i32)
           (i32.add (local.get 0) (call $again (i32.add (local.get 0) (i32.const 1)))))
         (func $ask (param i32) (drop (call $width (local.get 0))))",
    );
    for (export, end, endless) in EXPORTS {
        let count = if export == "process-video" { random.random_range(1..12) } else { random.random_range(0..3) };
        let statements: String = (0..count).map(|_| statement(random, export == "process-video", endless)).collect();
        text = text.with(export, &(statements + end));
    }
    text.component()
}

/// One statement; `framed` where the first local is a picture.
fn statement(random: &mut SmallRng, framed: bool, endless: bool) -> String {
    let frame = if framed && random.random_range(0..8) > 0 { "(local.get 0)".to_owned() } else { number(random) };
    let (a, b, c, d) = (place(random), length(random), place(random), length(random));
    let result = place(random);
    match random.random_range(0..26) {
        0..4 => format!("(call $log (i32.const {}) {a} {b} {c} {d})", random.random_range(0..6)),
        4..6 => format!("(call $publish {a} {b} {result})"),
        6..8 => format!("(call $emit {a} {b} {c} {d} {result})"),
        8..11 => format!("(call $retain {frame} {result})"),
        11..14 => format!("(call $pixels {frame} {} {result})", format_of(random)),
        14..17 => {
            format!("(call $replace {frame} {} {} {} {a} {b} {result})", format_of(random), side(random), side(random))
        }
        17 => format!("(call $drop {})", number(random)),
        18 => format!("(call $drop-audio {})", number(random)),
        19..21 => format!("(drop (memory.grow {}))", length(random)),
        21..23 => format!("(i32.store {a} {})", number(random)),
        23 => "(drop (call $now))".to_owned(),
        24 if endless && random.random_range(0..4) == 0 => {
            "(loop $ever (call $ask (i32.const 0)) (br $ever))".to_owned()
        }
        24 => "(drop (call $again (i32.const 0)))".to_owned(),
        _ => format!("(memory.fill {a} {} {b})", number(random)),
    }
}

fn constant(value: i32) -> String {
    format!("(i32.const {value})")
}

/// Any number, and more often one at a border.
fn number(random: &mut SmallRng) -> String {
    const BORDERS: [i32; 10] = [0, 1, 2, 3, -1, i32::MAX, i32::MIN, 65_535, 65_536, 1_000_000];
    constant(match random.random_range(0..4) {
        0 => random.random(),
        _ => BORDERS[random.random_range(0..BORDERS.len())],
    })
}

/// Mostly a place in memory that is not in use.
fn place(random: &mut SmallRng) -> String {
    if random.random_range(0..16) == 0 { number(random) } else { constant(random.random_range(150..8_000) * 16) }
}

/// Mostly a length that fits.
fn length(random: &mut SmallRng) -> String {
    if random.random_range(0..12) == 0 { number(random) } else { constant(random.random_range(0..100)) }
}

/// Mostly a side of a picture.
fn side(random: &mut SmallRng) -> String {
    if random.random_range(0..4) == 0 { number(random) } else { constant(random.random_range(0..32) * 2) }
}

/// A format, or the number after the last.
fn format_of(random: &mut SmallRng) -> String {
    constant(if random.random_range(0..20) == 0 { 5 } else { random.random_range(0..5) })
}
