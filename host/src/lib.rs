//! rillbox: a host for live-media processors.
//!
//! It subscribes to a live stream over the trickle protocol, decodes it, gives every frame to a user's processor (a sandboxed
//! WebAssembly component), encodes what comes back and publishes it. ARCHITECTURE.md has the map.

pub mod access;
mod allocator;
pub mod api;
pub mod cli;
pub mod clip;
pub mod egress;
pub mod registry;
pub mod sandbox;
pub mod serve;
pub mod session;
pub mod telemetry;

pub use allocator::Allocator;
