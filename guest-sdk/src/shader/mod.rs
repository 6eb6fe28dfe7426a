//! Compute shaders in WGSL on the host's GPU: a picture goes up, is worked on there and comes down, without entering
//! the processor.
//!
//! ```no_run
//! # use rillbox_sdk::{Refusal, VideoFrame, shader::{Binding, Image, Shader, Uniform}};
//! # fn load() -> Result<Shader, Refusal> {
//! let shader = Shader::new(
//!     "@group(0) @binding(0) var source: texture_2d<f32>;
//!     @group(0) @binding(1) var shown: texture_storage_2d<rgba8unorm, write>;
//!     @group(0) @binding(2) var<uniform> gain: vec4<f32>;
//!
//!     @compute @workgroup_size(8, 8)
//!     fn main(@builtin(global_invocation_id) id: vec3<u32>) {
//!         textureStore(shown, id.xy, textureLoad(source, id.xy, 0) * gain);
//!     }",
//! )?;
//! # Ok(shader)
//! # }
//! # fn process(shader: &Shader, frame: &mut VideoFrame) -> Result<(), Refusal> {
//! let source = frame.image()?;
//! let shown = Image::zeros(source.width(), source.height())?;
//! let gain = Uniform::new().vec4f([1.1, 1.0, 0.9, 1.0]);
//! let bindings = [(0, Binding::Image(&source)), (1, Binding::Image(&shown)), (2, gain.binding())];
//! shader.dispatch(&bindings, shown.workgroups(8, 8))?;
//! frame.replace_image(&shown)
//! # }
//! ```
//!
//! `wit/shader.wit` of the contract says what a shader may be and do: its loops share a number of rounds, and its numbers
//! of dispatches, bindings and bytes are bounded. On a host without a GPU everything here is [`Refusal::Unsupported`].
//!
//! In tests, shaders run on what the machine has: a GPU, or Mesa's lavapipe (`apt-get install mesa-vulkan-drivers`).

mod uniform;

use std::fmt;

use crate::imports::shader as host;
use crate::tensor::{ElementType, Tensor};
use crate::{Refusal, VideoFrame};

pub use uniform::Uniform;

/// Pixels of 4 bytes on the GPU: red, green, blue, alpha, which shaders see as 0 to 1.
pub struct Image(pub(crate) host::Image);

impl Image {
    /// All zero. Sides from 1 to what the GPU takes, at least 8192.
    pub fn zeros(width: u32, height: u32) -> Result<Self, Refusal> {
        host::image_zeros(width, height).map(Self)
    }

    /// From as many bytes as the size asks, row by row: one copy.
    pub fn from_pixels(width: u32, height: u32, pixels: &[u8]) -> Result<Self, Refusal> {
        host::image_from_pixels(width, height, pixels).map(Self)
    }

    /// Pixels a row.
    pub fn width(&self) -> u32 {
        host::image_width(&self.0)
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        host::image_height(&self.0)
    }

    /// The bytes, row by row: waits for the GPU, and copies once.
    pub fn pixels(&self) -> Result<Vec<u8>, Refusal> {
        host::image_pixels(&self.0)
    }

    /// As many workgroups of `columns` × `rows` invocations as cover it.
    pub fn workgroups(&self, columns: u32, rows: u32) -> [u32; 3] {
        [self.width().div_ceil(columns.max(1)), self.height().div_ceil(rows.max(1)), 1]
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image").field("width", &self.width()).field("height", &self.height()).finish_non_exhaustive()
    }
}

/// Bytes on the GPU.
pub struct Buffer(pub(crate) host::Buffer);

impl Buffer {
    /// So many, ≥ 1, all zero.
    pub fn zeros(bytes: u32) -> Result<Self, Refusal> {
        host::buffer_zeros(bytes).map(Self)
    }

    /// A tensor's elements, as [`Tensor::bytes`].
    pub fn from_tensor(tensor: &Tensor) -> Result<Self, Refusal> {
        host::buffer_from_tensor(tensor.handle()?).map(Self)
    }

    /// How many.
    pub fn size(&self) -> u32 {
        host::buffer_size(&self.0)
    }

    /// The bytes as a tensor: as many as element and shape ask. Of `F32` and `I32` they stay on the GPU where tensors
    /// are there; else this waits for it, and copies once.
    pub fn tensor(&self, element: ElementType, shape: &[u32]) -> Tensor {
        Tensor::new(host::buffer_tensor(&self.0, element, shape))
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("size", &self.size()).finish_non_exhaustive()
    }
}

/// How a sampler reads between pixels. Beyond an image it reads the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// The nearest pixel.
    Nearest,
    /// A weighted mean of four.
    Linear,
}

/// What is bound to a number that a shader declares.
#[derive(Clone, Copy, Debug)]
pub enum Binding<'a> {
    /// To `texture_2d<f32>` or `texture_storage_2d<rgba8unorm, write>`.
    Image(&'a Image),
    /// To `var<storage>` or `var<storage, read_write>`, whose size it has at least.
    Buffer(&'a Buffer),
    /// To `var<uniform>`, of exactly this size, laid out as WGSL says: see [`Uniform`].
    Uniform(&'a [u8]),
    /// To `sampler`.
    Sampler(Filter),
}

/// A compiled shader.
pub struct Shader(host::Program);

impl Shader {
    /// Compiles one, which takes time and belongs into `load` or `start`. [`Refusal::Invalid`] says in which line and
    /// column a shader does not validate.
    pub fn new(wgsl: &str) -> Result<Self, Refusal> {
        host::compile(wgsl).map(Self)
    }

    /// Runs it in this many workgroups along each axis, with something bound to each number that it declares. What it
    /// writes can be bound to one number only.
    pub fn dispatch(&self, bindings: &[(u32, Binding<'_>)], workgroups: [u32; 3]) -> Result<(), Refusal> {
        host::dispatch(&self.0, bindings, workgroups)
    }
}

impl fmt::Debug for Shader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shader").finish_non_exhaustive()
    }
}

impl VideoFrame<'_> {
    /// The source picture on the GPU, converted there; alpha is 255.
    pub fn image(&self) -> Result<Image, Refusal> {
        host::image_from_frame(self.handle()).map(Image)
    }

    /// Stages an image, as it is now, as the new picture, as [`replace_pixels`](Self::replace_pixels) does. Sides are
    /// even.
    pub fn replace_image(&mut self, image: &Image) -> Result<(), Refusal> {
        host::replace_frame(&image.0, self.handle())
    }
}
