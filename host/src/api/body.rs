//! Bodies and stream ids of requests.

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::ApiError;
use crate::session::ChannelUrl;

/// Names the stream that a call is for.
const STREAM_ID: &str = "x-stream-id";

/// Bytes of a body that is too large that are still read: a client that is cut off while it sends may never see the answer.
const DISCARDED: usize = 64 << 20;

/// A body of at most so many bytes.
pub struct Payload<const LIMIT: usize>(pub Bytes);

/// `POST start`. Keys that are not known are the gateway's own affair.
#[derive(Debug, Deserialize)]
pub struct Start {
    pub subscribe_url: Option<String>,
    pub publish_url: Option<String>,
    pub control_url: Option<String>,
    pub events_url: Option<String>,
    pub data_url: Option<String>,
    pub gateway_request_id: Option<String>,
    pub processor: Option<String>,
    #[serde(default)]
    pub params: Value,
}

impl<const LIMIT: usize, S: Sync> FromRequest<S> for Payload<LIMIT> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let mut body = request.into_body();
        let mut bytes = BytesMut::new();
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| ApiError::bad_request(format!("the body broke off: {error}")))?;
            let Some(data) = frame.data_ref() else { continue };
            length += data.len();
            if length <= LIMIT {
                bytes.extend_from_slice(data);
            } else if length > LIMIT + DISCARDED {
                break;
            }
        }
        if length > LIMIT {
            return Err(ApiError::too_large(format!("the body is larger than {LIMIT} bytes")));
        }
        Ok(Self(bytes.freeze()))
    }
}

/// The body as JSON of a shape; an error names the place.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
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
    let Some(value) = headers.get(STREAM_ID) else { return Ok(None) };
    match value.to_str() {
        Ok(id) if !id.is_empty() => Ok(Some(id.to_owned())),
        _ => Err(ApiError::bad_request("the header X-Stream-Id is not text")),
    }
}
