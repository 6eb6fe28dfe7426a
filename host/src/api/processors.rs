//! Processors: upload, list, look at, fetch, delete.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, SemaphorePermit};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::{Named, Payload};
use super::error::{ApiError, Problem};
use super::{App, MAX_UPLOAD, Shared};
use crate::registry::Manifest;

/// Components that are sent at once: each is in memory until whoever asked has read it.
static SENT: Semaphore = Semaphore::const_new(4);

/// A component that is being sent.
struct Sent {
    bytes: Bytes,
    _turn: SemaphorePermit<'static>,
}

impl AsRef<[u8]> for Sent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct UploadQuery {
    /// Letters, digits, `-` and `_`; without it, the component names itself.
    name: Option<String>,
}

/// Processors that streams can name.
#[derive(Serialize, ToSchema)]
pub struct ProcessorList {
    /// One for each version.
    processors: Vec<Manifest>,
}

/// Routes of processors.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(list, upload)).routes(routes!(one, delete))
}

/// Upload a processor.
///
/// The body is a component, as it is. It is compiled, and asked to describe itself, before the answer.
#[utoipa::path(post, path = "/processors", operation_id = "upload_processor", tag = "processors",
    security(("token" = ["processors:write"])),
    params(UploadQuery),
    request_body(content_type = "application/wasm", description = "A component"),
    responses(
        (status = 201, description = "Taken, now or before", body = Manifest),
        (status = 400, description = "The query is wrong", body = Problem),
        (status = 409, description = "That version exists with other content", body = Problem),
        (status = 413, description = "The component is too large", body = Problem),
        (status = 422, description = "Refused, and why", body = Problem),
        (status = 503, description = "Too many are uploaded at once", body = Problem),
        (status = 507, description = "As many versions as allowed are stored", body = Problem)))]
async fn upload(
    State(streams): App,
    query: Result<Query<UploadQuery>, QueryRejection>,
    Payload(bytes): Payload<MAX_UPLOAD>,
) -> Result<(StatusCode, Json<Manifest>), ApiError> {
    let Query(query) = query.map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
    let processor = streams.host().registry.upload(bytes, query.name.as_deref()).await?;
    tracing::info!(processor = processor.id(), sha256 = processor.sha256, "processor uploaded");
    Ok((StatusCode::CREATED, Json((*processor).clone())))
}

/// All processors.
#[utoipa::path(get, path = "/processors", operation_id = "list_processors", tag = "processors",
    security(("token" = ["read"])),
    responses((status = 200, description = "Their manifests", body = ProcessorList)))]
async fn list(State(streams): App) -> Json<ProcessorList> {
    let processors = streams.host().registry.list().iter().map(|manifest| (**manifest).clone()).collect();
    Json(ProcessorList { processors })
}

/// A processor.
///
/// Its manifest; with `.wasm` behind the name, the component itself.
#[utoipa::path(get, path = "/processors/{name}", operation_id = "processor", tag = "processors",
    security(("token" = ["read"])),
    params(("name" = String, Path, description = "`NAME`, for its default version, else its newest, or `NAME@VERSION`")),
    responses(
        (status = 200, description = "Its manifest", body = Manifest),
        (status = 404, description = "There is no such processor", body = Problem),
        (status = 503, description = "As many components as may be are being sent", body = Problem)))]
async fn one(State(streams): App, Named(name): Named) -> Result<Response, ApiError> {
    let registry = &streams.host().registry;
    let Some(reference) = name.strip_suffix(".wasm") else {
        return Ok(Json((*registry.find(&name)?).clone()).into_response());
    };
    let processor = registry.find(reference)?;
    let turn = SENT.try_acquire().map_err(|_| ApiError::busy("as many components as may be are being sent"))?;
    let bytes = registry.component(&processor).await.map_err(|error| {
        // It may have been deleted meanwhile.
        if let Err(unknown) = registry.find(&processor.id()) {
            return unknown.into();
        }
        tracing::error!(processor = processor.id(), %error, "a component is not readable");
        ApiError::internal(format!("the component of {} is not readable: {error}", processor.id()))
    })?;
    let bytes = Bytes::from_owner(Sent { bytes, _turn: turn });
    Ok(([(header::CONTENT_TYPE, "application/wasm")], bytes).into_response())
}

/// Remove one version of a processor.
///
/// If it was the default version, the name stands for the newest one again.
#[utoipa::path(delete, path = "/processors/{name}", operation_id = "delete_processor", tag = "processors",
    security(("token" = ["processors:write"])),
    params(("name" = String, Path, description = "`NAME`, for its default version, else its newest, or `NAME@VERSION`")),
    responses(
        (status = 200, description = "The manifest of what is gone", body = Manifest),
        (status = 404, description = "There is no such processor", body = Problem),
        (status = 409, description = "A stream uses it", body = Problem)))]
async fn delete(State(streams): App, Named(name): Named) -> Result<Json<Manifest>, ApiError> {
    let manifest = streams.host().registry.delete(&name).await?;
    tracing::info!(processor = manifest.id(), "processor deleted");
    Ok(Json(manifest))
}
