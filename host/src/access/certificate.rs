//! The certificate of the REST surface.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::AccessError;

/// Where a certificate and its key are.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// PEM: the host's certificate first, then those that vouch for it.
    pub certificate: PathBuf,
    /// PEM: the key of the first certificate.
    pub key: PathBuf,
}

/// What a server needs of them, for HTTP/1.1 alone.
///
/// # Errors
/// [`AccessError::Read`] and [`AccessError::Certificate`], with the file that is at fault.
pub fn load(files: &TlsFiles) -> Result<ServerConfig, AccessError> {
    let at_fault = |path: &Path, reason: String| AccessError::Certificate { path: path.to_owned(), reason };
    let certificate = |reason: String| at_fault(&files.certificate, reason);
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&read(&files.certificate)?)
        .collect::<Result<_, _>>()
        .map_err(|error| certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(certificate("there is no certificate in it; it must be PEM".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|error| match error {
        Error::NoItemsFound => at_fault(&files.key, "there is no private key in it; it must be PEM".to_owned()),
        error => at_fault(&files.key, error.to_string()),
    })?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| certificate(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| certificate(format!("it does not go with the key {}: {error}", files.key.display())))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn read(path: &Path) -> Result<Vec<u8>, AccessError> {
    std::fs::read(path).map_err(|source| AccessError::Read { path: path.to_owned(), source })
}
