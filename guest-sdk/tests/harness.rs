//! The in-memory host keeps the contract's promises to a processor.
#![allow(clippy::unwrap_used, reason = "tests may, and so may what they share")]

use std::time::Duration;

use rillbox_sdk::serde_json::{Map, Value, json};
use rillbox_sdk::testing::{Event, Harness, LogLine, Picture, Sound};
use rillbox_sdk::{
    AudioFrame, Error, Isolation, Media, PixelFormat, Processor, Refusal, Result, RetainedVideoFrame, SampleOrder,
    Timestamp, VideoFrame, VideoOutcome, clock, data, log,
};

#[derive(serde::Deserialize, schemars::JsonSchema, Default)]
#[serde(rename_all = "lowercase")]
enum Act {
    #[default]
    Nothing,
    Replace,
    Stage,
    Forget,
    Fail,
    Withhold,
    Delay,
    Tell,
    Odd,
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Params {
    #[serde(default)]
    act: Act,
    #[schemars(range(min = 1, max = 9))]
    size: u32,
}

#[derive(Default)]
struct Actor {
    params: Option<Params>,
    last: Option<RetainedVideoFrame>,
}

impl Processor for Actor {
    type Params = Params;
    const MEDIA: Media = Media::VideoAndAudio;

    fn start(&mut self, params: Params) -> Result<()> {
        self.params = Some(params);
        Ok(())
    }

    fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
        let white = [255; 16];
        match self.params.as_ref().map_or(&Act::Nothing, |params| &params.act) {
            Act::Nothing => return Ok(VideoOutcome::Unchanged),
            Act::Forget => return Ok(VideoOutcome::Replaced),
            Act::Withhold => return Ok(VideoOutcome::Withheld),
            Act::Replace => {
                let before = frame.pixels(PixelFormat::Rgba8)?;
                frame.replace_pixels(PixelFormat::Rgba8, 2, 2, &white)?;
                assert_eq!(frame.pixels(PixelFormat::Rgba8)?, before, "a staged picture is not seen");
                return Ok(VideoOutcome::Replaced);
            }
            Act::Stage => frame.replace_pixels(PixelFormat::Rgba8, 2, 2, &white)?,
            Act::Fail => {
                frame.replace_pixels(PixelFormat::Rgba8, 2, 2, &white)?;
                return Err(Error::msg("as asked"));
            }
            Act::Odd => {
                frame.replace_pixels(PixelFormat::Gray8, 3, 2, &white[..6])?;
            }
            Act::Delay => {
                if let Some(last) = self.last.replace(frame.retain()?) {
                    let data = last.pixels(last.format())?;
                    frame.replace_pixels(last.format(), last.width(), last.height(), &data)?;
                    return Ok(VideoOutcome::Replaced);
                }
            }
            Act::Tell => {
                log::warn!(at = clock::now().as_millis(), x = 1; "told {}", "all");
                data::publish(&json!({ "seen": frame.timestamp().ticks }))?;
                data::emit("sight", &json!({ "width": frame.width() }))?;
            }
        }
        Ok(VideoOutcome::Unchanged)
    }

    fn process_audio(&mut self, mut frame: AudioFrame) -> Result<Vec<AudioFrame>> {
        match self.params.as_ref().map_or(&Act::Nothing, |params| &params.act) {
            Act::Fail => {
                frame.replace_samples(SampleOrder::Planar, &[])?;
                Err(Error::msg("as asked"))
            }
            Act::Withhold => Ok(vec![]),
            Act::Replace => {
                let mut kept = frame.retain()?;
                assert!(matches!(kept.replace_samples(SampleOrder::Planar, &[]), Err(Refusal::Invalid(_))));
                let later = frame.derive(Timestamp::from_90khz(90), SampleOrder::Interleaved, &[1.0, -1.0])?;
                frame.replace_samples(SampleOrder::Interleaved, &[0.5, f32::NAN])?;
                Ok(vec![frame, kept, later])
            }
            _ => Ok(vec![frame]),
        }
    }
}

fn actor(act: &str) -> Harness<Actor> {
    Harness::new(json!({ "act": act, "size": 1 })).unwrap()
}

fn picture() -> Picture {
    Picture::gradient(PixelFormat::I420, 6, 4)
}

#[test]
fn an_outcome_decides_what_is_shown() {
    assert_eq!(actor("nothing").video(picture()).picture, Some(picture()));
    assert_eq!(actor("stage").video(picture()).picture, Some(picture()));
    assert_eq!(actor("withhold").video(picture()).picture, None);
    let shown = actor("replace").video(picture()).picture.unwrap();
    assert_eq!((shown.width(), shown.height(), shown.pixel(0, 0)), (2, 2, [255; 3]));
}

#[test]
fn an_error_shows_the_original() {
    let shown = actor("fail").video(picture());
    assert_eq!(shown.result.unwrap_err().to_string(), "as asked");
    assert_eq!(shown.picture, Some(picture()));
    assert!(actor("forget").video(picture()).result.is_err());
    assert_eq!(actor("odd").video(picture()).result.unwrap_err().to_string(), "invalid: 3×2: sides are even and not 0");
}

#[test]
fn a_frame_keeps_its_time_and_a_retained_one_its_picture() {
    let mut delay = actor("delay");
    let first = delay.video(picture());
    let black = Picture::solid(PixelFormat::I420, 6, 4, [0; 3]);
    let second = delay.video(black);
    assert_eq!((first.timestamp, second.timestamp), (Timestamp::from_90khz(0), Timestamp::from_90khz(3_000)));
    assert_eq!(second.picture, Some(picture()));
}

