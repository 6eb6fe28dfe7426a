//! What the way of a picture through the GPU takes, as one JSON object: `frames [auto|gpu:N] [SECONDS]`.
//!
//! `latency_ms` is one picture at a time; `frames_per_s` is with three on their way at once, as a stream has them; `gpu_ms` is by the
//! device's own clock. `copied` is from bytes in ordinary memory to bytes in ordinary memory; `staged` begins and ends in memory
//! that the device reads and writes, as a program has it whose pictures are in pinned memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rillbox_compute::{
    Binary, ChannelOrder, Channels, Convolution, ElementType, Operation, PictureLayout, Reduction, ResizeMethod, Task,
    Tensor, Unlimited,
};
use rillbox_gpu::{
    Binding, Bytes, Choice, Color, Device, Download, Error, Gpu, Image, Matrix, Pass, Planes, Program, Range, Usage,
    Workspace,
};
use serde_json::{Value, json};

const IN_FLIGHT: usize = 3;
const TIMEOUT: Duration = Duration::from_secs(10);
const COLOR: Color = Color { matrix: Matrix::Bt709, range: Range::Limited };

const TINT: &str = "
@group(0) @binding(0) var source: texture_2d<f32>;
@group(0) @binding(1) var shown: texture_storage_2d<rgba8unorm, write>;
@compute @workgroup_size(16, 16)
fn tint(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = textureLoad(source, id.xy, 0);
    textureStore(shown, id.xy, vec4(mix(pixel.rgb, vec3(0.0, 1.0, 0.0), 0.5), pixel.a));
}";

/// A box of `side`×`side` pixels around each, in one pass.
fn blur(side: u32) -> String {
    let reach = side / 2;
    format!(
        "
@group(0) @binding(0) var source: texture_2d<f32>;
@group(0) @binding(1) var shown: texture_storage_2d<rgba8unorm, write>;
@compute @workgroup_size(16, 16)
fn blur(@builtin(global_invocation_id) id: vec3<u32>) {{
    let size = vec2<i32>(textureDimensions(source));
    var sum = vec4(0.0);
    for (var y = -{reach}; y <= {reach}; y++) {{
        for (var x = -{reach}; x <= {reach}; x++) {{
            sum += textureLoad(source, clamp(vec2<i32>(id.xy) + vec2(x, y), vec2(0), size - 1), 0);
        }}
    }}
    textureStore(shown, id.xy, sum / {count}.0);
}}",
        count = side * side
    )
}

