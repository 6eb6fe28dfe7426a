//! One user's part of a device: what it has there, and what it has it do.

mod dispatch;
mod reading;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytemuck::bytes_of;
use wgpu::{BindGroupEntry, BindingResource, BufferUsages, BufferViewMut, TextureUsages};

use crate::color::{Color, ColorParams, Kernel};
use crate::device::Device;
use crate::download::{TIMED, TIMES, Transfer};
use crate::error::Error;
use crate::limits;
use crate::planes::{Planes, PlanesLayout};
use crate::submission::{Owner, Submission};
use crate::tensor::Spare;
use crate::usage::Pass;

pub use dispatch::{Binding, Filter};

/// Pixels of 4 bytes on the device: red, green, blue, alpha.
#[derive(Debug)]
pub struct Image {
    texture: wgpu::Texture,
    view: wgpu::TextureView,
}

impl Image {
    /// Pixels a row, and rows.
    pub fn size(&self) -> (u32, u32) {
        (self.texture.width(), self.texture.height())
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> usize {
        image_bytes(self.size())
    }

    pub(crate) fn view(&self) -> &wgpu::TextureView {
        &self.view
    }
}

fn image_bytes((width, height): (u32, u32)) -> usize {
    width as usize * height as usize * 4
}

/// Bytes on the device.
#[derive(Debug)]
pub struct Buffer {
    buffer: wgpu::Buffer,
    bytes: usize,
}

impl Buffer {
    /// As many as were asked for.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn raw(&self) -> &wgpu::Buffer {
        &self.buffer
    }
}

/// A picture's planes, for the device to read for as long as this lives.
#[derive(Debug)]
pub struct Uploaded {
    staging: wgpu::Buffer,
    layout: PlanesLayout,
    size: (u32, u32),
    color: Color,
    done: Arc<Mutex<Vec<wgpu::Buffer>>>,
}

impl Drop for Uploaded {
    fn drop(&mut self) {
        locked(&self.done).push(self.staging.clone());
    }
}

fn locked(buffers: &Mutex<Vec<wgpu::Buffer>>) -> MutexGuard<'_, Vec<wgpu::Buffer>> {
    buffers.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Uploaded {
    pub(crate) fn staging(&self) -> &wgpu::Buffer {
        &self.staging
    }

    pub(crate) fn layout(&self) -> PlanesLayout {
        self.layout
    }

    pub(crate) fn size(&self) -> (u32, u32) {
        self.size
    }
}

/// Workgroups along three axes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid(pub [u32; 3]);

impl Grid {
    /// Enough of 256 invocations for so many.
    pub fn of(count: usize) -> Self {
        Self::of_groups(count.div_ceil(256))
    }

    /// So many, or a few more, on two axes.
    pub fn of_groups(count: usize) -> Self {
        // The first axis holds fewer than there can be.
        const ROW: usize = 32_768;
        Self([count.min(ROW) as u32, count.div_ceil(ROW) as u32, 1])
    }
}

