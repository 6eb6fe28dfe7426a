//! `shader`: images and buffers on the GPU, and programs that work on them.

use std::time::Duration;

use rillbox_gpu::{Binding, Buffer, Error as GpuError, Filter, Image, Program, Usage, Workspace};
use tokio::sync::Semaphore;
use wasmtime::component::Resource;

use super::CallError;
use super::tensor::{self, Held};
use super::video::{self, Frame, Staged};
use crate::sandbox::bindings::rillbox::processor::shader as wit;
use crate::sandbox::bindings::rillbox::processor::tensor::ElementType;
use crate::sandbox::context::Guest;
use crate::sandbox::graphics;

/// What a guest's handle of an image stands for.
pub struct HeldImage(Image);

/// What a guest's handle of a buffer stands for.
pub struct HeldBuffer(Buffer);

/// Bytes that a program counts as: the driver keeps its code.
const PROGRAM: usize = 1 << 20;

/// Shaders that are compiled at once, in the whole process.
static COMPILING: Semaphore = Semaphore::const_new(2);

impl Guest {
    /// Makes something that takes `bytes` on the GPU, and a handle of it.
    fn make_on_gpu<T: Send + 'static>(
        &mut self,
        bytes: usize,
        make: impl FnOnce(&mut Workspace) -> Result<T, GpuError>,
    ) -> Result<Resource<T>, CallError> {
        if !self.budget.reserve(bytes) {
            return Err(no_room(bytes));
        }
        let made = match self.graphics.workspace().and_then(make) {
            Ok(made) => self.table.push(made).map_err(|_| self.no_handle().into()),
            Err(error) => Err(error.into()),
        };
        match made {
            Ok(_) => self.graphics.memory += bytes,
            Err(_) => self.budget.release(bytes),
        }
        made
    }

    pub(super) fn release_on_gpu(&mut self, bytes: usize) {
        self.budget.release(bytes);
        self.graphics.memory = self.graphics.memory.saturating_sub(bytes);
    }

    /// Has the GPU do what was recorded, and waits for some of it without holding up others.
    pub(super) async fn wait_for_gpu<T: Send + 'static>(
        &mut self,
        wait: impl FnOnce(Duration) -> Result<(T, Usage), GpuError> + Send + 'static,
    ) -> Result<T, CallError> {
        self.graphics.workspace().and_then(Workspace::submit)?;
        let left = self.timer.left();
        let waited = tokio::task::spawn_blocking(move || wait(left)).await;
        match waited {
            Ok(Ok((read, usage))) => {
                self.work.note_gpu(usage);
                Ok(read)
            }
            Ok(Err(error)) => Err(error.into()),
            Err(broken) => Err(CallError::unsupported(broken.to_string())),
        }
    }
}

fn no_room(bytes: usize) -> CallError {
    CallError::limit(format!("{bytes} bytes on the GPU do not fit into the memory limit"))
}

fn image_bytes(width: u32, height: u32) -> usize {
    (width as usize).saturating_mul(height as usize).saturating_mul(4)
}

impl Guest {
    /// A buffer's bytes as a tensor that stays on the GPU.
    fn tensor_on_gpu(
        &mut self,
        buffer: &Resource<HeldBuffer>,
        element: ElementType,
        shape: &[u32],
    ) -> Result<Resource<Held>, CallError> {
        let HeldBuffer(buffer) = self.table.get(buffer)?;
        let made = self.graphics.workspace().and_then(|workspace| {
            workspace.buffer_tensor(buffer, tensor::element_type(element), &tensor::sizes(shape))
        })?;
        self.keep(made)
    }
}

impl wit::Host for Guest {}

impl wit::HostImage for Guest {
    fn zeros(&mut self, width: u32, height: u32) -> Result<Resource<HeldImage>, CallError> {
        self.make_on_gpu(image_bytes(width, height), |workspace| workspace.image(width, height).map(HeldImage))
    }

    fn from_frame(&mut self, frame: Resource<Frame>) -> Result<Resource<HeldImage>, CallError> {
        let picture = &self.table.get(&frame)?.picture;
        let bytes = image_bytes(picture.width(), picture.height());
        if !self.budget.fits(bytes) {
            return Err(no_room(bytes));
        }
        let sent = self.table.get_mut(&frame)?;
        let image =
            self.graphics.workspace().and_then(|workspace| video::on_gpu(sent, workspace, Workspace::image_of))?;
        self.make_on_gpu(bytes, |_| Ok(HeldImage(image)))
    }

    fn from_pixels(&mut self, width: u32, height: u32, pixels: Vec<u8>) -> Result<Resource<HeldImage>, CallError> {
        self.make_on_gpu(image_bytes(width, height), |workspace| {
            workspace.pixels(width, height, &pixels).map(HeldImage)
        })
    }

