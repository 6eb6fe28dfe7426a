//! Pictures and shaders on a GPU, for code that nobody trusts.
//!
//! A [`Gpu`] stands for the device that was chosen, opens it when somebody first needs it, and opens it anew when it was
//! lost. A [`Program`] is a compute shader in WGSL that has been checked ([`limits`]) and whose loops end. A
//! [`Workspace`] is one user's part of the device: [`Image`]s and [`Buffer`]s, and commands that are recorded and go to
//! the device together. A picture goes up as the planes that a decoder gives, Y′CbCr 4:2:0, and comes down as such:
//! [`Download`] is one on its way. Tensors of `rillbox_compute` can be on the device, too, and operations on them are kernels there.
//!
//! No handles, no guests, no frames' times.

mod adapter;
mod choice;
pub mod color;
mod device;
mod download;
mod error;
mod fuel;
mod gpu;
mod left;
pub mod limits;
mod line;
mod module;
mod owner;
mod planes;
mod pool;
mod program;
mod source;
mod submission;
mod tensor;
mod usage;
mod workspace;

pub use choice::{Choice, ParseChoiceError};
pub use color::{Color, Matrix, Range};
pub use device::{Device, HANG_TIMEOUT, Info};
pub use download::{Bytes, Download};
pub use error::Error;
pub use gpu::Gpu;
pub use planes::{Planes, PlanesLayout};
pub use program::Program;
pub use source::{Access, Kind, check};
pub use tensor::{Elements, TensorRead, bytes_of};
pub use usage::{Pass, Share, Usage};
pub use workspace::{Binding, Buffer, Filter, Image, Uploaded, Workspace};
