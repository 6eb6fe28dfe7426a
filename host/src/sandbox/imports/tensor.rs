//! `tensor`: arrays that the host works on.

use std::time::{Duration, Instant};

use rillbox_compute::{self as compute, Allowance, Convolution, Cost, PictureLayout, Span, Tensor, Window};
use rillbox_media::{PixelFormat, convert};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use wasmtime::component::{Resource, ResourceTable};

use super::video::{self, Frame};
use crate::sandbox::bindings::rillbox::processor::tensor as wit;
use crate::sandbox::bindings::rillbox::processor::types::Error;
use crate::sandbox::context::Guest;
use crate::sandbox::limits::Budget;
use crate::sandbox::work::Kind;

/// What a guest's handle of a tensor stands for.
pub struct Held {
    tensor: Tensor,
    /// Bytes counted against the guest. Tensors that share their elements count each.
    counted: usize,
}

/// What every operation gives.
type Made = wasmtime::Result<Result<Resource<Held>, Error>>;

impl wit::Host for Guest {}

/// What one operation may take of a guest.
struct Permit<'a> {
    budget: &'a mut Budget,
    left: Duration,
    /// Bytes admitted so far: an operation of several steps may need them all at once.
    taken: usize,
    late: bool,
}

impl Allowance for Permit<'_> {
    fn admit(&mut self, cost: Cost) -> Result<(), compute::Error> {
        let bytes = self.taken.saturating_add(usize::try_from(cost.bytes).unwrap_or(usize::MAX));
        if !self.budget.fits(bytes) {
            return Err(compute::Error::Limit(format!("{bytes} bytes do not fit into the memory limit")));
        }
        if cost.time > self.left {
            self.late = true;
            return Err(compute::Error::Limit(format!(
                "an operation that may take {} ms, where {} ms are left",
                cost.time.as_millis(),
                self.left.as_millis()
            )));
        }
        self.taken = bytes;
        self.left -= cost.time;
        Ok(())
    }
}

/// Takes note of what an operation would cost, and lets it go no further.
#[derive(Default)]
struct Estimate(Option<Duration>);

impl Allowance for Estimate {
    fn admit(&mut self, cost: Cost) -> Result<(), compute::Error> {
        self.0 = Some(cost.time);
        Err(compute::Error::Limit(String::new()))
    }
}

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
    ) -> Result<T, Error> {
        let mut estimate = Estimate::default();
        let tried = work(&mut estimate);
        let Some(first_step) = estimate.0 else { return tried.map_err(misuse) };
        let left = self.timer.left().min(self.limits.frame_budget);
        let mut permit = Permit { budget: &mut self.budget, left, taken: 0, late: false };
        let began = Instant::now();
        let result = if first_step > LONG { apart(|| work(&mut permit)) } else { work(&mut permit) };
        if result.is_ok() {
            self.work.note(kind, began.elapsed());
        }
        if permit.late {
            self.refusals.operations += 1;
        }
        result.map_err(misuse)
    }

    fn tensor(&self, handle: &Resource<Held>) -> wasmtime::Result<Tensor> {
        held(&self.table, handle)
    }

    /// Makes a tensor, and a handle of it.
    fn make(&mut self, kind: Kind, work: impl Fn(&mut dyn Allowance) -> Result<Tensor, compute::Error>) -> Made {
        let tensor = match self.permitted(kind, work) {
            Ok(tensor) => tensor,
            Err(refused) => return Ok(Err(refused)),
        };
        let counted = tensor.bytes().len();
        if !self.budget.reserve(counted) {
            return Ok(Err(Error::Limit(format!("{counted} bytes do not fit into the memory limit"))));
        }
        match self.table.push(Held { tensor, counted }) {
            Ok(handle) => Ok(Ok(handle)),
            Err(_) => {
                self.budget.release(counted);
                Ok(Err(self.no_handle()))
            }
        }
    }

    /// Makes a tensor of another.
    fn of(
        &mut self,
        kind: Kind,
        tensor: &Resource<Held>,
        work: impl Fn(&Tensor, &mut dyn Allowance) -> Result<Tensor, compute::Error>,
    ) -> Made {
        let tensor = self.tensor(tensor)?;
        self.make(kind, |allowance| work(&tensor, allowance))
    }

    /// Makes a tensor of two others.
    fn of_two(
        &mut self,
        kind: Kind,
        left: &Resource<Held>,
        right: &Resource<Held>,
        work: impl Fn(&Tensor, &Tensor, &mut dyn Allowance) -> Result<Tensor, compute::Error>,
    ) -> Made {
        let (left, right) = (self.tensor(left)?, self.tensor(right)?);
        self.make(kind, |allowance| work(&left, &right, allowance))
    }

    fn optional(&self, tensor: Option<Resource<Held>>) -> wasmtime::Result<Option<Tensor>> {
        tensor.map(|tensor| self.tensor(&tensor)).transpose()
    }
}

