//! Processors: upload, list, look at, fetch, delete.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::body::Payload;
use super::error::ApiError;
use super::{App, MAX_UPLOAD};
use crate::registry::Manifest;

#[derive(Deserialize)]
pub struct UploadQuery {
    name: Option<String>,
}

/// The answer to `GET /api/processors`.
#[derive(Serialize)]
pub struct List {
    processors: Vec<Manifest>,
}

pub async fn upload(
    State(streams): App,
    query: Result<Query<UploadQuery>, QueryRejection>,
    Payload(bytes): Payload<MAX_UPLOAD>,
) -> Result<(StatusCode, Json<Manifest>), ApiError> {
    let Query(query) = query.map_err(|rejection| ApiError::bad_request(rejection.body_text()))?;
    let processor = streams.host().registry.upload(&bytes, query.name.as_deref()).await?;
    tracing::info!(processor = processor.id(), sha256 = processor.sha256, "processor uploaded");
    Ok((StatusCode::CREATED, Json((*processor).clone())))
}

pub async fn list(State(streams): App) -> Json<List> {
    let processors = streams.host().registry.list().iter().map(|lease| (**lease).clone()).collect();
    Json(List { processors })
}

/// The manifest, or with `.wasm` behind the name the component itself.
pub async fn one(State(streams): App, Path(name): Path<String>) -> Result<Response, ApiError> {
    let registry = &streams.host().registry;
    let Some(reference) = name.strip_suffix(".wasm") else {
        return Ok(Json((*registry.get(&name)?).clone()).into_response());
    };
    let lease = registry.get(reference)?;
    let bytes = tokio::fs::read(registry.component(&lease)).await.map_err(|error| {
        tracing::error!(processor = lease.id(), %error, "a component is not readable");
        ApiError::not_found(format!("the component of {} is not readable", lease.id()))
    })?;
    Ok(([(header::CONTENT_TYPE, "application/wasm")], bytes).into_response())
}

pub async fn delete(State(streams): App, Path(name): Path<String>) -> Result<Json<Manifest>, ApiError> {
    let lease = streams.host().registry.delete(&name)?;
    tracing::info!(processor = lease.id(), "processor deleted");
    Ok(Json((*lease).clone()))
}
