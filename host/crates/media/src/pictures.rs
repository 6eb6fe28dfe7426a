//! From decoded frames to pictures of the wanted size and rate.

use ffmpeg_next::frame;

use crate::frame::VideoFrame;
use crate::input::{InputConfig, InputStats, Media};
use crate::scale::Scaler;
use crate::{TICKS_PER_SECOND, Ticks};

/// Thins out, scales and counts.
#[derive(Default)]
pub(crate) struct Pictures {
    scaler: Scaler,
    /// When the frame-rate cap lets the next one through.
    due: Option<Ticks>,
    /// A key frame was dropped by the cap: the next picture stands in for it.
    key: bool,
    /// Pictures are too large, and it was said.
    refusing: bool,
}

impl Pictures {
    pub fn take(
        &mut self,
        pts: Ticks,
        frame: frame::Video,
        config: InputConfig,
        stats: &mut InputStats,
        emit: &mut dyn FnMut(Media),
    ) {
        if self.refuse((frame.width(), frame.height()), config, emit) {
            stats.bad_units += 1;
            return;
        }
        self.refusing = false;
        stats.video_frames += 1;
        self.key |= frame.is_key();
        if !self.is_due(pts, config.max_framerate) {
            stats.thinned_frames += 1;
            return;
        }
        match self.scaler.run(frame, config.geometry) {
            Ok((picture, presentation)) => {
                emit(Media::Video(VideoFrame { pts, key: std::mem::take(&mut self.key), picture, presentation }))
            }
            Err(_) => stats.bad_units += 1,
        }
    }

    /// Whether such a picture is larger than may be; said once, until there is one that is not.
    pub fn refuse(&mut self, (width, height): (u32, u32), config: InputConfig, emit: &mut dyn FnMut(Media)) -> bool {
        let refuses = u64::from(width) * u64::from(height) > config.max_pixels;
        if refuses && !std::mem::replace(&mut self.refusing, true) {
            emit(Media::TooLarge { width, height, max_pixels: config.max_pixels });
        }
        refuses
    }

    /// Whether nothing is known of why pictures do not decode.
    pub fn wonders(&self) -> bool {
        !self.refusing
    }

    /// Whether the cap lets a picture through; the grid of due times keeps the average, a jump starts it anew.
    fn is_due(&mut self, pts: Ticks, max_framerate: Option<u32>) -> bool {
        let Some(rate) = max_framerate else { return true };
        let interval = TICKS_PER_SECOND / i64::from(rate.max(1));
        match self.due {
            // Half a millisecond early is on time: sources round.
            Some(due) if (-interval..-45).contains(&(pts - due)) => false,
            Some(due) if (-45..interval).contains(&(pts - due)) => {
                self.due = Some(due + interval);
                true
            }
            _ => {
                self.due = Some(pts + interval);
                true
            }
        }
    }
}
