//! The allocator: jemalloc, whose settings are in `.cargo/config.toml`. FFmpeg's frames come from it, too.

use std::alloc::{GlobalAlloc, Layout};

use tikv_jemallocator::Jemalloc;

/// jemalloc, but memory that is to be zero is written at once, as [`GlobalAlloc::alloc_zeroed`] does by itself.
///
/// What the system gives is zero without being there. A page of it that is read before it is written is mapped twice, and the second
/// time stops every other core: up to 30 µs a page on a virtual machine, which for the first convolution of a picture of 1280×720
/// was more than a frame's whole budget.
pub struct Allocator;

// SAFETY: jemalloc's own functions, with what they are called with.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { Jemalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { Jemalloc.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        unsafe { Jemalloc.realloc(memory, layout, size) }
    }
}
