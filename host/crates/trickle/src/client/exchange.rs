//! One request and its reply.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{Client, Connection, RequestBody, Reuse, TransportError, connect::ConnectError};
use crate::url::{ChannelUrl, Origin};

/// Bounds of reading a reply that carries no segment.
const DRAIN_TIME: Duration = Duration::from_secs(2);
const DRAIN_BYTES: usize = 64 * 1024;

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// A reply whose body is still to be read.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// An earlier connection died under the request.
    pub(crate) repeated: bool,
    body: Incoming,
    /// Goes back to the pool when the body ends well; else it closes with the reply.
    connection: Option<Connection>,
    client: Client,
    origin: Origin,
}

impl Client {
    /// A request without a body that may be repeated: one that dies on a reused connection is sent again on a new one.
    pub(crate) async fn request(
        &self,
        method: Method,
        url: &ChannelUrl,
        path: String,
        extra: Option<(HeaderName, HeaderValue)>,
        reuse: Reuse,
    ) -> Result<Reply, RequestError> {
        let build = || {
            let mut request = request(method.clone(), url, &path, RequestBody::Nothing);
            request.headers_mut().extend(extra.clone());
            request
        };
        let (connection, reused) = self.connection(url.origin(), reuse).await?;
        match self.send(connection, url, build()).await {
            Err(_) if reused => {
                let (connection, _) = self.connection(url.origin(), Reuse::Fresh).await?;
                Ok(Reply { repeated: true, ..self.send(connection, url, build()).await? })
            }
            sent => Ok(sent?),
        }
    }

    /// Sends on a connection and waits for the reply's head, however long that takes. The reply may come while the
    /// request's body is still being sent.
    pub(crate) async fn send(
        &self,
        mut connection: Connection,
        url: &ChannelUrl,
        request: Request<RequestBody>,
    ) -> Result<Reply, TransportError> {
        let origin = url.origin();
        connection.head.set();
        let reply = connection.sender.send_request(request).await;
        connection.head.lift();
        if reply.is_err() {
            self.shared.pool.forget(origin);
        }
        let (head, body) = reply?.into_parts();
        let (client, origin) = (self.clone(), origin.clone());
        let connection = Some(connection);
        Ok(Reply { status: head.status, headers: head.headers, repeated: false, body, connection, client, origin })
    }
}

/// A request for something at or below the channel.
pub(crate) fn request(method: Method, url: &ChannelUrl, path: &str, body: RequestBody) -> Request<RequestBody> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    // Paths are pieces of a URL that was parsed before, with digits added, so both of these parse again.
    if let Ok(path) = path.parse() {
        *request.uri_mut() = path;
    }
    if let Ok(host) = HeaderValue::from_str(&url.origin().authority) {
        request.headers_mut().insert(header::HOST, host);
    }
    request
}

impl Reply {
    /// The next bytes of the body; `None` at its proper end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, TransportError> {
        while let Some(frame) = self.body.frame().await {
            match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(chunk)) if !chunk.is_empty() => return Ok(Some(chunk)),
                Ok(_) => {}
                Err(error) => {
                    self.connection = None;
                    self.client.shared.pool.forget(&self.origin);
                    return Err(error.into());
                }
            }
        }
        if let Some(connection) = self.connection.take() {
            self.client.shared.pool.put(&self.origin, connection);
        }
        Ok(None)
    }

    /// Reads a short body to its end so that the connection can be used again; a long one costs the connection. Only
    /// for a request whose own body was sent in full.
    pub(crate) async fn drain(mut self) -> Vec<u8> {
        let mut read = Vec::new();
        let reading = async {
            while read.len() < DRAIN_BYTES
                && let Ok(Some(chunk)) = self.chunk().await
            {
                read.extend_from_slice(&chunk);
            }
        };
        // What was read by then is all there is.
        let _ = timeout(DRAIN_TIME, reading).await;
        read
    }
}
