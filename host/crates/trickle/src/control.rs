//! Requests about a channel as a whole.

use std::time::Duration;

use http::{HeaderValue, Method, StatusCode};
use tokio::time::timeout;

use crate::{
    client::{Client, ConnectError, Reply, RequestError, Reuse, TransportError},
    headers,
    url::ChannelUrl,
};

/// Bound of a whole request: unlike segments, these are answered at once.
const LIMIT: Duration = Duration::from_secs(10);

/// Why a request about a channel failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No such channel, or a server that creates none.
    #[error("no such channel")]
    NotFound,
    /// The channel is over.
    #[error("the channel is closed")]
    Closed,
    /// The server refused.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// The server could not be reached.
    #[error("cannot reach the server")]
    Connect(#[from] ConnectError),
    /// The connection failed.
    #[error("the connection failed")]
    Transport(#[from] TransportError),
    /// No answer within 10 s, or within [`PublisherConfig::delete_timeout`](crate::PublisherConfig::delete_timeout).
    #[error("no answer in time")]
    Timeout,
    /// A content type that cannot be sent in a header.
    #[error("the content type is not a valid header value")]
    ContentType,
    /// The answer makes no sense.
    #[error("the server's answer makes no sense")]
    Malformed,
}

impl From<RequestError> for ControlError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Connect(error) => Self::Connect(error),
            RequestError::Transport(error) => Self::Transport(error),
        }
    }
}

/// Creates a channel whose segments are of `content_type`. One that exists stays as it is.
///
/// # Errors
/// [`ControlError::NotFound`] from a server that does not create channels on demand.
pub async fn create(client: &Client, url: &ChannelUrl, content_type: &str) -> Result<(), ControlError> {
    let content_type = HeaderValue::from_str(content_type).map_err(|_| ControlError::ContentType)?;
    let header = Some((headers::EXPECT_CONTENT, content_type));
    let path = url.path().to_owned();
    let reply = within(client.request(Method::POST, url, path, header, Reuse::Allowed)).await?;
    judge(reply).await.map(drop)
}

/// Closes a channel for everybody and frees its name.
///
/// # Errors
/// A channel that does not exist is [`ControlError::Status`] 400 with go-livepeer and this crate's server.
pub async fn delete(client: &Client, url: &ChannelUrl) -> Result<(), ControlError> {
    let path = url.path().to_owned();
    let reply = within(client.request(Method::DELETE, url, path, None, Reuse::Fresh)).await?;
    judge(reply).await.map(drop)
}

/// The number of the segment that is written next. Old servers do not know the question and answer
/// [`ControlError::Status`] 400.
///
/// # Errors
/// [`ControlError::Closed`] when the channel is over.
pub async fn next_seq(client: &Client, url: &ChannelUrl) -> Result<u64, ControlError> {
    let path = url.child("next");
    let reply = within(client.request(Method::GET, url, path, None, Reuse::Allowed)).await?;
    if reply.headers.contains_key(headers::CLOSED) {
        reply.drain().await;
        return Err(ControlError::Closed);
    }
    let told = headers::number(&reply.headers, &headers::LATEST);
    let body = judge(reply).await?;
    let written = || std::str::from_utf8(&body).ok()?.trim().parse().ok();
    told.or_else(written).ok_or(ControlError::Malformed)
}

/// Ends one segment.
pub(crate) async fn end_segment(client: &Client, url: &ChannelUrl, seq: u64) -> Result<(), ControlError> {
    let path = url.child(seq);
    let reply = within(client.request(Method::DELETE, url, path, None, Reuse::Fresh)).await?;
    judge(reply).await.map(drop)
}

async fn within(request: impl Future<Output = Result<Reply, RequestError>>) -> Result<Reply, ControlError> {
    Ok(timeout(LIMIT, request).await.map_err(|_| ControlError::Timeout)??)
}

async fn judge(reply: Reply) -> Result<Vec<u8>, ControlError> {
    let status = reply.status;
    let body = reply.drain().await;
    match status {
        StatusCode::OK => Ok(body),
        StatusCode::NOT_FOUND => Err(ControlError::NotFound),
        status => Err(ControlError::Status(status)),
    }
}
