//! The life of a component, from its examination to its end, with all the limits that it has in a stream.

use std::time::Instant;

use rillbox::sandbox::{Choice, Engine, Failure, Gpu, HttpAccess, Identity, Instance, Limits, ShaderReader, examine};
use rillbox_media::{
    AudioFrame, Color, ColorMatrix, ColorRange, Picture, PixelFormat, Presentation, Ticks, VideoFrame, convert,
};
use tokio::runtime::Runtime;

/// Frames that one is given.
const FRAMES: i64 = 3;

/// What became of a component.
#[derive(Debug, PartialEq)]
pub enum Fate {
    /// It was not taken; why.
    Refused(String),
    /// It was run, and so many of its calls failed.
    Lived {
        /// Traps, overruns and errors.
        failures: u64,
    },
}

/// Where components live.
pub struct Sandbox {
    engine: Engine,
    runtime: Runtime,
    picture: Picture,
}

impl Sandbox {
    pub fn new(gpu: Choice) -> Self {
        let (width, height) = (64, 36);
        // Several threads would each keep memory of their own, which tells nothing of what cases leave. Another test may have done it.
        let _ = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
        let color = Color { matrix: ColorMatrix::Bt601, range: ColorRange::Limited };
        let bytes = vec![128; PixelFormat::I420.bytes(width, height)];
        Self {
            engine: Engine::start(Limits { instances: 4, ..Limits::default() }, Gpu::new(gpu), ShaderReader::none())
                .unwrap(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap(),
            picture: convert::write(PixelFormat::I420, width, height, &bytes, color).unwrap(),
        }
    }

    /// Examines a component and, if it is taken, runs it; returns when all of it is gone.
    pub fn live(&self, bytes: &[u8]) -> Fate {
        self.runtime.block_on(async {
            let examined = match examine(&self.engine, bytes).await {
                Ok(examined) => examined,
                Err(refusal) => return Fate::Refused(refusal.to_string()),
            };
            let identity = Identity {
                stream: "case".into(),
                processor: "case@0".into(),
                started: Instant::now(),
                http: HttpAccess::none(),
            };
            match Instance::new(&self.engine, &examined.component, &identity).await {
                Ok(mut instance) => Fate::Lived { failures: self.calls(&mut instance).await },
                Err(_) => Fate::Lived { failures: 1 },
            }
        })
    }

    /// Every call that a stream makes, until one of them breaks the instance.
    async fn calls(&self, instance: &mut Instance) -> u64 {
        let mut failures = Failures(0);
        if failures.broke(instance.load().await) || failures.broke(instance.start("{}").await) {
            return failures.0;
        }
        for time in 0..FRAMES {
            let picture = VideoFrame {
                pts: Ticks(time * 3_600),
                key: time == 0,
                picture: self.picture.clone(),
                presentation: Presentation::default(),
            };
            let sound = AudioFrame {
                pts: Ticks(time * 1_800),
                rate: 48_000,
                layout: 0b11,
                channels: vec![vec![0.25; 960], vec![-0.25; 960]],
            };
            let broke = failures.broke(instance.video(&picture).await)
                || failures.broke(instance.audio(sound).await)
                || failures.broke(instance.update_params(r#"{"a":1}"#).await);
            drop(instance.take_output());
            if broke {
                return failures.0;
            }
        }
        failures.broke(instance.stop().await);
        failures.0
    }
}

struct Failures(u64);

impl Failures {
    fn broke<T>(&mut self, outcome: Result<T, Failure>) -> bool {
        let Err(failure) = outcome else { return false };
        self.0 += 1;
        failure.is_fatal()
    }
}
