//! Tensors on the device. `rillbox_compute` says what operations are, and does them on the CPU; the kernels here are the
//! twins of what it does, within what WGSL says of its functions.
//!
//! An element is a word, whatever its type, so that one kernel does for all: `float16` is rounded after each operation,
//! `uint8` and `boolean` are whole numbers. Of `int64` there is what fits into 32 bits, which indices do.

mod bounds;
mod codes;
mod kernels;
mod launch;
mod operand;
mod params;
mod picture;
mod reduction;
mod tasks;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytemuck::cast_slice;
use half::f16;
use rillbox_compute::{ElementType, Tensor};

use crate::download::Bytes;
use crate::error::Error;
use crate::limits;
use crate::usage::{Pass, Usage};
use crate::workspace::{Buffer, Grid, Workspace};

use bounds::Bounds;
pub(crate) use kernels::Kernels;
use params::Params;

/// Elements that the device has: what a [`Tensor`] refers to that is there.
pub struct Elements {
    buffer: wgpu::Buffer,
    bounds: Bounds,
    spare: Arc<Spare>,
}

impl Elements {
    /// Of a tensor that the device has.
    fn of(tensor: &Tensor) -> Option<Arc<Self>> {
        tensor.device()?.clone().downcast().ok()
    }

    /// Bytes on the device.
    pub fn bytes(&self) -> usize {
        self.buffer.size() as usize
    }
}

impl fmt::Debug for Elements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elements").field("bytes", &self.bytes()).field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

impl Drop for Elements {
    fn drop(&mut self) {
        self.spare.give(self.buffer.clone());
    }
}

/// So many of them are kept for what comes next, whatever their sizes.
const KEPT: usize = 256;

/// Buffers of one user that are free again: what comes next overwrites them, after everything recorded before has used them.
#[derive(Debug, Default)]
pub(crate) struct Spare(Mutex<Buffers>);

#[derive(Debug, Default)]
struct Buffers {
    /// Those that came last are at the end.
    free: VecDeque<wgpu::Buffer>,
    /// Bytes of those that are free, and of all.
    free_bytes: usize,
    bytes: usize,
}

impl Spare {
    fn give(&self, buffer: wgpu::Buffer) {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.free.len() == KEPT
            && let Some(oldest) = buffers.free.pop_front()
        {
            buffers.free_bytes -= oldest.size() as usize;
            buffers.bytes -= oldest.size() as usize;
        }
        buffers.free_bytes += buffer.size() as usize;
        buffers.free.push_back(buffer);
    }

    /// The one of this size that became free last.
    fn take(&self, size: u64) -> Option<wgpu::Buffer> {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = buffers.free.iter().rposition(|buffer| buffer.size() == size)?;
        buffers.free_bytes -= size as usize;
        buffers.free.remove(place)
    }

    /// Makes room for a new one, if there can be.
    fn reserve(&self, bytes: usize) -> bool {
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buffers.bytes + bytes > limits::TENSOR_BYTES {
            buffers.bytes -= std::mem::take(&mut buffers.free_bytes);
            buffers.free.clear();
        }
        let fits = buffers.bytes + bytes <= limits::TENSOR_BYTES;
        if fits {
            buffers.bytes += bytes;
        }
        fits
    }

    /// What was reserved was not made.
    fn release(&self, bytes: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes -= bytes;
    }
}

/// Bytes on the device of this many elements.
pub fn bytes_of(count: usize) -> usize {
    // Copies are of whole 8 bytes.
    (count * 4).next_multiple_of(8)
}

impl Workspace {
    /// A tensor on the device, of the elements that one has here. None where the device has no such elements.
    pub fn send_tensor(&mut self, tensor: &Tensor) -> Result<Option<Tensor>, Error> {
        // Asked before the words are made, which may be many times as large as the elements.
        self.check_room(bytes_of(tensor.len()))?;
        let Some((words, bounds)) = words(tensor) else { return Ok(None) };
        let buffer = self.bytes(cast_slice(&words))?;
        let spare = self.spare_tensors.clone();
        // It counts among those that are given back.
        if !spare.reserve(buffer.raw().size() as usize) {
            return Err(no_room());
        }
        let elements = Elements { buffer: buffer.raw().clone(), bounds, spare };
        Ok(Some(Tensor::away(tensor.element(), tensor.shape(), Arc::new(elements))))
    }

    /// A tensor's elements on their way here, as they are now.
    pub fn read_tensor(&mut self, tensor: &Tensor) -> Result<TensorRead, Error> {
        let elements = Elements::of(tensor).ok_or_else(foreign)?;
        let bytes = self.read_words(&elements.buffer, tensor.len() * 4)?;
        Ok(TensorRead { bytes, element: tensor.element(), shape: tensor.shape().to_vec() })
    }

    /// The same words as a buffer, for programs: of a tensor of `float32` or `int32`.
    pub fn tensor_buffer(&mut self, tensor: &Tensor) -> Result<Buffer, Error> {
        let elements = Elements::of(tensor).ok_or_else(foreign)?;
        let buffer = self.buffer(tensor.len() * 4)?;
        self.copy(&elements.buffer, buffer.raw());
        Ok(buffer)
    }

