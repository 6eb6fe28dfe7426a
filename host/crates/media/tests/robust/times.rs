//! Times that jump, wrap, lie or lie apart, and tracks that come and go.

use rillbox_media::{Emit, Input, InputConfig, Media, Output, OutputConfig, Tracks, WRAP};

use crate::made::{self, H264, picture, segments, split, stream, tone};
use crate::played::{Played, play};

/// Times of pictures and of runs of samples in what came out, unwrapped anew.
fn came_out(played: &Played) -> (Vec<i64>, Vec<i64>) {
    let again = play(&played.out);
    let heard = again.sound.iter().map(|frame| frame.pts.0).collect();
    (again.times, heard)
}

fn wrapped(times: &[i64]) -> Vec<i64> {
    times.iter().map(|time| time.rem_euclid(WRAP)).collect()
}

/// Catches a jump that costs pictures, moves them, or lets sound and picture part.
#[test]
fn a_jump_either_way_costs_nothing() {
    for second in [3_600.0, 10.0, 40_000.0] {
        let sent = [segments(3, 1_000.0), segments(3, second)].concat();
        let wanted = [made::pts(&sent[..3].concat(), "v"), made::pts(&sent[3..].concat(), "v")].concat();
        let played = play(&sent);
        assert_eq!(played.times, wanted);
        assert_eq!(played.stats.jumps, 2, "one a track");
        assert_eq!(played.stats.bad_units, 0);
        let (shown, heard) = came_out(&played);
        assert_eq!(wrapped(&shown), wanted);
        let step =
            |times: &[i64]| times.windows(2).map(|pair| pair[1] - pair[0]).max_by_key(|step| step.abs()).unwrap();
        let source = [made::pts(&sent[..3].concat(), "a"), made::pts(&sent[3..].concat(), "a")].concat();
        let (wanted, given) = (step(&source), step(&heard));
        assert!((given - wanted).abs() < 3_600, "sound jumps by {given}, the source's by {wanted}");
    }
}

/// Catches a jump within a group of pictures that costs the rest of it.
#[test]
fn a_jump_amid_a_group_of_pictures_costs_nothing() {
    let mut sent = segments(4, 1_000.0).concat();
    let mut count = 0;
    let wanted: Vec<i64> =
        (0..100).map(|frame| 90_000_000 + frame * 3_600 + if frame >= 37 { 30 * 90_000 } else { 0 }).collect();
    retime(&mut sent, 0x100, |time| {
        count += 1;
        if count > 37 { time + 30 * 90_000 } else { time }
    });
    let played = play(&[sent]);
    assert_eq!(wrapped(&came_out(&played).0), played.times);
    let first = played.times[0] - wanted[0];
    assert_eq!(played.times, wanted.iter().map(|time| time + first).collect::<Vec<_>>());
    assert_eq!((played.stats.jumps, played.stats.bad_units), (1, 0));
}

/// Catches one wrong time that costs more than nothing: pictures after it, an encoder's start, or sound.
#[test]
fn one_wrong_time_costs_nothing() {
    let sent = segments(4, 1_000.0).concat();
    let right = play(std::slice::from_ref(&sent));
    for (pid, wrong) in [(0x100, 20), (0x100, -20), (0x100, 3), (0x101, 20), (0x101, -20)] {
        let mut lying = sent.clone();
        let mut count = 0;
        retime(&mut lying, pid, |time| {
            count += 1;
            if count == 10 { time + wrong * 90_000 } else { time }
        });
        let played = play(&[lying]);
        assert_eq!(played.times, right.times, "{pid:#x} by {wrong} s");
        assert_eq!(played.sound.len(), right.sound.len());
        for (frame, wanted) in played.sound.iter().zip(&right.sound) {
            assert!((frame.pts - wanted.pts).abs() < 90, "{pid:#x} by {wrong} s: sound at {:?}", frame.pts);
        }
        assert_eq!((played.stats.jumps, played.stats.bad_units), (0, 1), "{pid:#x} by {wrong} s");
        assert_eq!(played.out.len(), right.out.len(), "{pid:#x} by {wrong} s: segments");
        assert_eq!(played.out_of_order, 0);
    }
}