/// Half of the sides, each pixel from between four.
const HALVE: &str = "
@group(0) @binding(0) var source: texture_2d<f32>;
@group(0) @binding(1) var shown: texture_storage_2d<rgba8unorm, write>;
@group(0) @binding(2) var between: sampler;
@compute @workgroup_size(16, 16)
fn halve(@builtin(global_invocation_id) id: vec3<u32>) {
    let place = (vec2<f32>(id.xy) + 0.5) / vec2<f32>(textureDimensions(shown));
    textureStore(shown, id.xy, textureSampleLevel(source, between, place, 0.0));
}";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // cargo adds `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let choice: Choice = arguments.first().map_or(Ok(Choice::Auto), |text| text.parse())?;
    let time = Duration::from_secs_f64(arguments.get(1).map_or(Ok(2.0), |text| text.parse())?);
    let began = Instant::now();
    let device = Gpu::new(choice).open()?;
    let opened = began.elapsed();
    let bench = Bench { device, time };
    let result = json!({
        "device": bench.device.info().name,
        "driver": bench.device.info().driver,
        "open_ms": millis(opened),
        "compile_ms": bench.compile()?,
        "rgba_1080p": { "copied": bench.rgba(TINT, Memory::Copied)?, "staged": bench.rgba(TINT, Memory::Staged)? },
        "rgba_1080p_one_way": {
            "up_copied": bench.up(Memory::Copied)?,
            "up_staged": bench.up(Memory::Staged)?,
            "down": bench.down()?,
        },
        "rgba_1080p_blur_3x3": bench.rgba(&blur(3), Memory::Staged)?,
        "rgba_1080p_blur_5x5": bench.rgba(&blur(5), Memory::Staged)?,
        "i420_1080p": {
            "copied": bench.i420((1920, 1080), Memory::Copied)?,
            "staged": bench.i420((1920, 1080), Memory::Staged)?,
        },
        "i420_720p": { "copied": bench.i420((1280, 720), Memory::Copied)? },
        "i420_of_64_pixels": { "staged": bench.i420((8, 8), Memory::Staged)? },
        "several_i420_1080p": bench.several(choice)?,
        "on_device_1080p_ms": {
            "tint": bench.on_device(TINT, 1)?,
            "blur_3x3": bench.on_device(&blur(3), 1)?,
            "blur_5x5": bench.on_device(&blur(5), 1)?,
            "halve_bilinear": bench.on_device(HALVE, 2)?,
            "add": bench.task(Pass::Elementwise, Operation::Binary(Binary::Add), &[&[3, 1080, 1920], &[3, 1080, 1920]], &[3, 1080, 1920])?,
            "sum": bench.task(Pass::Reduction, Operation::Reduce(Reduction::Sum, &[0, 1, 2]), &[&[3, 1080, 1920]], &[1])?,
            "halve_bilinear_tensor": bench.task(
                Pass::Resize,
                Operation::Resize(ResizeMethod::Bilinear),
                &[&[1, 3, 1080, 1920]],
                &[1, 3, 540, 960],
            )?,
            "matmul_1024": bench.task(Pass::Matmul, Operation::Matmul, &[&[1024, 1024], &[1024, 1024]], &[1024, 1024])?,
            "conv2d_64x64x3x3_256": bench.task(
                Pass::Convolution,
                Operation::Conv2d(Convolution { padding: [1, 1], ..Convolution::default() }),
                &[&[1, 64, 256, 256], &[64, 64, 3, 3]],
                &[1, 64, 256, 256],
            )?,
        },
        "i420_1080p_as_tensors": bench.as_tensors()?,
        "streams_16_720p": bench.streams(16)?,
    });
    println!("{result}");
    Ok(())
}

