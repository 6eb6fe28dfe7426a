//! What the sandbox costs: making instances, calls, and pictures that go into a guest and out again. Prints JSON; times are
//! microseconds.
//!
//! `scripts/bench sandbox` runs it, and holds its figures against the goals.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use rillbox::Allocator;
use rillbox::registry::Compiler;
use rillbox::sandbox::{
    ChildCompiler, Choice, Component, Engine, Gpu, HttpAccess, Identity, Instance, Limits, ShaderReader, VideoResult,
};
use rillbox_media::{Color, ColorMatrix, ColorRange, PixelFormat, Presentation, Ticks, VideoFrame, convert};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

/// Instances that are there while others are made.
const ALIVE: usize = 500;

/// Width and height of a picture, and of those for tensors.
const SIZE: (u32, u32) = (1920, 1080);
const SMALL: (u32, u32) = (1280, 720);

fn main() -> anyhow::Result<()> {
    // Cargo adds flags of its own to a benchmark's arguments.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [program, guests, rounds] = arguments.as_slice() else {
        anyhow::bail!("usage: sandbox PROGRAM GUESTS ROUNDS");
    };
    rillbox_media::init();
    let bench = Bench { program: program.into(), guests: guests.into(), rounds: rounds.parse()? };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{}", runtime.block_on(bench.run())?);
    Ok(())
}

struct Bench {
    program: PathBuf,
    guests: PathBuf,
    rounds: usize,
}

impl Bench {
    async fn run(&self) -> anyhow::Result<Value> {
        let began = Instant::now();
        let engine = Engine::start(
            Limits { frame_budget: Duration::from_secs(1), ..Limits::default() },
            Gpu::new(Choice::Cpu),
            ShaderReader::none(),
        )?;
        let started = began.elapsed();
        let [passthrough, green, rgba, edges] = [
            self.load(&engine, "passthrough.wasm").await?,
            self.load(&engine, "green.wasm").await?,
            self.load(&engine, "examples/rgba.wasm").await?,
            self.load(&engine, "edges.wasm").await?,
        ];
        Ok(json!({
            "engine": { "start_us": started.as_secs_f64() * 1e6 },
            "instantiate": self.instantiate(&engine, &green).await?,
            "call": self.frames(&engine, &passthrough, SIZE, 100 * self.rounds).await?,
            "rgba": self.frames(&engine, &rgba, SIZE, self.rounds).await?,
            "green": self.frames(&engine, &green, SIZE, self.rounds).await?,
            "edges": self.frames(&engine, &edges, SMALL, self.rounds).await?,
        }))
    }

    /// Compiles a guest as an upload is, and loads it.
    async fn load(&self, engine: &Engine, name: &str) -> anyhow::Result<Component> {
        let directory = tempfile::tempdir()?;
        let (wasm, code) = (self.guests.join(name), directory.path().join("code"));
        let compiler = ChildCompiler::new(engine.clone(), self.program.clone());
        compiler.compile(&wasm, &code).await.with_context(|| wasm.display().to_string())?;
        Ok(engine.load(&code)?)
    }

    /// Instances beside many others, which come and go as well.
    async fn instantiate(&self, engine: &Engine, component: &Component) -> anyhow::Result<Value> {
        let mut alive = Vec::with_capacity(ALIVE);
        for _ in 0..ALIVE {
            alive.push(started(engine, component).await?);
        }
        let mut times = Vec::new();
        for round in 0..20 * self.rounds {
            let began = Instant::now();
            let instance = Instance::new(engine, component, &identity()).await?;
            times.push(began.elapsed());
            alive[round * 7 % ALIVE] = instance;
        }
        Ok(distribution(times))
    }

    /// Pictures, one after the other, in one instance.
    async fn frames(
        &self,
        engine: &Engine,
        component: &Component,
        size: (u32, u32),
        count: usize,
    ) -> anyhow::Result<Value> {
        let mut instance = started(engine, component).await?;
        let frame = picture(size)?;
        let mut times = Vec::new();
        for round in 0..count + count / 10 {
            let began = Instant::now();
            let result = instance.video(&frame).await?;
            // The first tenth warms up.
            if round >= count / 10 {
                times.push(began.elapsed());
            }
            drop::<VideoResult>(result);
        }
        Ok(distribution(times))
    }
}

async fn started(engine: &Engine, component: &Component) -> anyhow::Result<Instance> {
    let mut instance = Instance::new(engine, component, &identity()).await?;
    instance.load().await?;
    instance.start("{}").await?;
    Ok(instance)
}

fn identity() -> Identity {
    Identity {
        stream: "bench".to_owned(),
        processor: "bench@1.0.0".to_owned(),
        started: Instant::now(),
        http: HttpAccess::none(),
    }
}

/// Something with every value in it.
fn picture((width, height): (u32, u32)) -> anyhow::Result<VideoFrame> {
    let bytes: Vec<u8> = (0..PixelFormat::I420.bytes(width, height)).map(|at| ((at * 31) >> 3) as u8).collect();
    let color = Color { matrix: ColorMatrix::Bt709, range: ColorRange::Limited };
    let picture = convert::write(PixelFormat::I420, width, height, &bytes, color)?;
    Ok(VideoFrame { pts: Ticks(0), key: true, picture, presentation: Presentation::default() })
}

fn distribution(mut times: Vec<Duration>) -> Value {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize].as_secs_f64() * 1e6;
    json!({ "count": times.len(), "p50_us": at(0.5), "p99_us": at(0.99), "max_us": at(1.0) })
}
