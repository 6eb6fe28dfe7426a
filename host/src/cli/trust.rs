//! Which `https` trickle servers are trusted.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use rillbox_trickle::{Authorities, ClientConfig};

#[derive(Debug, Args)]
pub struct Trust {
    /// PEM file with certificates that trickle servers may show or be vouched for by, beside the web's authorities; may be
    /// repeated.
    #[arg(long, value_name = "FILE")]
    trickle_ca: Vec<PathBuf>,
    /// Accept any certificate of trickle servers.
    #[arg(long, conflicts_with = "trickle_ca")]
    trickle_insecure: bool,
}

impl Trust {
    /// What the trickle client understands.
    pub fn resolve(&self) -> anyhow::Result<ClientConfig> {
        if self.trickle_insecure {
            tracing::warn!("--trickle-insecure: whoever answers for a trickle server is believed to be it");
        }
        let authorities = self.trickle_ca.iter().map(|path| read(path)).collect::<anyhow::Result<_>>()?;
        Ok(ClientConfig { authorities, insecure: self.trickle_insecure, ..ClientConfig::default() })
    }
}

fn read(path: &Path) -> anyhow::Result<Authorities> {
    let context = || format!("--trickle-ca {}", path.display());
    let pem = std::fs::read(path).with_context(context)?;
    Authorities::from_pem(&pem).with_context(context)
}
