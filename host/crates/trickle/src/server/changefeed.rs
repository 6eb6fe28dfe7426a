//! The channel that tells which channels come and go: one JSON object per segment.

use bytes::Bytes;
use tokio::time::Instant;

use super::window::{Window, Write, WriteIndex, Wrote};

/// Its name.
pub(crate) const NAME: &str = "_changes";

/// What happened to a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Removed,
}

/// Writes one segment into the changefeed's window.
pub(crate) fn publish(feed: &mut Window, change: Change, name: &str) {
    let Write::Open(claim) = feed.open_write(WriteIndex::Next, false) else {
        return;
    };
    let now = Instant::now();
    feed.first_byte(&claim, now);
    if claim.log.append(event(change, name)).is_err() {
        tracing::warn!("no memory left for a changefeed event");
    }
    feed.finish(&claim, Wrote::Bytes, now);
}

fn event(change: Change, name: &str) -> Bytes {
    let key = match change {
        Change::Added => "added",
        Change::Removed => "removed",
    };
    // Names hold no control characters, so these two are all that JSON asks to escape.
    let name = name.replace('\\', "\\\\").replace('"', "\\\"");
    format!(r#"{{"{key}":["{name}"]}}"#).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        assert_eq!(event(Change::Removed, r#"a"b\c"#), r#"{"removed":["a\"b\\c"]}"#);
    }
}
