//! `video`: frames as the host's resources.

use super::types;
use crate::wasm::bindings::rillbox::processor::video as wire;
use crate::{Color, ColorMatrix, ColorRange, PixelFormat, Refusal, Timestamp};

pub(crate) use wire::VideoFrame as Handle;

pub(crate) fn width(frame: &Handle) -> u32 {
    frame.width()
}

pub(crate) fn height(frame: &Handle) -> u32 {
    frame.height()
}

pub(crate) fn format(frame: &Handle) -> PixelFormat {
    match frame.format() {
        wire::PixelFormat::I420 => PixelFormat::I420,
        wire::PixelFormat::Nv12 => PixelFormat::Nv12,
        wire::PixelFormat::Rgba8 => PixelFormat::Rgba8,
        wire::PixelFormat::Rgb8 => PixelFormat::Rgb8,
        wire::PixelFormat::Gray8 => PixelFormat::Gray8,
    }
}

pub(crate) fn wire_format(format: PixelFormat) -> wire::PixelFormat {
    match format {
        PixelFormat::I420 => wire::PixelFormat::I420,
        PixelFormat::Nv12 => wire::PixelFormat::Nv12,
        PixelFormat::Rgba8 => wire::PixelFormat::Rgba8,
        PixelFormat::Rgb8 => wire::PixelFormat::Rgb8,
        PixelFormat::Gray8 => wire::PixelFormat::Gray8,
    }
}

pub(crate) fn color(frame: &Handle) -> Color {
    let wire::Color { matrix, range } = frame.color();
    Color {
        matrix: match matrix {
            wire::ColorMatrix::Bt601 => ColorMatrix::Bt601,
            wire::ColorMatrix::Bt709 => ColorMatrix::Bt709,
            wire::ColorMatrix::Bt2020 => ColorMatrix::Bt2020,
        },
        range: match range {
            wire::ColorRange::Limited => ColorRange::Limited,
            wire::ColorRange::Full => ColorRange::Full,
        },
    }
}

pub(crate) fn timestamp(frame: &Handle) -> Timestamp {
    types::timestamp(frame.timestamp())
}

pub(crate) fn pixels(frame: &Handle, format: PixelFormat) -> Result<Vec<u8>, Refusal> {
    frame.pixels(wire_format(format)).map_err(types::refusal)
}

pub(crate) fn replace_pixels(
    frame: &Handle,
    format: PixelFormat,
    width: u32,
    height: u32,
    data: &[u8],
) -> Result<(), Refusal> {
    frame.replace_pixels(wire_format(format), width, height, data).map_err(types::refusal)
}

pub(crate) fn retain(frame: &Handle) -> Result<Handle, Refusal> {
    frame.retain().map_err(types::refusal)
}
