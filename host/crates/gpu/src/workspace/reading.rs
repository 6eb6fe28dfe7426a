//! What comes back from the device: planes, pixels, bytes.

use std::sync::Arc;

use wgpu::BindingResource;

use super::Workspace;
use super::objects::{Buffer, Image, stride};
use crate::color::{Color, ColorParams};
use crate::download::{Bytes, Download, Transfer};
use crate::error::Error;
use crate::left::Awaited;
use crate::planes::PlanesLayout;

impl Workspace {
    /// An image as planes, as it is now: recorded, and on its way once it is submitted.
    pub fn download(&mut self, image: &Image, color: Color) -> Result<Download, Error> {
        let (width, height) = image.size();
        self.check_picture(width, height)?;
        let layout = PlanesLayout::new(width, height);
        self.download_with(layout, |workspace, to| {
            let device = workspace.device.clone();
            let params = ColorParams::new(layout, (width, height), color);
            let resources = [BindingResource::TextureView(&image.view), to.as_entire_binding()];
            workspace.kernel(&device.kernels.rgba_to_yuv, params, resources)
        })
    }

    /// Refuses sizes that a picture cannot have.
    pub(crate) fn check_picture(&self, width: u32, height: u32) -> Result<(), Error> {
        if !width.is_multiple_of(2) || !height.is_multiple_of(2) {
            return Err(Error::Invalid(format!("a picture of {width}×{height}: sides are even")));
        }
        self.check_size(width, height)
    }

    /// Planes that `record` has written by the device.
    pub(crate) fn download_with(
        &mut self,
        layout: PlanesLayout,
        record: impl FnOnce(&mut Self, &wgpu::Buffer) -> Result<(), Error>,
    ) -> Result<Download, Error> {
        let transfer = self.transfer(layout.bytes())?;
        record(self, transfer.buffer())?;
        Ok(Download { result: self.awaited(transfer), layout })
    }

    /// An image's pixels, as they are now.
    pub fn read_image(&mut self, image: &Image) -> Result<Bytes, Error> {
        let (width, height) = image.size();
        let (row, stride) = (width as usize * 4, stride(width) as usize);
        let transfer = self.transfer(stride * height as usize)?;
        let layout =
            wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(stride as u32), rows_per_image: None };
        let destination = wgpu::TexelCopyBufferInfo { buffer: transfer.buffer(), layout };
        self.encoder().copy_texture_to_buffer(image.texture.as_image_copy(), destination, image.texture.size());
        Ok(Bytes { result: self.awaited(transfer), row: (row, stride), bytes: row * height as usize })
    }

    /// A buffer's bytes, as they are now.
    pub fn read_buffer(&mut self, buffer: &Buffer) -> Result<Bytes, Error> {
        self.read_words(&buffer.buffer, buffer.bytes)
    }

    /// All of one buffer to another of the same size.
    pub(crate) fn copy(&mut self, from: &wgpu::Buffer, to: &wgpu::Buffer) {
        self.encoder().copy_buffer_to_buffer(from, 0, to, 0, from.size().min(to.size()));
    }

    /// The first `bytes` bytes.
    pub(crate) fn read_words(&mut self, buffer: &wgpu::Buffer, bytes: usize) -> Result<Bytes, Error> {
        let size = buffer.size();
        let transfer = self.transfer(size as usize)?;
        self.encoder().copy_buffer_to_buffer(buffer, 0, transfer.buffer(), 0, size);
        Ok(Bytes { result: self.awaited(transfer), row: (size as usize, size as usize), bytes })
    }

    /// It comes with what is recorded.
    fn awaited(&mut self, transfer: Arc<Transfer>) -> Awaited {
        self.transfers.push(transfer.clone());
        Awaited::new(transfer, self.left.clone())
    }

    fn transfer(&mut self, bytes: usize) -> Result<Arc<Transfer>, Error> {
        self.check()?;
        self.take_room(bytes)?;
        Transfer::new(&self.device, self.owner.id, bytes)
    }
}
