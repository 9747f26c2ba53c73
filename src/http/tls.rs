//! TLS of the listener: a certificate that is read again when its files change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::domain::cause::with_causes;

/// Where the certificate and its key are, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("the file {path} cannot be read")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the file {path} holds no usable PEM: {why}")]
    NotPem { path: PathBuf, why: String },
    #[error("the certificate and the key do not belong together, or are of no known kind")]
    Unfit(#[source] rustls::Error),
}

/// TLS 1.2 and 1.3 with this certificate. Fails when it cannot be used now; later a bad one leaves the last good one in use.
pub(super) fn config(files: TlsFiles) -> Result<ServerConfig, TlsError> {
    let state = stamp(&files);
    let key = Arc::new(read(&files)?);
    let resolver = Resolver { files, known: Mutex::new(Known { stamp: state, key }) };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Unfit)?;
    Ok(builder.with_no_client_auth().with_cert_resolver(Arc::new(resolver)))
}

/// When a file was last written, and its size; `None` where that cannot be told.
type Stamp = [Option<(SystemTime, u64)>; 2];

#[derive(Debug)]
struct Resolver {
    files: TlsFiles,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    stamp: Stamp,
    key: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Resolver {
    /// Looks at the files with each handshake: that costs a fraction of it, and a new certificate counts at once.
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(&self.files);
        if now != known.stamp {
            // A half that was replaced is looked at again when the other half is.
            known.stamp = now;
            match read(&self.files) {
                Ok(key) => {
                    known.key = Arc::new(key);
                    tracing::info!(certificate = %self.files.certificate.display(), "a new certificate is in use");
                }
                Err(error) => {
                    let why = with_causes(&error);
                    tracing::error!(why, "the new certificate cannot be used; the last good one stays in use");
                }
            }
        }
        Some(Arc::clone(&known.key))
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    let of = |path: &Path| fs::metadata(path).ok().and_then(|file| Some((file.modified().ok()?, file.len())));
    [of(&files.certificate), of(&files.key)]
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let bytes = |path: &Path| fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source });
    let not_pem = |path: &Path, why: String| TlsError::NotPem { path: path.to_owned(), why };
    let certificates = CertificateDer::pem_slice_iter(&bytes(&files.certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| not_pem(&files.certificate, error.to_string()))?;
    if certificates.is_empty() {
        return Err(not_pem(&files.certificate, "there is no certificate in it".to_owned()));
    }
    let key =
        PrivateKeyDer::from_pem_slice(&bytes(&files.key)?).map_err(|error| not_pem(&files.key, error.to_string()))?;
    CertifiedKey::from_der(certificates, key, &rustls::crypto::ring::default_provider()).map_err(TlsError::Unfit)
}
