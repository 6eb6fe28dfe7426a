//! Streams: start, params, status, stop; one by default, many by id.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answers::{NotStarted, NotUpdated};
use super::body::{self, Named, Payload, Start};
use super::error::{ApiError, Problem};
use super::status::{self, Status};
use super::{App, MAX_BODY, Shared};
use crate::session::{ChannelUrl, ChannelUrls, StartRequest, Stream, Streams, UnknownStream};

/// The body of a stream call.
pub type Body = Payload<MAX_BODY>;

/// A stream whose processor has started, in PyTrickle's shape and a little more.
#[derive(Serialize, ToSchema)]
pub struct Started {
    /// `success`.
    status: &'static str,
    /// For people.
    message: String,
    /// The stream's id, as PyTrickle calls it.
    request_id: String,
    /// The stream's id.
    stream_id: String,
    /// `NAME@VERSION`.
    processor: String,
    /// As `state` in the status.
    current_state: &'static str,
}

/// What was asked for is done.
#[derive(Serialize, ToSchema)]
pub struct Done {
    /// `success`.
    status: &'static str,
    /// For people.
    message: String,
    /// The stream that it was done to, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_id: Option<String>,
}

impl Done {
    fn json(message: &str, id: Option<&str>) -> Json<Self> {
        Json(Self { status: "success", message: message.to_owned(), stream_id: id.map(str::to_owned) })
    }
}

/// Streams, oldest first.
#[derive(Serialize, ToSchema)]
pub struct StreamList {
    /// Those that run, and the last that ended.
    streams: Vec<Status>,
}

/// Routes of the one stream that runs, or that a header names.
pub fn single() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(start)).routes(routes!(params)).routes(routes!(status)).routes(routes!(stop))
}

/// Routes of many streams.
pub fn many() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(one, stop_one)).routes(routes!(params_of_one))
}

/// Start a stream.
///
/// Answers when the processor has started, before any network. The header `X-Stream-Id` goes before `gateway_request_id`.
#[utoipa::path(post, path = "/stream/start", tag = "streams",
    security(("token" = ["streams:control"])),
    request_body = Start,
    params(("X-Stream-Id" = Option<String>, Header, description = "The stream's id")),
    responses((status = 200, description = "Started", body = Started), NotStarted))]
async fn start(State(streams): App, headers: HeaderMap, Payload(bytes): Body) -> Result<Json<Started>, ApiError> {
    let stream = start_stream(&streams, &headers, body::json(&bytes)?).await?;
    let phase = stream.meters.life.condition().borrow().phase;
    Ok(Json(Started {
        status: "success",
        message: "stream started".to_owned(),
        request_id: stream.id.clone(),
        stream_id: stream.id.clone(),
        processor: stream.processor(),
        current_state: status::state(phase),
    }))
}

/// Start a stream, as `/api/stream/start` does.
#[utoipa::path(post, path = "/streams", operation_id = "create_stream", tag = "streams",
    security(("token" = ["streams:control"])),
    request_body = Start,
    params(("X-Stream-Id" = Option<String>, Header, description = "The stream's id")),
    responses((status = 200, description = "Started", body = Started), NotStarted))]
async fn create(streams: App, headers: HeaderMap, body: Body) -> Result<Json<Started>, ApiError> {
    start(streams, headers, body).await
}

/// Starts what a body asks for.
pub async fn start_stream(streams: &Streams, headers: &HeaderMap, start: Start) -> Result<Arc<Stream>, ApiError> {
    let subscribe = channel("subscribe_url", start.subscribe_url)?;
    let id = body::header_id(headers)?.or(start.gateway_request_id.filter(|id| !id.is_empty()));
    let urls = ChannelUrls {
        subscribe: subscribe.ok_or_else(|| ApiError::bad_request("subscribe_url is missing"))?,
        publish: channel("publish_url", start.publish_url)?,
        control: channel("control_url", start.control_url)?,
        events: channel("events_url", start.events_url)?,
        data: channel("data_url", start.data_url)?,
    };
    check_distinct(&urls)?;
    let request = StartRequest { id, processor: start.processor, params: start.params, urls };
    let stream = streams.start(request).await?;
    Ok(stream)
}

/// Change params of a stream.
///
/// The body is merged into the params: all of it or nothing. Its key `gateway_request_id` may name the stream.
#[utoipa::path(post, path = "/stream/params", tag = "streams",
    security(("token" = ["streams:control"])),
    request_body = Object,
    params(("X-Stream-Id" = Option<String>, Header, description = "The stream; needed only while several run")),
    responses(
        (status = 200, description = "Changed", body = Done),
        (status = 400, description = "Body or params; or several streams run, or none", body = Problem),
        NotUpdated))]
async fn params(State(streams): App, headers: HeaderMap, Payload(bytes): Body) -> Result<Json<Done>, ApiError> {
    let mut params: Map<String, Value> = body::json(&bytes)?;
    let id = match params.remove("gateway_request_id") {
        None => None,
        Some(Value::String(id)) => Some(id),
        Some(_) => return Err(ApiError::bad_request("gateway_request_id must be text")),
    };
    let stream = find(&streams, body::header_id(&headers)?.or(id))?;
    update(&streams, stream, params).await
}

/// Change params of the stream of this id.
#[utoipa::path(post, path = "/streams/{id}/params", operation_id = "stream_params", tag = "streams",
    security(("token" = ["streams:control"])),
    request_body = Object,
    params(("id" = String, Path, description = "The stream's id")),
    responses(
        (status = 200, description = "Changed", body = Done),
        (status = 400, description = "Body or params", body = Problem),
        NotUpdated))]
