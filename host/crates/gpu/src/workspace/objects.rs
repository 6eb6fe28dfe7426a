//! What a user has on a device: images, buffers, and planes that were sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::color::Color;
use crate::planes::PlanesLayout;

/// Pixels of 4 bytes on the device: red, green, blue, alpha.
#[derive(Debug)]
pub struct Image {
    pub(super) texture: wgpu::Texture,
    pub(super) view: wgpu::TextureView,
}

impl Image {
    /// All of a texture.
    pub(super) fn of(texture: wgpu::Texture) -> Self {
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        Self { texture, view }
    }

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

pub(super) fn image_bytes((width, height): (u32, u32)) -> usize {
    width as usize * height as usize * 4
}

/// Bytes on the device.
#[derive(Debug)]
pub struct Buffer {
    pub(super) buffer: wgpu::Buffer,
    pub(super) bytes: usize,
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
    pub(super) staging: wgpu::Buffer,
    pub(super) layout: PlanesLayout,
    pub(super) size: (u32, u32),
    pub(super) color: Color,
    pub(super) done: Arc<Mutex<Vec<wgpu::Buffer>>>,
}

impl Drop for Uploaded {
    fn drop(&mut self) {
        locked(&self.done).push(self.staging.clone());
    }
}

pub(super) fn locked(buffers: &Mutex<Vec<wgpu::Buffer>>) -> MutexGuard<'_, Vec<wgpu::Buffer>> {
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

/// Bytes from one row of pixels to the next where they are copied: WebGPU's own rule.
pub(super) fn stride(width: u32) -> u32 {
    (width * 4).next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT)
}
