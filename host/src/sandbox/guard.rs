//! A host that panics on a guest's behalf: the guest loses its frame, and nobody a thread.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use thiserror::Error;

/// The message of a panic.
#[derive(Debug, Error)]
#[error("the host panicked in a call of it: {0}")]
pub struct HostPanic(String);

/// Awaits a call into a guest; a panic within it becomes an error.
///
/// What the call had in its hands may be half changed afterwards. That is the guest's Store and nothing else, and the caller
/// drops it.
pub async fn guarded<T>(call: impl Future<Output = T>) -> Result<T, HostPanic> {
    let mut call = pin!(call);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Err(panic) => Poll::Ready(Err(HostPanic(message(&*panic)))),
    })
    .await
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
