//! Who plays which part: the started instances of one processor, by the tracks that they take.

use super::inlet::Sample;
use super::started::{NotTaken, Processor, StartError};
use crate::registry::{Isolation, Lease, Manifest};
use crate::sandbox::{Component, Engine, Identity};

/// Instances by the tracks that they take; a track without one passes by.
pub enum Cast {
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

impl Cast {
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

    /// Gives each instance a frame of each kind that it takes.
    async fn probe(self, sample: Sample) -> Result<Self, NotTaken> {
        let (video, audio) = match self {
            Self::Shared(processor) => return Ok(Self::Shared(processor.probe(sample).await?)),
            Self::Apart { video, audio } => (video, audio),
        };
        let video = match video {
            Some(processor) => Some(processor.probe(Sample { audio: None, ..sample.clone() }).await?),
            None => None,
        };
        let audio = match audio {
            Some(processor) => Some(processor.probe(Sample { video: None, ..sample }).await?),
            None => None,
        };
        Ok(Self::Apart { video, audio })
    }

    /// Gives each instance other params.
    async fn update(self, params: &str) -> Result<Self, NotTaken> {
        let update = async |processor: Processor| processor.update(params.to_owned()).await;
        let (video, audio) = match self {
            Self::Shared(processor) => return Ok(Self::Shared(update(processor).await?)),
            Self::Apart { video, audio } => (video, audio),
        };
        let video = match video {
            Some(processor) => Some(update(processor).await?),
            None => None,
        };
        let audio = match audio {
            Some(processor) => Some(update(processor).await?),
            None => None,
        };
        Ok(Self::Apart { video, audio })
    }
}

/// A processor that is ready to take over a stream's frames.
pub struct Role {
    /// Its instances.
    pub cast: Cast,
    /// Keeps it from being deleted.
    pub lease: Lease,
}

impl Role {
    /// Gives each instance a frame of each kind that it takes; nobody sees the results.
    pub(in crate::session) async fn probe(self, sample: Sample) -> Result<Self, NotTaken> {
        Ok(Self { cast: self.cast.probe(sample).await?, lease: self.lease })
    }

    /// Gives each instance other params than it was started with.
    pub(in crate::session) async fn update(self, params: &str) -> Result<Self, NotTaken> {
        Ok(Self { cast: self.cast.update(params).await?, lease: self.lease })
    }
}
