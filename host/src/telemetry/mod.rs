//! What the program tells of itself and of its machine: logs, the process's own use, GPUs.

mod gpus;
mod log;
mod process;

pub use gpus::{Gpu, Gpus};
pub use log::{LogFormat, init};
pub use process::Usage;