/// Catches a rollover that is taken for a jump, or written wrong.
#[test]
fn the_counter_rolls_over() {
    let sent = segments(5, WRAP as f64 / 90_000.0 - 2.5);
    let played = play(&sent);
    let first = played.times[0];
    assert_eq!(played.times, (0..125).map(|frame| first + frame * 3_600).collect::<Vec<_>>());
    assert!(played.times[0] < WRAP && *played.times.last().unwrap() > WRAP);
    assert_eq!(played.stats.jumps, 0);
    let (shown, heard) = came_out(&played);
    assert_eq!(shown, played.times);
    assert!(heard.windows(2).all(|pair| (pair[1] - pair[0] - 1_800).abs() <= 2), "{heard:?}");
    assert_eq!(played.out.len(), 5, "no segment begins because of it");
}

/// Catches times below zero, which FFmpeg's muxer has no clock for.
#[test]
fn a_step_back_over_the_rollover_goes_on() {
    let sent = [segments(2, 0.5), segments(2, WRAP as f64 / 90_000.0 - 30.0)].concat();
    let played = play(&sent);
    let wanted = wrapped(&[made::pts(&sent[..2].concat(), "v"), made::pts(&sent[2..].concat(), "v")].concat());
    assert_eq!(wrapped(&played.times), wanted);
    assert_eq!(wrapped(&came_out(&played).0), wanted);
    let last = wrapped(&made::pts(played.out.last().unwrap(), "v"));
    assert_eq!(last.last(), wanted.last(), "FFmpeg reads it too");
}

/// Catches tracks that are brought together, cut for each other or waited for when they are far apart.
#[test]
fn sound_and_picture_three_seconds_apart_stay_so() {
    for offset in [3.0, -3.0] {
        let (pictures, tone) = (picture("160x90", 25, 6.0), tone(6.0));
        // FFmpeg would send them by their times; here they come side by side.
        let arguments = format!("{pictures} {tone} {H264} -c:a aac");
        let mut sent = stream(&arguments, 1_000.0);
        retime(&mut sent, 0x101, |time| time + (offset * 90_000.0) as i64);
        let wanted = made::pts(&sent, "v");
        let played = play(&split(&sent));
        assert_eq!(made::pts(&played.bytes(), "v"), wanted);
        assert_eq!(played.out.len(), 6);
        let (_, heard) = came_out(&played);
        let apart = heard[0] - wanted[0];
        assert!((apart as f64 / 90_000.0 - offset).abs() < 0.1, "{apart} ticks apart, {offset} s wanted");
        assert!(heard.windows(2).all(|pair| (pair[1] - pair[0] - 1_800).abs() <= 2));
        assert_eq!((played.stats.jumps, played.stats.bad_units), (0, 0));
    }
}

/// Catches a track that stops and takes the other with it, or that is not heard when it comes back.
#[test]
fn a_track_stops_and_comes_back() {
    let whole = segments(12, 10.0);
    let without = |pid: u16, segment: &Vec<u8>| -> Vec<u8> {
        let kept = segment.chunks(188).filter(|packet| u16::from_be_bytes([packet[1] & 0x1f, packet[2]]) != pid);
        kept.flatten().copied().collect()
    };
    for pid in [0x100, 0x101] {
        let sent: Vec<_> = whole
            .iter()
            .enumerate()
            .map(|(at, segment)| if (2..8).contains(&at) { without(pid, segment) } else { segment.clone() })
            .collect();
        let played = play(&sent);
        assert_eq!(made::pts(&played.bytes(), "v"), made::pts(&sent.concat(), "v"), "{pid:#x}");
        let expected = if pid == 0x101 { 6.0 } else { 12.0 };
        assert!((played.heard() - expected).abs() < 0.3, "{pid:#x}: {} s of sound", played.heard());
        let (_, heard) = came_out(&played);
        let last = heard.last().unwrap() - played.times.last().unwrap();
        assert!(last.abs() < 9_000, "{pid:#x}: sound ends {last} ticks after the picture");
        // The output goes on in segments either way.
        assert!(played.out.len() >= 8, "{pid:#x}: {} segments", played.out.len());
    }
}