    /// The same words as a tensor of `float32` or `int32`, of as many elements as the buffer has words.
    pub fn buffer_tensor(&mut self, buffer: &Buffer, element: ElementType, shape: &[usize]) -> Result<Tensor, Error> {
        let count: usize = shape.iter().product();
        if buffer.bytes() != count * 4 {
            return Err(Error::Invalid(format!("{} bytes for {count} elements", buffer.bytes())));
        }
        self.take_task()?;
        let elements = self.fresh(count, Bounds::of(element))?;
        self.copy(buffer.raw(), &elements.buffer);
        Ok(Tensor::away(element, shape, Arc::new(elements)))
    }

    /// Elements for a result, of which a kernel writes every one.
    fn fresh(&mut self, count: usize, bounds: Bounds) -> Result<Elements, Error> {
        let size = bytes_of(count);
        let spare = self.spare_tensors.clone();
        let buffer = match spare.take(size as u64) {
            Some(buffer) => buffer,
            None if spare.reserve(size) => {
                let made = self.buffer(size).inspect_err(|_| spare.release(size));
                made?.raw().clone()
            }
            None => return Err(no_room()),
        };
        Ok(Elements { buffer, bounds, spare })
    }

    /// Records a kernel that takes up to three operands, and makes this many elements.
    fn launch(
        &mut self,
        kernel: kernels::Name,
        pass: Pass,
        params: Params,
        operands: &[&wgpu::Buffer],
        result: &wgpu::Buffer,
        grid: Grid,
    ) -> Result<(), Error> {
        self.take_task()?;
        let device = self.device().clone();
        let kernels = device.tensor_kernels();
        // A kernel that takes fewer is given one again.
        let first = *operands.first().ok_or_else(foreign)?;
        let operand = |at: usize| *operands.get(at).unwrap_or(&first);
        let resources = [operand(0), operand(1), operand(2), result].map(|buffer| buffer.as_entire_binding());
        let entries = (1..).zip(resources);
        self.record(pass, kernels.pipeline(kernel), &kernels.layout, bytemuck::bytes_of(&params), entries, grid)
    }
}

fn no_room() -> Error {
    Error::Limit(format!("no more than {} bytes of tensors on the GPU", limits::TENSOR_BYTES))
}

fn foreign() -> Error {
    Error::Invalid("the tensor's elements are not on this device".to_owned())
}

/// Elements as the device has them, and their bounds. None if it cannot have them.
fn words(tensor: &Tensor) -> Option<(Vec<u32>, Bounds)> {
    let bytes = tensor.bytes();
    let floats = |of: Vec<u32>| Some((of, Bounds::of(ElementType::F32)));
    let whole = |of: Vec<i32>| {
        let least = of.iter().min().copied().unwrap_or(0);
        let most = of.iter().max().copied().unwrap_or(0);
        Some((of.into_iter().map(i32::cast_unsigned).collect(), Bounds::new(least.into(), most.into())))
    };
    match tensor.element() {
        ElementType::F32 => floats(bytes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect()),
        ElementType::F16 => {
            let wide = |half: &[u8; 2]| f16::from_le_bytes(*half).to_f32().to_bits();
            floats(bytes.as_chunks().0.iter().map(wide).collect())
        }
        ElementType::U8 | ElementType::Boolean => whole(bytes.iter().map(|byte| i32::from(*byte)).collect()),
        ElementType::I32 => whole(bytes.as_chunks().0.iter().map(|word| i32::from_le_bytes(*word)).collect()),
        ElementType::I64 => {
            let narrow = |long: &[u8; 8]| i32::try_from(i64::from_le_bytes(*long)).ok();
            whole(bytes.as_chunks().0.iter().map(narrow).collect::<Option<_>>()?)
        }
    }
}

/// A tensor's elements on their way from the device.
#[derive(Debug)]
pub struct TensorRead {
    bytes: Bytes,
    element: ElementType,
    shape: Vec<usize>,
}

impl TensorRead {
    /// Waits for them, no longer than `timeout`: the tensor, here; and what the work before took.
    pub fn wait(self, timeout: Duration) -> Result<(Tensor, Usage), Error> {
        let Self { bytes, element, shape } = self;
        let count: usize = shape.iter().product();
        let (bytes, usage) = bytes.wait_with(timeout, |bytes, _| narrowed(element, &bytes[..count * 4]))?;
        let made = Tensor::from_bytes(element, &shape, &bytes, &mut rillbox_compute::Unlimited);
        Ok((made.map_err(|error| Error::Invalid(error.to_string()))?, usage))
    }
}

/// Words of the device as bytes of elements.
fn narrowed(element: ElementType, words: &[u8]) -> Vec<u8> {
    let words = words.as_chunks::<4>().0.iter();
    match element {
        ElementType::F32 | ElementType::I32 => words.flatten().copied().collect(),
        ElementType::F16 => words.flat_map(|word| f16::from_f32(f32::from_le_bytes(*word)).to_le_bytes()).collect(),
        ElementType::U8 | ElementType::Boolean => words.map(|word| word[0]).collect(),
        ElementType::I64 => words.flat_map(|word| i64::from(i32::from_le_bytes(*word)).to_le_bytes()).collect(),
    }
}