/// What one user has on a device. Commands are recorded in the order of the calls, and go to the device with
/// [`submit`](Self::submit). What is made is all zero unless it is said to hold something: nothing of others is ever seen.
#[derive(Debug)]
pub struct Workspace {
    device: Arc<Device>,
    /// Of all of the process, to tell whose commands a device is with.
    id: u64,
    encoder: Option<wgpu::CommandEncoder>,
    /// Uniforms of what is recorded, and the buffer they go to.
    uniforms: Vec<u8>,
    uniform_buffer: wgpu::Buffer,
    times: Option<Times>,
    /// Passes that were recorded.
    passes: Vec<Pass>,
    transfers: Vec<Arc<Transfer>>,
    /// What only recorded commands read from.
    stagings: Arc<Mutex<Vec<wgpu::Buffer>>>,
    /// Textures of images that are gone, and buffers of tensors.
    spare: Vec<wgpu::Texture>,
    pub(crate) spare_tensors: Arc<Spare>,
    rounds: u64,
    dispatches: u32,
    tasks: u32,
    /// Bytes that may still be made.
    room: usize,
    /// Submissions that the device has not finished.
    running: Arc<AtomicUsize>,
    /// Why commands of this frame were not taken: what is recorded after them would work on what they were to make.
    refused: Option<Error>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
struct Times {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
}

/// Bytes of uniforms that go with one submission: those of as many operations on tensors as a frame may have, and more.
const UNIFORMS: usize = 512 << 10;

/// Whatever is made counts as so many bytes at least: the host and the driver keep something of each.
const LEAST: usize = 4 << 10;

/// Where a uniform may begin: WebGPU's own limit.
const ALIGNMENT: usize = 256;

/// So many textures are kept for the next images, none of them larger than this.
const SPARE: usize = 2;
const SPARE_BYTES: usize = 64 << 20;

impl Workspace {
    /// With nothing in it.
    pub fn new(device: &Arc<Device>) -> Result<Self, Error> {
        let wgpu = &device.device;
        let buffer = |size: u64, usage: BufferUsages| {
            wgpu.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
        };
        device.tried(|| Self {
            device: device.clone(),
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            encoder: None,
            uniforms: Vec::new(),
            uniform_buffer: buffer(UNIFORMS as u64, BufferUsages::UNIFORM | BufferUsages::COPY_DST),
            times: device.clock.map(|_| Times {
                queries: wgpu.create_query_set(&wgpu::QuerySetDescriptor {
                    label: None,
                    ty: wgpu::QueryType::Timestamp,
                    count: 2 * TIMED as u32,
                }),
                resolved: buffer(TIMES, BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC),
            }),
            passes: Vec::new(),
            transfers: Vec::new(),
            stagings: Arc::default(),
            spare: Vec::new(),
            spare_tensors: Arc::default(),
            rounds: limits::ROUNDS,
            dispatches: limits::DISPATCHES,
            tasks: limits::TASKS,
            room: limits::BYTES,
            running: Arc::default(),
            refused: None,
        })
    }

    /// The device it is on.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// A frame begins: there may be as many dispatches, rounds of loops and bytes as a frame may have.
    pub fn begin(&mut self) {
        (self.rounds, self.dispatches, self.room) = (limits::ROUNDS, limits::DISPATCHES, limits::BYTES);
        self.tasks = limits::TASKS;
        self.refused = None;
    }

    /// Whether the device was given up since it did not finish what this user had it do.
    pub fn held_up_device(&self) -> bool {
        self.device.was_held_up_by(self.id)
    }

    /// What is made stays until the device has done what was recorded with it, whoever drops it before.
    fn take_room(&mut self, bytes: usize) -> Result<(), Error> {
        let bytes = bytes.max(LEAST);
        self.check_room(bytes)?;
        self.room -= bytes;
        Ok(())
    }

    /// Refuses more bytes than may still be made.
    pub(crate) fn check_room(&self, bytes: usize) -> Result<(), Error> {
        if bytes <= self.room {
            return Ok(());
        }
        Err(Error::Limit(format!("no more than {} bytes of images, buffers and copies a frame", limits::BYTES)))
    }

    /// An image, all zero.
    pub fn image(&mut self, width: u32, height: u32) -> Result<Image, Error> {
        self.check_size(width, height)?;
        self.take_room(image_bytes((width, height)))?;
        let texture = self.texture(width, height)?;
        Ok(image(texture))
    }

    /// A picture's pixels.
    pub fn upload(&mut self, planes: &Planes<'_>, color: Color) -> Result<Image, Error> {
        let uploaded = self.send(planes, color)?;
        self.image_of(&uploaded)
    }

    /// A picture's planes, sent once for all that is made of them.
    pub fn send(&mut self, planes: &Planes<'_>, color: Color) -> Result<Uploaded, Error> {
        self.send_with((planes.width, planes.height), color, |to| {
            for (start, row) in planes.rows() {
                to.slice(start..start + row.len()).copy_from_slice(row);
            }
        })
    }

