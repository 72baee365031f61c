//! Who calls, and what they may do.
//!
//! A token comes first; without one, a client certificate of the configured
//! authority stands for `ingest` under its DNS names. Revoked is a subject
//! (host or person, by token or certificate) or one whole token. A refusal
//! says what to do, and never which part of a credential was wrong.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;

use axum::http::{HeaderMap, StatusCode, header};

use super::answer::Trouble;
use super::settings::Auth;
use super::token::{Role, Secrets};
use super::{Failure, files};

/// Subjects and tokens in the revoked file.
const REVOKED: usize = 100_000;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Its address.
    pub(super) address: SocketAddr,
    /// DNS names of its certificate, which an authority of ours signed.
    pub(super) names: Vec<String>,
}

/// Somebody who was let in.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    /// What they may do.
    pub(super) role: Role,
    /// Subjects: one of a token, several of a certificate.
    pub(super) names: Vec<String>,
}

impl Caller {
    /// The name for the audit log.
    pub(super) fn who(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    /// May it hand in what `host` says?
    pub(super) fn speaks_for(&self, host: &str) -> bool {
        self.names.iter().any(|name| name == host || name == "*")
    }

    /// Its one subject, when it has one that is a host.
    pub(super) fn only_name(&self) -> Option<&str> {
        match self.names.as_slice() {
            [one] if one != "*" => Some(one),
            _ => None,
        }
    }

    /// Refuses whoever may not do what `need` may.
    pub(super) fn needs(self, need: Role) -> Result<Caller, Trouble> {
        let may = self.role == need || (self.role == Role::Admin && need == Role::Read);
        if may {
            return Ok(self);
        }
        let (role, need) = (self.role.word(), need.word());
        Err(Trouble::new(StatusCode::FORBIDDEN, format!("the role {role} may not do this: it needs {need}"))
            .next(format!(
                "`epicore-collector token {need} NAME` on the collector makes a token of that role"
            )))
    }
}

/// Secrets, and who is let in no more.
#[derive(Debug)]
pub(super) struct Credentials {
    secrets: Secrets,
    revoked: HashSet<String>,
}

impl Credentials {
    /// Reads both files.
    pub(super) fn load(auth: &Auth) -> Result<Credentials, Failure> {
        let secrets = Secrets::load(&auth.secrets_file)?;
        let revoked = auth.revoked_file.as_deref().map_or_else(|| Ok(HashSet::new()), revoked)?;
        Ok(Credentials { secrets, revoked })
    }

    /// Who calls.
    pub(super) fn identify(&self, headers: &HeaderMap, peer: &Peer) -> Result<Caller, Trouble> {
        match headers.get(header::AUTHORIZATION) {
            Some(value) => self.bearer(value.to_str().unwrap_or("")),
            None if peer.names.is_empty() => Err(unknown("no token and no client certificate")),
            None => self.certificate(peer),
        }
    }

    fn bearer(&self, value: &str) -> Result<Caller, Trouble> {
        let scheme = value.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
        let token = scheme.and_then(|_| value.get(7..)).map(str::trim).unwrap_or("");
        let known = self.secrets.verify(token);
        let (role, subject) = known.ok_or_else(|| unknown("the token is not one of this collector"))?;
        if self.revoked.contains(subject) || self.revoked.contains(token) {
            return Err(unknown("the token was revoked"));
        }
        Ok(Caller { role, names: vec![subject.to_owned()] })
    }

    fn certificate(&self, peer: &Peer) -> Result<Caller, Trouble> {
        // Whoever has the key has all of its names.
        if peer.names.iter().any(|name| self.revoked.contains(name)) {
            return Err(unknown("a name of the certificate was revoked"));
        }
        Ok(Caller { role: Role::Ingest, names: peer.names.clone() })
    }
}

fn unknown(error: &str) -> Trouble {
    Trouble::new(StatusCode::UNAUTHORIZED, error)
        .next("`epicore-collector token ROLE NAME` on the collector prints a token; it goes behind `Authorization: Bearer`")
}

fn revoked(file: &Path) -> Result<HashSet<String>, Failure> {
    let text = files::text(file)?;
    let revoked: HashSet<String> =
        files::lines(&text).take(REVOKED.saturating_add(1)).map(str::to_owned).collect();
    match revoked.len() > REVOKED {
        true => {
            Err(Failure::new(format!("{}: more than {REVOKED} lines; change the secret", file.display())))
        }
        false => Ok(revoked),
    }
}
