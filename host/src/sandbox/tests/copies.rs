//! How often pixels are copied: into the guest, and out of it, with nothing in between.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::sandbox::instance::VideoResult;
use crate::sandbox::tests::component::{compiled, component, engine, frame, instance};

/// The system's allocator, which remembers how large the largest piece was.
struct Watched;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

// SAFETY: the system's own functions, with what they are called with; a thread's cell is neither allocated nor dropped.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.set(LARGEST.get().max(layout.size()));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Bytes of the picture, as the guest has it.
const RGBA: usize = 64 * 48 * 4;

/// Catches pixels that the host keeps for itself on their way into a guest, or out of one: a third copy.
#[tokio::test]
async fn pixels_go_into_a_guest_and_out_again_without_a_buffer_between() {
    let fields = format!(
        r#"
        (import "rillbox:processor/video@0.1.0" "[resource-drop]video-frame" (func $drop (param i32)))
        (import "rillbox:processor/video@0.1.0" "[method]video-frame.pixels" (func $pixels (param i32 i32 i32)))
        (import "rillbox:processor/video@0.1.0" "[method]video-frame.replace-pixels"
          (func $replace (param i32 i32 i32 i32 i32 i32 i32)))
        (memory (export "memory") 1)
        (func $swap (param $frame i32)
          ;; Format 2 is rgba8; the list comes where all that is allocated comes, at 1024.
          (call $pixels (local.get $frame) (i32.const 2) (i32.const 32768))
          (if (i32.load8_u (i32.const 32768)) (then unreachable))
          (if (i32.ne (i32.load (i32.const 32776)) (i32.const {RGBA})) (then unreachable))
          (call $replace (local.get $frame) (i32.const 2) (i32.const 64) (i32.const 48)
            (i32.load (i32.const 32772)) (i32.load (i32.const 32776)) (i32.const 32784))
          (if (i32.load8_u (i32.const 32784)) (then unreachable))
          (call $drop (local.get $frame))
          ;; `replaced`
          (i32.store8 (i32.const 32804) (i32.const 1)))"#
    );
    let swaps = ("process-video", "(param i32) (result i32) (call $swap (local.get 0)) (i32.const 32800)");
    let engine = engine(2, || 0);
    let mut instance = instance(&engine, &compiled(&engine, &component(&fields, &[swaps]))).await;
    instance.start("{}").await.unwrap();
    let picture = frame();
    for round in 0..3 {
        LARGEST.set(0);
        let result = instance.video(&picture).await.unwrap();
        // The first call makes what is made once.
        assert!(round == 0 || LARGEST.get() < RGBA, "{} bytes at once, for a picture of {RGBA}", LARGEST.get());
        assert!(matches!(result, VideoResult::Replaced(_)), "{result:?}");
    }
}
