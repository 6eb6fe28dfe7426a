//! What guests have the GPU do and nobody waits for.

use std::time::{Duration, Instant};

use rillbox_gpu::{Choice, Gpu};

use crate::sandbox::engine::Engine;
use crate::sandbox::instance::{Failure, VideoResult};
use crate::sandbox::tests::component::{compiled, component, frame, instance};
use crate::sandbox::work::{Done, Kind};
use crate::sandbox::{Limits, ShaderReader};

/// A guest that compiles a shader in `load`, of so many rounds for each invocation. `$work` dispatches it once; a picture that is
/// handed over is to be given back with `$drop`.
fn shader_guest(rounds: u32, exports: &[(&str, &str)]) -> Vec<u8> {
    let wgsl = format!(
        "@group(0) @binding(0) var<storage, read_write> out: array<u32>;
        @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {{
            for (var i = 0u; i < {rounds}u; i++) {{ out[id.x] = out[id.x] * 3u + i; }}
        }}"
    );
    let fields = format!(
        r#"
        (import "rillbox:processor/video@0.1.0" "[resource-drop]video-frame" (func $drop (param i32)))
        (import "rillbox:processor/shader@0.1.0" "[static]program.compile" (func $compile (param i32 i32 i32)))
        (import "rillbox:processor/shader@0.1.0" "[static]buffer.zeros" (func $zeros (param i32 i32)))
        (import "rillbox:processor/shader@0.1.0" "[method]program.dispatch"
          (func $dispatch (param i32 i32 i32 i32 i32 i32 i32)))
        (memory (export "memory") 1)
        (data (i32.const 16384) "{}")
        (global $program (mut i32) (i32.const 0))
        (func $made (result i32)
          (if (i32.load8_u (i32.const 8192)) (then unreachable))
          (i32.load (i32.const 8196)))
        (func $load
          (call $compile (i32.const 16384) (i32.const {}) (i32.const 8192))
          (global.set $program (call $made))
          (call $zeros (i32.const 65536) (i32.const 8192))
          ;; A buffer, at binding 0.
          (i32.store8 (i32.const 8212) (i32.const 1))
          (i32.store (i32.const 8216) (call $made)))
        (func $work
          (call $dispatch (global.get $program) (i32.const 8208) (i32.const 1)
            (i32.const 256) (i32.const 1) (i32.const 1) (i32.const 8192))
          (if (i32.load8_u (i32.const 8192)) (then unreachable)))"#,
        wgsl.replace('\n', "\\n"),
        wgsl.len(),
    );
    let load = [("load", "(result i32) (call $load) (i32.const 0)")];
    component(&fields, &[&load, exports].concat())
}

fn engine(frame_budget: Duration) -> Engine {
    let limits = Limits { instances: 2, frame_budget, ..Limits::for_pixels(64 * 64) };
    Engine::start(limits, Gpu::new(Choice::Any), ShaderReader::none()).unwrap()
}

/// As many as a stream has.
const INTERVAL: Duration = Duration::from_millis(33);

/// Of frames; a driver in software compiles a shader when it is first needed, which may take some of the longer one.
const BUDGET: Duration = Duration::from_millis(40);
const PATIENT: Duration = Duration::from_secs(3);

const PATIENCE: Duration = Duration::from_secs(20);

const WORKS: (&str, &str) =
    ("process-video", "(param i32) (result i32) (call $work) (call $drop (local.get 0)) (i32.const 0)");
const IDLES: (&str, &str) = ("process-video", "(param i32) (result i32) (call $drop (local.get 0)) (i32.const 0)");

/// What ends a guest that is given pictures, if anything does; and what the GPU did for it.
async fn ended(guest: &[u8], frame_budget: Duration, updates: u32) -> (Option<Failure>, Done) {
    let engine = engine(frame_budget);
    let mut instance = instance(&engine, &compiled(&engine, guest)).await;
    instance.load().await.unwrap();
    instance.start("{}").await.unwrap();
    for _ in 0..updates {
        instance.update_params("{}").await.unwrap();
    }
    let (mut done, began) = (Done::default(), Instant::now());
    let failure = loop {
        let failure = match instance.video(&frame()).await {
            Ok(VideoResult::Unchanged) => None,
            Ok(other) => panic!("{other:?}"),
            Err(failure) => Some(failure),
        };
        let Done { operations, time } = instance.take_work().gpu.0[Kind::Program as usize];
        (done.operations, done.time) = (done.operations + operations, done.time + time);
        if failure.is_some() || done.operations >= 10 || began.elapsed() > PATIENCE {
            break failure;
        }
        tokio::time::sleep(INTERVAL).await;
    };
    // A process that ends while a driver in software closes a device may crash.
    std::mem::forget(engine.gpu().opened());
    (failure, done)
}

/// Catches work on the GPU that is not timed, since no picture comes down, and a guest that is not to blame for it.
#[tokio::test]
async fn pictures_that_pass_do_not_hide_what_the_gpu_does() {
    let (failure, _) = ended(&shader_guest(60_000, &[WORKS]), BUDGET, 0).await;
    assert!(matches!(failure, Some(Failure::Overrun(_))), "{failure:?}");
}

/// Catches the same in a call that is for no picture.
#[tokio::test]
async fn updates_of_params_do_not_hide_what_the_gpu_does() {
    let update = ("update-params", "(param i32 i32) (result i32) (call $work) (call $work) (i32.const 0)");
    let (failure, _) = ended(&shader_guest(60_000, &[update, IDLES]), BUDGET, 2).await;
    assert!(matches!(failure, Some(Failure::Overrun(_))), "{failure:?}");
}

/// Catches work that nobody waits for and that is not counted, and a guest that is blamed for a little of it.
#[tokio::test]
async fn what_nobody_waits_for_is_counted() {
    let (failure, done) = ended(&shader_guest(10, &[WORKS]), PATIENT, 0).await;
    assert_eq!(failure, None);
    assert!(done.operations >= 10, "{done:?}");
}

/// Catches pixels that are copied into a guest beyond what one call may copy.
#[tokio::test]
async fn pixels_come_back_within_what_a_call_copies() {
    let engine = engine(BUDGET);
    let fields = r#"
        (import "rillbox:processor/shader@0.1.0" "[static]image.zeros" (func $zeros (param i32 i32 i32)))
        (import "rillbox:processor/shader@0.1.0" "[method]image.pixels" (func $pixels (param i32 i32)))
        (memory (export "memory") 1)
        (func $read (param $side i32) (result i32)
          (call $zeros (local.get $side) (local.get $side) (i32.const 8192))
          (if (i32.load8_u (i32.const 8192)) (then unreachable))
          (call $pixels (i32.load (i32.const 8196)) (i32.const 8192))
          (i32.load8_u (i32.const 8192)))"#;
    // More than five bytes for each of 64² pixels, which is a `limit`.
    let load = "(result i32)
        (if (call $read (i32.const 16)) (then unreachable))
        (if (i32.eqz (call $read (i32.const 128))) (then unreachable))
        (if (i32.ne (i32.load8_u (i32.const 8196)) (i32.const 1)) (then unreachable))
        (i32.const 0)";
    let mut instance = instance(&engine, &compiled(&engine, &component(fields, &[("load", load)]))).await;
    instance.load().await.unwrap();
    std::mem::forget(engine.gpu().opened());
}
