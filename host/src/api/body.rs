//! Bodies and stream ids of requests.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::ApiError;
use crate::session::ChannelUrl;

/// Names the stream that a call is for.
const STREAM_ID: &str = "x-stream-id";

/// What a body arrives as.
pub type Body = Result<Bytes, BytesRejection>;

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

/// The body's bytes, or the reason that there are none.
pub fn bytes(body: Body) -> Result<Bytes, ApiError> {
    body.map_err(|rejection| {
        let message = rejection.body_text();
        match rejection.into_response().status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::too_large("the body is too large"),
            _ => ApiError::bad_request(message),
        }
    })
}

/// The body as JSON of a shape; an error names the place.
pub fn json<T: DeserializeOwned>(body: Body) -> Result<T, ApiError> {
    let bytes = bytes(body)?;
    let mut deserializer = serde_json::Deserializer::from_slice(&bytes);
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
