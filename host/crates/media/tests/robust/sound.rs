//! Sound: codecs, channels, rates, and that it stays with the picture.

use rillbox_media::{AudioConfig, AudioEncoding, AudioFrame, Emit, InputConfig, Output, OutputConfig, Ticks};

use crate::made::{self, H264, Scratch, picture, split, stream};
use crate::played::{Played, play, play_with};
use crate::times::retime;

const OPUS: AudioEncoding = AudioEncoding::Opus;
const AAC: AudioEncoding = AudioEncoding::Aac;

fn play_as(segments: &[Vec<u8>], encoding: AudioEncoding) -> Played {
    let audio = AudioConfig { encoding, ..AudioConfig::default() };
    play_with(segments, InputConfig::default(), OutputConfig { audio, ..OutputConfig::default() })
}

/// Catches a codec or a rate that is refused, or moved in time; and sound alone that is not cut into segments.
#[test]
fn every_codec_and_rate_goes_out() {
    for (codec, rate, layout, encoding) in [
        ("aac", 8_000, "mono", OPUS),
        ("aac", 22_050, "stereo", AAC),
        ("aac", 44_100, "stereo", OPUS),
        ("aac", 96_000, "stereo", AAC),
        ("aac -mpegts_flags latm", 48_000, "stereo", OPUS),
        ("mp2 -b:a 192k", 48_000, "stereo", OPUS),
        ("libmp3lame", 44_100, "stereo", AAC),
        ("libmp3lame", 22_050, "mono", OPUS),
        ("ac3 -mpegts_flags system_b", 32_000, "stereo", OPUS),
        ("libopus", 48_000, "mono", AAC),
    ] {
        let channels = if layout == "mono" { 1 } else { 2 };
        goes_out(codec, rate, layout, encoding, channels);
    }
}

/// Catches a layout that is refused, or mixed down without need.
#[test]
fn channels_stay_where_the_codec_has_them() {
    for (codec, layout, encoding, channels) in [
        ("aac", "5.1", OPUS, 6),
        ("aac", "5.1", AAC, 6),
        ("ac3", "5.1(side)", OPUS, 6),
        ("eac3", "5.1(side)", AAC, 6),
        ("ac3", "4.0", OPUS, 2),
        ("ac3", "4.0", AAC, 4),
        ("libopus", "quad", OPUS, 4),
        ("libopus", "quad", AAC, 2),
        ("libopus", "7.1", OPUS, 8),
        ("libopus", "7.1", AAC, 8),
    ] {
        goes_out(codec, 48_000, layout, encoding, channels);
    }
}

fn goes_out(codec: &str, rate: i64, layout: &str, encoding: AudioEncoding, channels: u32) {
    let input = format!("-f lavfi -i sine=frequency=440:sample_rate={rate}:duration=2");
    let sent = stream(&format!("{input} -af aformat=channel_layouts={layout} -c:a {codec} -ar {rate}"), 10.0);
    let name = format!("{codec} of {rate} Hz, {layout}, as {encoding:?}");
    let played = play_as(std::slice::from_ref(&sent), encoding);
    assert_eq!(played.stats.bad_units, 0, "{name}");
    let out = played.bytes();
    let written = if encoding == OPUS { "opus" } else { "aac" };
    let found = made::probe(&out, "a", "stream=codec_name,sample_rate,channels");
    assert_eq!(found[0], format!("{written},48000,{channels}"), "{name}");
    assert!((2..=3).contains(&played.out.len()), "{name}: {} segments", played.out.len());
    let (source, heard) = (made::pts(&sent, "a"), made::pts(&out, "a"));
    let late = heard[0] - source[0];
    // Opus says how much of its first packet comes before the sound; it is left out when it is played.
    assert!((-700..=1_800).contains(&late), "{name}: {late} ticks late");
    assert!(heard.windows(2).all(|pair| (1_790..=1_930).contains(&(pair[1] - pair[0]))), "{name}: {heard:?}");
    // The last packet may hold as much as the source's last, and some silence.
    let end = heard.last().unwrap() - source.last().unwrap();
    assert!((-5_400..1_152 * 90_000 / rate + 1_800).contains(&end), "{name}: ends {end} ticks later");
    let loud = loudness(&out) - loudness(&sent);
    assert!(loud.abs() < 3.5, "{name}: {loud:.1} dB louder");
}

/// What goes out of a second of 440 Hz in runs of 20 ms, and how many of them were not heard. FFmpeg's mask says where its channels are.
fn encoded(layout: u64, times: impl Iterator<Item = i64>) -> (Vec<u8>, u64) {
    rillbox_media::init();
    let (mut output, mut bytes) = (Output::new(OutputConfig::default()), Vec::new());
    let mut keep = |emit| match emit {
        Emit::Cut => {}
        Emit::Bytes(more) => bytes.extend_from_slice(&more),
    };
    let wave: Vec<f32> =
        (0..960).map(|at| (at as f32 * 440.0 * std::f32::consts::TAU / 48_000.0).sin() / 2.0).collect();
    for pts in times.map(Ticks) {
        let channels = vec![wave.clone(); layout.count_ones() as usize];
        output.audio(&AudioFrame { pts, rate: 48_000, layout, channels }, &mut keep).unwrap();
    }
    let unheard = output.unheard();
    output.finish(&mut keep).unwrap();
    (bytes, unheard)
}

