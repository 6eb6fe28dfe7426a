//! `tensor`: arrays that the host works on.

mod held;
mod permit;
mod placement;
mod run;
mod wire;

use std::time::Duration;

use rillbox_compute::{Allowance, Cost, Span, Tensor};
use rillbox_media::convert;
use wasmtime::component::Resource;

use super::CallError;
use super::video::{self, Frame};
use crate::sandbox::bindings::rillbox::processor::tensor as wit;
use crate::sandbox::context::Guest;
use crate::sandbox::work::Kind;
pub use held::{Held, held};
pub use placement::{fits_on_gpu, is_word};
pub use run::from_bytes;
use wire::{
    arg_reduction, binary, convolution, pad_mode, pair, picture_layout, pooling, pooling_window, reduction,
    resize_method, side, unary, wire_element_type,
};
pub use wire::{element_type, sizes};

impl wit::Host for Guest {}

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
        Ok(wire_element_type(self.table.get(&tensor)?.tensor.element()))
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
        let operation = reduction(operation);
        self.of(Kind::Reduction, &tensor, |tensor, allowance| tensor.reduce(operation, &axes, keep, allowance)).await
    }

    async fn arg_reduce(
        &mut self,
        tensor: Resource<Held>,
        operation: wit::ArgReduction,
        axis: i32,
        keep: bool,
    ) -> Result<Resource<Held>, CallError> {
        let operation = arg_reduction(operation);
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
        let operation = pooling(operation);
        let window = pooling_window(window);
        self.of(Kind::Pooling, &tensor, |tensor, allowance| tensor.pool2d(operation, window, allowance)).await
    }

    async fn resize(
        &mut self,
        tensor: Resource<Held>,
        rows: u32,
        columns: u32,
        method: wit::ResizeMethod,
    ) -> Result<Resource<Held>, CallError> {
        let method = resize_method(method);
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
        let mode = pad_mode(mode, value);
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
