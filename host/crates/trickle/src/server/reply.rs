//! The server's replies, byte for byte what clients of the protocol expect.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{
    body::{Body, Frame, SizeHint},
    ext::ReasonPhrase,
};

use super::log::{Full as LogFull, LogBody};
use crate::{headers, seq::Seq};

/// A reply's body: known in full, or following a segment.
pub(crate) enum ReplyBody {
    Whole(Full<Bytes>),
    Segment(LogBody),
}

pub(crate) type Reply = Response<ReplyBody>;

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx),
            Self::Segment(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            // Unknown even when the segment is complete: readers expect it chunked.
            Self::Segment(_) => SizeHint::default(),
        }
    }
}

/// `200` without a body.
pub(crate) fn ok() -> Reply {
    Response::new(ReplyBody::Whole(Full::default()))
}

/// An error in words.
pub(crate) fn error(status: StatusCode, message: &'static str) -> Reply {
    let mut reply = text(status, Bytes::from_static(message.as_bytes()));
    reply.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

fn text(status: StatusCode, body: Bytes) -> Reply {
    let mut reply = Response::new(ReplyBody::Whole(Full::new(body)));
    *reply.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    reply.headers_mut().insert(header::CONTENT_TYPE, plain);
    reply
}

pub(crate) fn unrouted() -> Reply {
    error(StatusCode::NOT_FOUND, "404 page not found\n")
}

pub(crate) fn no_stream() -> Reply {
    error(StatusCode::NOT_FOUND, "Stream not found\n")
}

pub(crate) fn invalid_index() -> Reply {
    error(StatusCode::BAD_REQUEST, "Invalid idx\n")
}

pub(crate) fn method_not_allowed(allow: &'static str) -> Reply {
    let mut reply = error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    reply.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    reply
}

/// Bytes were refused, and the segment ended with those before.
pub(crate) fn full(which: LogFull) -> Reply {
    match which {
        LogFull::Segment => error(StatusCode::PAYLOAD_TOO_LARGE, "Segment too large\n"),
        LogFull::Server => error(StatusCode::SERVICE_UNAVAILABLE, "Out of memory for segments\n"),
    }
    .closing()
}

/// The next number to be written, as `GET …/next` tells it.
pub(crate) fn next(latest: u64) -> Reply {
    text(StatusCode::OK, latest.to_string().into()).number(headers::LATEST, latest)
}

/// The request's segment does not exist; `requested` is its index as the client wrote it.
pub(crate) fn missing(requested: &str, latest: u64) -> Reply {
    let mut reply = error(headers::no_segment(), "Entry not found").number(headers::LATEST, latest);
    reply.extensions_mut().insert(ReasonPhrase::from_static(b"status code 470"));
    if let Ok(requested) = HeaderValue::from_str(requested) {
        reply.headers_mut().insert(headers::SEQ, requested);
    }
    reply
}

/// A segment's bytes.
pub(crate) fn segment(content_type: &HeaderValue, seq: Seq, latest: u64, body: LogBody) -> Reply {
    let mut reply = Response::new(ReplyBody::Segment(body)).number(headers::SEQ, seq.get());
    reply.headers_mut().insert(header::CONTENT_TYPE, content_type.clone());
    if latest == seq.get() { reply } else { reply.number(headers::LATEST, latest) }
}

/// What replies are built from.
pub(crate) trait ReplyExt {
    /// Adds a header with a number in it.
    fn number(self, name: HeaderName, number: u64) -> Self;
    /// Says that the channel is over.
    fn terminated(self) -> Self;
    /// Ends the connection after this reply.
    fn closing(self) -> Self;
}

impl ReplyExt for Reply {
    fn number(mut self, name: HeaderName, number: u64) -> Self {
        self.headers_mut().insert(name, HeaderValue::from(number));
        self
    }

    fn terminated(mut self) -> Self {
        self.headers_mut().insert(headers::CLOSED, HeaderValue::from_static("terminated"));
        self
    }

    fn closing(mut self) -> Self {
        self.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        self
    }
}
