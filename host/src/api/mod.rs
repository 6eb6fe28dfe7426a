//! The REST surface: routes, their shapes, and errors as statuses.
//!
//! Everything is under `/api/…`; the routes that gateways and PyTrickle's users know answer without the prefix too. A handler's
//! declaration makes its route and its part of the OpenAPI document.

mod answers;
mod authentication;
mod body;
mod change;
mod document;
mod error;
mod guard;
mod live;
mod loopback;
mod metrics;
mod processors;
mod scopes;
mod server;
mod status;
mod streams;
mod system;
mod tls;
mod versions;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use self::authentication::Authenticator;
use self::body::Bodies;
use self::document::{Document, DocumentJson};
use self::error::ApiError;
use self::scopes::Needs;
use crate::access::Gate;
use crate::session::Streams;
use crate::telemetry::Gpus;

pub use server::{Limits, serve};

/// Bodies of stream calls, in bytes; a gateway relays up to 10 MB.
const MAX_BODY: usize = 10 << 20;

/// Uploads, in bytes: a little over what the registry takes, so that its own message answers.
const MAX_UPLOAD: usize = 33 << 20;

/// What handlers work on.
type App = axum::extract::State<Arc<Streams>>;

/// What routes share.
#[derive(Clone, FromRef)]
struct Shared {
    streams: Arc<Streams>,
    bodies: Bodies,
    gpus: Gpus,
    document: DocumentJson,
}

/// All routes, as they are declared.
fn declared() -> OpenApiRouter<Shared> {
    let known = || streams::single().merge(live::routes()).merge(system::routes()).merge(metrics::routes());
    let ours = streams::many()
        .merge(change::routes())
        .merge(processors::routes())
        .merge(versions::routes())
        .merge(document::routes());
    OpenApiRouter::with_openapi(Document::openapi()).nest("/api", known().merge(ours)).merge(known())
}

/// All routes, for those whom the gate lets in.
pub fn router(streams: Arc<Streams>, gate: Gate, limits: &Limits) -> Router {
    let (router, document) = declared().split_for_parts();
    let needs = Needs::of(&document);
    let document = DocumentJson::new(document);
    let shared = Shared { streams, bodies: Bodies::new(limits), gpus: Gpus::new(), document };
    let router = router
        .fallback(|| async { ApiError::not_found("there is no such route; GET /api/openapi.json has all of them") })
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .with_state(shared);
    guard::guard(router, Authenticator { gate, needs })
}
