//! The device that was chosen: opened when somebody needs it, and opened anew when it was lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::choice::Choice;
use crate::device::Device;
use crate::error::Error;

/// A device that was chosen. A clone is one more reference.
#[derive(Clone, Debug)]
pub struct Gpu(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    choice: Choice,
    state: Mutex<State>,
    /// Held by whoever opens one, which may take long: others want to know what there is.
    opening: Mutex<()>,
    /// How often a device was opened.
    opened: AtomicU64,
    /// Bytes to and from devices that were lost.
    moved: [AtomicU64; 2],
}

#[derive(Debug)]
enum State {
    Closed,
    Open(Arc<Device>),
    /// There is none: asking again would cost time and memory.
    None(Error),
}

impl Gpu {
    /// Opens nothing yet.
    pub fn new(choice: Choice) -> Self {
        Self(Arc::new(Inner {
            choice,
            state: Mutex::new(State::Closed),
            opening: Mutex::default(),
            opened: AtomicU64::new(0),
            moved: Default::default(),
        }))
    }

    /// The device. It is opened if it is not, or was lost, which takes a fraction of a second.
    pub fn open(&self) -> Result<Arc<Device>, Error> {
        let _opening = self.0.opening.lock().unwrap_or_else(PoisonError::into_inner);
        match &*self.state() {
            State::Open(device) if !device.is_lost() => return Ok(device.clone()),
            State::None(error) => return Err(error.clone()),
            _ => {}
        }
        let opened = Device::open(self.0.choice).map(Arc::new);
        let state = match &opened {
            Ok(device) => State::Open(device.clone()),
            // Asking again would give the same.
            Err(error @ Error::Unsupported(_)) => State::None(error.clone()),
            Err(_) => State::Closed,
        };
        if let State::Open(lost) = std::mem::replace(&mut *self.state(), state) {
            let (sent, received) = lost.moved();
            self.0.moved[0].fetch_add(sent, Ordering::Relaxed);
            self.0.moved[1].fetch_add(received, Ordering::Relaxed);
        }
        if let Ok(device) = &opened {
            self.0.opened.fetch_add(1, Ordering::Relaxed);
            tracing::info!(name = device.info().name, driver = device.info().driver, "GPU opened");
        }
        opened
    }

    /// The device, if it is open.
    pub fn opened(&self) -> Option<Arc<Device>> {
        match &*self.state() {
            State::Open(device) => Some(device.clone()),
            _ => None,
        }
    }

    /// Bytes that have gone to this device and those before it, and come from them.
    pub fn moved(&self) -> (u64, u64) {
        let (sent, received) = self.opened().map_or((0, 0), |device| device.moved());
        let [sent_before, received_before] = [0, 1].map(|way| self.0.moved[way].load(Ordering::Relaxed));
        (sent_before + sent, received_before + received)
    }

    /// How often a device was lost and replaced.
    pub fn reopened(&self) -> u64 {
        self.0.opened.load(Ordering::Relaxed).saturating_sub(1)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
