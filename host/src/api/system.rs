//! The host itself: health, versions, hardware.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, Shared};
use crate::session::{Health, Streams};
use crate::telemetry::{Gpu, Gpus};

/// What gateways call this kind of pipeline: brought by its operator.
const PIPELINE: &str = "byoc";

/// The host's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How the host is.
#[derive(Serialize, ToSchema)]
struct Healthy {
    /// `OK` while streams run, `LOADING` while the first one starts, `IDLE` without any, `ERROR` when every processor that runs was
    /// taken out.
    #[schema(example = "IDLE")]
    status: &'static str,
}

/// What runs here.
#[derive(Serialize, ToSchema)]
struct Version {
    /// Always `byoc`.
    pipeline: &'static str,
    /// The processor of streams that name none; empty where there is none.
    model_id: String,
    /// The host's version.
    version: &'static str,
}

/// The version of what runs here.
#[derive(Serialize, ToSchema)]
struct AppVersion {
    /// Of the default processor; of the host where there is none.
    version: String,
}

/// The machine's GPUs.
#[derive(Serialize, ToSchema)]
struct HardwareInfo {
    /// Always `byoc`.
    pipeline: &'static str,
    /// The processor of streams that name none; empty where there is none.
    model_id: String,
    /// By their index; empty without NVIDIA.
    gpu_info: BTreeMap<u32, GpuInfo>,
}

/// The machine's GPUs at work.
#[derive(Serialize, ToSchema)]
struct HardwareStats {
    /// Always `byoc`.
    pipeline: &'static str,
    /// The processor of streams that name none; empty where there is none.
    model_id: String,
    /// By their index; empty without NVIDIA.
    gpu_stats: BTreeMap<u32, GpuStats>,
}

/// A GPU.
#[derive(Serialize, ToSchema)]
struct GpuInfo {
    /// Unique and lasting.
    id: String,
    name: String,
    /// Bytes.
    memory_total: u64,
    /// Bytes.
    memory_free: u64,
    /// Major version of the CUDA compute capability.
    major: i32,
    /// Its minor version.
    minor: i32,
}

/// A GPU at work.
#[derive(Serialize, ToSchema)]
struct GpuStats {
    /// Unique and lasting.
    id: String,
    name: String,
    /// Bytes.
    memory_total: u64,
    /// Bytes.
    memory_free: u64,
    /// Percent of the time in which a kernel ran.
    utilization_compute: u32,
    /// Percent of the time in which memory was read or written.
    utilization_memory: u32,
}

impl From<Gpu> for GpuInfo {
    fn from(gpu: Gpu) -> Self {
        let (major, minor) = gpu.compute_capability;
        Self {
            id: gpu.uuid,
            name: gpu.name,
            memory_total: gpu.memory_total,
            memory_free: gpu.memory_free,
            major,
            minor,
        }
    }
}

impl From<Gpu> for GpuStats {
    fn from(gpu: Gpu) -> Self {
        Self {
            id: gpu.uuid,
            name: gpu.name,
            memory_total: gpu.memory_total,
            memory_free: gpu.memory_free,
            utilization_compute: gpu.busy,
            utilization_memory: gpu.memory_busy,
        }
    }
}

/// The routes.
pub fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(health))
        .routes(routes!(version))
        .routes(routes!(app_version))
        .routes(routes!(hardware_info))
        .routes(routes!(hardware_stats))
}

/// Health.
#[utoipa::path(get, path = "/health", tag = "system",
    security(()),
    responses((status = 200, description = "Always", body = Healthy)))]
async fn health(State(streams): App) -> Json<Healthy> {
    let status = match streams.health() {
        Health::Ok => "OK",
        Health::Loading => "LOADING",
        Health::Idle => "IDLE",
        Health::Error => "ERROR",
    };
    Json(Healthy { status })
}

/// Version of the host.
#[utoipa::path(get, path = "/version", tag = "system",
    security(("token" = ["read"])),
    responses((status = 200, description = "Always", body = Version)))]
async fn version(State(streams): App) -> Json<Version> {
    Json(Version { pipeline: PIPELINE, model_id: model_id(&streams), version: VERSION })
}

/// Version of the default processor.
#[utoipa::path(get, path = "/app-version", tag = "system",
    security(("token" = ["read"])),
    responses((status = 200, description = "Always", body = AppVersion)))]
async fn app_version(State(streams): App) -> Json<AppVersion> {
    let default = streams.host().registry.find(&model_id(&streams));
    Json(AppVersion { version: default.map_or_else(|_| VERSION.to_owned(), |lease| lease.version.to_string()) })
}

/// GPUs.
#[utoipa::path(get, path = "/hardware/info", tag = "system",
    security(("token" = ["read"])),
    responses((status = 200, description = "Always", body = HardwareInfo)))]
async fn hardware_info(State(streams): App, State(gpus): State<Gpus>) -> Json<HardwareInfo> {
    Json(HardwareInfo { pipeline: PIPELINE, model_id: model_id(&streams), gpu_info: by_index(&gpus).await })
}

/// GPUs at work.
#[utoipa::path(get, path = "/hardware/stats", tag = "system",
    security(("token" = ["read"])),
    responses((status = 200, description = "Always", body = HardwareStats)))]
async fn hardware_stats(State(streams): App, State(gpus): State<Gpus>) -> Json<HardwareStats> {
    Json(HardwareStats { pipeline: PIPELINE, model_id: model_id(&streams), gpu_stats: by_index(&gpus).await })
}

async fn by_index<T: From<Gpu>>(gpus: &Gpus) -> BTreeMap<u32, T> {
    gpus.read().await.into_iter().map(|gpu| (gpu.index, gpu.into())).collect()
}

fn model_id(streams: &Streams) -> String {
    streams.host().default_processor.clone().unwrap_or_default()
}
