//! TLS with a certificate from files, read again when they change.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// TLS 1.2 and 1.3 for HTTP/1.1 and HTTP/2; clones share the certificate.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file is no PEM.
    #[error("{} is not written as PEM", file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        source: pem::Error,
    },
    /// There is no certificate in the file.
    #[error("{} holds no certificate", file.display())]
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// There is no private key in the file.
    #[error("{} holds no private key", file.display())]
    NoKey {
        /// The file.
        file: PathBuf,
    },
    /// Certificate and key cannot be used, or not together.
    #[error("the certificate in {} and the key in {} cannot be used together", certificate.display(), key.display())]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
}

impl Tls {
    /// Takes the certificate, followed by those it was issued by, from the PEM file `certificate`,
    /// and its private key from the PEM file `key`.
    ///
    /// # Errors
    /// One of them cannot be read, or they do not belong together.
    pub fn from_files(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let certificate = Arc::new(Certificate::load(certificate, key, &provider)?);
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = match builder.with_safe_default_protocol_versions() {
            Ok(builder) => builder,
            Err(source) => return Err(certificate.unusable(source)),
        };
        let mut config = builder.with_no_client_auth().with_cert_resolver(certificate.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate })
    }

    pub(super) const fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Reads the files again whenever they change, for ever. What cannot be used is said in the
    /// log, and the certificate stays the one it was.
    pub(super) async fn follow(self) {
        let mut seen = self.certificate.stamp();
        loop {
            tokio::time::sleep(LOOK).await;
            let certificate = Arc::clone(&self.certificate);
            let looked = tokio::task::spawn_blocking(move || {
                let stamp = certificate.stamp();
                (stamp != seen).then(|| (stamp, certificate.reload()))
            });
            // A look that panicked is made again.
            let Ok(Some((stamp, outcome))) = looked.await else { continue };
            seen = stamp;
            match outcome {
                Ok(()) => tracing::info!("the new certificate is in use"),
                Err(error) => {
                    let error = chain(&error);
                    tracing::warn!(
                        error,
                        "the new certificate cannot be used, so the old one stays"
                    );
                }
            }
        }
    }
}

/// A file as it was when it was last looked at: it has another number after it was replaced, and
/// another time after it was written.
type Stamp = Option<(u64, i64, i64, u64)>;

/// The certificate that is in use, and where it comes from.
#[derive(Debug)]
struct Certificate {
    file: PathBuf,
    key_file: PathBuf,
    provider: Arc<CryptoProvider>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    fn load(
        file: PathBuf,
        key_file: PathBuf,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let current = RwLock::new(Arc::new(read(&file, &key_file, provider)?));
        Ok(Self { file, key_file, provider: Arc::clone(provider), current })
    }

    fn reload(&self) -> Result<(), TlsError> {
        let read = Arc::new(read(&self.file, &self.key_file, &self.provider)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = read;
        Ok(())
    }

    fn stamp(&self) -> [Stamp; 2] {
        [&self.file, &self.key_file].map(|file| {
            let metadata = fs::metadata(file).ok()?;
            let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
            Some((metadata.ino(), seconds, nanoseconds, metadata.len()))
        })
    }

    fn unusable(&self, source: rustls::Error) -> TlsError {
        unusable(&self.file, &self.key_file, source)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn read(file: &Path, key_file: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let certificates = CertificateDer::pem_reader_iter(open(file)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| TlsError::Pem { file: file.to_owned(), source })?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { file: file.to_owned() });
    }
    let key = PrivateKeyDer::from_pem_reader(open(key_file)?).map_err(|source| match source {
        pem::Error::NoItemsFound => TlsError::NoKey { file: key_file.to_owned() },
        source => TlsError::Pem { file: key_file.to_owned(), source },
    })?;
    CertifiedKey::from_der(certificates, key, provider)
        .map_err(|source| unusable(file, key_file, source))
}

fn open(file: &Path) -> Result<BufReader<File>, TlsError> {
    let opened = File::open(file).map(BufReader::new);
    opened.map_err(|source| TlsError::Read { file: file.to_owned(), source })
}

fn unusable(certificate: &Path, key: &Path, source: rustls::Error) -> TlsError {
    TlsError::Unusable { certificate: certificate.to_owned(), key: key.to_owned(), source }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
