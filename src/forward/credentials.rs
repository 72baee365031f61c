//! Tokens, certificates and keys: small files that change under a daemon.
//!
//! What it gives: bounded reads, and a [`Stamp`] of each file, so that a token
//! that was replaced is used by the next request without a restart. What it
//! trusts: that whoever may write these files may speak for this host. Limits:
//! [`FILE`] bytes a file, [`TOKEN`] characters of a token.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use reqwest::header::HeaderValue;
use reqwest::{Certificate, Identity};

use super::transport::ForwardError;

/// A bundle of authorities is 250 KiB.
const FILE: u64 = 1 << 20;
/// Three times the longest host name, and a signature.
const TOKEN: usize = 1024;

/// What tells that a file is another one: device, inode, size, and both parts
/// of the time of its last change.
pub(super) type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// The stamp of what `path` means now; a symbolic link is followed, because
/// that is how secrets are mounted.
pub(super) fn stamp(path: &Path) -> Stamp {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}

fn failed(path: &Path, why: impl ToString) -> ForwardError {
    ForwardError::File(path.to_owned(), why.to_string())
}

fn read(path: &Path) -> Result<Vec<u8>, ForwardError> {
    let file = std::fs::File::open(path).map_err(|error| failed(path, error))?;
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return Err(failed(path, "not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(FILE.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| failed(path, error))?;
    if bytes.len() as u64 > FILE {
        return Err(failed(path, format_args!("larger than {FILE} bytes")));
    }
    Ok(bytes)
}

/// The Authorization header of the token in a file; the header is kept out of
/// every log.
pub(super) fn authorization(path: &Path) -> Result<HeaderValue, ForwardError> {
    let bytes = read(path)?;
    let token = std::str::from_utf8(&bytes).map(str::trim).unwrap_or_default();
    if token.is_empty() || token.len() > TOKEN || !token.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(failed(path, "it must hold one token and nothing else"));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|error| failed(path, error))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The authorities in a PEM file.
pub(super) fn authorities(path: &Path) -> Result<Vec<Certificate>, ForwardError> {
    let found = Certificate::from_pem_bundle(&read(path)?).unwrap_or_default();
    if found.is_empty() {
        return Err(failed(path, "no certificate in it (PEM)"));
    }
    Ok(found)
}

/// The client certificate and its key, from their PEM files.
pub(super) fn identity(certificate: &Path, key: &Path) -> Result<Identity, ForwardError> {
    let mut pem = read(certificate)?;
    pem.push(b'\n');
    pem.extend(read(key)?);
    Identity::from_pem(&pem).map_err(|_| {
        failed(certificate, format_args!("with {}: no certificate and its key (PEM)", key.display()))
    })
}

/// The directories whose changes may mean other credentials.
pub(super) fn directories<'a>(files: impl Iterator<Item = &'a PathBuf>) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = files.filter_map(|file| Some(file.parent()?.to_owned())).collect();
    found.sort();
    found.dedup();
    found
}
