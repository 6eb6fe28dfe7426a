//! What is shown while a processor shows nothing: an animated bar, with the source's timing.
//!
//! A processor that withholds its pictures, as one does whose model is warming up, leaves viewers with a stream that stands
//! still, and gateways with one that they take for dead. After [`SILENCE`] of it a picture that says so goes out in the place
//! of each withheld one, until the processor shows something again. `show_loading` puts it in the place of every picture.

use rillbox_media::{Picture, PixelFormat, TICKS_PER_SECOND, Ticks, VideoFrame, convert};

/// How long a processor may withhold pictures, in the source's time, as PyTrickle has it.
const SILENCE: i64 = TICKS_PER_SECOND * 3 / 2;

/// What the time from one picture to the next counts as at most: in a gap of the source's nothing was withheld.
const LONGEST_STEP: i64 = TICKS_PER_SECOND;

/// Time in which the bar's light goes through it once.
const PERIOD: i64 = 2 * TICKS_PER_SECOND;

/// Luma of what is drawn; right for both ranges.
const BACKGROUND: u8 = 32;
const GROOVE: u8 = 72;
const LIGHT: u8 = 208;

/// A row a letter, a bit a dot, the leftmost the highest of five.
const LETTERS: [[u8; 7]; 7] = [
    [0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1f],
    [0x0e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x0e],
    [0x04, 0x0a, 0x11, 0x11, 0x1f, 0x11, 0x11],
    [0x1e, 0x11, 0x11, 0x11, 0x11, 0x11, 0x1e],
    [0x0e, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0e],
    [0x11, 0x19, 0x15, 0x13, 0x11, 0x11, 0x11],
    [0x0e, 0x11, 0x10, 0x17, 0x11, 0x11, 0x0e],
];

/// Columns that a letter takes with the gap after it.
const ADVANCE: usize = 6;

/// Which pictures the loading picture stands in for.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadingRules {
    /// Those that a processor withholds, once it has shown nothing for [`SILENCE`].
    pub withheld: bool,
    /// All: `show_loading`.
    pub every: bool,
}

/// Decides which pictures are shown, and draws those that stand in.
#[derive(Debug)]
pub(super) struct Loading {
    pub rules: LoadingRules,
    /// When the processor last showed something, or the first picture came; later by what does not count of gaps since.
    shown: Option<Ticks>,
    /// When the last picture was, shown or withheld.
    last: Option<Ticks>,
    /// Size of what it showed.
    size: Option<(u32, u32)>,
}

impl Loading {
    pub fn new(rules: LoadingRules) -> Self {
        Self { rules, shown: None, last: None, size: None }
    }

    /// What stands in for a picture that the processor shows; `None` where that one is shown.
    pub fn instead_of(&mut self, frame: &VideoFrame) -> Option<Picture> {
        (self.shown, self.last) = (Some(frame.pts), Some(frame.pts));
        self.size = Some((frame.picture.width(), frame.picture.height()));
        self.rules.every.then(|| self.draw(frame)).flatten()
    }

    /// What stands in for a picture that the processor withholds; `None` where nothing is shown.
    pub fn for_withheld(&mut self, frame: &VideoFrame) -> Option<Picture> {
        let step = frame.pts - self.last.replace(frame.pts).unwrap_or(frame.pts);
        let shown = self.shown.get_or_insert(frame.pts);
        if step > LONGEST_STEP {
            *shown = *shown + (step - LONGEST_STEP);
        }
        // The source's time may go back.
        *shown = (*shown).min(frame.pts);
        let silence = frame.pts - *shown;
        (self.rules.every || (self.rules.withheld && silence >= SILENCE)).then(|| self.draw(frame)).flatten()
    }

    fn draw(&self, frame: &VideoFrame) -> Option<Picture> {
        let (width, height) = self.size.unwrap_or((frame.picture.width(), frame.picture.height()));
        let mut canvas = Canvas::new(width as usize, height as usize);
        canvas.bar(frame.pts.0.rem_euclid(PERIOD) as f64 / PERIOD as f64);
        canvas.word();
        // The size is that of a picture, so it makes one, unless memory is short; then nothing is shown.
        convert::write(PixelFormat::Gray8, width, height, &canvas.luma, frame.picture.color()).ok()
    }
}

