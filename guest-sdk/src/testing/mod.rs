//! Runs a processor natively against an in-memory host, for `cargo test`.
//!
//! A [`Harness`] treats the processor as the host does: params are merged and checked against its schema, a picture is replaced
//! only when the processor says so, an error leaves the original, a frame keeps its time, and what the processor logs,
//! publishes and emits is kept. A processor whose tracks are apart has an instance for each. What it leaves out: limits of memory
//! and time, on sound that is given back and on where requests go; recovery after a panic (the test fails instead); of the schema
//! all but required keys and the ranges of top-level numbers; the host's own params.
//!
//! ```
//! use rillbox_sdk::testing::{Harness, Picture};
//! use rillbox_sdk::{
//!     Error, NoParams, PixelFormat, Processor, Result, VideoFrame, VideoOutcome, serde_json::json,
//! };
//!
//! #[derive(Default)]
//! struct Blank;
//!
//! impl Processor for Blank {
//!     type Params = NoParams;
//!
//!     fn start(&mut self, _: NoParams) -> Result<()> {
//!         Ok(())
//!     }
//!
//!     fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
//!         let black = vec![16; PixelFormat::Gray8.bytes(2, 2)];
//!         frame.replace_pixels(PixelFormat::Gray8, 2, 2, &black)?;
//!         Ok(VideoOutcome::Replaced)
//!     }
//! }
//!
//! let mut blank = Harness::<Blank>::new(json!({}))?;
//! let shown = blank.video(Picture::solid(PixelFormat::I420, 64, 48, [0, 200, 0]));
//! assert_eq!(shown.result?, VideoOutcome::Replaced);
//! assert_eq!(shown.picture.map(|picture| picture.pixel(1, 1)), Some([0, 0, 0]));
//! # Ok::<(), Error>(())
//! ```

mod convert;
mod harness;
pub(crate) mod imports;
mod params;
mod picture;
mod sound;
mod stream;

pub use harness::{AudioOutput, Harness, VideoOutput};
pub use picture::Picture;
pub use sound::Sound;
pub use stream::{Event, LogLine};

/// Whether a component may have this name: letters, digits, `-` and `_`, 1 to 64 of them.
#[doc(hidden)]
pub const fn is_component_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !(bytes[at].is_ascii_alphanumeric() || bytes[at] == b'-' || bytes[at] == b'_') {
            return false;
        }
        at += 1;
    }
    !bytes.is_empty() && bytes.len() <= 64
}
