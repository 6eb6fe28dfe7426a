//! A stream put through the input and the output, and everything that came of it.

use rillbox_media::{
    AudioFrame, Emit, Input, InputConfig, InputStats, Media, Output, OutputConfig, Picture, PixelFormat, Tracks,
    convert,
};

/// What came of a stream.
#[derive(Default)]
pub struct Played {
    pub tracks: Vec<Tracks>,
    /// Times of the pictures in the order in which they came.
    pub times: Vec<i64>,
    pub pictures: Vec<Picture>,
    pub sound: Vec<AudioFrame>,
    /// Sizes that were said to be too large.
    pub too_large: Vec<(u32, u32)>,
    pub stats: InputStats,
    /// Pictures that the output left out.
    pub out_of_order: u64,
    /// The output's segments.
    pub out: Vec<Vec<u8>>,
}

impl Played {
    /// The output's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.out.concat()
    }

    /// Pictures as I420 without gaps.
    pub fn planes(&self) -> Vec<Vec<u8>> {
        self.pictures.iter().map(planes).collect()
    }

    /// Seconds of sound.
    pub fn heard(&self) -> f64 {
        self.sound.iter().map(|frame| frame.samples() as f64 / f64::from(frame.rate)).sum()
    }
}

/// A picture as I420 without gaps.
pub fn planes(picture: &Picture) -> Vec<u8> {
    convert::read(picture, PixelFormat::I420)
}

/// Plays segments from the first byte to the last, with the settings that streams have by default.
pub fn play(segments: &[Vec<u8>]) -> Played {
    play_with(segments, InputConfig::default(), OutputConfig::default())
}

/// As [`play`], with other settings.
pub fn play_with(segments: &[Vec<u8>], input: InputConfig, output: OutputConfig) -> Played {
    rillbox_media::init();
    let mut played = Played::default();
    let (mut input, mut output) = (Input::new(input), Output::new(output));
    let mut media = Vec::new();
    for segment in segments {
        // Pieces that end anywhere.
        for piece in segment.chunks(1_000) {
            input.push(piece, &mut |item| media.push(item));
        }
        input.end_segment(&mut |item| media.push(item));
        media.drain(..).for_each(|item| played.take(item, &mut output));
    }
    input.finish(&mut |item| media.push(item));
    media.drain(..).for_each(|item| played.take(item, &mut output));
    played.stats = input.stats();
    played.out_of_order = output.out_of_order();
    output.finish(&mut |emit| played.emit(emit)).unwrap();
    played
}

impl Played {
    fn take(&mut self, media: Media, output: &mut Output) {
        let mut emitted = Vec::new();
        let mut emit = |emit| emitted.push(emit);
        match media {
            Media::Tracks(tracks) => {
                output.tracks(tracks, &mut emit).unwrap();
                self.tracks.push(tracks);
            }
            Media::Video(frame) => {
                output.video(&frame, &mut emit).unwrap();
                self.times.push(frame.pts.0);
                self.pictures.push(frame.picture);
            }
            Media::Audio(frame) => {
                output.audio(&frame, &mut emit).unwrap();
                self.sound.push(frame);
            }
            Media::TooLarge { width, height, .. } => self.too_large.push((width, height)),
        }
        emitted.into_iter().for_each(|emit| self.emit(emit));
    }

    fn emit(&mut self, emit: Emit) {
        match emit {
            Emit::Cut => self.out.push(Vec::new()),
            Emit::Bytes(bytes) => self.out.last_mut().expect("a cut comes first").extend_from_slice(&bytes),
        }
    }
}

/// Peak signal-to-noise ratio over all samples of two series of pictures, in decibels.
pub fn psnr(a: &[Vec<u8>], b: &[Vec<u8>]) -> f64 {
    assert_eq!(a.len(), b.len(), "as many pictures");
    let (a, b) = (a.concat(), b.concat());
    assert_eq!(a.len(), b.len(), "of the same size");
    let squares: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
    let mean = squares / a.len() as f64;
    if mean == 0.0 { 99.0 } else { 10.0 * (255.0 * 255.0 / mean).log10() }
}
