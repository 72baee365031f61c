//! TLS 1.2 and 1.3, with rustls and ring; client certificates when there is an
//! authority for them.
//!
//! A configuration is made anew from the files on SIGHUP and swapped: old
//! connections keep theirs, new ones have the new certificate, and sessions of
//! the old one are not resumed.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::settings::Tls;
use super::{Failure, files};

/// DNS names of one client certificate that are looked at.
const NAMES: usize = 16;

/// What a connection is accepted with; `None` = plain HTTP.
pub(super) fn load(tls: &Tls) -> Result<Option<Arc<ServerConfig>>, Failure> {
    let (Some(cert), Some(key)) = (&tls.cert_file, &tls.key_file) else { return Ok(None) };
    let chain = certificates(cert)?;
    let key = PrivateKeyDer::from_pem_slice(files::secret(key)?.as_bytes())
        .map_err(|error| Failure::new(format!("{}: no private key in it: {error}", key.display())))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new(error.to_string()))?;
    let clients = match &tls.client_ca_file {
        Some(file) => versions.with_client_cert_verifier(verifier(file)?),
        None => versions.with_no_client_auth(),
    };
    let say = |error| Failure::new(format!("{}: {error}", cert.display()));
    let mut config = clients.with_single_cert(chain, key).map_err(say)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let text = files::text(file)?;
    let say = |why: &dyn std::fmt::Display| Failure::new(format!("{}: {why}", file.display()));
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().map_err(|e| say(&e))?;
    if certificates.is_empty() { Err(say(&"no certificate in it")) } else { Ok(certificates) }
}

/// Certificates are welcome and not needed: a token may come instead.
fn verifier(file: &Path) -> Result<Arc<dyn ClientCertVerifier>, Failure> {
    let say = |why: &dyn std::fmt::Display| Failure::new(format!("{}: {why}", file.display()));
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| say(&error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    builder.allow_unauthenticated().build().map_err(|error| say(&error))
}

/// The DNS names of a certificate that was verified. A wildcard is no name.
pub(super) fn names(chain: Option<&[CertificateDer<'_>]>) -> Vec<String> {
    let Some(certificate) = chain.and_then(<[_]>::first) else { return Vec::new() };
    let Ok(certificate) = webpki::EndEntityCert::try_from(certificate) else { return Vec::new() };
    let names = certificate.valid_dns_names().filter(|name| !name.contains('*'));
    names.take(NAMES).map(str::to_owned).collect()
}
