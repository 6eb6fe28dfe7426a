//! The protocol's own HTTP headers and status.

use http::{HeaderMap, HeaderName, StatusCode};

/// The sequence number that a reply is about.
pub(crate) const SEQ: HeaderName = HeaderName::from_static("lp-trickle-seq");
/// The next number to be written, as far as the server knew when the request arrived.
pub(crate) const LATEST: HeaderName = HeaderName::from_static("lp-trickle-latest");
/// Present, whatever its value, when the channel is over.
pub(crate) const CLOSED: HeaderName = HeaderName::from_static("lp-trickle-closed");
/// Asks to end every segment before the one that is posted; any non-empty value.
pub(crate) const RESET: HeaderName = HeaderName::from_static("lp-trickle-reset");
/// The content type of a channel that is created without a segment.
pub(crate) const EXPECT_CONTENT: HeaderName = HeaderName::from_static("expect-content");

/// "No such segment": too old, or too far ahead.
pub(crate) const NO_SEGMENT: u16 = 470;

/// A header that holds a decimal number; `None` when absent or anything else.
pub(crate) fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// [`NO_SEGMENT`] as a status.
pub(crate) fn no_segment() -> StatusCode {
    // 470 lies within 100..=999, so the fallback is never taken.
    StatusCode::from_u16(NO_SEGMENT).unwrap_or(StatusCode::NOT_FOUND)
}
