//! What is asked of callers, out of what the operator said.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::task::JoinSet;
use tokio_rustls::rustls::ServerConfig;

use super::certificate::{self, TlsFiles};
use super::live::{Current, Live};
use super::{AccessError, TokenFile};

/// What the operator said.
#[derive(Clone, Debug, Default)]
pub struct GateConfig {
    /// The file of tokens.
    pub tokens: Option<PathBuf>,
    /// Without tokens, callers from anywhere.
    pub anyone: bool,
    /// Speak TLS with this certificate.
    pub tls: Option<TlsFiles>,
}

/// Whom calls are taken from.
#[derive(Clone)]
pub enum Gate {
    /// Whoever presents one of these.
    Tokens(Current<TokenFile>),
    /// Whoever is on this machine, but no page that a browser shows there.
    Loopback,
    /// Whoever reaches the host.
    Anyone,
}

/// A gate, and the files behind it, which are looked after as long as this is held.
pub struct Opened {
    /// Whom calls are taken from.
    pub gate: Gate,
    /// What TLS is spoken with, if it is.
    pub tls: Option<Current<ServerConfig>>,
    /// The tasks that look after the files.
    pub keepers: JoinSet<()>,
}

impl GateConfig {
    /// Reads the files, for a host that listens at `address`. Must be called within a runtime.
    ///
    /// # Errors
    /// [`AccessError::Unprotected`], or what is wrong with a file.
    pub fn open(&self, address: SocketAddr) -> Result<Opened, AccessError> {
        let mut keepers = JoinSet::new();
        let gate = match &self.tokens {
            Some(path) => {
                let live = Live::open(vec![path.clone()], |files| TokenFile::read(&files[0]))?;
                let current = live.current();
                keepers.spawn(live.follow());
                Gate::Tokens(current)
            }
            None if self.anyone => Gate::Anyone,
            None if is_loopback(address) => Gate::Loopback,
            None => return Err(AccessError::Unprotected(address)),
        };
        let tls = self.tls.as_ref().map(|files| {
            let live = Live::open(vec![files.certificate.clone(), files.key.clone()], |files| {
                certificate::load(&TlsFiles { certificate: files[0].clone(), key: files[1].clone() })
            })?;
            let current = live.current();
            keepers.spawn(live.follow());
            Ok::<_, AccessError>(current)
        });
        let opened = Opened { gate, tls: tls.transpose()?, keepers };
        opened.warn(address);
        Ok(opened)
    }
}

impl Opened {
    /// Refuses an address of the trickle server, which asks for no token, that others reach where nobody thought of others.
    ///
    /// # Errors
    /// [`AccessError::OpenTrickle`].
    pub fn check_trickle(&self, address: SocketAddr) -> Result<(), AccessError> {
        match self.gate {
            Gate::Loopback if !is_loopback(address) => Err(AccessError::OpenTrickle(address)),
            _ => Ok(()),
        }
    }

    /// Whether callers can be of this machine alone.
    pub fn is_for_this_machine(&self) -> bool {
        matches!(self.gate, Gate::Loopback)
    }

    /// Says what is open that should not be by mistake.
    fn warn(&self, address: SocketAddr) {
        match &self.gate {
            Gate::Anyone => {
                tracing::warn!(%address, "--insecure-allow-anyone: whoever reaches this address may upload code and run streams");
            }
            Gate::Tokens(tokens) if tokens.get().entries().is_empty() => {
                tracing::warn!("the token file has no tokens: nobody may call; rillbox token create adds one");
            }
            Gate::Tokens(_) if self.tls.is_none() && !is_loopback(address) => {
                tracing::warn!(%address, "tokens cross the network as plain text: use --tls-cert and --tls-key, or TLS in front");
            }
            Gate::Tokens(_) | Gate::Loopback => {}
        }
    }
}

/// Whether only this machine reaches an address.
pub fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
