//! The REST surface: routes, their shapes, and errors as statuses.
//!
//! Everything is under `/api/…`; PyTrickle's routes answer without the prefix too.

mod body;
mod error;
mod processors;
mod status;
mod streams;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::session::Streams;
use error::ApiError;

/// Bodies of stream calls, in bytes; a gateway relays up to 10 MB.
const MAX_BODY: usize = 10 << 20;

/// Uploads, in bytes: a little over what the registry takes, so that its own message answers.
const MAX_UPLOAD: usize = 33 << 20;

/// What handlers work on.
type App = axum::extract::State<Arc<Streams>>;

/// All routes.
pub fn router(streams: Arc<Streams>) -> Router {
    let stream = Router::new()
        .route("/stream/start", post(streams::start))
        .route("/stream/params", post(streams::params))
        .route("/stream/status", get(streams::status))
        .route("/stream/stop", post(streams::stop))
        .route("/health", get(streams::health));
    let many = Router::new()
        .route("/streams", get(streams::list).post(streams::start))
        .route("/streams/{id}", get(streams::one).delete(streams::stop_one))
        .route("/streams/{id}/params", post(streams::params_of_one));
    let processors = Router::new()
        .route("/processors", get(processors::list).post(processors::upload))
        .route("/processors/{name}", get(processors::one).delete(processors::delete));
    Router::new()
        .nest("/api", stream.clone().merge(many).merge(processors))
        .merge(stream)
        .fallback(|| async {
            ApiError::not_found("there is no such route; GET /api/streams and /api/processors are two")
        })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .with_state(streams)
}
