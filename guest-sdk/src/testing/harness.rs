//! One processor in one stream.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::imports::{audio, video};
use super::params::{check_schema, merge};
use super::stream::{self, Stream};
use super::{Event, LogLine, Picture, Sound};
use crate::params::{parse, schema};
use crate::{AudioFrame, Error, Processor, Result, Timestamp, VideoFrame, VideoOutcome};

/// Ticks of 90 kHz between the frames of a [`Harness`]: 30 a second.
const FRAME_TICKS: i64 = 3_000;

/// A processor that was loaded and started.
pub struct Harness<P: Processor> {
    processor: P,
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
        let processor = stream::during(&stream, || {
            let mut processor = P::default();
            processor.load()?;
            processor.start(read(&params)?)?;
            Ok::<P, Error>(processor)
        })?;
        Ok(Self { processor, schema, params, stream, next_ticks: 0 })
    }

    /// Puts the keys of `update` over the params and gives the processor the whole. After an error the last params stay.
    pub fn update_params(&mut self, update: Value) -> Result<()> {
        let params = merge(&self.schema, &self.params, update)?;
        let whole = read(&params)?;
        self.call(|processor| processor.update_params(whole))?;
        self.params = params;
        Ok(())
    }

    /// Hands the processor the next picture, a thirtieth of a second after the last.
    pub fn video(&mut self, picture: Picture) -> VideoOutput {
        self.video_at(picture, Timestamp::from_90khz(self.next_ticks))
    }

    /// Hands the processor a picture with a time of its own. A processor that handles no video does not see it.
    pub fn video_at(&mut self, picture: Picture, timestamp: Timestamp) -> VideoOutput {
        self.next_ticks += FRAME_TICKS;
        if !P::MEDIA.has_video() {
            return VideoOutput { result: Ok(VideoOutcome::Unchanged), picture: Some(picture), timestamp };
        }
        let handle = video::Handle::new(picture, timestamp);
        let result = self.call(|processor| processor.process_video(&mut VideoFrame::borrowed(&handle)));
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
        match self.call(|processor| processor.process_audio(frame)) {
            Ok(frames) => {
                let sounds = frames.into_iter().map(|frame| frame.into_handle().into_sound()).collect();
                AudioOutput { result: Ok(()), sounds }
            }
            Err(error) => AudioOutput { result: Err(error), sounds: vec![sound] },
        }
    }

    /// Moves the processor's clock, which stands still otherwise.
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

    /// Ends the stream and gives the processor back, to look into it.
    pub fn stop(mut self) -> P {
        self.call(|processor| processor.stop());
        self.processor
    }

    /// The processor between calls.
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

    fn call<R>(&mut self, call: impl FnOnce(&mut P) -> R) -> R {
        let Self { processor, stream, .. } = self;
        #[cfg(feature = "shader")]
        super::imports::shader::begin();
        stream.borrow_mut().outputs = 0;
        stream::during(stream, || call(processor))
    }
}

/// The way that params take to a component: through JSON text.
fn read<T: serde::de::DeserializeOwned>(params: &Map<String, Value>) -> Result<T> {
    parse(&serde_json::to_string(params)?)
}
