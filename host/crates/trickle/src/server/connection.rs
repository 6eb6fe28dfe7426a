//! One client connection, from accept to a close that does not destroy the last reply.

use std::{convert::Infallible, future::poll_fn, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{service::Service, stall::StallGuard};
use crate::socket;

/// Bound of a connection's read and write buffers in bytes, and so of a request's head.
const BUFFER: usize = 64 * 1024;

/// How long, and how many bytes, a client may go on sending after a reply that ends the connection. Closing at once
/// would make its system throw that reply away unread.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 256 * 1024;

/// Silence after which a client is asked whether it is there, and between two questions: one that waits for a segment is never
/// written to, and would else be kept for ever.
const SILENT: Duration = Duration::from_secs(60);
const PROBE: Duration = Duration::from_secs(15);

/// Serves requests until the client leaves or `stop` lets the last one finish.
pub(crate) async fn serve(stream: TcpStream, service: Arc<Service>, stop: CancellationToken) {
    if let Err(error) = socket::prepare(&stream, SILENT, PROBE) {
        tracing::debug!(%error, "a connection goes without its options");
    }
    let io = TokioIo::new(StallGuard::new(stream, service.write_stall));
    let handler = service_fn(move |request: Request<Incoming>| {
        let service = service.clone();
        // Pinned: a connection that is to hand its socket back must be movable.
        Box::pin(async move { Ok::<_, Infallible>(service.handle(request).await) })
    });
    // No timer and no header timeout: publishers connect ahead of time and stay silent for minutes.
    let mut connection = http1::Builder::new()
        .header_read_timeout(None)
        .title_case_headers(true)
        .max_buf_size(BUFFER)
        .serve_connection(io, handler);
    let served = tokio::select! {
        served = poll_fn(|cx| connection.poll_without_shutdown(cx)) => served,
        () = stop.cancelled() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            poll_fn(|cx| connection.poll_without_shutdown(cx)).await
        }
    };
    match served {
        Ok(()) => linger(connection.into_parts().io.into_inner().into_inner()).await,
        Err(error) => tracing::debug!(%error, "connection failed"),
    }
}

/// Says that nothing more comes, then listens for a moment until the client has closed too.
async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let discard = async {
        let mut scratch = vec![0; 16 * 1024];
        let mut left = LINGER_BYTES;
        while left > 0 {
            match stream.read(&mut scratch).await {
                Ok(0) | Err(_) => return,
                Ok(read) => left = left.saturating_sub(read),
            }
        }
    };
    // Whoever still sends by then is cut off.
    let _ = timeout(LINGER, discard).await;
}
