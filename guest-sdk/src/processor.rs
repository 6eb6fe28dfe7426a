//! What a processor is: the trait that guests implement.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::{AudioFrame, PixelFormat, Result, VideoFrame};

/// The tracks a processor wants to see. The others pass it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Media {
    /// Pictures only.
    Video,
    /// Sound only.
    Audio,
    /// Both.
    VideoAndAudio,
}

impl Media {
    /// Whether [`Processor::process_video`] is called.
    pub const fn has_video(self) -> bool {
        matches!(self, Self::Video | Self::VideoAndAudio)
    }

    /// Whether [`Processor::process_audio`] is called.
    pub const fn has_audio(self) -> bool {
        matches!(self, Self::Audio | Self::VideoAndAudio)
    }
}

/// Whether video and audio share one instance of the processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// One instance a stream; audio goes first when both wait.
    Shared,
    /// One instance for each; both get every call but the other's frames.
    Split,
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoOutcome {
    /// Show the source picture.
    Unchanged,
    /// Show the picture that was staged last: by [`VideoFrame::replace_pixels`], of a tensor, or of an image on the GPU.
    Replaced,
    /// Show nothing for this frame.
    Withheld,
}

/// A processor of one live stream.
///
/// The host makes an instance with [`Default`] and calls [`load`](Self::load), [`start`](Self::start), any number of
/// [`process_video`](Self::process_video), [`process_audio`](Self::process_audio) and
/// [`update_params`](Self::update_params), and [`stop`](Self::stop). An error, a panic or an overrun of its time costs the
/// frame its effect, not the stream: the original passes through. After a panic or an overrun the instance is replaced by a fresh
/// one with the last params.
pub trait Processor: Default + 'static {
    /// What a user of the stream can set: a struct with named fields, [`NoParams`](crate::NoParams) for nothing. Its JSON
    /// Schema tells the host what to accept, so a field's range and default belong there.
    type Params: DeserializeOwned + JsonSchema;

    /// The tracks that this processor handles.
    const MEDIA: Media = Media::Video;

    /// The format that `process_video` reads, for whoever looks at the processor: the host has every picture as I420.
    const PIXEL_FORMAT: PixelFormat = PixelFormat::I420;

    /// Whether video and audio share one instance. It matters only where [`MEDIA`](Self::MEDIA) is both.
    const ISOLATION: Isolation = Isolation::Shared;

    /// What the operator must grant: `http` for requests to any host that is granted, `http:HOST[:PORT]` to this one or, with
    /// `*.NAME`, to those below a name, `http:{KEY}` to the host of the URL in the param of this key.
    const CAPABILITIES: &'static [&'static str] = &[];

    /// Work done once an instance, before a stream starts: tables, models. At most 30 s.
    fn load(&mut self) -> Result<()> {
        Ok(())
    }

    /// The stream begins. At most 2 s.
    fn start(&mut self, params: Self::Params) -> Result<()>;

    /// Params changed; `params` is the whole of them, not the difference. At most 100 ms. Does what `start` does where it is not
    /// overridden.
    fn update_params(&mut self, params: Self::Params) -> Result<()> {
        self.start(params)
    }

    /// The stream ends; nothing is called after this. At most 100 ms.
    fn stop(&mut self) {}

    /// Called for each picture, in the order of their times, within the operator's budget (40 ms by default).
    fn process_video(&mut self, _frame: &mut VideoFrame<'_>) -> Result<VideoOutcome> {
        Ok(VideoOutcome::Unchanged)
    }

    /// Called for each run of samples, in the order of their times. Gives the frames to hear instead: the same one, none, or
    /// several in the order of their times.
    fn process_audio(&mut self, frame: AudioFrame) -> Result<Vec<AudioFrame>> {
        Ok(vec![frame])
    }
}
