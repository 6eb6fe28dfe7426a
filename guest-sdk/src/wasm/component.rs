//! The exports: every component's `Guest` on top of its [`Processor`].

use super::bindings::exports::rillbox::processor::processor::{
    AudioFrame as AudioResource, Description, Guest, Isolation as WireIsolation, Media as WireMedia,
    VideoFrame as VideoResource, VideoOutcome as WireOutcome,
};
use crate::{AudioFrame, Isolation, Media, Processor, VideoFrame, VideoOutcome, params};

/// What [`export!`](crate::export) knows of a crate: its processor, and where the one instance lives.
pub trait Component {
    /// The exported type.
    type Processor: Processor;
    /// The package's name.
    const NAME: &'static str;
    /// The package's version.
    const VERSION: &'static str;

    /// Calls `call` with the instance, made by `Default` the first time.
    fn with<R>(call: impl FnOnce(&mut Self::Processor) -> R) -> R;
}

impl<C: Component> Guest for C {
    fn describe() -> Description {
        Description {
            name: C::NAME.into(),
            version: C::VERSION.into(),
            params_schema: serde_json::Value::Object(params::schema::<Params<C>>()).to_string(),
            media: media(C::Processor::MEDIA),
            pixel_format: super::imports::video::wire_format(C::Processor::PIXEL_FORMAT),
            isolation: match C::Processor::ISOLATION {
                Isolation::Shared => WireIsolation::Shared,
                Isolation::Split => WireIsolation::Split,
            },
            capabilities: C::Processor::CAPABILITIES.iter().map(|&name| name.into()).collect(),
        }
    }

    fn load() -> Result<(), String> {
        C::with(|processor| processor.load()).map_err(|error| error.to_string())
    }

    fn start(params: String) -> Result<(), String> {
        params::parse(&params)
            .and_then(|params| C::with(|processor| processor.start(params)))
            .map_err(|error| error.to_string())
    }

    fn update_params(params: String) -> Result<(), String> {
        params::parse(&params)
            .and_then(|params| C::with(|processor| processor.update_params(params)))
            .map_err(|error| error.to_string())
    }

    fn stop() {
        C::with(|processor| processor.stop());
    }

    fn process_video(frame: &VideoResource) -> Result<WireOutcome, String> {
        C::with(|processor| processor.process_video(&mut VideoFrame::borrowed(frame)))
            .map(|outcome| match outcome {
                VideoOutcome::Unchanged => WireOutcome::Unchanged,
                VideoOutcome::Replaced => WireOutcome::Replaced,
                VideoOutcome::Withheld => WireOutcome::Withheld,
            })
            .map_err(|error| error.to_string())
    }

    fn process_audio(frame: AudioResource) -> Result<Vec<AudioResource>, String> {
        C::with(|processor| processor.process_audio(AudioFrame::owned(frame)))
            .map(|frames| frames.into_iter().map(AudioFrame::into_handle).collect())
            .map_err(|error| error.to_string())
    }
}

type Params<C> = <<C as Component>::Processor as Processor>::Params;

fn media(media: Media) -> WireMedia {
    match media {
        Media::Video => WireMedia::VIDEO,
        Media::Audio => WireMedia::AUDIO,
        Media::VideoAndAudio => WireMedia::VIDEO | WireMedia::AUDIO,
    }
}