/// A tensor on the device.
fn ones(workspace: &mut Workspace, shape: &[usize]) -> Result<Tensor, Box<dyn std::error::Error>> {
    let tensor = Tensor::full(ElementType::F32, shape, 1.0, &mut Unlimited)?;
    workspace.send_tensor(&tensor)?.ok_or_else(|| "the device has no such elements".into())
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

struct Bench {
    device: Arc<Device>,
    time: Duration,
}

/// Where pictures begin and end.
#[derive(Clone, Copy, PartialEq)]
enum Memory {
    Copied,
    Staged,
}

/// A picture on its way.
enum Coming {
    Planes(Download),
    Pixels(Bytes),
}

impl Coming {
    /// Waits, and copies it to `place`.
    fn wait(self, place: &mut Vec<u8>, memory: Memory) -> Result<Usage, Error> {
        place.clear();
        let mut take = |bytes: &[u8]| match memory {
            Memory::Copied => place.extend_from_slice(bytes),
            // One byte of each page is looked at: they are there.
            Memory::Staged => place.extend(bytes.iter().step_by(4096)),
        };
        let usage = match self {
            Self::Planes(download) => {
                download.wait(TIMEOUT, |planes| planes.planes.iter().for_each(|(bytes, _)| take(bytes)))?.1
            }
            Self::Pixels(bytes) => bytes.wait_with(TIMEOUT, |bytes, _| take(bytes))?.1,
        };
        std::hint::black_box(&place);
        Ok(usage)
    }
}

impl Bench {
    /// A shader that has not been compiled before.
    fn compile(&self) -> Result<f64, Error> {
        let began = Instant::now();
        self.device.compile(&blur(7))?;
        Ok(millis(began.elapsed()))
    }

    fn rgba(&self, wgsl: &str, memory: Memory) -> Result<Value, Error> {
        let (width, height) = (1920, 1080);
        let pixels = vec![77; width as usize * height as usize * 4];
        let program = self.device.compile(wgsl)?;
        let shown = Workspace::new(&self.device)?.image(width, height)?;
        self.both(memory, |workspace| {
            let source = match memory {
                Memory::Copied => workspace.pixels(width, height, &pixels)?,
                // What is there from the picture before stays.
                Memory::Staged => workspace.pixels_with(width, height, |to, _| to.slice(..1).copy_from_slice(&[7]))?,
            };
            dispatch(workspace, &program, &source, &shown, (width, height))?;
            let bytes = workspace.read_image(&shown)?;
            workspace.submit()?;
            workspace.recycle(source);
            Ok(Coming::Pixels(bytes))
        })
    }

    /// Pixels that go up, and nothing that comes down.
    fn up(&self, memory: Memory) -> Result<Value, Error> {
        let pixels = vec![77; 1920 * 1080 * 4];
        let small = Workspace::new(&self.device)?.buffer(4)?;
        self.both(memory, |workspace| {
            let source = match memory {
                Memory::Copied => workspace.pixels(1920, 1080, &pixels)?,
                Memory::Staged => workspace.pixels_with(1920, 1080, |to, _| to.slice(..1).copy_from_slice(&[7]))?,
            };
            let bytes = workspace.read_buffer(&small)?;
            workspace.submit()?;
            workspace.recycle(source);
            Ok(Coming::Pixels(bytes))
        })
    }

    /// Pixels that come down, and nothing that goes up.
    fn down(&self) -> Result<Value, Error> {
        let shown = Workspace::new(&self.device)?.image(1920, 1080)?;
        self.both(Memory::Staged, |workspace| {
            let bytes = workspace.read_image(&shown)?;
            workspace.submit()?;
            Ok(Coming::Pixels(bytes))
        })
    }

    fn i420(&self, size: (u32, u32), memory: Memory) -> Result<Value, Error> {
        let picture = Frame::new(size);
        let program = self.device.compile(TINT)?;
        let shown = Workspace::new(&self.device)?.image(size.0, size.1)?;
        self.both(memory, |workspace| picture.through(workspace, &program, &shown, memory))
    }

    /// Pictures a second of several users, each on a thread of its own, with one device for all and with one for each.
    fn several(&self, choice: Choice) -> Result<Value, Error> {
        let rates = |count: usize, apart: bool| -> Result<f64, Error> {
            let benches: Vec<_> = (0..count)
                .map(|_| {
                    let device = if apart { Gpu::new(choice).open()? } else { self.device.clone() };
                    Ok(Self { device, time: self.time })
                })
                .collect::<Result<_, Error>>()?;
            let rates = std::thread::scope(|scope| {
                let users: Vec<_> =
                    benches.iter().map(|bench| scope.spawn(|| bench.i420((1920, 1080), Memory::Staged))).collect();
                let ended =
                    users.into_iter().map(|user| user.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
                ended.collect::<Result<Vec<_>, Error>>()
            })?;
            Ok(rates.iter().filter_map(|rate| rate["frames_per_s"].as_f64()).sum())
        };
        Ok(json!({
            "two_together": rates(2, false)?, "two_apart": rates(2, true)?,
            "four_together": rates(4, false)?, "four_apart": rates(4, true)?,
        }))
    }

    /// One at a time, and several at once.
    fn both(
        &self,
        memory: Memory,
        mut frame: impl FnMut(&mut Workspace) -> Result<Coming, Error>,
    ) -> Result<Value, Error> {
        let mut workspace = Workspace::new(&self.device)?;
        let mut place = Vec::new();
        for _ in 0..10 {
            frame(&mut workspace)?.wait(&mut place, memory)?;
        }
        let (mut times, mut gpu) = (Vec::new(), Duration::ZERO);
        let began = Instant::now();
        while began.elapsed() < self.time {
            let begins = Instant::now();
            workspace.begin(TIMEOUT);
            let usage = frame(&mut workspace)?.wait(&mut place, memory)?;
            gpu += usage.iter().map(|(_, share)| share.time).sum::<Duration>();
            times.push(begins.elapsed());
        }
        times.sort();
        let mut coming = VecDeque::new();
        let (began, mut frames) = (Instant::now(), 0_u32);
        while began.elapsed() < self.time {
            if coming.len() == IN_FLIGHT
                && let Some(next) = coming.pop_front()
            {
                Coming::wait(next, &mut place, memory)?;
                frames += 1;
            }
            workspace.begin(TIMEOUT);
            coming.push_back(frame(&mut workspace)?);
        }
        let rate = f64::from(frames) / began.elapsed().as_secs_f64();
        coming.into_iter().try_for_each(|coming| coming.wait(&mut place, memory).map(drop))?;
        Ok(json!({
            "latency_ms": { "p50": millis(times[times.len() / 2]), "p99": millis(times[times.len() * 99 / 100]) },
            "frames_per_s": rate.round(),
            "gpu_ms": millis(gpu / times.len() as u32),
        }))
    }

    /// A program by itself, its images on the device.
    fn on_device(&self, wgsl: &str, shrink: u32) -> Result<f64, Error> {
        let program = self.device.compile(wgsl)?;
        let mut workspace = Workspace::new(&self.device)?;
        let source = workspace.image(1920, 1080)?;
        let size = (1920 / shrink, 1080 / shrink);
        let shown = workspace.image(size.0, size.1)?;
        self.by_clock(&mut workspace, Pass::Program, |workspace| dispatch(workspace, &program, &source, &shown, size))
    }

    /// An operation on tensors by itself, with all that goes into it on the device.
    fn task(
        &self,
        pass: Pass,
        operation: Operation<'_>,
        shapes: &[&[usize]],
        result: &[usize],
    ) -> Result<f64, Box<dyn std::error::Error>> {
        let mut workspace = Workspace::new(&self.device)?;
        let tensors: Vec<Tensor> = shapes.iter().map(|shape| ones(&mut workspace, shape)).collect::<Result<_, _>>()?;
        let tensors: Vec<_> = tensors.iter().collect();
        let task = Task { operation, tensors: &tensors, element: ElementType::F32, shape: result };
        let time = self.by_clock(&mut workspace, pass, |workspace| {
            workspace.run(&task)?.ok_or_else(|| Error::Invalid("no kernel".to_owned())).map(drop)
        });
        Ok(time?)
    }

    /// Pictures that become tensors and pictures again, with nothing in between: up, and down.
    fn as_tensors(&self) -> Result<Value, Error> {
        let picture = Frame::new((1920, 1080));
        let layout = PictureLayout {
            channels: Channels::Rgb,
            order: ChannelOrder::Chw,
            batch: true,
            element: ElementType::F32,
            scale: vec![1.0 / 255.0],
            offset: vec![],
        };
        self.both(Memory::Copied, |workspace| {
            let sent = workspace.send(&picture.planes(), COLOR)?;
            let tensor = workspace.picture_tensor(&sent, &layout)?;
            let download = workspace.tensor_picture(&tensor, &layout, COLOR)?;
            drop(sent);
            workspace.submit()?;
            Ok(Coming::Planes(download))
        })
    }

    /// The median of what the device's clock says of a dispatch.
    fn by_clock(
        &self,
        workspace: &mut Workspace,
        pass: Pass,
        mut dispatch: impl FnMut(&mut Workspace) -> Result<(), Error>,
    ) -> Result<f64, Error> {
        let small = workspace.buffer(4)?;
        let mut times = Vec::new();
        for _ in 0..30 {
            workspace.begin(TIMEOUT);
            dispatch(workspace)?;
            let done = workspace.read_buffer(&small)?;
            workspace.submit()?;
            times.push(done.wait(TIMEOUT)?.1[pass].time);
        }
        times.sort();
        Ok(millis(times[times.len() / 2]))
    }

    /// Streams of 720p at 30 frames a second, each on a thread of its own: how late their pictures are.
    fn streams(&self, count: usize) -> Result<Value, Error> {
        let program = self.device.compile(&blur(5))?;
        let time = self.time.max(Duration::from_secs(3));
        let stream = || -> Result<Vec<Duration>, Error> {
            let mut workspace = Workspace::new(&self.device)?;
            let shown = workspace.image(1280, 720)?;
            let picture = Frame::new((1280, 720));
            let (began, mut due, mut times, mut place) = (Instant::now(), Duration::ZERO, Vec::new(), Vec::new());
            while due < time {
                std::thread::sleep((began + due).saturating_duration_since(Instant::now()));
                workspace.begin(TIMEOUT);
                picture.through(&mut workspace, &program, &shown, Memory::Copied)?.wait(&mut place, Memory::Copied)?;
                times.push((began + due).elapsed());
                due += Duration::from_secs(1) / 30;
            }
            Ok(times)
        };
        let mut times = std::thread::scope(|scope| {
            let streams: Vec<_> = (0..count).map(|_| scope.spawn(stream)).collect();
            streams.into_iter().try_fold(Vec::new(), |mut all, stream| {
                all.extend(stream.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
                Ok::<_, Error>(all)
            })
        })?;
        times.sort();
        let interval = Duration::from_secs(1) / 30;
        Ok(json!({
            "frames": times.len(),
            "after_due_ms": { "p50": millis(times[times.len() / 2]), "p99": millis(times[times.len() * 99 / 100]), "max": millis(times[times.len() - 1]) },
            "later_than_the_next": times.iter().filter(|time| **time > interval).count(),
        }))
    }
}

fn dispatch(
    workspace: &mut Workspace,
    program: &Program,
    source: &Image,
    shown: &Image,
    (width, height): (u32, u32),
) -> Result<(), Error> {
    let mut bindings = vec![(0, Binding::Image(source)), (1, Binding::Image(shown))];
    if program.bindings().len() == 3 {
        bindings.push((2, Binding::Sampler(rillbox_gpu::Filter::Linear)));
    }
    workspace.dispatch(program, &bindings, [width.div_ceil(16), height.div_ceil(16), 1])
}

/// Planes in memory.
struct Frame {
    size: (u32, u32),
    bytes: Vec<u8>,
}

impl Frame {
    fn new((width, height): (u32, u32)) -> Self {
        Self { size: (width, height), bytes: vec![99; width as usize * height as usize * 3 / 2] }
    }

    fn planes(&self) -> Planes<'_> {
        let (width, height) = self.size;
        let (luma, chroma) = self.bytes.split_at(width as usize * height as usize);
        let (cb, cr) = chroma.split_at(chroma.len() / 2);
        let half = width as usize / 2;
        Planes { width, height, planes: [(luma, width as usize), (cb, half), (cr, half)] }
    }

    fn through(
        &self,
        workspace: &mut Workspace,
        program: &Program,
        shown: &Image,
        memory: Memory,
    ) -> Result<Coming, Error> {
        let source = match memory {
            Memory::Copied => workspace.upload(&self.planes(), COLOR)?,
            Memory::Staged => workspace.upload_with(self.size, COLOR, |to| to.slice(..1).copy_from_slice(&[7]))?,
        };
        dispatch(workspace, program, &source, shown, self.size)?;
        let download = workspace.download(shown, COLOR)?;
        workspace.submit()?;
        workspace.recycle(source);
        Ok(Coming::Planes(download))
    }
}
