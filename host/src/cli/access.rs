//! Who may call the REST surface, and over what.

use std::path::PathBuf;

use clap::Args;

use crate::access::{GateConfig, TlsFiles};

#[derive(Debug, Args)]
pub struct Access {
    /// File of the tokens that calls must present, as `rillbox token create` writes it; read anew when it changes.
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Listen beyond loopback without tokens. Whoever reaches the address may upload code and run streams: only for hosts
    /// behind something that lets in only who may.
    #[arg(long, conflicts_with = "tokens")]
    insecure_allow_anyone: bool,
    /// PEM file with the certificate of the REST surface and those that vouch for it: it then speaks TLS alone. Read anew when
    /// it changes.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
}

impl Access {
    /// What the room of access understands.
    pub fn resolve(self) -> GateConfig {
        let tls = self.tls_cert.zip(self.tls_key).map(|(certificate, key)| TlsFiles { certificate, key });
        GateConfig { tokens: self.tokens, anyone: self.insecure_allow_anyone, tls }
    }
}