#[test]
fn what_a_processor_tells_is_kept() {
    let mut tell = actor("tell");
    tell.advance(Duration::from_millis(7));
    tell.video_at(picture(), Timestamp::from_90khz(42)).result.unwrap();
    let fields = vec![("at".into(), "7".into()), ("x".into(), "1".into())];
    assert_eq!(tell.log(), [LogLine { level: log::Level::Warn, message: "told all".into(), fields }]);
    assert_eq!(tell.published(), [json!({ "seen": 42 })]);
    let fields = Map::from_iter([("width".into(), Value::from(6))]);
    assert_eq!(tell.events(), [Event { name: "sight".into(), fields }]);
}

#[test]
fn params_are_merged_and_checked_as_a_whole() {
    let new = |params| Harness::<Actor>::new(params).err().map(|error| error.to_string());
    assert_eq!(new(json!({})), Some("/size: missing".into()));
    assert_eq!(new(json!({ "size": 10 })), Some("/size: 10 is out of range".into()));
    assert_eq!(new(json!({ "size": 1, "seize": 1 })), Some("/seize: unknown".into()));
    assert!(new(json!({ "size": "1" })).unwrap().starts_with("/size: invalid type"));

    let mut actor = actor("withhold");
    actor.update_params(json!({ "size": 2 })).unwrap();
    assert!(actor.update_params(json!({ "size": 0, "act": "nothing" })).is_err());
    assert_eq!(actor.video(picture()).picture, None, "the last params stay");
    assert_eq!(actor.stop().params.unwrap().size, 2);
}

#[test]
fn the_hosts_keys_are_refused_in_a_schema() {
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Size {
        #[serde(rename = "width")]
        _width: u32,
    }

    #[derive(Default)]
    struct Thief;

    impl Processor for Thief {
        type Params = Size;

        fn start(&mut self, _: Size) -> Result<()> {
            Ok(())
        }
    }

    assert!(Harness::<Thief>::new(json!({ "width": 64 })).is_err());
}

/// Catches state that pictures and sound share in tests and not in the host.
#[test]
fn tracks_that_are_apart_have_an_instance_each() {
    #[derive(Default)]
    struct Apart {
        heard: u32,
    }

    impl Processor for Apart {
        type Params = rillbox_sdk::NoParams;
        const MEDIA: Media = Media::VideoAndAudio;
        const ISOLATION: Isolation = Isolation::Split;

        fn start(&mut self, _: Self::Params) -> Result<()> {
            Ok(())
        }

        fn process_audio(&mut self, frame: AudioFrame) -> Result<Vec<AudioFrame>> {
            self.heard += 1;
            data::publish(&self.heard)?;
            Ok(vec![frame])
        }
    }

    let mut apart = Harness::<Apart>::new(json!({})).unwrap();
    for _ in 0..2 {
        apart.audio(Sound::sine(48_000, 2, 480, 440.0)).result.unwrap();
    }
    assert_eq!(apart.published(), [json!(1), json!(2)]);
    assert_eq!(apart.stop().heard, 0);
}

/// Catches a clock that stands still while pictures go by, so that what is published for each runs out of room.
#[test]
fn the_clock_goes_on_with_the_pictures() {
    let mut tell = actor("tell");
    for _ in 0..2_000 {
        tell.video(picture()).result.unwrap();
    }
    assert_eq!(tell.published().len(), 2_000);
    assert_eq!(tell.video_at(picture(), Timestamp::from_90khz(900_000)).timestamp.ticks, 900_000);
    assert_eq!(tell.video(picture()).timestamp.ticks, 903_000);
}

/// Catches a picture that tests show and the host does not.
#[test]
fn a_picture_far_larger_than_its_source_is_refused() {
    #[derive(Default)]
    struct Grow;

    impl Processor for Grow {
        type Params = rillbox_sdk::NoParams;

        fn start(&mut self, _: Self::Params) -> Result<()> {
            Ok(())
        }

        fn process_video(&mut self, frame: &mut VideoFrame) -> Result<VideoOutcome> {
            let gray = vec![90; PixelFormat::Gray8.bytes(1920, 1080)];
            frame.replace_pixels(PixelFormat::Gray8, 1920, 1080, &gray)?;
            Ok(VideoOutcome::Replaced)
        }
    }

    let mut grow = Harness::<Grow>::new(json!({})).unwrap();
    assert!(grow.video(picture()).result.is_err());
    let large = Picture::solid(PixelFormat::I420, 960, 540, [9; 3]);
    assert!(grow.video(large).result.is_ok());
}

#[test]
fn sound_is_replaced_withheld_or_passed() {
    let stereo = || Sound::sine(48_000, 2, 480, 440.0);
    assert_eq!(actor("nothing").audio(stereo()).sounds, [stereo()]);
    assert_eq!(actor("withhold").audio(stereo()).sounds, []);
    let failed = actor("fail").audio(stereo());
    assert!(failed.result.is_err());
    assert_eq!(failed.sounds, [stereo()]);

    let heard = actor("replace").audio(stereo()).sounds;
    assert_eq!(heard[0], Sound::from_samples(48_000, 2, vec![0.5, 0.0]));
    assert_eq!(heard[1], stereo());
    let later = Sound::from_samples(48_000, 2, vec![1.0, -1.0]).at(Timestamp::from_90khz(90));
    assert_eq!(heard[2], later);
}
