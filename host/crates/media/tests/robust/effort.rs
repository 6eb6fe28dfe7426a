//! Less effort: what a host that is behind gives up.

use rillbox_media::{Effort, Emit, Input, InputConfig, Media, Output, OutputConfig};

use crate::made;

/// Four seconds, the two in the middle with less effort; gives the output's segments.
fn ease(source: &[Vec<u8>]) -> Vec<Vec<u8>> {
    rillbox_media::init();
    let (mut input, mut output) = (Input::new(InputConfig::default()), Output::new(OutputConfig::default()));
    let mut segments = Vec::<Vec<u8>>::new();
    let mut keep = |emit| match emit {
        Emit::Cut => segments.push(Vec::new()),
        Emit::Bytes(bytes) => segments.last_mut().unwrap().extend_from_slice(&bytes),
    };
    for (second, segment) in source.iter().enumerate() {
        let effort = if (1..3).contains(&second) { Effort::Reduced } else { Effort::Full };
        input.set_effort(effort);
        output.set_effort(effort);
        let mut take = |media| match media {
            Media::Tracks(tracks) => output.tracks(tracks, &mut keep).unwrap(),
            Media::Video(frame) => output.video(&frame, &mut keep).unwrap(),
            Media::Audio(frame) => output.audio(&frame, &mut keep).unwrap(),
            Media::TooLarge { .. } => unreachable!("no picture is too large"),
        };
        input.push(segment, &mut take);
        input.end_segment(&mut take);
    }
    output.finish(&mut keep).unwrap();
    segments
}

/// Catches a change of effort that loses a picture, breaks the stream for its readers, or changes nothing.
#[test]
fn effort_changes_at_a_key_frame_and_no_picture_is_lost() {
    let source = made::segments(4, 0.0);
    let out = ease(&source);
    let stream = out.concat();
    assert_eq!(made::pts(&stream, "v"), made::pts(&source.concat(), "v"));
    let profiles: Vec<_> = out.iter().map(|segment| made::property(segment, "v", "profile")).collect();
    assert_eq!(profiles, ["High", "Constrained Baseline", "Constrained Baseline", "High"]);
    let file = made::Scratch::of(&stream, "ts");
    made::ffmpeg(&format!("-xerror -i {} -f null -", file.0.display()));
}
