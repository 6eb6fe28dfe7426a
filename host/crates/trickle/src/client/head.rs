//! A connection on which a reply's head cannot go on for ever: a server may send interim replies without end, and whoever parses them
//! does nothing else meanwhile.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes until a reply's head is there, with what comes of its body in the same read.
const MAX_HEAD: usize = 1 << 20;

/// What may still be read before the head is there; everything, while none is awaited.
#[derive(Clone, Debug)]
pub(super) struct HeadBound(Arc<AtomicUsize>);

impl HeadBound {
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(usize::MAX)))
    }

    /// A head is awaited from now on.
    pub(super) fn set(&self) {
        self.0.store(MAX_HEAD, Ordering::Relaxed);
    }

    /// It is there.
    pub(super) fn lift(&self) {
        self.0.store(usize::MAX, Ordering::Relaxed);
    }

    fn take(&self, bytes: usize) -> io::Result<()> {
        let left = self.0.load(Ordering::Relaxed);
        if left == usize::MAX {
            return Ok(());
        }
        let left = left.checked_sub(bytes).ok_or_else(|| io::Error::other("the reply's head does not end"))?;
        // It may have come meanwhile.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| (now != usize::MAX).then_some(left));
        Ok(())
    }
}

/// A stream that fails once more is read than its bound allows.
pub(super) struct Bounded<S> {
    pub(super) stream: S,
    pub(super) bound: HeadBound,
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        match read {
            Poll::Ready(Ok(())) => Poll::Ready(self.bound.take(buf.filled().len() - before)),
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