async fn params_of_one(State(streams): App, Named(id): Named, Payload(bytes): Body) -> Result<Json<Done>, ApiError> {
    let params = body::json(&bytes)?;
    update(&streams, streams.get(&id)?, params).await
}

async fn update(streams: &Streams, stream: Arc<Stream>, params: Map<String, Value>) -> Result<Json<Done>, ApiError> {
    streams.update_params(stream.clone(), Value::Object(params)).await?;
    Ok(Done::json("params updated", Some(&stream.id)))
}

/// Status of a stream.
///
/// Of the one that is named or runs alone; of the one that ended last when none runs.
#[utoipa::path(get, path = "/stream/status", tag = "streams",
    security(("token" = ["read"])),
    params(("X-Stream-Id" = Option<String>, Header, description = "The stream; needed only while several run")),
    responses(
        (status = 200, description = "Its status", body = Status),
        (status = 400, description = "Several streams run", body = Problem),
        (status = 404, description = "There is no such stream, or none at all", body = Problem)))]
async fn status(State(streams): App, headers: HeaderMap) -> Result<Json<Status>, ApiError> {
    let stream = match find(&streams, body::header_id(&headers)?) {
        Err(UnknownStream::None) => {
            let ended = streams.list().into_iter().max_by_key(|stream| stream.meters.life.ended());
            ended.ok_or_else(|| ApiError::not_found("no stream has been started"))?
        }
        found => found?,
    };
    Ok(Json(Status::of(&stream)))
}

/// End a stream.
///
/// May be repeated. Takes any body, since a gateway sends what its client sent, an error's text, or nothing; the key
/// `gateway_request_id` of a JSON object may name the stream.
#[utoipa::path(post, path = "/stream/stop", tag = "streams",
    security(("token" = ["streams:control"])),
    request_body = Option<Object>,
    params(("X-Stream-Id" = Option<String>, Header, description = "The stream; needed only while several run")),
    responses(
        (status = 200, description = "It has ended, or none runs", body = Done),
        (status = 400, description = "Several streams run", body = Problem),
        (status = 404, description = "An id never seen", body = Problem)))]
async fn stop(State(streams): App, headers: HeaderMap, body: Result<Body, ApiError>) -> Result<Json<Done>, ApiError> {
    let id = match (body::header_id(&headers)?, body) {
        (Some(id), _) => Some(id),
        // It may have named one.
        (None, Err(error)) => return Err(error),
        (None, Ok(Payload(bytes))) => match body::json::<Map<String, Value>>(&bytes) {
            Ok(body) => body.get("gateway_request_id").and_then(Value::as_str).map(str::to_owned),
            Err(error) if error.is_too_large() => return Err(error),
            Err(_names_none) => None,
        },
    };
    match id.map_or_else(|| streams.only_id(), Ok) {
        Ok(id) => stop_stream(&streams, &id).await,
        Err(UnknownStream::None) => Ok(Done::json("no stream is running", None)),
        Err(error) => Err(error.into()),
    }
}

/// End the stream of this id.
#[utoipa::path(delete, path = "/streams/{id}", operation_id = "stop_stream", tag = "streams",
    security(("token" = ["streams:control"])),
    params(("id" = String, Path, description = "The stream's id")),
    responses(
        (status = 200, description = "It has ended", body = Done),
        (status = 404, description = "There is no such stream", body = Problem)))]
async fn stop_one(State(streams): App, Named(id): Named) -> Result<Json<Done>, ApiError> {
    stop_stream(&streams, &id).await
}

async fn stop_stream(streams: &Streams, id: &str) -> Result<Json<Done>, ApiError> {
    streams.stop(id).await?;
    Ok(Done::json("stream stopped", Some(id)))
}

/// All streams.
#[utoipa::path(get, path = "/streams", operation_id = "list_streams", tag = "streams",
    security(("token" = ["read"])),
    responses((status = 200, description = "Their statuses", body = StreamList)))]
async fn list(State(streams): App) -> Json<StreamList> {
    Json(StreamList { streams: streams.list().iter().map(|stream| Status::listed(stream)).collect() })
}

/// Status of the stream of this id.
#[utoipa::path(get, path = "/streams/{id}", operation_id = "stream", tag = "streams",
    security(("token" = ["read"])),
    params(("id" = String, Path, description = "The stream's id")),
    responses(
        (status = 200, description = "Its status", body = Status),
        (status = 404, description = "There is no such stream", body = Problem)))]
async fn one(State(streams): App, Named(id): Named) -> Result<Json<Status>, ApiError> {
    Ok(Json(Status::of(&*streams.get(&id)?)))
}

/// A channel that is named in a field.
fn channel(field: &str, url: Option<String>) -> Result<Option<ChannelUrl>, ApiError> {
    url.filter(|url| !url.is_empty()).map(|url| body::url(field, &url)).transpose()
}

/// A stream that wrote where it reads would follow itself.
fn check_distinct(urls: &ChannelUrls) -> Result<(), ApiError> {
    let channels: Vec<_> = urls.named().collect();
    for (index, (field, url)) in channels.iter().enumerate() {
        if let Some((other, _)) = channels[..index].iter().find(|(_, other)| other == url) {
            return Err(ApiError::bad_request(format!("{other} and {field} are the same channel")));
        }
    }
    Ok(())
}

fn find(streams: &Streams, id: Option<String>) -> Result<Arc<Stream>, UnknownStream> {
    match id {
        Some(id) => streams.get(&id),
        None => streams.only(),
    }
}
