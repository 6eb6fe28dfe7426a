//! Where a lane's frames come from: the decoder's queues, which outlive the lanes.

use rillbox_media::{AudioFrame, VideoFrame};
use tokio::sync::mpsc;

use crate::session::frames::Timed;

/// The queue of one track, and the last frame that came out of it.
#[derive(Debug)]
pub(in crate::session) struct Inlet<T> {
    frames: mpsc::Receiver<Timed<T>>,
    last: Option<T>,
}

/// The queues of the tracks that a lane takes. One that is over is gone.
#[derive(Debug, Default)]
pub(in crate::session) struct Inlets {
    pub video: Option<Inlet<VideoFrame>>,
    pub audio: Option<Inlet<AudioFrame>>,
}

/// The last frame of each kind that came by: what a candidate is tried with.
#[derive(Clone, Debug, Default)]
pub struct LastFrames {
    pub(super) video: Option<VideoFrame>,
    pub(super) audio: Option<AudioFrame>,
}

impl<T: Clone> Inlet<T> {
    pub fn new(frames: mpsc::Receiver<Timed<T>>) -> Self {
        Self { frames, last: None }
    }

    /// The next frame of a track; `None` once, when it is over. Never ready where there is no track. Cancelled, it loses none.
    pub(super) async fn next(track: &mut Option<Self>) -> Option<Timed<T>> {
        let Some(inlet) = track else { return std::future::pending().await };
        match inlet.frames.recv().await {
            Some(timed) => {
                inlet.last = Some(timed.frame.clone());
                Some(timed)
            }
            None => {
                *track = None;
                None
            }
        }
    }
}

impl Inlets {
    /// Whether frames may still come.
    pub(super) fn are_open(&self) -> bool {
        self.video.is_some() || self.audio.is_some()
    }

    /// The last frame of each of these tracks.
    pub(super) fn last_frames(&self) -> LastFrames {
        LastFrames {
            video: self.video.as_ref().and_then(|inlet| inlet.last.clone()),
            audio: self.audio.as_ref().and_then(|inlet| inlet.last.clone()),
        }
    }
}

impl LastFrames {
    /// This, and from `other` what is missing.
    pub(super) fn or(self, other: Self) -> Self {
        Self { video: self.video.or(other.video), audio: self.audio.or(other.audio) }
    }
}
