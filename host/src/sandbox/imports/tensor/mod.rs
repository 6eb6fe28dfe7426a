//! `tensor`: arrays that the host works on.

mod permit;
mod wire;

use std::time::{Duration, Instant};

use rillbox_compute::{self as compute, Allowance, Cost, PictureLayout, Span, Tensor, Window};
use rillbox_media::convert;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use wasmtime::component::{Resource, ResourceTable};

use super::CallError;
use super::video::{self, Frame, Staged};
use crate::sandbox::bindings::rillbox::processor::tensor as wit;
use crate::sandbox::context::Guest;
use crate::sandbox::graphics;
use crate::sandbox::work::Kind;
use permit::{Estimate, GpuPermit, Permit};
use wire::{binary, convolution, pair, picture_layout, side, unary};
pub use wire::{element_type, fits_on_gpu, is_word, sizes};

/// What a guest's handle of a tensor stands for.
pub struct Held {
    tensor: Tensor,
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

impl wit::Host for Guest {}

/// An operation of which the first step is said to take longer leaves the thread's other guests to another thread.
const LONG: Duration = Duration::from_millis(2);

/// Operations at once that do so, in the whole process.
static APART: Semaphore = Semaphore::const_new(16);

/// Does what takes a while where it holds up nobody, if there is such a place.
fn apart<T>(work: impl FnOnce() -> T) -> T {
    let place = APART.try_acquire();
    let has_others = Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if has_others && place.is_ok() { tokio::task::block_in_place(work) } else { work() }
}

impl Guest {
    /// Does `work`, which may take what is left to the guest. Nothing can stop it once it runs, so that it is never
    /// allowed more than a frame's time, whatever the call may take. It is tried first without an allowance, which ends
    /// it after its checks.
    fn permitted<T>(
        &mut self,
        kind: Kind,
        work: impl Fn(&mut dyn Allowance) -> Result<T, compute::Error>,
    ) -> Result<T, CallError> {
        let mut estimate = Estimate::default();
        let tried = work(&mut estimate);
        let Some(first_step) = estimate.0 else { return Ok(tried?) };
        let mut permit = Permit::new(&mut self.budget, &self.timer, &self.limits);
        let began = Instant::now();
        let result = if first_step > LONG { apart(|| work(&mut permit)) } else { work(&mut permit) };
        if permit.late {
            self.refusals.operations += 1;
        }
        if result.is_ok() {
            self.work.note(kind, began.elapsed());
        }
        Ok(result?)
    }

    /// Has the GPU do `work`, if it can.
    fn permitted_on_gpu(
        &mut self,
        work: impl Fn(&mut dyn Allowance) -> Result<Tensor, compute::Error>,
    ) -> Result<Option<Tensor>, CallError> {
        let spent = self.graphics.spent;
        let workspace = self.graphics.workspace()?;
        let mut own = Permit::new(&mut self.budget, &self.timer, &self.limits);
        // To ask takes the guest next to no time: what was asked before counts.
        own.left = own.left.saturating_sub(spent);
        let left = own.left;
        let mut permit = GpuPermit { own, workspace, failure: None };
        let result = work(&mut permit);
        let GpuPermit { own, failure, .. } = permit;
        let taken = left - own.left;
        if own.late {
            self.refusals.operations += 1;
        }
        self.graphics.spent += taken;
        match (result, failure) {
            (_, Some(failure)) => Err(failure.into()),
            (Ok(made), _) => Ok(Some(made)),
            (Err(compute::Error::Away), _) => Ok(None),
            (Err(error), _) => Err(error.into()),
        }
    }

    fn tensors(&self, handles: &[&Resource<Held>]) -> wasmtime::Result<Vec<Tensor>> {
        handles.iter().map(|handle| held(&self.table, handle)).collect()
    }

