//! Trust in `https` servers.

use std::sync::Arc;

use tokio_rustls::{
    TlsConnector,
    rustls::{
        self, ClientConfig as TlsConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    },
};

use super::{ClientConfig, ClientError};

pub(crate) fn connector(config: &ClientConfig) -> Result<TlsConnector, ClientError> {
    let provider = Arc::new(ring::default_provider());
    let builder = TlsConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(ClientError::Tls)?;
    let tls = if config.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    } else {
        builder.with_root_certificates(roots(&config.authorities))
    };
    Ok(TlsConnector::from(Arc::new(tls.with_no_client_auth())))
}

/// Certificate authorities that vouch for servers. A server's own certificate may be its authority.
#[derive(Debug, Clone)]
pub struct Authorities(RootCertStore);

impl Authorities {
    /// All certificates of a PEM text, which has at least one.
    ///
    /// # Errors
    /// [`ClientError::Authority`].
    pub fn from_pem(pem: &[u8]) -> Result<Self, ClientError> {
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(ClientError::Pem)?;
            store.add(certificate).map_err(ClientError::Authority)?;
        }
        if store.is_empty() {
            return Err(ClientError::NoAuthority);
        }
        Ok(Self(store))
    }
}

/// The web's authorities and the operator's own.
fn roots(own: &[Authorities]) -> RootCertStore {
    let web = webpki_roots::TLS_SERVER_ROOTS.iter();
    RootCertStore { roots: web.chain(own.iter().flat_map(|own| &own.0.roots)).cloned().collect() }
}

/// Accepts whatever certificate a server shows: encryption without knowing with whom.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