/// Catches sound that ends its stream because none of its speakers is in front.
#[test]
fn speakers_at_the_back_alone_are_heard() {
    for (layout, channels) in [(0x30, 2), (0x600, 2), (0x100, 1), (0x8, 1), (0x130, 3)] {
        let (bytes, unheard) = encoded(layout, (0..50).map(|run| run * 1_800));
        assert_eq!(unheard, 0);
        assert!(loudness(&bytes) > -20.0, "{channels} channels of {layout:#x}: {} dB", loudness(&bytes));
    }
}

/// Catches sound that is thrown away and counts as heard.
#[test]
fn sound_that_steps_back_is_not_heard_and_counted() {
    let (_, unheard) = encoded(0x3, (0..25).chain(15..40).map(|run| run * 1_800));
    assert_eq!(unheard, 10);
}

/// Mean loudness in decibels of full scale, over all channels.
fn loudness(bytes: &[u8]) -> f64 {
    let file = Scratch::of(bytes, "ts");
    let raw = made::ffmpeg(&format!("-i {} -map 0:a -f f32le -c:a pcm_f32le -", file.0.display()));
    let samples: Vec<f64> =
        raw.as_chunks::<4>().0.iter().map(|sample| f64::from(f32::from_le_bytes(*sample))).collect();
    10.0 * (samples.iter().map(|sample| sample * sample).sum::<f64>() / samples.len() as f64).log10()
}

/// Catches a change of codec on the same PID that loses sound, or breaks the pictures beside it.
#[test]
fn the_codec_of_sound_changes_on_its_pid() {
    let part = |codec: &str, start: f64| {
        let sound = "-f lavfi -i sine=frequency=440:sample_rate=48000:duration=2";
        split(&stream(&format!("{} {sound} {H264} -c:a {codec}", picture("160x90", 25, 2.0)), start))
    };
    for encoding in [OPUS, AAC] {
        let sent =
            [part("aac", 10.0), part("libmp3lame", 12.0), part("ac3 -ac 6", 14.0), part("libopus", 16.0)].concat();
        let played = play_as(&sent, encoding);
        let wanted = made::pts(&sent.concat(), "v");
        assert_eq!(wanted.len(), 200);
        assert_eq!(made::pts(&played.bytes(), "v"), wanted);
        assert!((played.heard() - 8.0).abs() < 0.3, "{} s", played.heard());
        let again = play(&played.out);
        let heard: Vec<i64> = again.sound.iter().map(|frame| frame.pts.0).collect();
        assert!(heard.windows(2).all(|pair| (1_000..7_000).contains(&(pair[1] - pair[0]))), "{heard:?}");
        let channels: Vec<usize> = again.sound.iter().map(|frame| frame.channels.len()).collect();
        assert_eq!((channels[0], channels[channels.len() / 2 + 20]), (1, 6));
    }
}

/// Catches frames that begin in one PES packet and end in the next and are moved by it.
#[test]
fn frames_that_lie_across_units_keep_their_time() {
    let sent = stream("-f lavfi -i sine=frequency=440:sample_rate=44100:duration=4 -c:a aac -b:a 96k", 10.0);
    let right = play(std::slice::from_ref(&sent));
    let across = play(&[across_units(&right, &sent)]);
    assert!(across.sound.len() >= right.sound.len() - 2, "{} of {} frames", across.sound.len(), right.sound.len());
    for frame in &across.sound {
        let near = right.sound.iter().map(|right| (right.pts - frame.pts).abs()).min().unwrap();
        assert!(near <= 20, "a frame at {:?} is {near} ticks from any of the source", frame.pts);
    }
    assert_eq!(across.stats.bad_units, 0);
}

