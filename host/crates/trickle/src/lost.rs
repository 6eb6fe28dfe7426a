//! A server that was lost, and may come back without its channels.

use std::time::Duration;

use tokio::time::Instant;

/// How long a channel may be missing on a server that was lost: one that was started again knows no channels until their
/// publishers have made them again.
const RETURN_LIMIT: Duration = Duration::from_secs(10);

/// Connections to the server failed since it last gave or took something. It may have been started again since, without its
/// channels and with numbers that begin anew.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lost {
    /// When it first said that there is no such channel.
    missing_since: Option<Instant>,
}

impl Lost {
    /// Whether a channel that is missing now may be made again.
    pub(crate) fn may_return(&mut self) -> bool {
        self.missing_since.get_or_insert_with(Instant::now).elapsed() < RETURN_LIMIT
    }
}