/// The tensor that a handle stands for.
pub fn held(table: &ResourceTable, handle: &Resource<Held>) -> wasmtime::Result<Tensor> {
    Ok(table.get(handle)?.tensor.clone())
}

/// Makes a tensor of bytes, and a handle of it.
pub fn from_bytes(guest: &mut Guest, element: wit::ElementType, shape: &[u32], bytes: &[u8]) -> Made {
    guest.make(Kind::Transfer, |allowance| Tensor::from_bytes(element_type(element), &sizes(shape), bytes, allowance))
}

impl wit::HostTensor for Guest {
    fn from_bytes(&mut self, element: wit::ElementType, shape: Vec<u32>, bytes: Vec<u8>) -> Made {
        from_bytes(self, element, &shape, &bytes)
    }

    fn full(&mut self, element: wit::ElementType, shape: Vec<u32>, value: f64) -> Made {
        self.make(Kind::Transfer, |allowance| Tensor::full(element_type(element), &sizes(&shape), value, allowance))
    }

    fn arange(&mut self, element: wit::ElementType, start: f64, step: f64, count: u32) -> Made {
        self.make(Kind::Transfer, |allowance| Tensor::arange(element_type(element), start, step, count, allowance))
    }

    fn from_frame(&mut self, frame: Resource<Frame>, layout: wit::PictureLayout) -> Made {
        let picture = self.table.get(&frame)?.picture.clone();
        let (format, layout) = picture_layout(layout);
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let samples = convert::read(&picture, format);
        self.make(Kind::Transfer, |allowance| layout.tensor(width, height, &samples, allowance))
    }

    fn replace_frame(
        &mut self,
        tensor: Resource<Held>,
        frame: Resource<Frame>,
        layout: wit::PictureLayout,
    ) -> wasmtime::Result<Result<(), Error>> {
        let tensor = self.tensor(&tensor)?;
        let (format, layout) = picture_layout(layout);
        match self.permitted(Kind::Transfer, |allowance| layout.samples(&tensor, allowance)) {
            Ok((width, height, samples)) => {
                let size = (side(width), side(height));
                video::stage(self, &frame, format, size, &samples)
            }
            Err(refused) => Ok(Err(refused)),
        }
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

    fn bytes(&mut self, tensor: Resource<Held>) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        Ok(Ok(self.table.get(&tensor)?.tensor.bytes().to_vec()))
    }

    fn unary(&mut self, tensor: Resource<Held>, operation: wit::UnaryOperation) -> Made {
        self.of(Kind::Elementwise, &tensor, |tensor, allowance| tensor.unary(unary(operation), allowance))
    }

    fn binary(&mut self, left: Resource<Held>, operation: wit::BinaryOperation, right: Resource<Held>) -> Made {
        self.of_two(Kind::Elementwise, &left, &right, |left, right, allowance| {
            left.binary(binary(operation), right, allowance)
        })
    }

    fn binary_scalar(&mut self, left: Resource<Held>, operation: wit::BinaryOperation, right: f64) -> Made {
        self.of(Kind::Elementwise, &left, |left, allowance| left.binary_scalar(binary(operation), right, allowance))
    }

    fn choose(&mut self, tensor: Resource<Held>, yes: Resource<Held>, no: Resource<Held>) -> Made {
        let tensor = self.tensor(&tensor)?;
        self.of_two(Kind::Elementwise, &yes, &no, |yes, no, allowance| tensor.choose(yes, no, allowance))
    }

    fn clamp(&mut self, tensor: Resource<Held>, low: f64, high: f64) -> Made {
        self.of(Kind::Elementwise, &tensor, |tensor, allowance| tensor.clamp(low, high, allowance))
    }