/// The sound of a stream in PES packets of 1000 bytes, each with the time of the first frame that begins in it.
fn across_units(right: &Played, sent: &[u8]) -> Vec<u8> {
    let file = Scratch::of(sent, "ts");
    let adts = made::ffmpeg(&format!("-i {} -c copy -f adts -", file.0.display()));
    let tables: Vec<u8> = sent
        .chunks(188)
        .filter(|p| matches!([p[1] & 0x1f, p[2]], [0, 0] | [0x10, 0]))
        .take(2)
        .flatten()
        .copied()
        .collect();
    let mut starts = Vec::new();
    let mut at = 0;
    while at + 7 <= adts.len() {
        starts.push(at);
        at += usize::from(adts[at + 3] & 3) << 11 | usize::from(adts[at + 4]) << 3 | usize::from(adts[at + 5]) >> 5;
    }
    let (mut stream, mut counter) = (tables, 0u8);
    for (index, piece) in adts.chunks(1_000).enumerate() {
        let frame = starts.iter().position(|start| (index * 1_000..index * 1_000 + piece.len()).contains(start));
        let time = frame.and_then(|frame| right.sound.get(frame)).map(|frame| frame.pts.0);
        let mut pes = vec![0, 0, 1, 0xc0, 0, 0, 0x80, if time.is_some() { 0x80 } else { 0 }, 5];
        pes.extend([0x21, 0, 1, 0, 1]);
        let length = (pes.len() - 6 + piece.len()) as u16;
        pes[4..6].copy_from_slice(&length.to_be_bytes());
        pes.extend_from_slice(piece);
        let first = stream.len();
        for (at, part) in pes.chunks(184).enumerate() {
            let stuffing = 184 - part.len();
            let start = if at == 0 { 0x40 } else { 0 };
            stream.extend([0x47, start | 1, 0, if stuffing > 0 { 0x30 } else { 0x10 } | counter]);
            counter = (counter + 1) & 15;
            if stuffing > 0 {
                stream.push(stuffing as u8 - 1);
                stream.extend((1..stuffing).map(|at| if at == 1 { 0 } else { 0xff }));
            }
            stream.extend_from_slice(part);
        }
        if let Some(time) = time {
            retime(&mut stream[first..first + 188], 0x100, |_| time);
        }
    }
    stream
}

/// Catches sound that drifts from the picture over ten minutes by rounding, at a rate that does not divide the clock.
#[test]
fn ten_minutes_of_sound_stay_with_the_picture() {
    stays_with_the_picture(44_100, 1.0, OPUS);
}

/// Catches sound that drifts from the picture, or has holes, because two clocks of the source part by 100 millionths.
#[test]
fn ten_minutes_of_sound_with_a_clock_of_its_own_stay_with_the_picture() {
    stays_with_the_picture(44_100, 1.000_1, OPUS);
}

/// As above, the other way and as AAC.
#[test]
fn ten_minutes_of_slower_sound_stay_with_the_picture_as_aac() {
    stays_with_the_picture(48_000, 0.999_9, AAC);
}

/// A beep begins with each tenth second of the picture's time. FFmpeg finds the beeps in what came out.
fn stays_with_the_picture(rate: u32, speed: f64, encoding: AudioEncoding) {
    let beeps = format!("-f lavfi -i aevalsrc='if(lt(mod(t\\,10)\\,0.2)\\,sin(3000*t)\\,0)':s={rate}:d=600");
    let beeps = beeps.replace('\'', "");
    let pictures = picture("64x36", 2, 600.0);
    let h264 = H264.replace("-g 25", "-g 2").replace("-keyint_min 25", "-keyint_min 2");
    let mut sent = stream(&format!("{pictures} {beeps} {h264} -c:a aac -b:a 64k"), 10.0);
    let name = format!("{rate} Hz at {speed} as {encoding:?}");
    let began = made::pts(&sent, "v")[0];
    retime(&mut sent, 0x101, |time| began + ((time - began) as f64 * speed).round() as i64);
    let played = play_as(&split(&sent), encoding);
    assert_eq!(played.times.len(), 1_200, "{name}");
    assert_eq!(made::pts(&played.bytes(), "v"), played.times, "{name}");
    let (source, heard) = (beginnings(&sent), beginnings(&played.bytes()));
    assert_eq!((source.len(), heard.len()), (59, 59), "{name}");
    let away: Vec<f64> = source.iter().zip(&heard).map(|(source, heard)| (heard - source) * 1e3).collect();
    let worst = away.iter().fold(0.0, |worst: f64, away| worst.max(away.abs()));
    println!("{name}: at most {worst:.2} ms from the source, the last beep at {:.4} s", heard[58]);
    assert!(worst < 5.0, "{name}: {worst:.1} ms from the source: {away:?}");
    let drift = (heard[58] - heard[0]) - 580.0 * speed;
    assert!(drift.abs() < 0.005, "{name}: {drift} s in ten minutes");
    // No sample is added or left out on the way, or a beep would be cut.
    let steps: Vec<i64> = made::pts(&played.bytes(), "a").windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.iter().all(|step| (1_790..=1_930).contains(step)), "{name}: sound has a hole");
}

/// When beeps begin, in seconds, after the first silence.
fn beginnings(bytes: &[u8]) -> Vec<f64> {
    let file = Scratch::of(bytes, "ts");
    let output = std::process::Command::new("ffmpeg")
        .args(["-hide_banner", "-nostats", "-nostdin", "-copyts", "-i"])
        .arg(&file.0)
        .args(["-map", "0:a", "-af", "silencedetect=noise=-26dB:duration=1", "-f", "null", "-"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    text.lines()
        .filter_map(|line| line.split("silence_end: ").nth(1)?.split(' ').next()?.parse().ok())
        .take(59)
        .collect()
}
