//! What goes to the device: planes, pixels, bytes; and what is made there, all zero.

use std::sync::atomic::Ordering;

use wgpu::{BindingResource, BufferUsages, BufferViewMut, TextureUsages};

use super::Workspace;
use super::objects::{Buffer, Image, Uploaded, image_bytes, locked, stride};
use crate::color::{Color, ColorParams};
use crate::error::Error;
use crate::planes::{Planes, PlanesLayout};

/// So many textures are kept for the next images, none of them larger than this.
const SPARE: usize = 2;
const SPARE_BYTES: usize = 64 << 20;

/// What a new buffer holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beginning {
    /// Zeros.
    Zero,
    /// What the host writes to it before it is unmapped.
    Mapped,
}

impl Workspace {
    /// An image, all zero.
    pub fn image(&mut self, width: u32, height: u32) -> Result<Image, Error> {
        self.check_size(width, height)?;
        self.take_room(image_bytes((width, height)))?;
        let texture = self.texture(width, height)?;
        Ok(Image::of(texture))
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

    /// The same, where `fill` writes all pixels; it is told the bytes from one row to the next.
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
        Ok(Image::of(match spare {
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
        self.make_buffer(bytes, Beginning::Zero)
    }

    /// These bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<Buffer, Error> {
        let made = self.make_buffer(bytes.len(), Beginning::Mapped)?;
        let mapped = |error: wgpu::MapRangeError| Error::Lost(error.to_string());
        made.buffer.get_mapped_range_mut(..).map_err(mapped)?.slice(..bytes.len()).copy_from_slice(bytes);
        made.buffer.unmap();
        self.device.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(made)
    }

    fn make_buffer(&mut self, bytes: usize, beginning: Beginning) -> Result<Buffer, Error> {
        let most = self.device.device.limits().max_storage_buffer_binding_size;
        if bytes == 0 || bytes as u64 > most {
            return Err(Error::Invalid(format!("a buffer of {bytes} bytes: from 1 to {most}")));
        }
        self.take_room(bytes)?;
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
        let size = bytes.next_multiple_of(8) as u64;
        let mapped_at_creation = beginning == Beginning::Mapped;
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation };
        let buffer = self.device.tried(|| self.device.device.create_buffer(&descriptor))?;
        Ok(Buffer { buffer, bytes })
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
}