    fn cast(&mut self, tensor: Resource<Held>, element: wit::ElementType) -> Made {
        self.of(Kind::Elementwise, &tensor, |tensor, allowance| tensor.cast(element_type(element), allowance))
    }

    fn reduce(&mut self, tensor: Resource<Held>, operation: wit::Reduction, axes: Vec<i32>, keep: bool) -> Made {
        let operation = match operation {
            wit::Reduction::Sum => compute::Reduction::Sum,
            wit::Reduction::Mean => compute::Reduction::Mean,
            wit::Reduction::Max => compute::Reduction::Max,
            wit::Reduction::Min => compute::Reduction::Min,
            wit::Reduction::Prod => compute::Reduction::Prod,
        };
        self.of(Kind::Reduction, &tensor, |tensor, allowance| tensor.reduce(operation, &axes, keep, allowance))
    }

    fn arg_reduce(&mut self, tensor: Resource<Held>, operation: wit::ArgReduction, axis: i32, keep: bool) -> Made {
        let operation = match operation {
            wit::ArgReduction::Max => compute::ArgReduction::Max,
            wit::ArgReduction::Min => compute::ArgReduction::Min,
        };
        self.of(Kind::Reduction, &tensor, |tensor, allowance| tensor.arg_reduce(operation, axis, keep, allowance))
    }

    fn matmul(&mut self, left: Resource<Held>, right: Resource<Held>) -> Made {
        self.of_two(Kind::Matmul, &left, &right, |left, right, allowance| left.matmul(right, allowance))
    }

    fn conv2d(
        &mut self,
        tensor: Resource<Held>,
        kernel: Resource<Held>,
        bias: Option<Resource<Held>>,
        options: wit::Convolution,
    ) -> Made {
        let bias = self.optional(bias)?;
        let options = convolution(options);
        self.of_two(Kind::Convolution, &tensor, &kernel, |tensor, kernel, allowance| {
            tensor.conv2d(kernel, bias.as_ref(), options, allowance)
        })
    }

    fn conv2d_transposed(
        &mut self,
        tensor: Resource<Held>,
        kernel: Resource<Held>,
        bias: Option<Resource<Held>>,
        options: wit::Convolution,
        extra: (u32, u32),
    ) -> Made {
        let bias = self.optional(bias)?;
        let (options, extra) = (convolution(options), pair(extra));
        self.of_two(Kind::Convolution, &tensor, &kernel, |tensor, kernel, allowance| {
            tensor.conv2d_transposed(kernel, bias.as_ref(), options, extra, allowance)
        })
    }

    fn pool2d(&mut self, tensor: Resource<Held>, operation: wit::Pooling, window: wit::Window) -> Made {
        let operation = match operation {
            wit::Pooling::Max => compute::Pooling::Max,
            wit::Pooling::Average => compute::Pooling::Average,
        };
        let window = Window { size: pair(window.size), stride: pair(window.stride), padding: pair(window.padding) };
        self.of(Kind::Pooling, &tensor, |tensor, allowance| tensor.pool2d(operation, window, allowance))
    }

    fn resize(&mut self, tensor: Resource<Held>, rows: u32, columns: u32, method: wit::ResizeMethod) -> Made {
        let method = match method {
            wit::ResizeMethod::Nearest => compute::ResizeMethod::Nearest,
            wit::ResizeMethod::Bilinear => compute::ResizeMethod::Bilinear,
            wit::ResizeMethod::Bicubic => compute::ResizeMethod::Bicubic,
        };
        self.of(Kind::Resize, &tensor, |tensor, allowance| {
            tensor.resize(rows as usize, columns as usize, method, allowance)
        })
    }

    fn pad(&mut self, tensor: Resource<Held>, widths: Vec<(u32, u32)>, mode: wit::PadMode, value: f64) -> Made {
        let mode = match mode {
            wit::PadMode::Constant => compute::PadMode::Constant(value),
            wit::PadMode::Reflect => compute::PadMode::Reflect,
            wit::PadMode::Edge => compute::PadMode::Edge,
        };
        let widths: Vec<_> = widths.into_iter().map(|(before, after)| (before as usize, after as usize)).collect();
        self.of(Kind::Layout, &tensor, |tensor, allowance| tensor.pad(&widths, mode, allowance))
    }