    fn send_with(
        &mut self,
        size: (u32, u32),
        color: Color,
        fill: impl FnOnce(&mut BufferViewMut),
    ) -> Result<Uploaded, Error> {
        self.check_size(size.0, size.1)?;
        let layout = PlanesLayout::new(size.0, size.1);
        let staging = self.staging(layout.bytes() as u64, fill)?;
        Ok(Uploaded { staging, layout, size, color, done: self.stagings.clone() })
    }

    /// Pixels of a picture whose planes are there.
    pub fn image_of(&mut self, uploaded: &Uploaded) -> Result<Image, Error> {
        let Uploaded { staging, layout, size, color, .. } = uploaded;
        let image = self.image_to_fill(size.0, size.1)?;
        let device = self.device.clone();
        let params = ColorParams::new(*layout, *size, *color);
        let resources = [staging.as_entire_binding(), BindingResource::TextureView(&image.view)];
        self.kernel(&device.kernels.yuv_to_rgba, params, resources)?;
        Ok(image)
    }

    /// The same, where `fill` writes all planes, laid out as [`PlanesLayout`] says.
    pub fn upload_with(
        &mut self,
        size: (u32, u32),
        color: Color,
        fill: impl FnOnce(&mut BufferViewMut),
    ) -> Result<Image, Error> {
        let uploaded = self.send_with(size, color, fill)?;
        self.image_of(&uploaded)
    }

    /// Pixels of 4 bytes, row by row.
    pub fn pixels(&mut self, width: u32, height: u32, pixels: &[u8]) -> Result<Image, Error> {
        let (expected, row) = (image_bytes((width, height)), width as usize * 4);
        if pixels.len() != expected {
            let given = pixels.len();
            return Err(Error::Invalid(format!("{width}×{height} takes {expected} bytes, not {given}")));
        }
        self.pixels_with(width, height, |to, stride| {
            for (pixels, at) in pixels.chunks(row).zip((0..).step_by(stride)) {
                to.slice(at..at + row).copy_from_slice(pixels);
            }
        })
    }

    /// The same, where `fill` writes all pixels, with so many bytes from one row to the next.
    pub fn pixels_with(
        &mut self,
        width: u32,
        height: u32,
        fill: impl FnOnce(&mut BufferViewMut, usize),
    ) -> Result<Image, Error> {
        let image = self.image_to_fill(width, height)?;
        let stride = stride(width);
        let staging = self.staging(u64::from(stride) * u64::from(height), |to| fill(to, stride as usize))?;
        locked(&self.stagings).push(staging.clone());
        let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(stride), rows_per_image: None };
        let source = wgpu::TexelCopyBufferInfo { buffer: &staging, layout };
        let size = image.texture.size();
        self.encoder().copy_buffer_to_texture(source, image.texture.as_image_copy(), size);
        Ok(image)
    }

    /// An image of which every pixel is written before anybody reads it.
    pub(crate) fn image_to_fill(&mut self, width: u32, height: u32) -> Result<Image, Error> {
        self.check_size(width, height)?;
        self.take_room(image_bytes((width, height)))?;
        let spare = self.spare.iter().position(|texture| (texture.width(), texture.height()) == (width, height));
        Ok(image(match spare {
            Some(place) => self.spare.remove(place),
            None => self.texture(width, height)?,
        }))
    }

    /// Bytes for the device to read; their place can be used again once it has, and nothing more will.
    fn staging(&mut self, size: u64, fill: impl FnOnce(&mut BufferViewMut)) -> Result<wgpu::Buffer, Error> {
        self.take_room(size as usize)?;
        let usage = BufferUsages::MAP_WRITE | BufferUsages::COPY_SRC | BufferUsages::STORAGE;
        let staging = self.device.buffer(&self.device.uploads, size, usage)?;
        let mut view = staging.get_mapped_range_mut(..).map_err(|error| Error::Lost(error.to_string()))?;
        fill(&mut view);
        drop(view);
        staging.unmap();
        self.device.sent.fetch_add(size, Ordering::Relaxed);
        Ok(staging)
    }

    /// An image that is not needed any more: its place is kept for the next one.
    pub fn recycle(&mut self, image: Image) {
        if image.bytes() > SPARE_BYTES {
            return;
        }
        if self.spare.len() == SPARE {
            self.spare.remove(0);
        }
        self.spare.push(image.texture);
    }

