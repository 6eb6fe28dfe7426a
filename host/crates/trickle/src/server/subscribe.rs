//! `GET` of a segment.

use http::header::HeaderValue;

use super::{
    channels::Channel,
    log::End,
    reply::{self, Reply, ReplyExt},
    route,
    window::Read,
};
use crate::headers;

/// Waits for the segment's first byte or its end: no head is sent before.
pub(crate) async fn segment(channel: &Channel, index: &str) -> Reply {
    let Some(wanted) = route::read_index(index) else {
        return reply::invalid_index();
    };
    let found = channel.window().open_read(wanted);
    let (seq, log, latest) = match found {
        Read::Segment { seq, log, latest } => (seq, log, latest),
        Read::Missing { latest } => return reply::missing(index, latest),
        Read::Closed { latest } => {
            let mut over = reply::ok().terminated().number(headers::LATEST, latest);
            if let Ok(index) = HeaderValue::from_str(index) {
                over.headers_mut().insert(headers::SEQ, index);
            }
            return over;
        }
    };
    let end = log.begun().await;
    let empty = || {
        let latest = channel.window().latest();
        reply::ok().number(headers::SEQ, seq.get()).number(headers::LATEST, latest)
    };
    match end {
        None => reply::segment(&channel.content_type, seq, latest, log.read()),
        Some(End::Complete) => empty(),
        Some(End::Terminated) => empty().terminated(),
    }
}
