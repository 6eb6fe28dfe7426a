//! Versions of a processor, and which of them its bare name stands for.

use axum::Json;
use axum::extract::State;
use semver::Version;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::body::{Named, Payload, json};
use super::error::{ApiError, Problem};
use super::{App, MAX_BODY, Shared};
use crate::registry::{Compiler, Manifest, Registry};

/// All versions of a processor.
#[derive(Serialize, ToSchema)]
pub struct VersionList {
    /// The processor.
    name: String,
    /// The version that the bare name stands for: the default one, else the newest release, else the newest.
    #[schema(value_type = String)]
    current: Version,
    /// The version that was chosen, if one was.
    #[schema(value_type = Option<String>)]
    default: Option<Version>,
    /// From the oldest to the newest.
    versions: Vec<Manifest>,
}

/// A choice among versions.
#[derive(Deserialize, ToSchema)]
struct Choice {
    /// A version that is there; `null` for whichever is the newest.
    // With a function of its own, a missing field is not taken for `null`.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schema(required, value_type = Option<String>, example = "1.2.0")]
    version: Option<Version>,
}

/// Routes of versions.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(versions)).routes(routes!(choose, reset))
}

/// Versions of a processor.
#[utoipa::path(get, path = "/processors/{name}/versions", operation_id = "processor_versions", tag = "processors",
    security(("token" = ["read"])),
    params(("name" = String, Path, description = "`NAME`")),
    responses(
        (status = 200, description = "All of them, and the one that the bare name stands for", body = VersionList),
        (status = 404, description = "There is no such processor", body = Problem)))]
async fn versions(State(streams): App, Named(name): Named) -> Result<Json<VersionList>, ApiError> {
    list(&streams.host().registry, name)
}

/// Choose the default version.
///
/// Streams that name the processor without a version get it from now on; those that run keep what they have.
#[utoipa::path(put, path = "/processors/{name}/default", operation_id = "choose_version", tag = "processors",
    security(("token" = ["processors:write"])),
    params(("name" = String, Path, description = "`NAME`")), request_body = Choice,
    responses(
        (status = 200, description = "All versions, as they are now", body = VersionList),
        (status = 400, description = "The body is not a choice", body = Problem),
        (status = 404, description = "There is no such processor, or no such version", body = Problem),
        (status = 413, description = "The body is too large", body = Problem)))]
async fn choose(
    State(streams): App,
    Named(name): Named,
    Payload(body): Payload<MAX_BODY>,
) -> Result<Json<VersionList>, ApiError> {
    let Choice { version } = json(&body)?;
    set(&streams.host().registry, name, version).await
}

/// Let the newest version be the default one again.
#[utoipa::path(delete, path = "/processors/{name}/default", operation_id = "reset_version", tag = "processors",
    security(("token" = ["processors:write"])),
    params(("name" = String, Path, description = "`NAME`")),
    responses(
        (status = 200, description = "All versions, as they are now", body = VersionList),
        (status = 404, description = "There is no such processor", body = Problem)))]
async fn reset(State(streams): App, Named(name): Named) -> Result<Json<VersionList>, ApiError> {
    set(&streams.host().registry, name, None).await
}

async fn set<C: Compiler>(
    registry: &Registry<C>,
    name: String,
    version: Option<Version>,
) -> Result<Json<VersionList>, ApiError> {
    registry.choose(&name, version).await?;
    let list = list(registry, name)?;
    tracing::info!(name = list.name, current = %list.current, chosen = list.default.is_some(), "default version set");
    Ok(list)
}

fn list<C: Compiler>(registry: &Registry<C>, name: String) -> Result<Json<VersionList>, ApiError> {
    let found = registry.versions(&name)?;
    let versions = found.all.iter().map(|manifest| (**manifest).clone()).collect();
    Ok(Json(VersionList { name, current: found.current, default: found.default, versions }))
}
