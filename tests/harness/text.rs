//! Components written as WebAssembly text, small and exact: each export of the contract as it should be, or with another body.

use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve, WorldId};

use super::root;

const WORLD: &str = "rillbox:processor/live-processor@0.1.0";

/// Where the names are, behind the results and the description, and where the schema is.
const WORDS: u32 = 256;
const SCHEMA: u32 = 1024;
/// What `cabi_realloc` gives to the host begins here.
const HEAP: u32 = 128 << 10;

/// Exports: name, signature, and a body that does what it should. Pictures and sound are left unchanged.
const EXPORTS: [(&str, &str, &str); 7] = [
    ("describe", "(result i32)", "(i32.const 64)"),
    ("load", "(result i32)", "(i32.const 16)"),
    ("start", "(param i32 i32) (result i32)", "(i32.const 16)"),
    ("update-params", "(param i32 i32) (result i32)", "(i32.const 16)"),
    ("stop", "", ""),
    ("process-video", "(param i32) (result i32)", "(call $drop (local.get 0)) (i32.const 16)"),
    (
        "process-audio",
        "(param i32) (result i32)",
        "(i32.store (i32.const 128) (local.get 0))
         (i32.store (i32.const 36) (i32.const 128))
         (i32.store (i32.const 40) (i32.const 1))
         (i32.const 32)",
    ),
];

/// What every module imports: a frame that was lent must be given back.
const DROP: &str = r#"(import "rillbox:processor/video@0.1.0" "[resource-drop]video-frame" (func $drop (param i32)))"#;

/// A processor as text.
#[derive(Clone)]
pub struct Text {
    name: String,
    schema: String,
    pages: u32,
    imports: String,
    fields: String,
    bodies: [String; 7],
}

impl Text {
    /// One that passes everything through, whose params may be anything.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            schema: r#"{"additionalProperties":true}"#.to_owned(),
            pages: 4,
            imports: String::new(),
            fields: String::new(),
            bodies: EXPORTS.map(|(_, _, body)| body.to_owned()),
        }
    }

    /// With another body of an export.
    pub fn with(mut self, export: &str, body: &str) -> Self {
        let place = EXPORTS.iter().position(|(name, _, _)| *name == export).expect("an export of the contract");
        self.bodies[place] = body.to_owned();
        self
    }

    /// With statements before what an export does.
    pub fn before(mut self, export: &str, statements: &str) -> Self {
        let place = EXPORTS.iter().position(|(name, _, _)| *name == export).expect("an export of the contract");
        self.bodies[place].insert_str(0, statements);
        self
    }

    /// With more fields of the module: functions, globals.
    pub fn and(mut self, fields: &str) -> Self {
        self.fields.push_str(fields);
        self
    }

    /// With imports of the contract.
    pub fn importing(mut self, imports: &str) -> Self {
        self.imports.push_str(imports);
        self
    }

    /// With another schema, of 64 KiB and a little more at most.
    pub fn schema(mut self, schema: &str) -> Self {
        self.schema = schema.to_owned();
        self
    }

    /// With a memory of so many pages of 64 KiB.
    pub fn pages(mut self, pages: u32) -> Self {
        self.pages = pages;
        self
    }

    /// The core module, which knows nothing of its world.
    pub fn bare(&self) -> Vec<u8> {
        wat::parse_str(self.text()).expect("the text is WebAssembly")
    }

    /// The core module, which knows its world.
    pub fn core(&self) -> Vec<u8> {
        with_contract(self.bare())
    }

    /// The component.
    pub fn component(&self) -> Vec<u8> {
        encode(&self.core()).expect("a module of the contract")
    }

    /// The component, of a world of its own that includes ours: its WIT and its name.
    pub fn component_of(&self, wit: &str, name: &str) -> Vec<u8> {
        let (resolve, world) = beside(wit, name);
        let mut module = self.bare();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("a module");
        encode(&module).expect("a module of its world")
    }

    fn text(&self) -> String {
        let exports: String = EXPORTS
            .iter()
            .zip(&self.bodies)
            .map(|((name, signature, _), body)| {
                format!("(func (export \"rillbox:processor/processor@0.1.0#{name}\") {signature} {body})\n")
            })
            .collect();
        let Self { name, schema, pages, imports, fields, .. } = self;
        let version = "0.1.0";
        assert!(schema.len() < (HEAP - SCHEMA) as usize && name.len() < 256);
        let words = [
            (WORDS, name.len()),
            (WORDS + 256, version.len()),
            (SCHEMA, schema.len()),
            // Video and sound; RGBA; shared.
            (0x0000_0203, 0),
            (0, 0),
        ];
        // The flags take one word where the others are two.
        let record: String = words
            .iter()
            .flat_map(|(at, length)| [*at, *length as u32])
            .enumerate()
            .filter(|(place, _)| *place != 7)
            .flat_map(|(_, word)| word.to_le_bytes())
            .map(|byte| format!("\\{byte:02x}"))
            .collect();
        let quoted = |text: &str| text.bytes().map(|byte| format!("\\{byte:02x}")).collect::<String>();
        format!(
            "(module {DROP} {imports}
              (memory (export \"memory\") {pages})
              (global $heap (mut i32) (i32.const {HEAP}))
              (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
                (global.set $heap (i32.add (local.get $at) (local.get 3)))
                (block $fits
                  (br_if $fits (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
                  (br_if $fits (i32.ne (i32.const -1)
                    (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get 3) (i32.const 16))))))
                  unreachable)
                (local.get $at))
              (data (i32.const 64) \"{record}\")
              (data (i32.const {WORDS}) \"{}\")
              (data (i32.const {}) \"{version}\")
              (data (i32.const {SCHEMA}) \"{}\")
              {exports} {fields})",
            quoted(name),
            WORDS + 256,
            quoted(schema),
        )
    }
}

/// A core module that is told the contract as its world.
pub fn with_contract(mut module: Vec<u8>) -> Vec<u8> {
    let (resolve, world) = contract();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("a module");
    module
}

/// A core module that knows its world, as a component, if it fits it.
pub fn encode(module: &[u8]) -> Result<Vec<u8>, String> {
    let encoder = ComponentEncoder::default().validate(true).module(module);
    let encoded = encoder.and_then(|mut encoder| encoder.encode());
    encoded.map_err(|error| format!("{error:#}"))
}

/// A component of a world whose functions all trap: of our contract, or of WIT beside it.
pub fn dummy(other: Option<(&str, &str)>) -> Vec<u8> {
    let (resolve, world) = other.map_or_else(contract, |(wit, name)| beside(wit, name));
    of_world(&resolve, world)
}

/// A component of a world that has nothing to do with the contract, from its WIT.
pub fn stranger(text: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("stranger.wit", text).expect("WIT");
    let world = resolve.select_world(&[package], None).expect("one world");
    of_world(&resolve, world)
}

fn of_world(resolve: &Resolve, world: WorldId) -> Vec<u8> {
    let mut module = dummy_module(resolve, world, ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).expect("a module");
    encode(&module).expect("a module of its world")
}

/// A world beside the contract.
fn beside(wit: &str, name: &str) -> (Resolve, WorldId) {
    let (mut resolve, _) = contract();
    let package = resolve.push_str("beside.wit", wit).expect("WIT");
    let world = resolve.select_world(&[package], Some(name)).expect("its world");
    (resolve, world)
}

/// The contract, as it is in `wit/`.
pub fn contract() -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(root().join("wit")).expect("the contract");
    let world = resolve.select_world(&[package], Some(WORLD)).expect("its world");
    (resolve, world)
}
