//! What a shader may be, and do.
//!
//! A GPU stops nothing by itself: what a shader can take is bounded before it runs. The numbers are far above what filters of
//! pictures need.

/// Bytes of WGSL.
pub const SOURCE: usize = 64 << 10;

/// Invocations of a workgroup, x · y · z: WebGPU's own limit.
pub const WORKGROUP: u32 = 256;

/// Bytes of `var<workgroup>`: WebGPU's own limit.
pub const WORKGROUP_MEMORY: u32 = 16 << 10;

/// Bytes of any one value, and of all `var<private>` and local variables together: each invocation has them.
pub const PRIVATE_MEMORY: u32 = 2 << 10;

/// Bindings, all in group 0.
pub const BINDINGS: usize = 16;

/// Bytes of `var<uniform>`.
pub const UNIFORM: u32 = 16 << 10;

/// Steps of straight code, with functions counted where they are called, and values by their size.
pub const STEPS: u64 = 32 << 10;

/// Blocks in blocks, of which each `else if` is one.
pub const DEPTH: usize = 128;

/// Invocations of one dispatch: a picture of 16384² in four parts.
pub const INVOCATIONS: u64 = 1 << 26;

/// Dispatches that one frame may have.
pub const DISPATCHES: u32 = 64;

/// Operations on tensors that one frame may have.
pub const TASKS: u32 = 1_024;

/// Bytes of one user's tensors on the device, with those that are kept for the next.
pub const TENSOR_BYTES: usize = 512 << 20;

/// Bytes of images, buffers and copies that one frame may make.
pub const BYTES: usize = 256 << 20;

/// The same of one user's frames that the device may not have finished yet, together: what is dropped stays for as long. As many frames
/// as a stream has on their way can have all that one may.
pub const BYTES_UNFINISHED: usize = 3 * BYTES;

/// Submissions of one user that the device may not have finished yet.
pub const RUNNING: usize = 8;

/// Rounds that all loops of all invocations may take in one frame. A dispatch gets an eighth of what is left, shared
/// equally between its invocations: more than 1,000 rounds each for the first one over 1920×1080 pixels. A shader of more than
/// [`ROUND`] steps takes as many times more of them.
pub const ROUNDS: u64 = 1 << 34;

/// Steps of straight code that count as a round.
pub const ROUND: u64 = 256;

/// Rounds that one invocation's loops may take at most, whatever the share.
pub const ROUNDS_EACH: u64 = 65_535;
