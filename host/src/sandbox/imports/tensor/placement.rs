//! Where a tensor's elements are, on the GPU or here, and how they get to the other place.

use std::time::Duration;

use rillbox_compute::{self as compute, Allowance, Cost, PictureLayout, Tensor};
use wasmtime::component::Resource;

use super::held::{Held, held, no_room};
use super::permit::Permit;
use super::wire::{element_type, side};
use crate::sandbox::bindings::rillbox::processor::tensor as wit;
use crate::sandbox::context::Guest;
use crate::sandbox::graphics;
use crate::sandbox::imports::CallError;
use crate::sandbox::imports::video::{self, Frame, Staged};

/// Whether the GPU has elements of this type as guests' shaders have them.
pub fn is_word(element: compute::ElementType) -> bool {
    matches!(element, compute::ElementType::F32 | compute::ElementType::I32)
}

/// Whether this many bytes on the GPU can be taken for such a tensor as they are.
pub fn fits_on_gpu(element: wit::ElementType, shape: &[u32], bytes: usize) -> bool {
    let count = shape.iter().try_fold(1_usize, |count, axis| count.checked_mul(*axis as usize));
    let axes = (1..=compute::MAX_AXES).contains(&shape.len());
    is_word(element_type(element)) && axes && bytes > 0 && count.and_then(|count| count.checked_mul(4)) == Some(bytes)
}

impl Guest {
    /// Moves tensors to the GPU that are here, and more than a number; those that it cannot have stay.
    pub(super) fn send(&mut self, handles: &[&Resource<Held>]) -> Result<(), CallError> {
        for handle in handles {
            let tensor = held(&self.table, handle)?;
            if tensor.device().is_some() || tensor.len() == 1 {
                continue;
            }
            // Elements are made into words, one after the other.
            let cost = Cost {
                bytes: rillbox_gpu::bytes_of(tensor.len()) as u64,
                time: Duration::from_nanos(tensor.len() as u64),
            };
            Permit::new(&mut self.budget, &self.timer, &self.limits).admit(cost)?;
            let sent = self.graphics.workspace().and_then(|workspace| workspace.send_tensor(&tensor))?;
            if let Some(sent) = sent {
                self.exchange(handle, sent)?;
            }
        }
        Ok(())
    }

    /// Brings a tensor's elements here, if they are on the GPU.
    pub(in crate::sandbox::imports) async fn fetch(&mut self, handle: &Resource<Held>) -> Result<(), CallError> {
        let tensor = held(&self.table, handle)?;
        if tensor.device().is_none() {
            return Ok(());
        }
        let bytes = tensor.len() * tensor.element().bytes();
        if !self.budget.fits(bytes) {
            return Err(no_room(bytes));
        }
        let read = self.graphics.workspace().and_then(|workspace| workspace.read_tensor(&tensor))?;
        let read = self.wait_for_gpu(move |left| read.wait(left)).await?;
        self.exchange(handle, read)
    }

    /// A tensor of a frame's picture, on the GPU.
    pub(super) fn picture_on_gpu(
        &mut self,
        frame: &Resource<Frame>,
        layout: &PictureLayout,
    ) -> Result<Resource<Held>, CallError> {
        // Before the picture is sent.
        layout.each_factor()?;
        let frame = self.table.get_mut(frame)?;
        let pixels = frame.picture.width() as usize * frame.picture.height() as usize;
        let bytes = rillbox_gpu::bytes_of(pixels * layout.channels.count());
        if !self.budget.fits(bytes) {
            return Err(no_room(bytes));
        }
        let made = self.graphics.workspace().and_then(|workspace| {
            video::on_gpu(frame, workspace, |workspace, sent| workspace.picture_tensor(sent, layout))
        })?;
        self.keep(made)
    }

    /// Stages a tensor of the GPU as a frame's new picture.
    pub(super) fn replace_on_gpu(
        &mut self,
        frame: &Resource<Frame>,
        tensor: &Tensor,
        layout: &PictureLayout,
    ) -> Result<(), CallError> {
        let (width, height) = layout.size(tensor)?;
        video::may_stage(&self.table, &self.limits, frame, (side(width), side(height)))?;
        let color = graphics::color(self.table.get(frame)?.picture.color());
        let download =
            self.graphics.workspace().and_then(|workspace| workspace.tensor_picture(tensor, layout, color))?;
        self.table.get_mut(frame)?.staged = Some(Staged::Download(download));
        Ok(())
    }
}
