//! Uploads take turns: each is compiled by a child process, which may take a core and 2 GiB.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Limits;
use super::error::ApiError;

/// The turns of all uploads.
#[derive(Clone)]
pub struct Uploads {
    places: Arc<Semaphore>,
    wait: Duration,
}

impl Uploads {
    pub fn new(limits: &Limits) -> Self {
        Self { places: Arc::new(Semaphore::new(limits.uploads)), wait: limits.upload_wait }
    }

    /// A turn, as long as it is held; 503 where there is none for too long.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let turn = timeout(self.wait, self.places.clone().acquire_owned()).await;
        turn.ok()
            .and_then(Result::ok)
            .ok_or_else(|| ApiError::busy("too many components are being compiled; try again"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches uploads that wait for ever, and turns that are not given back.
    #[tokio::test]
    async fn a_turn_comes_in_time_or_not_at_all() {
        let wait = Duration::from_millis(50);
        let uploads = Uploads::new(&Limits { uploads: 1, upload_wait: wait, ..Limits::default() });
        let turn = uploads.turn().await.unwrap();
        let (status, _) = uploads.turn().await.unwrap_err().into_parts();
        assert_eq!(status, 503);
        drop(turn);
        assert!(uploads.turn().await.is_ok());
    }
}
