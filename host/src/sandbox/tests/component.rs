//! Components of our world, written by hand: their memory is theirs alone, with nothing of a language's own in it.

use std::path::Path;
use std::time::Instant;

use rillbox_gpu::{Choice, Gpu};
use rillbox_media::{Color, ColorMatrix, ColorRange, PixelFormat, Presentation, Ticks, VideoFrame, convert};
use wasmtime::component::Linker;
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

use crate::sandbox::context::Guest;
use crate::sandbox::engine::{Component, Engine};
use crate::sandbox::instance::{Identity, Instance};
use crate::sandbox::{HttpAccess, Limits, ShaderReader};

/// What exports do that a test has no interest in: nothing. Results are read at address 0, where nothing but zeros may be: they
/// mean `ok`, and `unchanged`.
const PLAIN: &[(&str, &str)] = &[
    ("describe", "(result i32) unreachable"),
    ("load", "(result i32) (i32.const 0)"),
    ("start", "(param i32 i32) (result i32) (i32.const 0)"),
    ("update-params", "(param i32 i32) (result i32) (i32.const 0)"),
    ("stop", ""),
    ("process-video", "(param i32) (result i32) (i32.const 0)"),
    ("process-audio", "(param i32) (result i32) (i32.const 0)"),
];

/// A component whose core module has these `fields`, and for exports these bodies, with their types.
pub fn component(fields: &str, exports: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!(
        r#"(module {fields}
             (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))"#
    );
    for (name, plain) in PLAIN {
        let body = exports.iter().find(|(other, _)| other == name).map_or(*plain, |(_, body)| *body);
        text += &format!("\n(func (export \"rillbox:processor/processor@0.1.0#{name}\") {body})");
    }
    let mut module = wat::parse_str(text + ")").unwrap();
    let mut contract = Resolve::default();
    let (package, _) = contract.push_dir(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit"))).unwrap();
    let world = contract.select_world(&[package], Some("live-processor")).unwrap();
    wit_component::embed_component_metadata(&mut module, &contract, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}

/// An engine with room for `instances` instances, whose clock does what the test wants.
pub fn engine(instances: u32, now: impl Fn() -> u64 + Send + Sync + 'static) -> Engine {
    let shadow = |linker: &mut Linker<Guest>| {
        linker.allow_shadowing(true);
        linker.instance("rillbox:processor/clock@0.1.0")?.func_wrap("now", move |_, ()| Ok((now(),)))?;
        linker.allow_shadowing(false);
        Ok(())
    };
    Engine::start_with(
        Limits { instances, ..Limits::for_pixels(64 * 64) },
        Gpu::new(Choice::Cpu),
        ShaderReader::none(),
        shadow,
    )
    .unwrap()
}

pub fn compiled(engine: &Engine, component: &[u8]) -> Component {
    engine.precompile(component).unwrap().1
}

pub async fn instance(engine: &Engine, component: &Component) -> Instance {
    let identity = Identity {
        stream: "test".to_owned(),
        processor: "test@1.0.0".to_owned(),
        started: Instant::now(),
        http: HttpAccess::none(),
    };
    Instance::new(engine, component, &identity).await.unwrap()
}

/// A gray picture of 64×48.
pub fn frame() -> VideoFrame {
    let color = Color { matrix: ColorMatrix::Bt709, range: ColorRange::Limited };
    let picture = convert::write(PixelFormat::Gray8, 64, 48, &[90; 64 * 48], color).unwrap();
    VideoFrame { pts: Ticks(0), key: true, picture, presentation: Presentation::default() }
}
