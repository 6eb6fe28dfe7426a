//! Decoders: access units become frames.

mod audio;
mod opus;
mod parser;
mod samples;
mod video;

pub(crate) use audio::{AudioDecoder, layout_name};
pub(crate) use video::VideoDecoder;

use ffmpeg_next::{Codec, Packet, codec};

/// A packet with FFmpeg's padding, timed in 90 kHz ticks.
fn packet(data: &[u8], pts: Option<i64>, dts: Option<i64>) -> Packet {
    let mut packet = Packet::copy(data);
    packet.set_pts(pts);
    packet.set_dts(dts);
    packet
}

/// A context for one thread: slices are decoded by it alone, and no frame waits for another.
fn context(codec: Codec) -> codec::Context {
    let mut context = codec::Context::new_with_codec(codec);
    context.set_threading(codec::threading::Config {
        kind: codec::threading::Type::Slice,
        count: 1,
        ..Default::default()
    });
    context
}
