//! `video`: handles to pictures.

use rillbox_gpu::{Download, Error as GpuError, Uploaded, Workspace};
use rillbox_media::{ColorMatrix, ColorRange, Picture, PixelFormat, TICKS_PER_SECOND, Ticks, convert};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceTable, WasmList};

use crate::sandbox::bindings::rillbox::processor::types::{Error, Rational, Timestamp};
use crate::sandbox::bindings::rillbox::processor::video as wit;
use crate::sandbox::context::Guest;
use crate::sandbox::graphics;
use crate::sandbox::imports::CallError;
use crate::sandbox::imports::error::settle;
use crate::sandbox::imports::pixels::Pixels;
use crate::sandbox::limits::Limits;

/// What a guest's handle of a picture stands for.
pub struct Frame {
    pub picture: Picture,
    pub pts: Ticks,
    /// The picture that takes this one's place if the call ends well.
    pub staged: Option<Staged>,
    /// Bytes counted against the guest: the handle is its own and outlives the call.
    pub retained: Option<usize>,
    /// The picture on its way to the GPU, where it is used more than once.
    pub uploaded: Option<Uploaded>,
}

impl Frame {
    /// As a call lends it.
    pub fn new(picture: Picture, pts: Ticks) -> Self {
        Self { picture, pts, staged: None, retained: None, uploaded: None }
    }
}

/// A picture in the place of another.
pub enum Staged {
    Picture(Picture),
    /// It comes from the GPU.
    Download(Download),
}

impl wit::Host for Guest {}

impl wit::HostVideoFrame for Guest {
    fn width(&mut self, frame: Resource<Frame>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&frame)?.picture.width())
    }

    fn height(&mut self, frame: Resource<Frame>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&frame)?.picture.height())
    }

    fn format(&mut self, _frame: Resource<Frame>) -> wasmtime::Result<wit::PixelFormat> {
        Ok(wit::PixelFormat::I420)
    }

    fn color(&mut self, frame: Resource<Frame>) -> wasmtime::Result<wit::Color> {
        let color = self.table.get(&frame)?.picture.color();
        let matrix = match color.matrix {
            ColorMatrix::Bt601 => wit::ColorMatrix::Bt601,
            ColorMatrix::Bt709 => wit::ColorMatrix::Bt709,
            ColorMatrix::Bt2020 => wit::ColorMatrix::Bt2020,
        };
        let range = match color.range {
            ColorRange::Limited => wit::ColorRange::Limited,
            ColorRange::Full => wit::ColorRange::Full,
        };
        Ok(wit::Color { matrix, range })
    }

    fn timestamp(&mut self, frame: Resource<Frame>) -> wasmtime::Result<Timestamp> {
        Ok(timestamp(self.table.get(&frame)?.pts))
    }

    /// Replaced by [`pixels`] in the linker: there the list is made where the guest gets it.
    fn pixels(&mut self, frame: Resource<Frame>, format: wit::PixelFormat) -> Result<Vec<u8>, CallError> {
        Ok(convert::read(&self.table.get(&frame)?.picture, pixel_format(format)))
    }

    /// Replaced by [`replace_pixels`] in the linker: there the list is read where the guest has it.
    fn replace_pixels(
        &mut self,
        frame: Resource<Frame>,
        format: wit::PixelFormat,
        width: u32,
        height: u32,
        data: Vec<u8>,
    ) -> Result<(), CallError> {
        stage(self, &frame, pixel_format(format), (width, height), &data)
    }

    fn retain(&mut self, frame: Resource<Frame>) -> Result<Resource<Frame>, CallError> {
        let source = self.table.get(&frame)?;
        let (picture, pts) = (source.picture.clone(), source.pts);
        let bytes = picture.bytes();
        if !self.budget.reserve(bytes) {
            return Err(CallError::limit(format!(
                "a retained frame of {bytes} bytes does not fit into the memory limit"
            )));
        }
        self.table.push(Frame { retained: Some(bytes), ..Frame::new(picture, pts) }).map_err(|_| {
            self.budget.release(bytes);
            self.no_handle().into()
        })
    }

    fn drop(&mut self, frame: Resource<Frame>) -> wasmtime::Result<()> {
        let frame = self.table.delete(frame)?;
        self.budget.release(frame.retained.unwrap_or(0));
        Ok(())
    }
}

const INTERFACE: &str = "rillbox:processor/video@0.1.0";