    /// So many bytes, all zero.
    pub fn buffer(&mut self, bytes: usize) -> Result<Buffer, Error> {
        self.make_buffer(bytes, false)
    }

    /// These bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<Buffer, Error> {
        let made = self.make_buffer(bytes.len(), true)?;
        let mapped = |error: wgpu::MapRangeError| Error::Lost(error.to_string());
        made.buffer.get_mapped_range_mut(..).map_err(mapped)?.slice(..bytes.len()).copy_from_slice(bytes);
        made.buffer.unmap();
        self.device.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(made)
    }

    fn make_buffer(&mut self, bytes: usize, mapped_at_creation: bool) -> Result<Buffer, Error> {
        let most = self.device.device.limits().max_storage_buffer_binding_size;
        if bytes == 0 || bytes as u64 > most {
            return Err(Error::Invalid(format!("a buffer of {bytes} bytes: from 1 to {most}")));
        }
        self.take_room(bytes)?;
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let size = bytes.next_multiple_of(8) as u64;
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation };
        let buffer = self.device.tried(|| self.device.device.create_buffer(&descriptor))?;
        Ok(Buffer { buffer, bytes })
    }

    /// Sends to the device what was recorded. Where it does not take it, it takes nothing more of this frame, and whatever the user has
    /// there may not be what it should be.
    pub fn submit(&mut self) -> Result<(), Error> {
        let sent = self.send_recorded();
        if let Err(error) = &sent {
            self.refused.get_or_insert_with(|| error.clone());
        }
        sent
    }

    fn send_recorded(&mut self) -> Result<(), Error> {
        let (encoder, uniforms) = (self.encoder.take(), std::mem::take(&mut self.uniforms));
        let (passes, transfers) = (std::mem::take(&mut self.passes), std::mem::take(&mut self.transfers));
        let stagings = std::mem::take(&mut *locked(&self.stagings));
        if let Err(error) = self.check() {
            transfers.iter().for_each(|transfer| transfer.failed(&error));
            return Err(error);
        }
        let Some(mut encoder) = encoder else { return Ok(()) };
        let timed = passes.len().min(TIMED) as u32;
        if let Some(times) = &self.times
            && timed > 0
        {
            encoder.resolve_query_set(&times.queries, 0..2 * timed, &times.resolved, 0);
            for transfer in &transfers {
                let bytes = u64::from(timed) * 16;
                encoder.copy_buffer_to_buffer(&times.resolved, 0, transfer.buffer(), transfer.times_at(), bytes);
            }
        }
        // Whoever records faster than the device works is told so.
        if self.running.load(Ordering::Relaxed) >= limits::RUNNING {
            let is_late = self.device.submitter.is_held_by(self.id);
            transfers.iter().for_each(|transfer| transfer.failed(&Error::Busy));
            return Err(if is_late { Error::Late } else { Error::Busy });
        }
        self.device.submitter.submit(Submission {
            owner: Owner { id: self.id, running: self.running.clone() },
            encoder,
            uniforms,
            uniform_buffer: self.uniform_buffer.clone(),
            stagings,
            transfers,
            passes,
        })
    }

    /// An error if the device is gone, or took no more of this frame.
    fn check(&self) -> Result<(), Error> {
        self.device.check()?;
        self.refused.clone().map_or(Ok(()), Err)
    }

    fn kernel(
        &mut self,
        kernel: &Kernel,
        params: ColorParams,
        resources: [BindingResource<'_>; 2],
    ) -> Result<(), Error> {
        let (columns, rows) = params.groups(kernel.columns);
        let entries = (1..).zip(resources);
        let grid = Grid([columns, rows, 1]);
        self.record(Pass::Color, &kernel.pipeline, &kernel.layout, bytes_of(&params), entries, grid)
    }

    /// One more operation on tensors.
    pub(crate) fn take_task(&mut self) -> Result<(), Error> {
        let left = self.tasks.checked_sub(1);
        self.tasks = left.ok_or_else(|| Error::Limit(format!("no more than {} operations a frame", limits::TASKS)))?;
        Ok(())
    }

    /// Records a kernel of ours, with what it is told bound to 0.
    pub(crate) fn record<'a>(
        &mut self,
        pass: Pass,
        pipeline: &wgpu::ComputePipeline,
        layout: &wgpu::BindGroupLayout,
        params: &[u8],
        resources: impl Iterator<Item = (u32, BindingResource<'a>)>,
        Grid(groups): Grid,
    ) -> Result<(), Error> {
        self.reserve(ALIGNMENT)?;
        let place = self.uniform(params);
        let device = self.device.clone();
        device.tried(|| {
            let params = BindGroupEntry { binding: 0, resource: self.uniform_at(place, params.len()) };
            let others = resources.map(|(binding, resource)| BindGroupEntry { binding, resource });
            let entries: Vec<_> = std::iter::once(params).chain(others).collect();
            let descriptor = wgpu::BindGroupDescriptor { label: None, layout, entries: &entries };
            let group = device.device.create_bind_group(&descriptor);
            let mut pass = self.pass(pass);
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(groups[0], groups[1], groups[2]);
        })
    }

    fn texture(&self, width: u32, height: u32) -> Result<wgpu::Texture, Error> {
        let usage = TextureUsages::TEXTURE_BINDING
            | TextureUsages::STORAGE_BINDING
            | TextureUsages::COPY_SRC
            | TextureUsages::COPY_DST;
        self.device.tried(|| {
            self.device.device.create_texture(&wgpu::TextureDescriptor {
                label: None,
                size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format: wgpu::TextureFormat::Rgba8Unorm,
                usage,
                view_formats: &[],
            })
        })
    }

    fn check_size(&self, width: u32, height: u32) -> Result<(), Error> {
        let most = self.device.device.limits().max_texture_dimension_2d;
        if [width, height].iter().all(|side| (1..=most).contains(side)) {
            return Ok(());
        }
        Err(Error::Invalid(format!("an image of {width}×{height}: sides are from 1 to {most}")))
    }

    fn encoder(&mut self) -> &mut wgpu::CommandEncoder {
        self.encoder.get_or_insert_with(|| {
            self.device.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
        })
    }

    fn pass(&mut self, kind: Pass) -> wgpu::ComputePass<'_> {
        let place = self.passes.len() as u32;
        self.passes.push(kind);
        let device = &self.device.device;
        let encoder = self
            .encoder
            .get_or_insert_with(|| device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default()));
        let timestamp_writes = match &self.times {
            Some(times) if (place as usize) < TIMED => Some(wgpu::ComputePassTimestampWrites {
                query_set: &times.queries,
                beginning_of_pass_write_index: Some(2 * place),
                end_of_pass_write_index: Some(2 * place + 1),
            }),
            _ => None,
        };
        encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes })
    }

    /// Makes room for uniforms.
    fn reserve(&mut self, bytes: usize) -> Result<(), Error> {
        self.check()?;
        if self.uniforms.len() + bytes > UNIFORMS {
            // All of 16 uniforms of the largest size may be more than there is room for.
            if bytes > UNIFORMS {
                return Err(Error::Limit(format!("{bytes} bytes of uniforms: {UNIFORMS} at most")));
            }
            self.submit()?;
        }
        Ok(())
    }

    /// Where a uniform lies.
    fn uniform(&mut self, bytes: &[u8]) -> u64 {
        let place = self.uniforms.len();
        self.uniforms.extend_from_slice(bytes);
        let end = self.uniforms.len().next_multiple_of(ALIGNMENT);
        self.uniforms.resize(end, 0);
        place as u64
    }

    fn uniform_at(&self, offset: u64, bytes: usize) -> BindingResource<'_> {
        let size = wgpu::BufferSize::new(bytes as u64);
        BindingResource::Buffer(wgpu::BufferBinding { buffer: &self.uniform_buffer, offset, size })
    }
}

/// Bytes from one row of pixels to the next where they are copied: WebGPU's own rule.
fn stride(width: u32) -> u32 {
    (width * 4).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT)
}

fn image(texture: wgpu::Texture) -> Image {
    let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
    Image { texture, view }
}