    fn width(&mut self, image: Resource<HeldImage>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&image)?.0.size().0)
    }

    fn height(&mut self, image: Resource<HeldImage>) -> wasmtime::Result<u32> {
        Ok(self.table.get(&image)?.0.size().1)
    }

    fn replace_frame(&mut self, image: Resource<HeldImage>, frame: Resource<Frame>) -> Result<(), CallError> {
        let image = &self.table.get(&image)?.0;
        video::may_stage(&self.table, &self.limits, &frame, image.size())?;
        let color = graphics::color(self.table.get(&frame)?.picture.color());
        let download = self.graphics.workspace().and_then(|workspace| workspace.download(image, color))?;
        self.table.get_mut(&frame)?.staged = Some(Staged::Download(download));
        Ok(())
    }

    async fn pixels(&mut self, image: Resource<HeldImage>) -> Result<Vec<u8>, CallError> {
        let (width, height) = self.table.get(&image)?.0.size();
        let (bytes, most) = (image_bytes(width, height), self.limits.copied);
        if bytes > most {
            return Err(CallError::limit(format!("{bytes} bytes are more than the {most} that one call copies")));
        }
        if !self.budget.fits(bytes) {
            return Err(CallError::limit(format!("{bytes} bytes do not fit into the memory limit")));
        }
        // The handle is lent for the call: nothing can drop it meanwhile.
        let image = self.table.get(&image)?;
        let read = self.graphics.workspace().and_then(|workspace| workspace.read_image(&image.0))?;
        self.wait_for_gpu(move |left| read.wait(left)).await
    }

    fn drop(&mut self, image: Resource<HeldImage>) -> wasmtime::Result<()> {
        let HeldImage(image) = self.table.delete(image)?;
        self.release_on_gpu(image.bytes());
        if let Ok(workspace) = self.graphics.workspace() {
            workspace.recycle(image);
        }
        Ok(())
    }
}

impl wit::HostBuffer for Guest {
    fn zeros(&mut self, bytes: u32) -> Result<Resource<HeldBuffer>, CallError> {
        self.make_on_gpu(bytes as usize, |workspace| workspace.buffer(bytes as usize).map(HeldBuffer))
    }

    async fn from_tensor(&mut self, handle: Resource<Held>) -> Result<Resource<HeldBuffer>, CallError> {
        let tensor = tensor::held(&self.table, &handle)?;
        if tensor.device().is_some() && tensor::is_word(tensor.element()) {
            let bytes = tensor.len() * tensor.element().bytes();
            return self.make_on_gpu(bytes, |workspace| workspace.tensor_buffer(&tensor).map(HeldBuffer));
        }
        self.fetch(&handle).await?;
        let tensor = tensor::held(&self.table, &handle)?;
        self.make_on_gpu(tensor.bytes().len(), |workspace| workspace.bytes(tensor.bytes()).map(HeldBuffer))
    }

    fn size(&mut self, buffer: Resource<HeldBuffer>) -> wasmtime::Result<u32> {
        Ok(u32::try_from(self.table.get(&buffer)?.0.bytes()).unwrap_or(u32::MAX))
    }

    async fn tensor(
        &mut self,
        buffer: Resource<HeldBuffer>,
        element: ElementType,
        shape: Vec<u32>,
    ) -> Result<Resource<Held>, CallError> {
        let bytes = self.table.get(&buffer)?.0.bytes();
        if !self.budget.fits(bytes.saturating_mul(2)) {
            return Err(CallError::limit(format!("twice {bytes} bytes do not fit into the memory limit")));
        }
        if self.graphics.has_tensors() && tensor::fits_on_gpu(element, &shape, bytes) {
            return self.tensor_on_gpu(&buffer, element, &shape);
        }
        let buffer = self.table.get(&buffer)?;
        let read = self.graphics.workspace().and_then(|workspace| workspace.read_buffer(&buffer.0))?;
        let bytes = self.wait_for_gpu(move |left| read.wait(left)).await?;
        tensor::from_bytes(self, element, &shape, &bytes)
    }

    fn drop(&mut self, buffer: Resource<HeldBuffer>) -> wasmtime::Result<()> {
        let HeldBuffer(buffer) = self.table.delete(buffer)?;
        self.release_on_gpu(buffer.bytes());
        Ok(())
    }
}

impl wit::HostProgram for Guest {
    async fn compile(&mut self, wgsl: String) -> Result<Resource<Program>, CallError> {
        if !self.budget.fits(PROGRAM) {
            return Err(CallError::limit(format!("a program's {PROGRAM} bytes do not fit into the memory limit")));
        }
        let compile = self.graphics.compiler();
        // The semaphore is never closed. Who is not waited for any more has its turn until it is done.
        let turn = COMPILING.acquire().await.ok();
        let compiled = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            compile(&wgsl)
        });
        let program = compiled.await.map_err(|broken| CallError::unsupported(broken.to_string()))??;
        self.make_on_gpu(PROGRAM, |_| Ok(program))
    }

    fn dispatch(
        &mut self,
        program: Resource<Program>,
        bindings: Vec<(u32, wit::Binding)>,
        (x, y, z): (u32, u32, u32),
    ) -> Result<(), CallError> {
        let program = self.table.get(&program)?;
        let table = &self.table;
        let bound: wasmtime::Result<Vec<_>> = bindings
            .iter()
            .map(|(number, binding)| {
                let binding = match binding {
                    wit::Binding::Image(image) => Binding::Image(&table.get(image)?.0),
                    wit::Binding::Buffer(buffer) => Binding::Buffer(&table.get(buffer)?.0),
                    wit::Binding::Uniform(bytes) => Binding::Uniform(bytes),
                    wit::Binding::Sampler(wit::Filter::Nearest) => Binding::Sampler(Filter::Nearest),
                    wit::Binding::Sampler(wit::Filter::Linear) => Binding::Sampler(Filter::Linear),
                };
                Ok((*number, binding))
            })
            .collect();
        let bound = bound?;
        let dispatched = self.graphics.workspace().and_then(|workspace| workspace.dispatch(program, &bound, [x, y, z]));
        if matches!(dispatched, Err(GpuError::Limit(_))) {
            self.refusals.operations += 1;
        }
        Ok(dispatched?)
    }

    fn drop(&mut self, program: Resource<Program>) -> wasmtime::Result<()> {
        self.table.delete(program)?;
        self.release_on_gpu(PROGRAM);
        Ok(())
    }
}
