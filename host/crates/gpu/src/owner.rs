//! Whose commands a device is with.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A user of a device, in all of its workspaces there.
#[derive(Debug)]
pub(crate) struct Owner {
    /// Of all of the process.
    pub id: u64,
    /// Its submissions that the device has not finished.
    pub running: AtomicUsize,
    /// Bytes that were made for those.
    pub bytes: AtomicUsize,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Owner {
    pub fn new() -> Arc<Self> {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { id, running: AtomicUsize::new(0), bytes: AtomicUsize::new(0) })
    }
}

/// Those that have a workspace, or commands that the device has not finished, by name.
#[derive(Debug, Default)]
pub(crate) struct Owners(Mutex<HashMap<String, Weak<Owner>>>);

impl Owners {
    pub fn named(&self, name: &str) -> Arc<Owner> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(owner) = known.get(name).and_then(Weak::upgrade) {
            return owner;
        }
        known.retain(|_, owner| owner.strong_count() > 0);
        let owner = Owner::new();
        known.insert(name.to_owned(), Arc::downgrade(&owner));
        owner
    }
}