/// Catches a track that comes late and is not announced, and a silent one that is dropped.
#[test]
fn a_late_track_and_a_silent_one_are_there() {
    let pictures = picture("160x90", 25, 6.0);
    let silent = "-f lavfi -i anullsrc=r=48000:d=6";
    let sent = stream(&format!("{pictures} {silent} {H264} -c:a aac -shortest"), 10.0);
    let played = play(&split(&sent));
    assert_eq!(made::pts(&played.bytes(), "v").len(), 150);
    assert!(made::pts(&played.bytes(), "a").len() >= 298);

    let late = stream(&format!("{pictures} -itsoffset 2.5 {} {H264} -c:a aac", tone(3.5)), 10.0);
    let played = play(&split(&late));
    assert_eq!(made::pts(&played.bytes(), "v"), made::pts(&late, "v"));
    let (first, last) = (made::pts(&late, "a")[0], *made::pts(&late, "a").last().unwrap());
    let heard = made::pts(&played.bytes(), "a");
    assert!((heard[0] - first).abs() < 1_800, "sound begins {} ticks late", heard[0] - first);
    assert!((heard.last().unwrap() - last).abs() < 4_500);
}

/// Rewrites the times of a track's PES packets; FFmpeg writes a decoding time where it differs, and this one only the other.
pub fn retime(stream: &mut [u8], pid: u16, mut change: impl FnMut(i64) -> i64) {
    for packet in stream.chunks_mut(188) {
        if u16::from_be_bytes([packet[1] & 0x1f, packet[2]]) != pid || packet[1] & 0x40 == 0 {
            continue;
        }
        let start = if packet[3] & 0x20 != 0 { 5 + usize::from(packet[4]) } else { 4 };
        assert_eq!(packet[start + 7] & 0xc0, 0x80, "presentation times alone");
        let at = start + 9;
        let [a, b, c, d, e] = [0, 1, 2, 3, 4].map(|byte| i64::from(packet[at + byte]));
        let time = (a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1;
        let time = change(time).rem_euclid(WRAP);
        packet[at] = 0x21 | (time >> 29 & 0x0e) as u8;
        packet[at + 1] = (time >> 22) as u8;
        packet[at + 2] = 1 | (time >> 14 & 0xfe) as u8;
        packet[at + 3] = (time >> 7) as u8;
        packet[at + 4] = 1 | (time << 1 & 0xfe) as u8;
    }
}

/// Catches frames that are lost since they were on their way when their track ended, and a track that comes back by some that come
/// later still: it would never go on, and one of pictures would keep the clock of the stream.
#[test]
fn what_was_on_its_way_when_its_track_ended_is_shown_and_nothing_after_that() {
    rillbox_media::init();
    let (mut input, mut media) = (Input::new(InputConfig::default()), Vec::new());
    input.push(&segments(2, 10.0).concat(), &mut |item| media.push(item));
    input.finish(&mut |item| media.push(item));
    let tracks = media.iter().find_map(|item| if let Media::Tracks(tracks) = item { Some(*tracks) } else { None });
    let tracks = tracks.expect("the source says what it has");
    for (left, gone, kept) in
        [(Tracks { audio: None, ..tracks }, "a", "v"), (Tracks { video: None, ..tracks }, "v", "a")]
    {
        let (mut output, mut segments) = (Output::new(OutputConfig::default()), Vec::<Vec<u8>>::new());
        let mut keep = |emit| match emit {
            Emit::Cut => segments.push(Vec::new()),
            Emit::Bytes(bytes) => segments.last_mut().unwrap().extend_from_slice(&bytes),
        };
        for (round, tracks) in [tracks, left].into_iter().enumerate() {
            output.tracks(tracks, &mut keep).unwrap();
            for item in &media {
                match item {
                    Media::Video(frame) => {
                        let mut frame = frame.clone();
                        frame.pts.0 += round as i64 * 180_000;
                        output.video(&frame, &mut keep).unwrap();
                    }
                    Media::Audio(frame) => {
                        let mut frame = frame.clone();
                        frame.pts.0 += round as i64 * 180_000;
                        output.audio(&frame, &mut keep).unwrap();
                    }
                    _ => {}
                }
            }
        }
        let left_out = output.out_of_order() + output.unheard();
        output.finish(&mut keep).unwrap();
        let end = |track| *made::pts(&segments.concat(), track).last().unwrap() as f64 / 90_000.0;
        assert!((12.7..13.3).contains(&end(gone)), "{gone} until {} s", end(gone));
        assert!(end(kept) > 13.8, "{kept} until {} s", end(kept));
        assert_eq!(made::probe(segments.last().unwrap(), gone, "stream=codec_name"), Vec::<String>::new());
        assert!((15..70).contains(&left_out), "{left_out}");
    }
}
