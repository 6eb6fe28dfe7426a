//! Random functions in a processor that is sound around them: it describes itself, starts and stops, and has them make
//! of frames what they will.

use arbitrary::Unstructured;
use rand::RngExt;
use rand::rngs::SmallRng;
use wasm_encoder::{Encode, Function, Instruction, MemArg};
use wasm_smith::{Config, Module};

use crate::binary::{Reader, sections};
use crate::cases::{noise, small};

/// Steps that a random function may take.
const STEPS: u32 = 100_000;

/// What the host is given where it asks for memory: behind all that a small component has.
const HEAP: i32 = 128 << 10;

/// Where a result is that is `ok`, and `unchanged` of an outcome; where the one with sound is, and its list.
const OK: i32 = 16;
const SOUND: i32 = 32;
const LIST: i32 = 128;

/// Called with each picture, and with each sound, by exports that are sound.
const RANDOM: [&str; 2] = ["random-video", "random-audio"];

/// The module, or none where there is no such one for these bytes.
pub fn module(random: &mut SmallRng) -> Option<Vec<u8>> {
    let fields = RANDOM.map(|name| format!("(func (export \"{name}\") (param i32) (result i32) unreachable)"));
    let shape = small(random).and(&fields.concat()).bare();
    let bytes = noise(random);
    let config = Config { disallow_traps: random.random(), ..config(&shape) };
    let mut module = Module::new(config, &mut Unstructured::new(&bytes)).ok()?;
    let _ = module.ensure_termination(STEPS);
    // One in four is as random as it was made, and is refused for what it says of itself.
    if random.random_range(0..4) == 0 { Some(module.to_bytes()) } else { with_life(&module.to_bytes(), &shape) }
}

/// Of the shape, and with nothing that the engine does not take.
fn config(shape: &[u8]) -> Config {
    Config {
        module_shape: Some(shape.to_vec()),
        allow_start_export: false,
        custom_page_sizes_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        max_data_segments: 0,
        max_element_segments: 0,
        max_memories: 1,
        max_memory32_bytes: 64 << 20,
        max_table_elements: 1_000,
        max_tables: 2,
        memory64_enabled: false,
        // Of references to what the host has, which the engine would need its garbage collector for.
        reference_types_enabled: false,
        relaxed_simd_enabled: false,
        shared_everything_threads_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        ..Config::default()
    }
}

/// The module with all exports but the random ones as they should be.
fn with_life(module: &[u8], shape: &[u8]) -> Option<Vec<u8>> {
    let (imported, exports) = (imports(module), exports(module));
    let index = |name: &str| exports.iter().find(|(export, _)| export == name).map(|(_, index)| *index);
    let drop = imports_named(module).iter().position(|name| name == "[resource-drop]video-frame")? as u32;
    let [video, audio] = [index(RANDOM[0])?, index(RANDOM[1])?];
    let sound = |name: &str| -> Option<Function> {
        let name = name.strip_prefix("rillbox:processor/processor@0.1.0#").unwrap_or(name);
        Some(match name {
            "cabi_realloc" => gives(&[], HEAP),
            "describe" => gives(&description(shape), 64),
            "load" | "start" | "update-params" => gives(&words(OK, &[0, 0]), OK),
            "stop" => body(&[]),
            "process-video" => {
                let called = [Instruction::LocalGet(0), Instruction::Call(video), Instruction::Drop];
                let dropped = [Instruction::LocalGet(0), Instruction::Call(drop)];
                gives(&[&called[..], &dropped, &words(OK, &[0, 0])].concat(), OK)
            }
            "process-audio" => {
                let called = [Instruction::LocalGet(0), Instruction::Call(audio), Instruction::Drop];
                let list = [Instruction::I32Const(LIST), Instruction::LocalGet(0), Instruction::I32Store(WORD)];
                gives(&[&called[..], &list, &words(SOUND, &[0, LIST, 1])].concat(), SOUND)
            }
            _ => return None,
        })
    };
    let bodies = exports.iter().filter_map(|(name, index)| Some((index.checked_sub(imported)?, sound(name)?)));
    Some(with_bodies(module, &bodies.collect::<Vec<_>>()))
}

