//! Bodies that end at their limit.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use wasmtime_wasi_http::{Error, WasiBody};

use super::meter::HttpMeter;

/// A request's body as the guest writes it. Beyond its limit it fails, and with it the request.
pub struct SizedBody {
    inner: WasiBody,
    left: u64,
    limit: u64,
    meter: Arc<HttpMeter>,
}

impl SizedBody {
    pub fn new(inner: WasiBody, limit: u64, meter: Arc<HttpMeter>) -> Self {
        Self { inner, left: limit, limit, meter }
    }
}

impl Body for SizedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let length = data.len() as u64;
            let Some(left) = self.left.checked_sub(length) else {
                let why = format!("the request's body is larger than {} bytes", self.limit);
                self.meter.refuse(why);
                return Poll::Ready(Some(Err(Error::HttpRequestBodySize(Some(self.limit)))));
            };
            self.left = left;
            self.meter.bytes_sent.add(length);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Set once an answer has come whole.
pub type End = Arc<AtomicBool>;

/// An answer's body as it arrives. Dropping it ends the request.
pub struct ReplyBody {
    pieces: mpsc::Receiver<Result<Bytes, Error>>,
    /// `None` once the end was told.
    end: Option<End>,
    _task: AbortOnDropHandle<()>,
}

impl ReplyBody {
    pub fn new(pieces: mpsc::Receiver<Result<Bytes, Error>>, end: End, task: AbortOnDropHandle<()>) -> Self {
        Self { pieces, end: Some(end), _task: task }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match ready!(self.pieces.poll_recv(cx)) {
            Some(Ok(piece)) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            Some(Err(error)) => {
                self.end = None;
                Poll::Ready(Some(Err(error)))
            }
            // Cut off, it must not look whole.
            None => match self.end.take() {
                Some(end) if !end.load(Ordering::Acquire) => Poll::Ready(Some(Err(Error::HttpResponseIncomplete))),
                _ => Poll::Ready(None),
            },
        }
    }
}
