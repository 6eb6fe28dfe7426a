//! The smallest processor: a component of our world made of text, which compiles in a moment and does nothing to its frames.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::root;

/// What the processor calls itself.
pub const NAME: &str = "tiny";

/// Where strings are in its memory; what lies before is zero, which is `ok` of every result and `unchanged` of an outcome.
const STRINGS: usize = 256;

/// Where its description is.
const DESCRIPTION: usize = 128;

/// A component of a version. Another `mark` makes other bytes of the same.
pub fn tiny(version: &str, mark: &str) -> Vec<u8> {
    let schema = format!(r#"{{"type":"object","title":"{mark}"}}"#);
    let mut strings = String::new();
    let mut description = Vec::new();
    for text in [NAME, version, &schema] {
        description.extend([STRINGS + strings.len(), text.len()].map(|number| number as u32));
        strings.push_str(text);
    }
    let mut description: Vec<u8> = description.into_iter().flat_map(u32::to_le_bytes).collect();
    // Media: video. Pixel format: i420. Isolation: shared. Then an empty list of capabilities.
    description.extend([1, 0, 0, 0]);
    description.extend([0; 8]);
    let module = module(&description, strings.as_bytes());
    let mut module = wat::parse_str(module).expect("a core module");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(root().join("wit")).expect("our contract");
    let world = resolve.select_world(&[package], Some("live-processor")).expect("our world");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("metadata");
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .expect("a component")
}

fn module(description: &[u8], strings: &[u8]) -> String {
    let export = |name: &str| format!("rillbox:processor/processor@0.1.0#{name}");
    format!(
        r#"(module
            (import "rillbox:processor/video@0.1.0" "[resource-drop]video-frame" (func $drop (param i32)))
            (memory (export "memory") 1)
            (data (i32.const {DESCRIPTION}) "{}")
            (data (i32.const {STRINGS}) "{}")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
            (func (export "{}") (result i32) i32.const {DESCRIPTION})
            (func (export "{}") (result i32) i32.const 0)
            (func (export "{}") (param i32 i32) (result i32) i32.const 0)
            (func (export "{}") (param i32 i32) (result i32) i32.const 0)
            (func (export "{}"))
            (func (export "{}") (param i32) (result i32) (call $drop (local.get 0)) i32.const 0)
            (func (export "{}") (param i32) (result i32) unreachable))"#,
        escaped(description),
        escaped(strings),
        export("describe"),
        export("load"),
        export("start"),
        export("update-params"),
        export("stop"),
        export("process-video"),
        export("process-audio"),
    )
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}
