//! Processors that call the host at random, with what may be meant and what cannot be.

use std::collections::BTreeSet;

use rand::RngExt;
use rand::rngs::SmallRng;
use wit_parser::{Handle, Type, TypeDefKind};

use crate::arguments::{Arguments, data};
use crate::contract::{CONTRACT, Import};
use crate::harness::text::Text;

/// Exports that get calls, the resource that they are given, and whether they may be without end: that takes their
/// whole time.
const EXPORTS: [(&str, Option<&str>, bool); 6] = [
    ("load", None, false),
    ("start", None, false),
    ("update-params", None, true),
    ("stop", None, true),
    ("process-audio", Some("audio-frame"), true),
    ("process-video", Some("video-frame"), true),
];

/// Where results go.
const RESULT: &str = "(i32.const 2048)";

/// A processor with random statements in some of its exports.
pub fn processor(random: &mut SmallRng) -> Vec<u8> {
    let mut text = Text::new("calls").and(&data()).and(
        "(func $again (param i32) (result i32)
           (i32.add (local.get 0) (call $again (i32.add (local.get 0) (i32.const 1)))))",
    );
    let mut imports = BTreeSet::new();
    // Every text gives its picture back.
    let others = CONTRACT.resources.iter().filter(|(_, number)| drop_of(**number) != "$drop");
    imports.extend(others.map(|(id, number)| CONTRACT.import_of_drop(*id, &drop_of(*number))));
    let interest = random.random_range(0..CONTRACT.interfaces.len());
    for (export, given, endless) in EXPORTS {
        let count = if given.is_some() { random.random_range(1..40) } else { random.random_range(0..3) };
        let given = given.map(resource_of);
        let statements: String =
            (0..count).map(|_| statement(random, given, (endless, interest), &mut imports)).collect();
        text = text.before(export, &statements);
    }
    text.importing(&imports.into_iter().collect::<String>()).component()
}

fn resource_of(name: &str) -> u32 {
    let named = CONTRACT.resources.iter().find(|(id, _)| CONTRACT.resolve.types[**id].name.as_deref() == Some(name));
    *named.expect("a resource of the contract").1
}

/// What gives a handle back.
fn drop_of(resource: u32) -> String {
    if resource == resource_of("video-frame") { "$drop".to_owned() } else { format!("$drop-{resource}") }
}

/// One statement; `given` is the resource of the first local.
fn statement(
    random: &mut SmallRng,
    given: Option<u32>,
    (endless, interest): (bool, usize),
    imports: &mut BTreeSet<String>,
) -> String {
    let chosen = random.random_range(0..66);
    if chosen < 58 {
        return any_call(random, given, interest, imports);
    }
    let mut arguments = Arguments::new(random, given);
    let (place, length, number) = (arguments.place(), arguments.length(), arguments.number());
    match chosen {
        58 => {
            let resource = arguments.random.random_range(0..CONTRACT.resources.len() as u32);
            let (kept, drop) = (arguments.kept(resource), drop_of(resource));
            format!("(if (i32.load {kept}) (then (call {drop} (i32.load {kept})) (i32.store {kept} (i32.const 0))))")
        }
        59 if random.random_range(0..8) == 0 => format!("(call $drop {number})"),
        59..61 => format!("(drop (memory.grow {length}))"),
        61..64 => format!("(i32.store {place} {number})"),
        64 if endless && random.random_range(0..4) == 0 => {
            format!("(loop $ever {} (br $ever))", any_call(random, given, interest, imports))
        }
        64 if random.random_range(0..4) == 0 => "(drop (call $again (i32.const 0)))".to_owned(),
        _ => format!("(memory.fill {place} {number} {length})"),
    }
}

/// A call of any import, and more often of those of a processor's interest, or of one that makes what others take.
fn any_call(random: &mut SmallRng, given: Option<u32>, interest: usize, imports: &mut BTreeSet<String>) -> String {
    let interface = match random.random_range(0..4) {
        0 => random.random_range(0..CONTRACT.interfaces.len()),
        _ => interest,
    };
    let interface: Vec<_> = CONTRACT.interfaces[interface].iter().collect();
    let makers: Vec<_> = interface.iter().copied().filter(|import| makes_anew(import)).collect();
    let from = if random.random_range(0..3) == 0 && !makers.is_empty() { makers } else { interface };
    let import = from[random.random_range(0..from.len())];
    imports.insert(import.text());
    call(random, import, given)
}

/// Whether an import makes a handle, and is no method: as a rule it takes none.
fn makes_anew(import: &Import) -> bool {
    made(import).is_some() && import.function.name.starts_with("[static]")
}

/// A call of an import, as far as there is what it takes; what it makes is kept.
fn call(random: &mut SmallRng, import: &Import, given: Option<u32>) -> String {
    let mut arguments = Arguments::new(random, given);
    let mut values: Vec<String> = import.function.params.iter().flat_map(|param| arguments.of(&param.ty)).collect();
    let through_memory = import.returns_through_memory();
    if through_memory {
        values.push(RESULT.to_owned());
    }
    let mut called = format!("(call ${} {})", import.id(), values.concat());
    if import.returns_number() {
        called = format!("(drop {called})");
    } else if let Some(made) = made(import) {
        let kept = arguments.kept(made);
        called +=
            &format!("(if (i32.eqz (i32.load8_u {RESULT})) (then (i32.store {kept} (i32.load offset=4 {RESULT}))))");
    }
    let called = arguments.before + &called;
    arguments.needed.into_iter().fold(called, |called, handle| format!("(if {handle} (then {called}))"))
}

/// The resource of which an import makes a handle.
fn made(import: &Import) -> Option<u32> {
    let kind = |of: Type| match of {
        Type::Id(id) => Some(CONTRACT.kind(id).1),
        _ => None,
    };
    let TypeDefKind::Result(result) = kind(import.function.result?)? else { return None };
    match kind(result.ok?)? {
        TypeDefKind::Handle(Handle::Own(resource)) => Some(CONTRACT.resource(*resource)),
        _ => None,
    }
}
