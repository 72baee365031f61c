//! The fleet instead of this host: what `--remote` and `--fleet` mean.
//!
//! The token is --token-file's, else ~/.config/epicore/token, else the
//! configuration's; the authority --ca-file's, else the configuration's, else
//! the system's.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::arguments::Common;
use super::failure::Failure;
use crate::config::Collector;
use crate::forward::{Api, ApiError};

/// Longer than the collector holds an answer back for `tail`.
const PATIENCE: Duration = Duration::from_secs(90);

/// A collector that a person asked for.
#[derive(Debug)]
pub(super) struct Remote {
    api: Api,
    /// Its address, for messages.
    pub(super) url: String,
}

impl Remote {
    /// The collector of this command line, when one was asked for.
    pub(super) fn of(common: &Common) -> Result<Option<Remote>, Failure> {
        if common.remote.is_none() && !common.fleet {
            return Ok(None);
        }
        let configured = common.settings()?.collector;
        let Some(url) = common.remote.clone().or_else(|| configured.url.clone()) else {
            let next = "Set collector.url in the configuration, or give --remote https://HOST:7464.";
            return Err(Failure::usage("--fleet: no collector is configured", next));
        };
        let token_file = common.token_file.clone().or_else(own_token).or(configured.token_file.clone());
        let ca_file = common.ca_file.clone().or(configured.ca_file.clone());
        let access = Collector { url: Some(url.clone()), token_file, ca_file, ..configured };
        let api = Api::new(&access, PATIENCE).map_err(|error| Failure::new(error.to_string(), TOKEN))?;
        Ok(Some(Remote { api, url }))
    }

    /// Asks.
    pub(super) fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Failure> {
        self.api.get(path, query).map_err(|error| self.failed(error))
    }

    /// Orders.
    pub(super) fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Failure> {
        self.api.post(path, body).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: ApiError) -> Failure {
        let next = error.next().unwrap_or(HINT).to_owned();
        Failure::new(format!("{}: {error}", self.url), next)
    }
}

const HINT: &str = "`curl -v URL/healthz` shows whether the collector can be reached from here.";

const TOKEN: &str = "A token comes from `epicore-collector token read NAME`, run where the collector is.";

/// ~/.config/epicore/token, where there is one.
fn own_token() -> Option<PathBuf> {
    let home = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))?;
    Some(home.join("epicore/token")).filter(|path| path.is_file())
}