    /// Makes a tensor of others, and a handle of it: on the GPU, if one of them is there and it can.
    async fn make_of(
        &mut self,
        kind: Kind,
        handles: &[&Resource<Held>],
        work: impl Fn(&[Tensor], &mut dyn Allowance) -> Result<Tensor, compute::Error> + Send + Sync,
    ) -> Result<Resource<Held>, CallError> {
        if self.tensors(handles)?.iter().any(|tensor| tensor.device().is_some()) {
            self.send(handles)?;
            let tensors = self.tensors(handles)?;
            if let Some(made) = self.permitted_on_gpu(|allowance| work(&tensors, allowance))? {
                return self.keep(made);
            }
            drop(tensors);
            for handle in handles {
                self.fetch(handle).await?;
            }
        }
        let tensors = self.tensors(handles)?;
        self.make(kind, |allowance| work(&tensors, allowance))
    }

    /// Makes a tensor, and a handle of it.
    fn make(
        &mut self,
        kind: Kind,
        work: impl Fn(&mut dyn Allowance) -> Result<Tensor, compute::Error>,
    ) -> Result<Resource<Held>, CallError> {
        let tensor = self.permitted(kind, work)?;
        self.keep(tensor)
    }

    /// A handle of a tensor.
    pub(super) fn keep(&mut self, tensor: Tensor) -> Result<Resource<Held>, CallError> {
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
    fn exchange(&mut self, handle: &Resource<Held>, tensor: Tensor) -> Result<(), CallError> {
        let new = Held::new(tensor);
        if !self.budget.reserve(new.counted) {
            return Err(no_room(new.counted));
        }
        self.graphics.memory += if new.tensor.device().is_some() { new.counted } else { 0 };
        let old = std::mem::replace(self.table.get_mut(handle)?, new);
        self.release(&old);
        Ok(())
    }

    fn release(&mut self, held: &Held) {
        if held.tensor.device().is_some() {
            self.release_on_gpu(held.counted);
        } else {
            self.budget.release(held.counted);
        }
    }

    /// Moves tensors to the GPU that are here, and more than a number; those that it cannot have stay.
    fn send(&mut self, handles: &[&Resource<Held>]) -> Result<(), CallError> {
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
    pub(super) async fn fetch(&mut self, handle: &Resource<Held>) -> Result<(), CallError> {
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
    fn picture_on_gpu(&mut self, frame: &Resource<Frame>, layout: &PictureLayout) -> Result<Resource<Held>, CallError> {
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
    fn replace_on_gpu(
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

    /// Makes a tensor of another.
    async fn of(
        &mut self,
        kind: Kind,
        tensor: &Resource<Held>,
        work: impl Fn(&Tensor, &mut dyn Allowance) -> Result<Tensor, compute::Error> + Send + Sync,
    ) -> Result<Resource<Held>, CallError> {
        self.make_of(kind, &[tensor], |tensors, allowance| work(&tensors[0], allowance)).await
    }

    /// Makes a tensor of two others.
    async fn of_two(
        &mut self,
        kind: Kind,
        left: &Resource<Held>,
        right: &Resource<Held>,
        work: impl Fn(&Tensor, &Tensor, &mut dyn Allowance) -> Result<Tensor, compute::Error> + Send + Sync,
    ) -> Result<Resource<Held>, CallError> {
        self.make_of(kind, &[left, right], |tensors, allowance| work(&tensors[0], &tensors[1], allowance)).await
    }
}

fn no_room(bytes: usize) -> CallError {
    CallError::limit(format!("{bytes} bytes do not fit into the memory limit"))
}

/// The tensor that a handle stands for.
pub fn held(table: &ResourceTable, handle: &Resource<Held>) -> wasmtime::Result<Tensor> {
    Ok(table.get(handle)?.tensor.clone())
}

/// Makes a tensor of bytes, and a handle of it.
pub fn from_bytes(
    guest: &mut Guest,
    element: wit::ElementType,
    shape: &[u32],
    bytes: &[u8],
) -> Result<Resource<Held>, CallError> {
    guest.make(Kind::Transfer, |allowance| Tensor::from_bytes(element_type(element), &sizes(shape), bytes, allowance))
}

impl wit::HostTensor for Guest {
    async fn from_bytes(
        &mut self,
        element: wit::ElementType,
        shape: Vec<u32>,
        bytes: Vec<u8>,
    ) -> Result<Resource<Held>, CallError> {
        from_bytes(self, element, &shape, &bytes)
    }

    async fn full(
        &mut self,
        element: wit::ElementType,
        shape: Vec<u32>,
        value: f64,
    ) -> Result<Resource<Held>, CallError> {
        self.make(Kind::Transfer, |allowance| Tensor::full(element_type(element), &sizes(&shape), value, allowance))
    }

    async fn arange(
        &mut self,
        element: wit::ElementType,
        start: f64,
        step: f64,
        count: u32,
    ) -> Result<Resource<Held>, CallError> {
        self.make(Kind::Transfer, |allowance| Tensor::arange(element_type(element), start, step, count, allowance))
    }

    async fn from_frame(
        &mut self,
        frame: Resource<Frame>,
        layout: wit::PictureLayout,
    ) -> Result<Resource<Held>, CallError> {
        let (format, layout) = picture_layout(layout);
        if self.graphics.has_tensors() {
            return self.picture_on_gpu(&frame, &layout);
        }
        let picture = self.table.get(&frame)?.picture.clone();
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        self.make(Kind::Transfer, |allowance| {
            // The samples are there besides the tensor.
            let samples = width as u64 * height as u64 * layout.channels.count() as u64;
            allowance.admit(Cost { bytes: samples, time: Duration::from_nanos(samples / 2) })?;
            layout.tensor(width, height, &convert::read(&picture, format), allowance)
        })
    }

    async fn replace_frame(
        &mut self,
        tensor: Resource<Held>,
        frame: Resource<Frame>,
        layout: wit::PictureLayout,
    ) -> Result<(), CallError> {
        let tensor = held(&self.table, &tensor)?;
        let (format, layout) = picture_layout(layout);
        if tensor.device().is_some() {
            return self.replace_on_gpu(&frame, &tensor, &layout);
        }
        let (width, height, samples) =
            self.permitted(Kind::Transfer, |allowance| layout.samples(&tensor, allowance))?;
        video::stage(self, &frame, format, (side(width), side(height)), &samples)
    }

    fn element_type(&mut self, tensor: Resource<Held>) -> wasmtime::Result<wit::ElementType> {
        Ok(match self.table.get(&tensor)?.tensor.element() {
            compute::ElementType::F32 => wit::ElementType::Float32,
            compute::ElementType::F16 => wit::ElementType::Float16,
            compute::ElementType::U8 => wit::ElementType::Uint8,
            compute::ElementType::I32 => wit::ElementType::Int32,
            compute::ElementType::I64 => wit::ElementType::Int64,
            compute::ElementType::Boolean => wit::ElementType::Boolean,
        })
    }

    fn shape(&mut self, tensor: Resource<Held>) -> wasmtime::Result<Vec<u32>> {
        Ok(self.table.get(&tensor)?.tensor.shape().iter().map(|axis| side(*axis)).collect())
    }

    async fn bytes(&mut self, tensor: Resource<Held>) -> Result<Vec<u8>, CallError> {
        self.fetch(&tensor).await?;
        let tensor = held(&self.table, &tensor)?;
        let count = tensor.bytes().len();
        if count > self.limits.copied {
            let most = self.limits.copied;
            return Err(CallError::limit(format!("{count} bytes are more than the {most} that one call copies")));
        }
        self.permitted(Kind::Transfer, |allowance| {
            // The guest's own copy is memory of its own.
            allowance.admit(Cost { bytes: count as u64, time: Duration::from_nanos(count as u64 / 8) })?;
            Ok(tensor.bytes().to_vec())
        })
    }

    async fn unary(
        &mut self,
        tensor: Resource<Held>,
        operation: wit::UnaryOperation,
    ) -> Result<Resource<Held>, CallError> {
        self.of(Kind::Elementwise, &tensor, |tensor, allowance| tensor.unary(unary(operation), allowance)).await
    }

    async fn binary(
        &mut self,
        left: Resource<Held>,
        operation: wit::BinaryOperation,
        right: Resource<Held>,
    ) -> Result<Resource<Held>, CallError> {
        self.of_two(Kind::Elementwise, &left, &right, |left, right, allowance| {
            left.binary(binary(operation), right, allowance)
        })
        .await
    }

    async fn binary_scalar(
        &mut self,
        left: Resource<Held>,
        operation: wit::BinaryOperation,
        right: f64,
    ) -> Result<Resource<Held>, CallError> {
        self.of(Kind::Elementwise, &left, |left, allowance| left.binary_scalar(binary(operation), right, allowance))
            .await
    }

    async fn choose(
        &mut self,
        tensor: Resource<Held>,
        yes: Resource<Held>,
        no: Resource<Held>,
    ) -> Result<Resource<Held>, CallError> {
        let handles = [&tensor, &yes, &no];
        let work = |of: &[Tensor], allowance: &mut dyn Allowance| of[0].choose(&of[1], &of[2], allowance);
        self.make_of(Kind::Elementwise, &handles, work).await
    }

    async fn clamp(&mut self, tensor: Resource<Held>, low: f64, high: f64) -> Result<Resource<Held>, CallError> {
        self.of(Kind::Elementwise, &tensor, |tensor, allowance| tensor.clamp(low, high, allowance)).await
    }

    async fn cast(&mut self, tensor: Resource<Held>, element: wit::ElementType) -> Result<Resource<Held>, CallError> {
        self.of(Kind::Elementwise, &tensor, |tensor, allowance| tensor.cast(element_type(element), allowance)).await
    }

    async fn reduce(
        &mut self,
        tensor: Resource<Held>,
        operation: wit::Reduction,
        axes: Vec<i32>,
        keep: bool,
    ) -> Result<Resource<Held>, CallError> {
        let operation = match operation {
            wit::Reduction::Sum => compute::Reduction::Sum,
            wit::Reduction::Mean => compute::Reduction::Mean,
            wit::Reduction::Max => compute::Reduction::Max,
            wit::Reduction::Min => compute::Reduction::Min,
            wit::Reduction::Prod => compute::Reduction::Prod,
        };
        self.of(Kind::Reduction, &tensor, |tensor, allowance| tensor.reduce(operation, &axes, keep, allowance)).await
    }

    async fn arg_reduce(
        &mut self,
        tensor: Resource<Held>,
        operation: wit::ArgReduction,
        axis: i32,
        keep: bool,
    ) -> Result<Resource<Held>, CallError> {
        let operation = match operation {
            wit::ArgReduction::Max => compute::ArgReduction::Max,
            wit::ArgReduction::Min => compute::ArgReduction::Min,
        };
        self.of(Kind::Reduction, &tensor, |tensor, allowance| tensor.arg_reduce(operation, axis, keep, allowance)).await
    }

    async fn matmul(&mut self, left: Resource<Held>, right: Resource<Held>) -> Result<Resource<Held>, CallError> {
        self.of_two(Kind::Matmul, &left, &right, |left, right, allowance| left.matmul(right, allowance)).await
    }

    async fn conv2d(
        &mut self,
        tensor: Resource<Held>,
        kernel: Resource<Held>,
        bias: Option<Resource<Held>>,
        options: wit::Convolution,
    ) -> Result<Resource<Held>, CallError> {
        let options = convolution(options);
        let handles: Vec<_> = [&tensor, &kernel].into_iter().chain(&bias).collect();
        let work = |of: &[Tensor], allowance: &mut dyn Allowance| of[0].conv2d(&of[1], of.get(2), options, allowance);
        self.make_of(Kind::Convolution, &handles, work).await
    }

    async fn conv2d_transposed(
        &mut self,
        tensor: Resource<Held>,
        kernel: Resource<Held>,
        bias: Option<Resource<Held>>,
        options: wit::Convolution,
        extra: (u32, u32),
    ) -> Result<Resource<Held>, CallError> {
        let (options, extra) = (convolution(options), pair(extra));
        let handles: Vec<_> = [&tensor, &kernel].into_iter().chain(&bias).collect();
        let work = |of: &[Tensor], allowance: &mut dyn Allowance| {
            of[0].conv2d_transposed(&of[1], of.get(2), options, extra, allowance)
        };
        self.make_of(Kind::Convolution, &handles, work).await
    }

    async fn pool2d(
        &mut self,
        tensor: Resource<Held>,
        operation: wit::Pooling,
        window: wit::Window,
    ) -> Result<Resource<Held>, CallError> {
        let operation = match operation {
            wit::Pooling::Max => compute::Pooling::Max,
            wit::Pooling::Average => compute::Pooling::Average,
        };
        let window = Window { size: pair(window.size), stride: pair(window.stride), padding: pair(window.padding) };
        self.of(Kind::Pooling, &tensor, |tensor, allowance| tensor.pool2d(operation, window, allowance)).await
    }

    async fn resize(
        &mut self,
        tensor: Resource<Held>,
        rows: u32,
        columns: u32,
        method: wit::ResizeMethod,
    ) -> Result<Resource<Held>, CallError> {
        let method = match method {
            wit::ResizeMethod::Nearest => compute::ResizeMethod::Nearest,
            wit::ResizeMethod::Bilinear => compute::ResizeMethod::Bilinear,
            wit::ResizeMethod::Bicubic => compute::ResizeMethod::Bicubic,
        };
        self.of(Kind::Resize, &tensor, |tensor, allowance| {
            tensor.resize(rows as usize, columns as usize, method, allowance)
        })
        .await
    }

    async fn pad(
        &mut self,
        tensor: Resource<Held>,
        widths: Vec<(u32, u32)>,
        mode: wit::PadMode,
        value: f64,
    ) -> Result<Resource<Held>, CallError> {
        let mode = match mode {
            wit::PadMode::Constant => compute::PadMode::Constant(value),
            wit::PadMode::Reflect => compute::PadMode::Reflect,
            wit::PadMode::Edge => compute::PadMode::Edge,
        };
        let widths: Vec<_> = widths.into_iter().map(|(before, after)| (before as usize, after as usize)).collect();
        self.of(Kind::Layout, &tensor, |tensor, allowance| tensor.pad(&widths, mode, allowance)).await
    }

    async fn slice(
        &mut self,
        tensor: Resource<Held>,
        ranges: Vec<(u32, u32, u32)>,
    ) -> Result<Resource<Held>, CallError> {
        let span = |(start, end, step)| Span { start: start as usize, end: end as usize, step: step as usize };
        let spans: Vec<_> = ranges.into_iter().map(span).collect();
        self.of(Kind::Layout, &tensor, |tensor, allowance| tensor.slice(&spans, allowance)).await
    }

    async fn reshape(&mut self, tensor: Resource<Held>, shape: Vec<i32>) -> Result<Resource<Held>, CallError> {
        self.of(Kind::Layout, &tensor, |tensor, _| tensor.reshape(&shape)).await
    }

    async fn transpose(&mut self, tensor: Resource<Held>, order: Vec<u32>) -> Result<Resource<Held>, CallError> {
        self.of(Kind::Layout, &tensor, |tensor, allowance| tensor.transpose(&sizes(&order), allowance)).await
    }

    async fn concat(&mut self, tensors: Vec<Resource<Held>>, axis: i32) -> Result<Resource<Held>, CallError> {
        // One may be named again and again, and each time costs the host what a handle does.
        if tensors.len() > self.limits.handles {
            let (given, most) = (tensors.len(), self.limits.handles);
            return Err(CallError::limit(format!("{given} tensors are more than the {most} handles there may be")));
        }
        let handles: Vec<_> = tensors.iter().collect();
        let work = |of: &[Tensor], allowance: &mut dyn Allowance| {
            Tensor::concat(&of.iter().collect::<Vec<_>>(), axis, allowance)
        };
        self.make_of(Kind::Layout, &handles, work).await
    }

    async fn gather(
        &mut self,
        tensor: Resource<Held>,
        axis: i32,
        indices: Resource<Held>,
    ) -> Result<Resource<Held>, CallError> {
        self.of_two(Kind::Layout, &tensor, &indices, |tensor, indices, allowance| {
            tensor.gather(axis, indices, allowance)
        })
        .await
    }

    async fn softmax(&mut self, tensor: Resource<Held>, axis: i32) -> Result<Resource<Held>, CallError> {
        self.of(Kind::Normalization, &tensor, |tensor, allowance| tensor.softmax(axis, allowance)).await
    }

    async fn layer_norm(
        &mut self,
        tensor: Resource<Held>,
        axis: i32,
        scale: Resource<Held>,
        bias: Option<Resource<Held>>,
        epsilon: f32,
    ) -> Result<Resource<Held>, CallError> {
        let handles: Vec<_> = [&tensor, &scale].into_iter().chain(&bias).collect();
        let work = |of: &[Tensor], allowance: &mut dyn Allowance| {
            of[0].layer_norm(axis, &of[1], of.get(2), epsilon, allowance)
        };
        self.make_of(Kind::Normalization, &handles, work).await
    }

    async fn batch_norm(
        &mut self,
        tensor: Resource<Held>,
        scale: Resource<Held>,
        bias: Resource<Held>,
        mean: Resource<Held>,
        variance: Resource<Held>,
        epsilon: f32,
    ) -> Result<Resource<Held>, CallError> {
        let handles = [&tensor, &scale, &bias, &mean, &variance];
        let work = |of: &[Tensor], allowance: &mut dyn Allowance| {
            of[0].batch_norm([&of[1], &of[2], &of[3], &of[4]], epsilon, allowance)
        };
        self.make_of(Kind::Normalization, &handles, work).await
    }

    async fn group_norm(
        &mut self,
        tensor: Resource<Held>,
        groups: u32,
        scale: Resource<Held>,
        bias: Resource<Held>,
        epsilon: f32,
    ) -> Result<Resource<Held>, CallError> {
        let handles = [&tensor, &scale, &bias];
        let work = |of: &[Tensor], allowance: &mut dyn Allowance| {
            of[0].group_norm(groups as usize, &of[1], &of[2], epsilon, allowance)
        };
        self.make_of(Kind::Normalization, &handles, work).await
    }

    async fn color_matrix(
        &mut self,
        tensor: Resource<Held>,
        axis: i32,
        matrix: Vec<f32>,
        offset: Vec<f32>,
    ) -> Result<Resource<Held>, CallError> {
        self.of(Kind::Elementwise, &tensor, |tensor, allowance| tensor.color_matrix(axis, &matrix, &offset, allowance))
            .await
    }

    async fn blend(
        &mut self,
        tensor: Resource<Held>,
        other: Resource<Held>,
        weight: Resource<Held>,
    ) -> Result<Resource<Held>, CallError> {
        let handles = [&tensor, &other, &weight];
        let work = |of: &[Tensor], allowance: &mut dyn Allowance| of[0].blend(&of[1], &of[2], allowance);
        self.make_of(Kind::Elementwise, &handles, work).await
    }

    async fn blend_scalar(
        &mut self,
        tensor: Resource<Held>,
        other: Resource<Held>,
        weight: f32,
    ) -> Result<Resource<Held>, CallError> {
        self.of_two(Kind::Elementwise, &tensor, &other, |tensor, other, allowance| {
            tensor.blend_scalar(other, weight, allowance)
        })
        .await
    }

    fn drop(&mut self, tensor: Resource<Held>) -> wasmtime::Result<()> {
        let held = self.table.delete(tensor)?;
        self.release(&held);
        Ok(())
    }
}
