//! The database's file before it is opened: whose it is, and who asks.
//!
//! What root makes in the service's directory the service cannot open: so root
//! does not serve from there, and `check` says what is not the service's.

use std::path::Path;

use nix::unistd::{User, geteuid};

use super::Failure;
use super::settings::DEFAULT_DATABASE;
use crate::store::StoreError;
use crate::store::sqlite::{self, Sqlite};

/// As whom the unit runs the collector.
const USER: &str = "epicore-collector";

/// One path, and why.
pub(super) fn failure(file: &Path, error: StoreError) -> Failure {
    let why = match error {
        StoreError::Broken(why) => why,
        other => other.to_string(),
    };
    Failure::new(format!("{}: {why}", file.display()))
}

/// Refuses to serve as root from the directory of the service's user.
pub(super) fn refuse_root(file: &Path) -> Result<(), Failure> {
    let is_user = || User::from_name(USER).is_ok_and(|user| user.is_some());
    match geteuid().is_root() && is_services(file) && is_user() {
        false => Ok(()),
        true => Err(Failure::new(format!(
            "{} is the user {USER}'s, who could not open what root makes there: `systemctl start {USER}`, or \
             `runuser -u {USER} -- {USER}`",
            file.display()
        ))),
    }
}

fn is_services(file: &Path) -> bool {
    Path::new(DEFAULT_DATABASE).parent().is_some_and(|directory| file.starts_with(directory))
}

/// Whether it can be opened, read and written: by whoever asks, and when that
/// is root by the directory's owner. Nothing is written.
pub(super) fn check(file: &Path) -> Result<(), Failure> {
    let named = |error| failure(file, error);
    sqlite::usable(file, true).map_err(named)?;
    if geteuid().is_root()
        && let Some(why) = sqlite::closed_to_owner(file)
    {
        return Err(Failure::new(why));
    }
    if file.exists() {
        return Sqlite::look(file).map_err(named);
    }
    // The unit's StateDirectory= makes the default one when it starts.
    match file.parent().filter(|directory| directory.as_os_str().is_empty() || directory.is_dir()) {
        Some(_) => Ok(()),
        None if is_services(file) => Ok(()),
        None => Err(Failure::new(format!("{}: its directory does not exist", file.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_services_own_directory_is_closed_to_root() {
        assert!(is_services(Path::new(DEFAULT_DATABASE)));
        assert!(is_services(Path::new("/var/lib/epicore-collector/other.db")));
        assert!(!is_services(Path::new("/var/lib/epicore-collector2/collector.db")));
        assert!(!is_services(Path::new("/srv/collector.db")));
    }
}
