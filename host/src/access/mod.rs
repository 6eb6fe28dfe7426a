//! Who may call the REST surface, and over what: tokens with scopes, a certificate, and what holds where there are none.
//!
//! The room knows files and rules and no HTTP. What it reads from files is read anew when they change.

mod certificate;
mod error;
mod gate;
mod live;
mod scope;
mod token;
mod token_file;

pub use certificate::TlsFiles;
pub use error::AccessError;
pub use gate::{Gate, GateConfig, Opened, is_loopback};
pub use live::Current;
pub use scope::{Scope, Scopes};
pub use token::Token;
pub use token_file::{Entry, LineError, TokenFile};
pub use tokio_rustls::rustls::ServerConfig as TlsConfig;
