//! The OpenAPI document of all routes, and a page to try them.

use axum::extract::State;
use axum::http::header;
use axum::response::{Html, IntoResponse};
use bytes::Bytes;
use utoipa::OpenApi;
use utoipa::openapi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Shared, scopes};

/// What the page may do: run what is in it, and speak to this host. No other page may show it, and have it clicked on unseen.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
    frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// What the document says of the host as a whole.
#[derive(OpenApi)]
#[openapi(
    info(title = "rillbox", description = "Runs live-video processors as sandboxed WebAssembly components."),
    tags(
        (name = "streams", description = "Live streams: start, params, status, stop"),
        (name = "processors", description = "Components that streams are put through"),
        (name = "system", description = "The host itself"))
)]
pub struct Document;

/// The document in JSON, as bytes to send.
#[derive(Clone)]
pub struct DocumentJson(Bytes);

impl DocumentJson {
    /// Of all routes. Those without `/api` do the same as those with it, whose operations alone have an id.
    pub fn new(mut document: openapi::OpenApi) -> Self {
        for (path, item) in &mut document.paths.paths {
            if !path.starts_with("/api/") {
                without_ids(item);
            }
        }
        scopes::describe(&mut document);
        Self(document.to_json().unwrap_or_default().into())
    }
}

fn without_ids(item: &mut openapi::PathItem) {
    for operation in [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten() {
        operation.operation_id = None;
    }
}

/// The routes.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(document)).routes(routes!(page))
}

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "system",
    security(("token" = ["read"])),
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
async fn document(State(DocumentJson(json)): State<DocumentJson>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], json)
}

/// A page to read and try the routes.
#[utoipa::path(get, path = "/docs", tag = "system",
    security(()),
    responses((status = 200, description = "A page", body = String, content_type = "text/html")))]
async fn page() -> impl IntoResponse {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(include_str!("docs.html")))
}
