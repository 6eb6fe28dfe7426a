//! What is wrong with a token, a certificate or an address, and what to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use super::Scope;
use super::token_file::{LineError, MAX_NAME, MAX_TOKENS};

/// Why access is not as it was asked for.
#[derive(Debug, Error)]
pub enum AccessError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file cannot be written; what was there is still there.
    #[error("cannot write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others than its owner may use a token file.
    #[error(
        "the token file {path} has mode {mode:04o}: others than its owner could read it or add tokens; run chmod 600 {path}"
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A token file holds something else.
    #[error("{path}, line {line}: {source}; a line is NAME SCOPE[,SCOPE] and the token's SHA-256 in hexadecimal")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        source: LineError,
    },
    /// A token file is larger than any that holds tokens.
    #[error("the token file {0} is too large, or holds more than {MAX_TOKENS} tokens")]
    TooLarge(PathBuf),
    /// No such scope.
    #[error("{0:?} is no scope; there are {read}, {control} and {write}",
        read = Scope::Read, control = Scope::StreamsControl, write = Scope::ProcessorsWrite)]
    Scope(String),
    /// Not a name.
    #[error("{0:?} is no name for a token: letters, digits, '.', '-' and '_', {MAX_NAME} at most")]
    Name(String),
    /// The name is taken.
    #[error("{1} has a token {0} already; revoke it first, or choose another --name")]
    Taken(String, PathBuf),
    /// There is no such token.
    #[error("{1} has no token {0}; rillbox token list names them")]
    Missing(String, PathBuf),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// A certificate or key that cannot be used.
    #[error("{path}: {reason}")]
    Certificate {
        /// The file at fault.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An address that others reach, and nothing that asks who they are.
    #[error(
        "without tokens the host listens on loopback alone, not on {0}: whoever reached it could upload code and run streams. \
         Make a token with `rillbox token create --scope processors:write --scope streams:control --file rillbox-tokens` and \
         start with `--tokens rillbox-tokens`; or, where something in front of the host lets in only who may, say \
         --insecure-allow-anyone"
    )]
    Unprotected(SocketAddr),
    /// The same of the trickle server.
    #[error(
        "without tokens trickle channels are served on loopback alone, not on {0}: whoever reached it could read and write every \
         stream. Start with --tokens, and let nobody reach that address but who may, since trickle asks for none; or say \
         --insecure-allow-anyone"
    )]
    OpenTrickle(SocketAddr),
}