/// A plane of luma, rows without padding.
struct Canvas {
    luma: Vec<u8>,
    width: usize,
    height: usize,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        Self { luma: vec![BACKGROUND; width * height], width, height }
    }

    /// A groove in the middle, with a light at `phase` of its way, 0 to 1.
    fn bar(&mut self, phase: f64) {
        let (length, thickness) = (self.width / 2, (self.height / 40).max(2));
        let (left, top) = (self.width / 4, self.height / 2);
        self.fill(left, top, length, thickness, GROOVE);
        let light = length / 4;
        let at = (phase * (length + light) as f64) as usize;
        let (from, to) = (at.saturating_sub(light), at.min(length));
        self.fill(left + from, top, to - from, thickness, LIGHT);
    }

    /// `LOADING` above the bar.
    fn word(&mut self) {
        let dot = (self.width / (LETTERS.len() * ADVANCE * 3)).max(1);
        let left = self.width.saturating_sub((LETTERS.len() * ADVANCE - 1) * dot) / 2;
        let top = (self.height / 2).saturating_sub(10 * dot);
        for (letter, rows) in LETTERS.iter().enumerate() {
            for (row, dots) in rows.iter().enumerate() {
                for column in (0..5).filter(|column| dots & (0x10 >> column) != 0) {
                    self.fill(left + (letter * ADVANCE + column) * dot, top + row * dot, dot, dot, LIGHT);
                }
            }
        }
    }

    /// Fills the part of a rectangle that is inside the picture.
    fn fill(&mut self, left: usize, top: usize, width: usize, height: usize, luma: u8) {
        let (left, right) = (left.min(self.width), (left + width).min(self.width));
        let rows = self.luma.chunks_exact_mut(self.width).skip(top).take(height);
        rows.for_each(|row| row[left..right].fill(luma));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rillbox_media::{Color, ColorMatrix, ColorRange, Presentation};

    const WITHHELD: LoadingRules = LoadingRules { withheld: true, every: false };
    const EVERY: LoadingRules = LoadingRules { withheld: true, every: true };

    fn frame(pts: i64, width: u32, height: u32) -> VideoFrame {
        let color = Color { matrix: ColorMatrix::Bt601, range: ColorRange::Limited };
        let bytes = vec![100; PixelFormat::Gray8.bytes(width, height)];
        let picture = convert::write(PixelFormat::Gray8, width, height, &bytes, color).unwrap();
        VideoFrame { pts: Ticks(pts), key: false, picture, presentation: Presentation::default() }
    }

    #[test]
    fn a_short_silence_is_none() {
        let mut loading = Loading::new(WITHHELD);
        assert!(loading.instead_of(&frame(0, 64, 48)).is_none());
        assert!(loading.for_withheld(&frame(SILENCE / 2, 64, 48)).is_none());
        assert!(loading.for_withheld(&frame(SILENCE - 1, 64, 48)).is_none());
        assert!(loading.for_withheld(&frame(SILENCE, 64, 48)).is_some());
        assert!(loading.instead_of(&frame(SILENCE + 1, 64, 48)).is_none());
        assert!(loading.for_withheld(&frame(SILENCE + 2, 64, 48)).is_none());
    }

    #[test]
    fn a_processor_that_never_shows_anything_is_stood_in_for() {
        let mut loading = Loading::new(WITHHELD);
        assert!(loading.for_withheld(&frame(9_000_000, 64, 48)).is_none());
        assert!(loading.for_withheld(&frame(9_000_000 + SILENCE / 2, 64, 48)).is_none());
        assert!(loading.for_withheld(&frame(9_000_000 + SILENCE, 64, 48)).is_some());
        // The source's time goes back: silence is counted anew.
        assert!(loading.for_withheld(&frame(0, 64, 48)).is_none());
        assert!(loading.for_withheld(&frame(SILENCE / 2, 64, 48)).is_none());
        assert!(loading.for_withheld(&frame(SILENCE, 64, 48)).is_some());
    }

    /// Catches a loading picture that flashes up where a source's time has a gap.
    #[test]
    fn a_gap_in_time_is_no_silence_but_slow_pictures_are() {
        let mut loading = Loading::new(WITHHELD);
        assert!(loading.instead_of(&frame(0, 64, 48)).is_none());
        assert!(loading.for_withheld(&frame(10 * SILENCE, 64, 48)).is_none());
        assert!(loading.for_withheld(&frame(12 * SILENCE, 64, 48)).is_some());
    }

    #[test]
    fn switched_off_it_comes_only_when_it_is_asked_for() {
        let mut loading = Loading::new(LoadingRules::default());
        assert!(loading.for_withheld(&frame(0, 64, 48)).is_none());
        assert!(loading.for_withheld(&frame(10 * SILENCE, 64, 48)).is_none());
        loading.rules.every = true;
        assert!(loading.instead_of(&frame(11 * SILENCE, 64, 48)).is_some());
    }

    #[test]
    fn pictures_move_and_have_the_size_of_what_was_shown() {
        let mut loading = Loading::new(EVERY);
        loading.instead_of(&frame(0, 320, 180));
        let first = loading.for_withheld(&frame(10_000, 64, 48)).unwrap();
        let second = loading.for_withheld(&frame(60_000, 64, 48)).unwrap();
        assert_eq!((first.width(), first.height()), (320, 180));
        assert_ne!(convert::read(&first, PixelFormat::Gray8), convert::read(&second, PixelFormat::Gray8));
    }

    #[test]
    fn the_smallest_and_the_oddest_pictures_can_be_drawn() {
        for (width, height) in [(2, 2), (2, 720), (4096, 2), (42, 18)] {
            assert!(Loading::new(EVERY).instead_of(&frame(1, width, height)).is_some(), "{width}×{height}");
        }
    }
}
