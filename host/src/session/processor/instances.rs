//! The started instances of one processor, by the tracks that they take.

use super::inlet::LastFrames;
use super::started::{NotTaken, Processor, StartError};
use crate::registry::{Isolation, Lease, Manifest};
use crate::sandbox::{Component, Engine, Identity};

/// Instances by the tracks that they take; a track without one passes by.
pub enum Instances {
    /// One for both tracks.
    Shared(Processor),
    /// One for each track, or for one of them alone.
    Apart {
        /// Takes pictures.
        video: Option<Processor>,
        /// Takes sound.
        audio: Option<Processor>,
    },
}

impl Instances {
    /// Starts the instances that a processor of this description needs.
    pub async fn start(
        engine: &Engine,
        component: &Component,
        identity: &Identity,
        manifest: &Manifest,
        params: &str,
    ) -> Result<Self, StartError> {
        let start = || Processor::start(engine, component, identity, params.to_owned());
        if manifest.video && manifest.audio && manifest.isolation == Isolation::Shared {
            return Ok(Self::Shared(start().await?));
        }
        let video = if manifest.video { Some(start().await?) } else { None };
        let audio = if manifest.audio { Some(start().await?) } else { None };
        Ok(Self::Apart { video, audio })
    }

    /// Puts each instance through the same.
    async fn tried(self, trial: &Trial<'_>) -> Result<Self, NotTaken> {
        let (video, audio) = match self {
            Self::Shared(processor) => return Ok(Self::Shared(trial.of(processor, Tracks::Both).await?)),
            Self::Apart { video, audio } => (video, audio),
        };
        let video = match video {
            Some(processor) => Some(trial.of(processor, Tracks::Video).await?),
            None => None,
        };
        let audio = match audio {
            Some(processor) => Some(trial.of(processor, Tracks::Audio).await?),
            None => None,
        };
        Ok(Self::Apart { video, audio })
    }
}

/// The tracks that an instance takes.
#[derive(Clone, Copy)]
enum Tracks {
    Both,
    Video,
    Audio,
}

impl Tracks {
    /// The frames that are of these tracks.
    fn of(self, last_frames: &LastFrames) -> LastFrames {
        let LastFrames { video, audio } = last_frames.clone();
        match self {
            Self::Both => LastFrames { video, audio },
            Self::Video => LastFrames { video, audio: None },
            Self::Audio => LastFrames { video: None, audio },
        }
    }
}

/// What instances go through before they are taken.
enum Trial<'a> {
    /// A frame of each kind that they take.
    Probe(LastFrames),
    /// Other params.
    Update(&'a str),
}

impl Trial<'_> {
    /// Of an instance that takes these tracks.
    async fn of(&self, processor: Processor, tracks: Tracks) -> Result<Processor, NotTaken> {
        match self {
            Self::Probe(last_frames) => processor.probe(tracks.of(last_frames)).await,
            Self::Update(params) => processor.update((*params).to_owned()).await,
        }
    }
}

/// A processor that is ready to take over a stream's frames.
pub struct Candidate {
    /// Its instances.
    pub instances: Instances,
    /// Keeps it from being deleted.
    pub lease: Lease,
}

impl Candidate {
    /// Gives each instance a frame of each kind that it takes; nobody sees the results.
    pub(in crate::session) async fn probe(self, last_frames: LastFrames) -> Result<Self, NotTaken> {
        Ok(Self { instances: self.instances.tried(&Trial::Probe(last_frames)).await?, lease: self.lease })
    }

    /// Gives each instance other params than it was started with.
    pub(in crate::session) async fn update(self, params: &str) -> Result<Self, NotTaken> {
        Ok(Self { instances: self.instances.tried(&Trial::Update(params)).await?, lease: self.lease })
    }
}
