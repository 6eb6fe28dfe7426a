//! Streams: start, params, status, stop; one by default, many by id.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::{Map, Value};

use super::body::{self, Payload};
use super::error::ApiError;
use super::status::{self, Status};
use super::{App, MAX_BODY};
use crate::session::{ChannelUrl, Health, StartRequest, Stream, Streams, UnknownStream};

/// The body of a stream call.
type Body = Payload<MAX_BODY>;

/// The answer to `start`, in PyTrickle's shape and a little more.
#[derive(Serialize)]
pub struct Started {
    status: &'static str,
    message: String,
    request_id: String,
    stream_id: String,
    processor: String,
    current_state: &'static str,
}

/// The answer to `params` and `stop`.
#[derive(Serialize)]
pub struct Done {
    status: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_id: Option<String>,
}

impl Done {
    fn json(message: &str, id: Option<&str>) -> Json<Self> {
        Json(Self { status: "success", message: message.to_owned(), stream_id: id.map(str::to_owned) })
    }
}

/// The answer to `GET /api/streams`.
#[derive(Serialize)]
pub struct List {
    streams: Vec<Status>,
}

/// The answer to `GET /health`.
#[derive(Serialize)]
pub struct Healthy {
    status: &'static str,
}

pub async fn start(State(streams): App, headers: HeaderMap, Payload(bytes): Body) -> Result<Json<Started>, ApiError> {
    let start: body::Start = body::json(&bytes)?;
    let subscribe = start.subscribe_url.as_deref().ok_or_else(|| ApiError::bad_request("subscribe_url is missing"))?;
    let request = StartRequest {
        id: body::header_id(&headers)?.or(start.gateway_request_id),
        processor: start.processor,
        params: start.params,
        subscribe: body::url("subscribe_url", subscribe)?,
        publish: optional("publish_url", start.publish_url.as_deref())?,
        control: optional("control_url", start.control_url.as_deref())?,
        events: optional("events_url", start.events_url.as_deref())?,
        data: optional("data_url", start.data_url.as_deref())?,
    };
    check_distinct(&request)?;
    let stream = streams.start(request).await?;
    let phase = stream.meters.condition().borrow().phase;
    Ok(Json(Started {
        status: "success",
        message: "stream started".to_owned(),
        request_id: stream.id.clone(),
        stream_id: stream.id.clone(),
        processor: stream.processor.clone(),
        current_state: status::state(phase),
    }))
}

pub async fn params(State(streams): App, headers: HeaderMap, Payload(bytes): Body) -> Result<Json<Done>, ApiError> {
    let mut params: Map<String, Value> = body::json(&bytes)?;
    let id = match params.remove("gateway_request_id") {
        None => None,
        Some(Value::String(id)) => Some(id),
        Some(_) => return Err(ApiError::bad_request("gateway_request_id must be text")),
    };
    let stream = find(&streams, body::header_id(&headers)?.or(id))?;
    update(&stream, params).await
}

pub async fn params_of_one(
    State(streams): App,
    Path(id): Path<String>,
    Payload(bytes): Body,
) -> Result<Json<Done>, ApiError> {
    let params = body::json(&bytes)?;
    update(&*streams.get(&id)?, params).await
}

async fn update(stream: &Stream, params: Map<String, Value>) -> Result<Json<Done>, ApiError> {
    stream.params.update(&Value::Object(params)).await?;
    Ok(Done::json("params updated", Some(&stream.id)))
}

/// The stream that is named or runs alone; the one that ended last when none runs.
pub async fn status(State(streams): App, headers: HeaderMap) -> Result<Json<Status>, ApiError> {
    let stream = match find(&streams, body::header_id(&headers)?) {
        Err(UnknownStream::None) => {
            streams.list().pop().ok_or_else(|| ApiError::not_found("no stream has been started"))?
        }
        found => found?,
    };
    Ok(Json(Status::of(&stream).await))
}

/// Takes any body: a gateway sends what its client sent, an error's text, or nothing.
pub async fn stop(
    State(streams): App,
    headers: HeaderMap,
    body: Result<Body, ApiError>,
) -> Result<Json<Done>, ApiError> {
    let named = body.ok().and_then(|Payload(bytes)| serde_json::from_slice::<Value>(&bytes).ok());
    let named = named.and_then(|value| value.get("gateway_request_id")?.as_str().map(str::to_owned));
    match body::header_id(&headers)?.or(named).map_or_else(|| Ok(streams.only()?.id.clone()), Ok) {
        Ok(id) => stop_stream(&streams, &id).await,
        Err(UnknownStream::None) => Ok(Done::json("no stream is running", None)),
        Err(error) => Err(error.into()),
    }
}

pub async fn stop_one(State(streams): App, Path(id): Path<String>) -> Result<Json<Done>, ApiError> {
    stop_stream(&streams, &id).await
}

async fn stop_stream(streams: &Streams, id: &str) -> Result<Json<Done>, ApiError> {
    streams.stop(id).await?;
    Ok(Done::json("stream stopped", Some(id)))
}

pub async fn list(State(streams): App) -> Json<List> {
    let mut statuses = Vec::new();
    for stream in streams.list() {
        statuses.push(Status::of(&stream).await);
    }
    Json(List { streams: statuses })
}

pub async fn one(State(streams): App, Path(id): Path<String>) -> Result<Json<Status>, ApiError> {
    Ok(Json(Status::of(&*streams.get(&id)?).await))
}

pub async fn health(State(streams): App) -> Json<Healthy> {
    let status = match streams.health() {
        Health::Ok => "OK",
        Health::Loading => "LOADING",
        Health::Idle => "IDLE",
        Health::Error => "ERROR",
    };
    Json(Healthy { status })
}

fn optional(field: &str, text: Option<&str>) -> Result<Option<ChannelUrl>, ApiError> {
    text.map(|text| body::url(field, text)).transpose()
}

/// A stream that wrote where it reads would follow itself.
fn check_distinct(request: &StartRequest) -> Result<(), ApiError> {
    let channels = [
        ("subscribe_url", Some(&request.subscribe)),
        ("publish_url", request.publish.as_ref()),
        ("control_url", request.control.as_ref()),
        ("events_url", request.events.as_ref()),
        ("data_url", request.data.as_ref()),
    ];
    for (index, (field, url)) in channels.iter().enumerate() {
        if let Some((other, _)) = channels[..index].iter().find(|(_, other)| url.is_some() && other == url) {
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
