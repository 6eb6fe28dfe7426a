//! `shader`: what the machine has, a GPU or one in software, used as the host uses it.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rillbox_gpu as gpu;
use rillbox_gpu::{Choice, Gpu, Planes, Workspace};

use super::{tensor, video};
use crate::shader::{Binding, Filter};
use crate::tensor::ElementType;
use crate::{Color, ColorMatrix, ColorRange, I420, PixelFormat, Refusal};

pub(crate) use rillbox_gpu::{Buffer, Image, Program};

/// A device in software takes its time.
const TIME: Duration = Duration::from_secs(60);

static GPU: LazyLock<Gpu> = LazyLock::new(|| Gpu::new(Choice::Any));

/// Of all tests: what is in a static is never dropped, and wgpu cannot be when a thread ends.
static WORKSPACE: Mutex<Option<Workspace>> = Mutex::new(None);

fn workspace() -> MutexGuard<'static, Option<Workspace>> {
    WORKSPACE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A call of the processor begins: it may do as much as in a frame.
pub(crate) fn begin() {
    if let Some(workspace) = &mut *workspace() {
        workspace.begin(TIME);
    }
}

fn with<T>(work: impl FnOnce(&mut Workspace) -> Result<T, gpu::Error>) -> Result<T, Refusal> {
    let mut place = workspace();
    let workspace = match place.take() {
        Some(workspace) => workspace,
        None => GPU.open().and_then(|device| Workspace::new(&device)).map_err(refusal)?,
    };
    work(place.insert(workspace)).map_err(refusal)
}

fn refusal(error: gpu::Error) -> Refusal {
    match error {
        gpu::Error::Invalid(why) => Refusal::Invalid(why),
        gpu::Error::Limit(why) => Refusal::Limit(why),
        error => Refusal::Unsupported(error.to_string()),
    }
}

pub(crate) fn image_zeros(width: u32, height: u32) -> Result<Image, Refusal> {
    with(|workspace| workspace.image(width, height))
}

pub(crate) fn image_from_frame(frame: &video::Handle) -> Result<Image, Refusal> {
    let (width, height) = (video::width(frame), video::height(frame));
    let data = video::pixels(frame, PixelFormat::I420)?;
    let Some(I420 { y, cb, cr, chroma_width, .. }) = I420::split(&data, width, height) else {
        return Err(Refusal::Invalid(format!("{width}×{height}: sides are even")));
    };
    let planes = Planes { width, height, planes: [(y, width as usize), (cb, chroma_width), (cr, chroma_width)] };
    with(|workspace| workspace.upload(&planes, color(video::color(frame))))
}

pub(crate) fn image_from_pixels(width: u32, height: u32, pixels: &[u8]) -> Result<Image, Refusal> {
    with(|workspace| workspace.pixels(width, height, pixels))
}

pub(crate) fn image_width(image: &Image) -> u32 {
    image.size().0
}

pub(crate) fn image_height(image: &Image) -> u32 {
    image.size().1
}

pub(crate) fn image_pixels(image: &Image) -> Result<Vec<u8>, Refusal> {
    with(|workspace| {
        let bytes = workspace.read_image(image)?;
        workspace.submit()?;
        Ok(bytes.wait(TIME)?.0)
    })
}

pub(crate) fn replace_frame(image: &Image, frame: &video::Handle) -> Result<(), Refusal> {
    let (width, height) = image.size();
    let pixels = with(|workspace| {
        let download = workspace.download(image, color(video::color(frame)))?;
        workspace.submit()?;
        Ok(download.wait(TIME, |planes| packed(&planes))?.0)
    })?;
    video::replace_pixels(frame, PixelFormat::I420, width, height, &pixels)
}

/// Planes one after the other, rows not padded.
fn packed(planes: &Planes<'_>) -> Vec<u8> {
    let (width, height) = (planes.width as usize, planes.height as usize);
    let sizes = [(width, height), (width / 2, height / 2), (width / 2, height / 2)];
    let rows =
        planes.planes.into_iter().zip(sizes).flat_map(|((bytes, stride), (width, height))| {
            bytes.chunks(stride).take(height).map(move |row| &row[..width])
        });
    rows.flatten().copied().collect()
}

pub(crate) fn buffer_zeros(bytes: u32) -> Result<Buffer, Refusal> {
    with(|workspace| workspace.buffer(bytes as usize))
}

pub(crate) fn buffer_from_tensor(tensor: &tensor::Handle) -> Result<Buffer, Refusal> {
    with(|workspace| workspace.bytes(tensor.bytes()))
}

pub(crate) fn buffer_size(buffer: &Buffer) -> u32 {
    buffer.bytes() as u32
}

pub(crate) fn buffer_tensor(buffer: &Buffer, element: ElementType, shape: &[u32]) -> Result<tensor::Handle, Refusal> {
    let bytes = with(|workspace| {
        let bytes = workspace.read_buffer(buffer)?;
        workspace.submit()?;
        Ok(bytes.wait(TIME)?.0)
    })?;
    tensor::from_bytes(element, shape, &bytes)
}

pub(crate) fn compile(wgsl: &str) -> Result<Program, Refusal> {
    with(|workspace| workspace.device().compile(wgsl))
}

pub(crate) fn dispatch(
    program: &Program,
    bindings: &[(u32, Binding<'_>)],
    workgroups: [u32; 3],
) -> Result<(), Refusal> {
    let bindings: Vec<_> = bindings
        .iter()
        .map(|(number, binding)| {
            let binding = match binding {
                Binding::Image(image) => gpu::Binding::Image(&image.0),
                Binding::Buffer(buffer) => gpu::Binding::Buffer(&buffer.0),
                Binding::Uniform(bytes) => gpu::Binding::Uniform(bytes),
                Binding::Sampler(Filter::Nearest) => gpu::Binding::Sampler(gpu::Filter::Nearest),
                Binding::Sampler(Filter::Linear) => gpu::Binding::Sampler(gpu::Filter::Linear),
            };
            (*number, binding)
        })
        .collect();
    with(|workspace| workspace.dispatch(program, &bindings, workgroups))
}

fn color(color: Color) -> gpu::Color {
    let matrix = match color.matrix {
        ColorMatrix::Bt601 => gpu::Matrix::Bt601,
        ColorMatrix::Bt709 => gpu::Matrix::Bt709,
        ColorMatrix::Bt2020 => gpu::Matrix::Bt2020,
    };
    let range = match color.range {
        ColorRange::Limited => gpu::Range::Limited,
        ColorRange::Full => gpu::Range::Full,
    };
    gpu::Color { matrix, range }
}
