//! How an instance of a processor is made, and one that has started and has no stream's frames yet.

use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::task::JoinError;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::inlet::LastFrames;
use crate::sandbox::{Component, Engine, Failure, Identity, Instance, Priority, Standing, VideoResult};

/// Why a processor did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// In `load`.
    #[error("`load`: {0}")]
    Load(Failure),
    /// In `start`, or before it.
    #[error("`start`: {0}")]
    Start(Failure),
    /// The guests' threads are gone: the host is shutting down.
    #[error("the host is shutting down")]
    Down,
}

impl StartError {
    /// What it means that the task which makes an instance did not end by itself.
    pub(super) fn of(error: JoinError) -> Self {
        panicked(error).map_or(Self::Down, Self::Start)
    }
}

/// What a guest is to blame for, if its task did not just end with the host.
fn panicked(error: JoinError) -> Option<Failure> {
    error.is_panic().then(|| Failure::Trap("it made the host panic".to_owned()))
}

/// Why a started processor is not taken.
#[derive(Debug, Error)]
pub enum NotTaken {
    /// It broke, or gave an error.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The host is shutting down.
    #[error("the host is shutting down")]
    Down,
}

/// An instance in the making, on the guests' threads. Dropped, it is given up.
pub(super) type Making = AbortOnDropHandle<Result<Instance, StartError>>;

/// How long one may take to be made among those in front.
const IN_FRONT: Duration = Duration::from_millis(200);

/// How one instance of a component is made.
#[derive(Clone)]
pub(super) struct Recipe {
    pub engine: Engine,
    component: Component,
    pub identity: Identity,
}

impl Recipe {
    async fn make(self, params: String) -> Result<Instance, StartError> {
        let made = self.instance(&params).await;
        if let Err(StartError::Load(Failure::Overrun(_)) | StartError::Start(Failure::Overrun(_))) = made {
            self.standing().took_much(Instant::now());
        }
        made
    }

    async fn instance(&self, params: &str) -> Result<Instance, StartError> {
        let mut instance =
            Instance::new(&self.engine, &self.component, &self.identity).await.map_err(StartError::Start)?;
        instance.load().await.map_err(StartError::Load)?;
        instance.start(params).await.map_err(StartError::Start)?;
        Ok(instance)
    }

    /// Has one made with that priority. Whatever it loads or works out that takes long goes on behind, so that it is no way to take a
    /// core from others' frames.
    pub fn spawn(&self, priority: Priority, params: &str) -> Making {
        let making = Box::pin(self.clone().make(params.to_owned()));
        if priority == Priority::Background {
            return AbortOnDropHandle::new(self.engine.spawn(priority, making));
        }
        let engine = self.engine.clone();
        AbortOnDropHandle::new(self.engine.spawn(priority, async move {
            let mut making = making;
            match timeout(IN_FRONT, &mut making).await {
                Ok(made) => made,
                Err(_) => {
                    let behind = AbortOnDropHandle::new(engine.spawn(Priority::Background, making));
                    behind.await.unwrap_or_else(|error| Err(StartError::of(error)))
                }
            }
        }))
    }

    pub fn standing(&self) -> Standing {
        self.engine.standing(&self.identity.processor)
    }
}

/// A started processor that has not been given a stream yet.
pub struct Processor {
    pub(super) recipe: Box<Recipe>,
    pub(super) instance: Box<Instance>,
    pub(super) params: String,
}

impl Processor {
    /// Makes an instance, and has it `load` and `start`.
    pub async fn start(
        engine: &Engine,
        component: &Component,
        identity: &Identity,
        params: String,
    ) -> Result<Self, StartError> {
        let (engine, component, identity) = (engine.clone(), component.clone(), identity.clone());
        let recipe = Box::new(Recipe { engine, component, identity });
        let priority = recipe.standing().priority(Instant::now());
        let instance = recipe.spawn(priority, &params).await.map_err(StartError::of)??;
        Ok(Self { recipe, instance: Box::new(instance), params })
    }

    /// Gives it frames whose results nobody sees, and throws away what it publishes over them.
    pub(super) async fn probe(mut self, last_frames: LastFrames) -> Result<Self, NotTaken> {
        on_guests_threads(&self.recipe.clone(), async move {
            if let Some(picture) = last_frames.video
                && let VideoResult::Pending(pending) = self.instance.video(&picture).await?
            {
                // Guests' threads are not held up by what one of them waits for.
                tokio::task::block_in_place(|| pending.picture())?;
            }
            if let Some(samples) = last_frames.audio {
                self.instance.audio(samples).await?;
            }
            drop(self.instance.take_output());
            Ok::<_, Failure>(self)
        })
        .await
    }

    /// Gives it other params than it was started with.
    pub(super) async fn update(mut self, params: String) -> Result<Self, NotTaken> {
        if params == self.params {
            return Ok(self);
        }
        on_guests_threads(&self.recipe.clone(), async move {
            self.instance.update_params(&params).await?;
            self.params = params;
            Ok::<_, Failure>(self)
        })
        .await
    }
}

/// Guests never run on the threads that drive sockets.
async fn on_guests_threads(
    recipe: &Recipe,
    work: impl Future<Output = Result<Processor, Failure>> + Send + 'static,
) -> Result<Processor, NotTaken> {
    let priority = recipe.standing().priority(Instant::now());
    let task = AbortOnDropHandle::new(recipe.engine.spawn(priority, work));
    Ok(task.await.map_err(|error| panicked(error).map_or(NotTaken::Down, NotTaken::Failed))??)
}
