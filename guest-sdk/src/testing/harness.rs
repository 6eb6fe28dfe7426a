//! One processor in one stream.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::imports::{audio, video};
use super::params::{check_schema, merge};
use super::stream::{self, Stream};
use super::{Event, LogLine, Picture, Sound};
use crate::params::{parse, schema};
use crate::{AudioFrame, Error, Isolation, Processor, Result, Timestamp, VideoFrame, VideoOutcome};

/// Ticks of 90 kHz between the frames of a [`Harness`]: 30 a second.
const FRAME_TICKS: i64 = 3_000;
const FRAME_TIME: Duration = Duration::from_nanos(1_000_000_000 / 30);

/// A processor that was loaded and started.
pub struct Harness<P: Processor> {
    processor: P,
    /// The instance for sound of a processor whose tracks are apart.
    sound: Option<P>,
    schema: Map<String, Value>,
    params: Map<String, Value>,
    stream: Rc<RefCell<Stream>>,
    next_ticks: i64,
}

/// What became of a picture.
#[derive(Debug)]
pub struct VideoOutput {
    /// What the processor said. [`VideoOutcome::Replaced`] without a staged picture is an error.
    pub result: Result<VideoOutcome>,
    /// What is shown: the original after an error, `None` when it was withheld.
    pub picture: Option<Picture>,
    /// When, the same as before.
    pub timestamp: Timestamp,
}

/// What became of a run of samples.
#[derive(Debug)]
pub struct AudioOutput {
    /// What the processor said.
    pub result: Result<()>,
    /// What is heard: the original after an error.
    pub sounds: Vec<Sound>,
}

impl<P: Processor> Harness<P> {
    /// Makes a processor, loads and starts it. Fails where the host would: on params that do not fit the schema, or when
    /// the processor does.
    pub fn new(params: Value) -> Result<Self> {
        let schema = schema::<P::Params>();
        check_schema(&schema)?;
        let params = merge(&schema, &Map::new(), params)?;
        let stream: Rc<RefCell<Stream>> = Rc::default();
        #[cfg(feature = "http")]
        {
            stream.borrow_mut().asks_for_http =
                P::CAPABILITIES.iter().any(|name| *name == "http" || name.starts_with("http:"));
        }
        let apart = P::ISOLATION == Isolation::Split && P::MEDIA.has_video() && P::MEDIA.has_audio();
        let processor = Self::started(&stream, &params)?;
        let sound = apart.then(|| Self::started(&stream, &params)).transpose()?;
        Ok(Self { processor, sound, schema, params, stream, next_ticks: 0 })
    }

    fn started(stream: &Rc<RefCell<Stream>>, params: &Map<String, Value>) -> Result<P> {
        let mut processor = P::default();
        during_call(stream, || processor.load())?;
        let params = read(params)?;
        during_call(stream, || processor.start(params))?;
        Ok(processor)
    }

    /// Puts the keys of `update` over the params and gives the processor the whole, if that changes anything. After an error the
    /// last params stay.
    pub fn update_params(&mut self, update: Value) -> Result<()> {
        let params = merge(&self.schema, &self.params, update)?;
        if params == self.params {
            return Ok(());
        }
        let whole = || read(&params);
        let taken = whole()?;
        during_call(&self.stream, || self.processor.update_params(taken))?;
        if let Some(sound) = &mut self.sound {
            let taken = whole()?;
            if let Err(error) = during_call(&self.stream, || sound.update_params(taken)) {
                // It took these before.
                let before = read(&self.params)?;
                during_call(&self.stream, || self.processor.update_params(before))?;
                return Err(error);
            }
        }
        self.params = params;
        Ok(())
    }

    /// Hands the processor the next picture, a thirtieth of a second after the last.
    pub fn video(&mut self, picture: Picture) -> VideoOutput {
        self.video_at(picture, Timestamp::from_90khz(self.next_ticks))
    }

