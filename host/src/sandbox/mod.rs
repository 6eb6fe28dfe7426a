//! Where guests run: engine, limits, the imports they may call, and the instance that a stream's task owns.
//!
//! An [`Engine`] is made once. It loads [`Component`]s, and makes of each any number of [`Instance`]s: one Store each, owned by
//! one task, driven on the engine's own runtime and never on the one that owns sockets and timers.

mod bindings;
mod child;
mod compile;
mod context;
mod counter;
mod engine;
mod graphics;
mod guard;
mod http;
mod imports;
mod instance;
mod limits;
mod pool;
mod rate;
mod segments;
mod shaders;
mod standing;
#[cfg(test)]
mod tests;
mod ticker;
mod timer;
mod work;

pub use child::ChildCompiler;
pub use compile::{ChildError, ComponentError, Examined, REFUSED, compile, examine};
pub use context::GuestOutput;
pub use counter::Counter;
pub use engine::{Component, Engine, EngineError, LoadError, Priority};
pub use graphics::Pending;
pub use http::{HttpAccess, HttpClient, HttpClientError, HttpMeter};
pub use instance::{Failure, Identity, Instance, VideoResult};
pub use limits::{Limits, Refusals};
pub use rillbox_gpu::{Choice, Gpu};
pub use shaders::{ShaderReader, read_shader};
pub use standing::Standing;
pub use work::{ByKind, Done, Kind, Work};
