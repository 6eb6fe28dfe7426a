//! `/live-video-to-video`: a start in the shape in which Livepeer's workers are called.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::{self, Payload, Start};
use super::error::ApiError;
use super::streams::{Body, start_stream};
use super::{App, Shared};
use crate::session::Streams;

/// A stream to start, as Livepeer's workers are asked for one. An empty text is as good as none.
#[derive(Clone, Deserialize, ToSchema)]
struct LiveVideoToVideo {
    /// Trickle channel of the input.
    #[schema(required, value_type = String)]
    subscribe_url: Option<String>,
    /// Trickle channel of the output.
    publish_url: Option<String>,
    /// Trickle channel of params.
    control_url: Option<String>,
    /// Trickle channel of monitoring events.
    events_url: Option<String>,
    /// Trickle channel of what the processor publishes.
    data_url: Option<String>,
    /// The processor, `NAME` or `NAME@VERSION`; the host's default one where it is missing.
    model_id: Option<String>,
    /// Params of the processor and of the host.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    params: Value,
    /// The stream's id.
    gateway_request_id: Option<String>,
    /// The stream's id where there is no `gateway_request_id`.
    stream_id: Option<String>,
    /// What the orchestrator calls the job; given back.
    manifest_id: Option<String>,
}

impl From<LiveVideoToVideo> for Start {
    fn from(live: LiveVideoToVideo) -> Self {
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        Self {
            subscribe_url: live.subscribe_url,
            publish_url: live.publish_url,
            control_url: live.control_url,
            events_url: live.events_url,
            data_url: live.data_url,
            gateway_request_id: some(live.gateway_request_id).or(some(live.stream_id)),
            processor: some(live.model_id),
            params: live.params,
        }
    }
}

/// A stream that was started, with the channels that it was given.
#[derive(Serialize, ToSchema)]
struct LiveVideoToVideoStarted {
    subscribe_url: String,
    publish_url: String,
    control_url: String,
    events_url: String,
    /// The stream's id.
    request_id: String,
    manifest_id: String,
}

/// Why nothing was started, in the shape of Livepeer's workers.
#[derive(Serialize, ToSchema)]
struct LiveVideoToVideoProblem {
    detail: Detail,
}

#[derive(Serialize, ToSchema)]
struct Detail {
    /// What is wrong, and what to do.
    msg: String,
}

/// The route.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(live_video_to_video))
}

/// Start a stream, for orchestrators.
///
/// Does what `/api/stream/start` does, in the shape of Livepeer's own workers.
#[utoipa::path(post, path = "/live-video-to-video", tag = "streams",
    security(("token" = ["streams:control"])),
    request_body = LiveVideoToVideo,
    params(("X-Stream-Id" = Option<String>, Header, description = "The stream's id")),
    responses(
        (status = 200, description = "Started", body = LiveVideoToVideoStarted),
        (status = 400, description = "Something is wrong with the request", body = LiveVideoToVideoProblem),
        (status = 500, description = "Something is wrong with the host, or it is full", body = LiveVideoToVideoProblem)))]
async fn live_video_to_video(State(streams): App, headers: HeaderMap, body: Result<Body, ApiError>) -> Response {
    match start(&streams, &headers, body).await {
        Ok(started) => Json(started).into_response(),
        Err(error) => refused(error),
    }
}

async fn start(
    streams: &Streams,
    headers: &HeaderMap,
    body: Result<Body, ApiError>,
) -> Result<LiveVideoToVideoStarted, ApiError> {
    let Payload(bytes) = body?;
    let live: LiveVideoToVideo = body::json(&bytes)?;
    let stream = start_stream(streams, headers, live.clone().into()).await?;
    Ok(LiveVideoToVideoStarted {
        subscribe_url: live.subscribe_url.unwrap_or_default(),
        publish_url: live.publish_url.unwrap_or_default(),
        control_url: live.control_url.unwrap_or_default(),
        events_url: live.events_url.unwrap_or_default(),
        request_id: stream.id.clone(),
        manifest_id: live.manifest_id.unwrap_or_default(),
    })
}

/// Orchestrators know 400 and 500 here: the request's fault or the host's.
fn refused(error: ApiError) -> Response {
    let (status, headers, msg) = error.into_parts();
    let ours = status.is_server_error();
    let status = if ours { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::BAD_REQUEST };
    (status, headers, Json(LiveVideoToVideoProblem { detail: Detail { msg } })).into_response()
}
