//! What requests bring: bodies, ids, URLs.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::error::ApiError;
use super::{Limits, Shared};
use crate::registry::ValueBudget;
use crate::session::ChannelUrl;

/// Names the stream that a call is for.
const STREAM_ID: &str = "x-stream-id";

/// Bytes of a body that is not wanted that are still read: a client that is cut off while it sends may never see the answer.
const DISCARDED: usize = 64 << 20;

/// Bytes of each body that no budget counts: uploads of others do not keep a stream from being told something.
const SMALL: usize = 64 << 10;

/// How bodies are read.
#[derive(Clone)]
pub struct Bodies {
    stall: Duration,
    total: Duration,
    /// Bytes that may still be taken in, besides the first few of each.
    budget: Arc<Semaphore>,
}

impl Bodies {
    pub fn new(limits: &Limits) -> Self {
        Self { stall: limits.stall, total: limits.body, budget: Arc::new(Semaphore::new(limits.bodies)) }
    }

    /// Reads a body to its end. What is not wanted is read too, and thrown away.
    pub async fn read(&self, headers: &HeaderMap, mut body: Body, limit: usize) -> Result<Bytes, ApiError> {
        let deadline = Instant::now() + self.total;
        let mut kept = unencoded(headers).map(|()| Kept::default());
        let mut length = 0;
        loop {
            let frame = match timeout_at(deadline.min(Instant::now() + self.stall), body.frame()).await {
                Err(_elapsed) => return Err(ApiError::too_slow("the body took too long")),
                Ok(None) => return Ok(Bytes::from_owner(kept?)),
                Ok(Some(frame)) => {
                    frame.map_err(|error| ApiError::bad_request(format!("the body broke off: {error}")))?
                }
            };
            let Some(data) = frame.data_ref() else { continue };
            length += data.len();
            if let Ok(bytes) = &mut kept {
                let taken = if length > limit {
                    Err(ApiError::too_large(format!("the body is larger than {limit} bytes")))
                } else {
                    bytes.extend(data, &self.budget)
                };
                if let Err(refused) = taken {
                    kept = Err(refused);
                }
            }
            if length > limit.saturating_add(DISCARDED) {
                return Ok(Bytes::from_owner(kept?));
            }
        }
    }
}

/// Bytes with their share of the budget, which they give back when they are dropped.
#[derive(Default)]
struct Kept {
    bytes: BytesMut,
    share: Option<OwnedSemaphorePermit>,
}

impl Kept {
    fn extend(&mut self, data: &[u8], budget: &Arc<Semaphore>) -> Result<(), ApiError> {
        let counted = |length: usize| length.saturating_sub(SMALL);
        let more = counted(self.bytes.len() + data.len()) - counted(self.bytes.len());
        let more = u32::try_from(more).ok().and_then(|more| budget.clone().try_acquire_many_owned(more).ok());
        let more = more.ok_or_else(|| ApiError::busy("too many large bodies are being read; try again"))?;
        match &mut self.share {
            Some(share) => share.merge(more),
            none => *none = Some(more),
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Compressed bodies are refused: taken as they are, they would be garbage.
fn unencoded(headers: &HeaderMap) -> Result<(), ApiError> {
    let encoded = headers.get_all(header::CONTENT_ENCODING).iter().find(|value| *value != "identity");
    encoded.map_or(Ok(()), |encoding| {
        let message = format!("the body has the Content-Encoding {encoding:?}; send it as it is");
        Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
    })
}

/// A body of at most `LIMIT` bytes.
pub struct Payload<const LIMIT: usize>(pub Bytes);

impl<const LIMIT: usize> FromRequest<Shared> for Payload<LIMIT> {
    type Rejection = ApiError;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        shared.bodies.read(&head.headers, body, LIMIT).await.map(Self)
    }
}

/// The one segment of a path that varies, percent-decoded.
pub struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(rejection) => Err(ApiError::bad_request(rejection.body_text())),
        }
    }
}

/// A stream to start. Keys that are not known are the gateway's own affair; a URL or an id that is empty is as good as none.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Start {
    /// Trickle channel of the input, `http` or `https`.
    #[schema(required, value_type = String, example = "http://localhost:3389/input")]
    pub subscribe_url: Option<String>,
    /// Trickle channel of the output; a stream without one only looks.
    #[schema(example = "http://localhost:3389/output")]
    pub publish_url: Option<String>,
    /// Trickle channel of params.
    pub control_url: Option<String>,
    /// Trickle channel of monitoring events.
    pub events_url: Option<String>,
    /// Trickle channel of what the processor publishes.
    pub data_url: Option<String>,
    /// The stream's id, 1 to 256 bytes; made up where it is missing.
    pub gateway_request_id: Option<String>,
    /// `NAME` or `NAME@VERSION`; the host's default one where it is missing.
    pub processor: Option<String>,
    /// Params of the processor and of the host.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub params: Value,
}

/// The body as a JSON object of a shape; an error names the place.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // serde would take an array for an object too, by position.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(ApiError::bad_request("the body must be a JSON object"));
    }
    ValueBudget::default().read(bytes).map_err(|error| ApiError::too_large(format!("the body has {error}")))?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if !inner.is_data() {
            return ApiError::bad_request(format!("the body is not JSON: {inner}"));
        }
        match path.as_str() {
            "." => ApiError::bad_request(format!("the body is not the JSON that is expected: {inner}")),
            path => ApiError::bad_request(format!("{path}: {inner}")),
        }
    })?;
    deserializer.end().map_err(|error| ApiError::bad_request(format!("after the JSON: {error}")))?;
    Ok(value)
}

/// A channel's URL out of a field.
pub fn url(field: &str, text: &str) -> Result<ChannelUrl, ApiError> {
    text.parse().map_err(|error| ApiError::bad_request(format!("{field}: {error}")))
}

/// The id in the header `X-Stream-Id`.
pub fn header_id(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut values = headers.get_all(STREAM_ID).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match value.to_str() {
        _ if values.any(|other| other != value) => {
            Err(ApiError::bad_request("the header X-Stream-Id is there twice, with different ids"))
        }
        Ok(id) if !id.is_empty() => Ok(Some(id.to_owned())),
        _ => Err(ApiError::bad_request("the header X-Stream-Id is not text")),
    }
}