/// Puts forms of `pixels` and `replace-pixels` over the generated ones that make no list of their own.
pub fn add_uncopied(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut interface = linker.instance(INTERFACE)?;
    interface.func_wrap("[method]video-frame.pixels", pixels)?;
    interface.func_wrap("[method]video-frame.replace-pixels", replace_pixels)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// How many times the pixels of a picture the one in its place may have: the host has to encode what a guest makes.
const MAX_GROWTH: u64 = 4;

/// So many it may have at any rate.
const ENLARGED: u64 = 1280 * 720;

type Reading = (Resource<Frame>, wit::PixelFormat);

fn pixels(store: StoreContextMut<'_, Guest>, (frame, format): Reading) -> wasmtime::Result<(Result<Pixels, Error>,)> {
    let picture = store.data().table.get(&frame)?.picture.clone();
    Ok((Ok(Pixels::new(picture, pixel_format(format))),))
}

type Staging = (Resource<Frame>, wit::PixelFormat, u32, u32, WasmList<u8>);

fn replace_pixels(store: StoreContextMut<'_, Guest>, staging: Staging) -> wasmtime::Result<(Result<(), Error>,)> {
    settle(stage_uncopied(store, staging))
}

fn stage_uncopied(
    mut store: StoreContextMut<'_, Guest>,
    (frame, format, width, height, data): Staging,
) -> Result<(), CallError> {
    let guest = store.data();
    may_stage(&guest.table, &guest.limits, &frame, (width, height))?;
    let color = guest.table.get(&frame)?.picture.color();
    let made = convert::write(pixel_format(format), width, height, data.as_le_slice(&store), color)?;
    commit(store.data_mut(), &frame, made)
}

/// Makes something of the frame's picture on the GPU. It goes there once, whatever is made of it, unless it is retained: then
/// what is made of it stays.
pub fn on_gpu<T>(
    frame: &mut Frame,
    workspace: &mut Workspace,
    make: impl FnOnce(&mut Workspace, &Uploaded) -> Result<T, GpuError>,
) -> Result<T, GpuError> {
    let sent = match frame.uploaded.take() {
        Some(sent) => sent,
        None => workspace.send(&graphics::planes(&frame.picture), graphics::color(frame.picture.color()))?,
    };
    let made = make(workspace, &sent);
    frame.uploaded = frame.retained.is_none().then_some(sent);
    made
}

pub fn stage(
    guest: &mut Guest,
    frame: &Resource<Frame>,
    format: PixelFormat,
    size: (u32, u32),
    data: &[u8],
) -> Result<(), CallError> {
    may_stage(&guest.table, &guest.limits, frame, size)?;
    let color = guest.table.get(frame)?.picture.color();
    let made = convert::write(format, size.0, size.1, data, color)?;
    commit(guest, frame, made)
}

/// Whether a picture of this size may take a frame's place.
pub fn may_stage(
    table: &ResourceTable,
    limits: &Limits,
    frame: &Resource<Frame>,
    (width, height): (u32, u32),
) -> Result<(), CallError> {
    let replaced = table.get(frame)?;
    if replaced.retained.is_some() {
        return Err(CallError::invalid("a retained frame cannot be replaced"));
    }
    let source = u64::from(replaced.picture.width()) * u64::from(replaced.picture.height());
    let limit = limits.pixels.min(ENLARGED.max(MAX_GROWTH * source));
    if u64::from(width) * u64::from(height) > limit {
        return Err(CallError::limit(format!("{width}×{height} is more than {limit} pixels in the place of {source}")));
    }
    Ok(())
}

fn commit(guest: &mut Guest, frame: &Resource<Frame>, made: Picture) -> Result<(), CallError> {
    guest.table.get_mut(frame)?.staged = Some(Staged::Picture(made));
    Ok(())
}

/// A time in the contract's form.
pub fn timestamp(pts: Ticks) -> Timestamp {
    let time_base = Rational { numerator: 1, denominator: TICKS_PER_SECOND as u32 };
    Timestamp { ticks: pts.0, time_base }
}

/// A format in media's terms.
pub fn pixel_format(format: wit::PixelFormat) -> PixelFormat {
    match format {
        wit::PixelFormat::I420 => PixelFormat::I420,
        wit::PixelFormat::Nv12 => PixelFormat::Nv12,
        wit::PixelFormat::Rgba8 => PixelFormat::Rgba8,
        wit::PixelFormat::Rgb8 => PixelFormat::Rgb8,
        wit::PixelFormat::Gray8 => PixelFormat::Gray8,
    }
}