/// The module with other bodies of some of its own functions.
fn with_bodies(module: &[u8], others: &[(u32, Function)]) -> Vec<u8> {
    let mut made = module[..8].to_vec();
    for section in sections(module) {
        if section.id != CODE {
            made.extend_from_slice(&module[section.start..section.end]);
            continue;
        }
        let mut reader = Reader { bytes: module, at: section.content };
        let count = reader.number();
        let mut bodies = Vec::new();
        count.encode(&mut bodies);
        for place in 0..count {
            let begin = reader.at;
            let length = reader.number();
            reader.at += length;
            match others.iter().find(|(other, _)| *other as usize == place) {
                Some((_, other)) => other.encode(&mut bodies),
                None => bodies.extend_from_slice(&module[begin..reader.at]),
            }
        }
        made.push(CODE);
        bodies.len().encode(&mut made);
        made.extend(bodies);
    }
    made
}

/// Kinds of sections.
const IMPORTS: u8 = 2;
const EXPORTS: u8 = 7;
const CODE: u8 = 10;
const DATA: u8 = 11;

/// A word in memory.
const WORD: MemArg = MemArg { offset: 0, align: 2, memory_index: 0 };

fn body(instructions: &[Instruction<'_>]) -> Function {
    let mut function = Function::new([]);
    for instruction in instructions.iter().chain([&Instruction::End]) {
        function.instruction(instruction);
    }
    function
}

/// With a number as its result.
fn gives(instructions: &[Instruction<'_>], number: i32) -> Function {
    body(&[instructions, &[Instruction::I32Const(number)]].concat())
}

/// Writes words from a place on.
fn words(at: i32, words: &[i32]) -> Vec<Instruction<'static>> {
    let place = |(number, word): (i32, &i32)| {
        [Instruction::I32Const(at + 4 * number), Instruction::I32Const(*word), Instruction::I32Store(WORD)]
    };
    (0..).zip(words).flat_map(place).collect()
}

/// Writes what the shape's data say of it.
fn description(shape: &[u8]) -> Vec<Instruction<'static>> {
    let mut written = Vec::new();
    let mut reader = section(shape, DATA);
    for _ in 0..reader.number() {
        // To the first memory, from a constant on.
        reader.at += 2;
        let at = reader.number() as i32;
        reader.at += 1;
        let mut bytes = reader.list().to_vec();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let all: Vec<i32> = bytes.as_chunks::<4>().0.iter().map(|word| i32::from_le_bytes(*word)).collect();
        written.extend(words(at, &all));
    }
    written
}

/// Names of what is imported, all of which are functions.
fn imports_named(module: &[u8]) -> Vec<String> {
    let mut reader = section(module, IMPORTS);
    let count = reader.number();
    let import = |_| {
        let _interface = reader.list();
        let name = String::from_utf8_lossy(reader.list()).into_owned();
        reader.at += 1;
        reader.number();
        name
    };
    (0..count).map(import).collect()
}

fn imports(module: &[u8]) -> u32 {
    imports_named(module).len() as u32
}

/// Functions that are exported.
fn exports(module: &[u8]) -> Vec<(String, u32)> {
    let mut reader = section(module, EXPORTS);
    let count = reader.number();
    let export = |_| {
        let name = String::from_utf8_lossy(reader.list()).into_owned();
        reader.at += 1;
        let is_function = reader.bytes[reader.at - 1] == 0;
        let index = reader.number() as u32;
        is_function.then_some((name, index))
    };
    (0..count).filter_map(export).collect()
}

/// What is in a section.
fn section(module: &[u8], id: u8) -> Reader<'_> {
    let section = sections(module).into_iter().find(|section| section.id == id).expect("a section of that kind");
    Reader { bytes: module, at: section.content }
}
