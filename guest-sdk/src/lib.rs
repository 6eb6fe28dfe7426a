//! Write processors of live video and audio for rillbox.
//!
//! A processor is a type that implements [`Processor`], handed to [`export!`], in a crate of type `cdylib` built for
//! `wasm32-wasip2`. The host calls it for each frame of a stream; what it does not touch is neither converted nor copied.
//!
//! ```
//! use rillbox_sdk::{ColorRange, I420Mut, PixelFormat, Processor, Result, VideoFrame, VideoOutcome};
//!
//! /// What a user of the stream can set; the doc comments become the schema's descriptions.
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(default)]
//! struct Params {
//!     /// Luma is multiplied by this.
//!     #[schemars(range(min = 0.0, max = 1.0))]
//!     gain: f32,
//! }
//!
//! impl Default for Params {
//!     fn default() -> Self {
//!         Self { gain: 0.5 }
//!     }
//! }
//!
//! #[derive(Default)]
//! struct Dim(Params);
//!
//! impl Processor for Dim {
//!     type Params = Params;
//!
//!     fn start(&mut self, params: Params) -> Result<()> {
//!         self.0 = params;
//!         Ok(())
//!     }
//!
//!     fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
//!         let (width, height) = (frame.width(), frame.height());
//!         let mut data = frame.pixels(PixelFormat::I420)?;
//!         let Some(planes) = I420Mut::split(&mut data, width, height) else { return Ok(VideoOutcome::Unchanged) };
//!         let black = if frame.color().range == ColorRange::Full { 0 } else { 16 };
//!         for luma in planes.y {
//!             *luma = black + (f32::from(luma.saturating_sub(black)) * self.0.gain) as u8;
//!         }
//!         frame.replace_pixels(PixelFormat::I420, width, height, &data)?;
//!         Ok(VideoOutcome::Replaced)
//!     }
//! }
//!
//! rillbox_sdk::export!(Dim);
//! ```
//!
//! A crate that depends on the SDK alone names its re-exports in the derives:
//!
//! ```
//! use rillbox_sdk::{schemars::JsonSchema, serde::Deserialize};
//!
//! #[derive(Deserialize, JsonSchema)]
//! #[serde(crate = "rillbox_sdk::serde")]
//! #[schemars(crate = "rillbox_sdk::schemars")]
//! struct Params {
//!     text: String,
//! }
//! ```
//!
//! What not every processor needs is a feature of this crate, and only what is asked for is imported from the host:
//!
//! * `tensor`: arrays that the host works on, for arithmetic on every pixel without the pixels entering the processor.
//! * `shader`: compute shaders in WGSL on the host's GPU; brings `tensor` along.
//! * `http`: requests to services.
//!
//! `cargo doc --open --package rillbox-sdk` in the processor's own crate shows those that it has switched on.
//!
//! The same code runs natively against an in-memory host: see `testing`, which exists on every target but WebAssembly.

// `rillbox_sdk::…` also names this crate from inside, where the generated bindings need it.
extern crate self as rillbox_sdk;

mod audio;
pub mod clock;
pub mod data;
mod error;
mod export;
#[cfg(feature = "http")]
pub mod http;
pub mod log;
mod params;
mod planes;
mod processor;
#[cfg(feature = "shader")]
pub mod shader;
#[cfg(feature = "tensor")]
pub mod tensor;
mod time;
mod video;

#[cfg(not(target_family = "wasm"))]
pub mod testing;
#[cfg(not(target_family = "wasm"))]
use testing::imports;

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod wasm;
#[cfg(target_family = "wasm")]
use wasm::imports;

pub use audio::{AudioFrame, SampleOrder};
pub use error::{Error, Refusal, Result};
pub use params::NoParams;
pub use planes::{I420, I420Mut};
pub use processor::{Isolation, Media, Processor, VideoOutcome};
pub use time::{Rational, Timestamp};
pub use video::{Color, ColorMatrix, ColorRange, PixelFormat, RetainedVideoFrame, VideoFrame};

/// For params without a dependency on schemars: `#[schemars(crate = "rillbox_sdk::schemars")]`.
pub use schemars;
/// For params without a dependency on serde: `#[serde(crate = "rillbox_sdk::serde")]`.
pub use serde;
/// For values handed to [`data::publish`], [`data::emit`] and the test harness: `serde_json::json!`.
pub use serde_json;