    fn slice(&mut self, tensor: Resource<Held>, ranges: Vec<(u32, u32, u32)>) -> Made {
        let span = |(start, end, step)| Span { start: start as usize, end: end as usize, step: step as usize };
        let spans: Vec<_> = ranges.into_iter().map(span).collect();
        self.of(Kind::Layout, &tensor, |tensor, allowance| tensor.slice(&spans, allowance))
    }

    fn reshape(&mut self, tensor: Resource<Held>, shape: Vec<i32>) -> Made {
        self.of(Kind::Layout, &tensor, |tensor, _| tensor.reshape(&shape))
    }

    fn transpose(&mut self, tensor: Resource<Held>, order: Vec<u32>) -> Made {
        self.of(Kind::Layout, &tensor, |tensor, allowance| tensor.transpose(&sizes(&order), allowance))
    }

    fn concat(&mut self, tensors: Vec<Resource<Held>>, axis: i32) -> Made {
        let tensors: Vec<_> = tensors.iter().map(|tensor| self.tensor(tensor)).collect::<Result<_, _>>()?;
        self.make(Kind::Layout, |allowance| Tensor::concat(&tensors.iter().collect::<Vec<_>>(), axis, allowance))
    }

    fn gather(&mut self, tensor: Resource<Held>, axis: i32, indices: Resource<Held>) -> Made {
        self.of_two(Kind::Layout, &tensor, &indices, |tensor, indices, allowance| {
            tensor.gather(axis, indices, allowance)
        })
    }

    fn softmax(&mut self, tensor: Resource<Held>, axis: i32) -> Made {
        self.of(Kind::Normalization, &tensor, |tensor, allowance| tensor.softmax(axis, allowance))
    }

    fn layer_norm(
        &mut self,
        tensor: Resource<Held>,
        axis: i32,
        scale: Resource<Held>,
        bias: Option<Resource<Held>>,
        epsilon: f32,
    ) -> Made {
        let bias = self.optional(bias)?;
        self.of_two(Kind::Normalization, &tensor, &scale, |tensor, scale, allowance| {
            tensor.layer_norm(axis, scale, bias.as_ref(), epsilon, allowance)
        })
    }

    fn batch_norm(
        &mut self,
        tensor: Resource<Held>,
        scale: Resource<Held>,
        bias: Resource<Held>,
        mean: Resource<Held>,
        variance: Resource<Held>,
        epsilon: f32,
    ) -> Made {
        let factors = [self.tensor(&scale)?, self.tensor(&bias)?, self.tensor(&mean)?, self.tensor(&variance)?];
        self.of(Kind::Normalization, &tensor, |tensor, allowance| {
            tensor.batch_norm(factors.each_ref(), epsilon, allowance)
        })
    }

    fn group_norm(
        &mut self,
        tensor: Resource<Held>,
        groups: u32,
        scale: Resource<Held>,
        bias: Resource<Held>,
        epsilon: f32,
    ) -> Made {
        let tensor = self.tensor(&tensor)?;
        self.of_two(Kind::Normalization, &scale, &bias, |scale, bias, allowance| {
            tensor.group_norm(groups as usize, scale, bias, epsilon, allowance)
        })
    }

    fn color_matrix(&mut self, tensor: Resource<Held>, axis: i32, matrix: Vec<f32>, offset: Vec<f32>) -> Made {
        self.of(Kind::Elementwise, &tensor, |tensor, allowance| tensor.color_matrix(axis, &matrix, &offset, allowance))
    }

    fn blend(&mut self, tensor: Resource<Held>, other: Resource<Held>, weight: Resource<Held>) -> Made {
        let weight = self.tensor(&weight)?;
        self.of_two(Kind::Elementwise, &tensor, &other, |tensor, other, allowance| {
            tensor.blend(other, &weight, allowance)
        })
    }

    fn blend_scalar(&mut self, tensor: Resource<Held>, other: Resource<Held>, weight: f32) -> Made {
        self.of_two(Kind::Elementwise, &tensor, &other, |tensor, other, allowance| {
            tensor.blend_scalar(other, weight, allowance)
        })
    }

    fn drop(&mut self, tensor: Resource<Held>) -> wasmtime::Result<()> {
        let held = self.table.delete(tensor)?;
        self.budget.release(held.counted);
        Ok(())
    }
}

fn misuse(error: compute::Error) -> Error {
    match error {
        compute::Error::Invalid(why) => Error::Invalid(why),
        compute::Error::Limit(why) => Error::Limit(why),
    }
}