    /// Hands the processor a picture with a time of its own. A processor that handles no video does not see it. Then the
    /// processor's clock goes on by a thirtieth of a second.
    pub fn video_at(&mut self, picture: Picture, timestamp: Timestamp) -> VideoOutput {
        self.next_ticks = (timestamp.seconds() * 90_000.0).round() as i64 + FRAME_TICKS;
        let shown = self.show(picture, timestamp);
        self.advance(FRAME_TIME);
        shown
    }

    fn show(&mut self, picture: Picture, timestamp: Timestamp) -> VideoOutput {
        if !P::MEDIA.has_video() {
            return VideoOutput { result: Ok(VideoOutcome::Unchanged), picture: Some(picture), timestamp };
        }
        let handle = video::Handle::new(picture, timestamp);
        let result = during_call(&self.stream, || self.processor.process_video(&mut VideoFrame::borrowed(&handle)));
        let (source, staged) = handle.into_pictures();
        let (result, picture) = match (result, staged) {
            (Ok(VideoOutcome::Replaced), Some(staged)) => (Ok(VideoOutcome::Replaced), Some(staged)),
            (Ok(VideoOutcome::Replaced), None) => {
                (Err(Error::msg("replaced, but no picture was staged")), Some(source))
            }
            (Ok(VideoOutcome::Withheld), _) => (Ok(VideoOutcome::Withheld), None),
            (result, _) => (result, Some(source)),
        };
        VideoOutput { result, picture, timestamp }
    }

    /// Hands the processor a run of samples. A processor that handles no audio does not see it.
    pub fn audio(&mut self, sound: Sound) -> AudioOutput {
        if !P::MEDIA.has_audio() {
            return AudioOutput { result: Ok(()), sounds: vec![sound] };
        }
        let frame = AudioFrame::owned(audio::Handle::new(sound.clone()));
        let processor = self.sound.as_mut().unwrap_or(&mut self.processor);
        match during_call(&self.stream, || processor.process_audio(frame)) {
            Ok(frames) => {
                let sounds = frames.into_iter().map(|frame| frame.into_handle().into_sound()).collect();
                AudioOutput { result: Ok(()), sounds }
            }
            Err(error) => AudioOutput { result: Err(error), sounds: vec![sound] },
        }
    }

    /// Moves the processor's clock, which otherwise goes on with the pictures.
    pub fn advance(&mut self, time: Duration) {
        self.stream.borrow_mut().now += time;
    }

    /// Answers the processor's requests from now on, those before included, each after it was polled `delay` times in vain. Until
    /// this is called, none is answered.
    #[cfg(feature = "http")]
    pub fn answer_http(
        &mut self,
        delay: u32,
        answer: impl FnMut(&crate::http::Request) -> Result<crate::http::Response> + 'static,
    ) {
        self.stream.borrow_mut().responder = Some(stream::Responder { delay, answer: Box::new(answer) });
    }

    /// Ends the stream and gives the processor back, to look into it: the one for pictures, where there are two.
    pub fn stop(mut self) -> P {
        for processor in std::iter::once(&mut self.processor).chain(&mut self.sound) {
            during_call(&self.stream, || processor.stop());
        }
        self.processor
    }

    /// The processor between calls: the one for pictures, where there are two.
    pub fn processor(&self) -> &P {
        &self.processor
    }

    /// What was logged so far.
    pub fn log(&self) -> Vec<LogLine> {
        self.stream.borrow().log.clone()
    }

    /// What was published so far.
    pub fn published(&self) -> Vec<Value> {
        self.stream.borrow().published.clone()
    }

    /// What was emitted so far.
    pub fn events(&self) -> Vec<Event> {
        self.stream.borrow().events.clone()
    }
}

impl<P: Processor> fmt::Debug for Harness<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Harness").field("params", &self.params).finish_non_exhaustive()
    }
}

/// One call of the processor's.
fn during_call<R>(stream: &Rc<RefCell<Stream>>, call: impl FnOnce() -> R) -> R {
    #[cfg(feature = "shader")]
    super::imports::shader::begin();
    stream.borrow_mut().outputs = 0;
    stream::during(stream, call)
}

/// The way that params take to a component: through JSON text.
fn read<T: serde::de::DeserializeOwned>(params: &Map<String, Value>) -> Result<T> {
    parse(&serde_json::to_string(params)?)
}
