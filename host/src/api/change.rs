//! Another processor for a stream that runs.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::{self, Named};
use super::error::{ApiError, Problem};
use super::streams::Body;
use super::{App, Shared};
use crate::session::ChangeRequest;

/// The processor that a stream is to have.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    /// `NAME` or `NAME@VERSION`. Where it is missing the stream's own is started afresh, which lifts its quarantine.
    processor: Option<String>,
    /// All params of the processor, and those of the host that change. Where they are missing the stream's stay.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    params: Value,
}

/// The processor that a stream has now.
#[derive(Serialize, ToSchema)]
struct Changed {
    /// `success`.
    status: &'static str,
    /// For people.
    message: &'static str,
    /// The stream.
    stream_id: String,
    /// `NAME@VERSION`.
    processor: String,
}

/// The route.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(processor))
}

/// Change a stream's processor.
///
/// The new one is loaded, started, and tried with a copy of the stream's last frame while the old one goes on; then it takes over
/// between two frames, and none is lost. Answers when the old one has stopped. On any error the old one stays, with its params.
#[utoipa::path(post, path = "/streams/{id}/processor", operation_id = "change_processor", tag = "streams",
    security(("token" = ["streams:control"])),
    request_body = Change, params(("id" = String, Path, description = "The stream's id")),
    responses(
        (status = 200, description = "Changed", body = Changed),
        (status = 400, description = "Body or params", body = Problem),
        (status = 403, description = "A host that was not granted", body = Problem),
        (status = 404, description = "There is no such stream, or no such processor", body = Problem),
        (status = 409, description = "The processor does not load, start, or process a frame, or the stream's params do not \
            fit it; the stream has ended; another call changes it", body = Problem),
        (status = 413, description = "The body is too large", body = Problem),
        (status = 503, description = "Too much is compiled at once", body = Problem)))]
async fn processor(State(streams): App, Named(id): Named, body: Body) -> Result<Json<Changed>, ApiError> {
    let Change { processor, params } = body::json(&body.0)?;
    let processor = streams.change_processor(&id, ChangeRequest { processor, params }).await?;
    Ok(Json(Changed { status: "success", message: "processor changed", stream_id: id, processor }))
}