fn sizes(sizes: &[u32]) -> Vec<usize> {
    sizes.iter().map(|size| *size as usize).collect()
}

/// An axis is never longer than 32 bits say.
fn side(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn pair((rows, columns): (u32, u32)) -> [usize; 2] {
    [rows as usize, columns as usize]
}

fn convolution(options: wit::Convolution) -> Convolution {
    Convolution {
        stride: pair(options.stride),
        padding: pair(options.padding),
        dilation: pair(options.dilation),
        groups: options.groups as usize,
    }
}

fn element_type(element: wit::ElementType) -> compute::ElementType {
    match element {
        wit::ElementType::Float32 => compute::ElementType::F32,
        wit::ElementType::Float16 => compute::ElementType::F16,
        wit::ElementType::Uint8 => compute::ElementType::U8,
        wit::ElementType::Int32 => compute::ElementType::I32,
        wit::ElementType::Int64 => compute::ElementType::I64,
        wit::ElementType::Boolean => compute::ElementType::Boolean,
    }
}

/// The layout, and the format whose samples it arranges.
fn picture_layout(layout: wit::PictureLayout) -> (PixelFormat, PictureLayout) {
    let (format, channels) = match layout.channels {
        wit::Channels::Rgb => (PixelFormat::Rgb8, compute::Channels::Rgb),
        wit::Channels::Gray => (PixelFormat::Gray8, compute::Channels::Gray),
    };
    let order = match layout.order {
        wit::ChannelOrder::Hwc => compute::ChannelOrder::Hwc,
        wit::ChannelOrder::Chw => compute::ChannelOrder::Chw,
    };
    let wit::PictureLayout { batch, element, scale, offset, .. } = layout;
    (format, PictureLayout { channels, order, batch, element: element_type(element), scale, offset })
}

fn unary(operation: wit::UnaryOperation) -> compute::Unary {
    use compute::Unary;
    use wit::UnaryOperation as Wire;
    match operation {
        Wire::Neg => Unary::Neg,
        Wire::Abs => Unary::Abs,
        Wire::Sign => Unary::Sign,
        Wire::Reciprocal => Unary::Reciprocal,
        Wire::Exp => Unary::Exp,
        Wire::Log => Unary::Log,
        Wire::Sqrt => Unary::Sqrt,
        Wire::Sin => Unary::Sin,
        Wire::Cos => Unary::Cos,
        Wire::Tan => Unary::Tan,
        Wire::Asin => Unary::Asin,
        Wire::Acos => Unary::Acos,
        Wire::Atan => Unary::Atan,
        Wire::Sinh => Unary::Sinh,
        Wire::Cosh => Unary::Cosh,
        Wire::Floor => Unary::Floor,
        Wire::Ceil => Unary::Ceil,
        Wire::Round => Unary::Round,
        Wire::Erf => Unary::Erf,
        Wire::Relu => Unary::Relu,
        Wire::Sigmoid => Unary::Sigmoid,
        Wire::Tanh => Unary::Tanh,
        Wire::Softplus => Unary::Softplus,
        Wire::Gelu => Unary::Gelu,
        Wire::Silu => Unary::Silu,
        Wire::HardSigmoid => Unary::HardSigmoid,
        Wire::HardSwish => Unary::HardSwish,
        Wire::IsNan => Unary::IsNan,
        Wire::Not => Unary::Not,
    }
}

fn binary(operation: wit::BinaryOperation) -> compute::Binary {
    use compute::Binary;
    use wit::BinaryOperation as Wire;
    match operation {
        Wire::Add => Binary::Add,
        Wire::Sub => Binary::Sub,
        Wire::Mul => Binary::Mul,
        Wire::Div => Binary::Div,
        Wire::Modulo => Binary::Modulo,
        Wire::Pow => Binary::Pow,
        Wire::Min => Binary::Min,
        Wire::Max => Binary::Max,
        Wire::Equal => Binary::Equal,
        Wire::NotEqual => Binary::NotEqual,
        Wire::Less => Binary::Less,
        Wire::LessEqual => Binary::LessEqual,
        Wire::Greater => Binary::Greater,
        Wire::GreaterEqual => Binary::GreaterEqual,
        Wire::And => Binary::And,
        Wire::Or => Binary::Or,
        Wire::Xor => Binary::Xor,
    }
}
