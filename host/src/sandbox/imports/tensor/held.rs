//! Tensors behind a guest's handles, and what they count.

use rillbox_compute::Tensor;
use wasmtime::component::{Resource, ResourceTable};

use crate::sandbox::context::Guest;
use crate::sandbox::imports::CallError;

/// What a guest's handle of a tensor stands for.
pub struct Held {
    pub(super) tensor: Tensor,
    /// Bytes counted against the guest. Tensors that share their elements count each.
    counted: usize,
}

impl Held {
    fn new(tensor: Tensor) -> Self {
        let counted = counted(&tensor);
        Self { tensor, counted }
    }
}

/// Bytes that a tensor counts.
fn counted(tensor: &Tensor) -> usize {
    if tensor.device().is_some() { rillbox_gpu::bytes_of(tensor.len()) } else { tensor.bytes().len() }
}

/// The tensor that a handle stands for.
pub fn held(table: &ResourceTable, handle: &Resource<Held>) -> wasmtime::Result<Tensor> {
    Ok(table.get(handle)?.tensor.clone())
}

impl Guest {
    /// The tensors that handles stand for.
    pub(super) fn tensors(&self, handles: &[&Resource<Held>]) -> wasmtime::Result<Vec<Tensor>> {
        handles.iter().map(|handle| held(&self.table, handle)).collect()
    }

    /// A handle of a tensor.
    pub(in crate::sandbox::imports) fn keep(&mut self, tensor: Tensor) -> Result<Resource<Held>, CallError> {
        let held = Held::new(tensor);
        let (counted, on_gpu) = (held.counted, held.tensor.device().is_some());
        if !self.budget.reserve(counted) {
            return Err(no_room(counted));
        }
        match self.table.push(held) {
            Ok(handle) => {
                self.graphics.memory += if on_gpu { counted } else { 0 };
                Ok(handle)
            }
            Err(_) => {
                self.budget.release(counted);
                Err(self.no_handle().into())
            }
        }
    }

    /// Puts another form of the same tensor in a handle's place, which may take more or less room.
    pub(super) fn exchange(&mut self, handle: &Resource<Held>, tensor: Tensor) -> Result<(), CallError> {
        let new = Held::new(tensor);
        if !self.budget.reserve(new.counted) {
            return Err(no_room(new.counted));
        }
        self.graphics.memory += if new.tensor.device().is_some() { new.counted } else { 0 };
        let old = std::mem::replace(self.table.get_mut(handle)?, new);
        self.release(&old);
        Ok(())
    }

    /// Counts it no more.
    pub(super) fn release(&mut self, held: &Held) {
        if held.tensor.device().is_some() {
            self.release_on_gpu(held.counted);
        } else {
            self.budget.release(held.counted);
        }
    }
}

pub fn no_room(bytes: usize) -> CallError {
    CallError::limit(format!("{bytes} bytes do not fit into the memory limit"))
}
