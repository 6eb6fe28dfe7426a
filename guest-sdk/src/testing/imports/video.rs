//! `video`: frames as pictures in memory.

use std::cell::RefCell;
use std::rc::Rc;

use crate::testing::Picture;
use crate::{Color, PixelFormat, Refusal, Timestamp};

/// A frame: its source, and what may take its place.
pub(crate) struct Handle {
    source: Rc<Picture>,
    timestamp: Timestamp,
    staged: RefCell<Option<Picture>>,
    retained: bool,
}

impl Handle {
    pub(crate) fn new(source: Picture, timestamp: Timestamp) -> Self {
        Self { source: Rc::new(source), timestamp, staged: RefCell::default(), retained: false }
    }

    /// The source, and what was staged.
    pub(crate) fn into_pictures(self) -> (Picture, Option<Picture>) {
        (Rc::unwrap_or_clone(self.source), self.staged.into_inner())
    }
}

pub(crate) fn width(frame: &Handle) -> u32 {
    frame.source.width()
}

pub(crate) fn height(frame: &Handle) -> u32 {
    frame.source.height()
}

/// What the host holds, however the test made its picture.
pub(crate) fn format(_frame: &Handle) -> PixelFormat {
    PixelFormat::I420
}

pub(crate) fn color(frame: &Handle) -> Color {
    frame.source.color()
}

pub(crate) fn timestamp(frame: &Handle) -> Timestamp {
    frame.timestamp
}

pub(crate) fn pixels(frame: &Handle, format: PixelFormat) -> Result<Vec<u8>, Refusal> {
    let mut data = frame.source.to(format).data().to_vec();
    if format == PixelFormat::Rgba8 {
        data.iter_mut().skip(3).step_by(4).for_each(|alpha| *alpha = 255);
    }
    Ok(data)
}

/// Pixels that a picture may have in the place of one with `source`: the host has to encode them.
fn most_pixels(source: u64) -> u64 {
    (4 * source).max(1280 * 720)
}

pub(crate) fn replace_pixels(
    frame: &Handle,
    format: PixelFormat,
    width: u32,
    height: u32,
    data: &[u8],
) -> Result<(), Refusal> {
    let refused = |why: String| Err(Refusal::Invalid(why));
    if frame.retained {
        return refused("a retained frame is not shown".into());
    }
    if width == 0 || height == 0 || !width.is_multiple_of(2) || !height.is_multiple_of(2) {
        return refused(format!("{width}×{height}: sides are even and not 0"));
    }
    let pixels = |width: u32, height: u32| u64::from(width) * u64::from(height);
    let most = most_pixels(pixels(frame.source.width(), frame.source.height()));
    if pixels(width, height) > most {
        return Err(Refusal::Limit(format!("{width}×{height} is more than {most} pixels")));
    }
    let expected = format.bytes(width, height);
    if data.len() != expected {
        return refused(format!("{} bytes where {width}×{height} {format:?} has {expected}", data.len()));
    }
    let picture = Picture::from_bytes(format, width, height, data.to_vec());
    frame.staged.replace(Some(picture.with_color(frame.source.color())));
    Ok(())
}

pub(crate) fn retain(frame: &Handle) -> Result<Handle, Refusal> {
    Ok(Handle {
        source: Rc::clone(&frame.source),
        timestamp: frame.timestamp,
        staged: RefCell::default(),
        retained: true,
    })
}
