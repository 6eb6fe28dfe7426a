//! What requests are counted by.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

use crate::sandbox::Counter;

/// The requests of one stream's processor.
#[derive(Debug, Default)]
pub struct HttpMeter {
    /// Requests that were let through.
    pub sent: Counter,
    /// Requests that were not: host, address, method, size or number.
    pub refused: Counter,
    /// Requests that were let through and got no whole answer.
    pub failed: Counter,
    /// Bytes of bodies sent.
    pub bytes_sent: Counter,
    /// Bytes of bodies received.
    pub bytes_received: Counter,
    in_flight: AtomicU64,
    last_refusal: Mutex<Option<String>>,
}

impl HttpMeter {
    /// Requests under way.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Why a request was refused last.
    pub fn last_refusal(&self) -> Option<String> {
        self.last_refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn refuse(&self, why: String) {
        self.refused.add(1);
        if self.refused.get().is_power_of_two() {
            tracing::warn!(why, count = self.refused.get(), "a processor's request was refused");
        }
        *self.last_refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }
}

/// A request under way, with its places among the others.
pub struct Flight {
    meter: Arc<HttpMeter>,
    _places: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

impl Flight {
    pub fn new(meter: Arc<HttpMeter>, own: OwnedSemaphorePermit, shared: OwnedSemaphorePermit) -> Self {
        meter.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { meter, _places: (own, shared) }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.meter.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
