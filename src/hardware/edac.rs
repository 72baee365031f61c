//! Memory errors as the EDAC drivers count them, since boot or a reset.
//!
//! Each controller has an entry, so that "counts zero" and "does not count"
//! differ. A DIMM has one only when it counted something: 64 healthy DIMMs
//! are 3 KB of nothing. Layouts: mcN/dimmN and mcN/rankN (Linux 3.6), before
//! that mcN/csrowN with chN in its file names. Limits: limits::EDAC_ENTRIES.

use super::roots::Roots;
use super::value;
use crate::limits;

const MC: &str = "devices/system/edac/mc";
/// The longest label that is kept (EDAC_MC_LABEL_LEN is 31; BIOSes vary).
const LABEL: usize = 64;

/// Counters of one controller, or of one DIMM that counted something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edac {
    /// "mc0" for a controller, "mc0/dimm3" for a DIMM, "mc0/csrow1/ch0" on
    /// old kernels.
    pub at: String,
    /// dimm_label.
    pub label: Option<String>,
    /// Corrected errors.
    pub ce: Option<u64>,
    /// Uncorrected errors.
    pub ue: Option<u64>,
}

/// All controllers, each followed by its DIMMs; the flag: there were more
/// files than the limit allows to look at.
pub(super) fn edac(roots: &Roots) -> (Vec<Edac>, bool) {
    let mut entries = Vec::new();
    let mut looked_at = 0usize;
    for controller in roots.sys_numbered(MC, "mc") {
        let at = format!("mc{controller}");
        let (ce, ue) = (number(roots, &at, "ce_count"), number(roots, &at, "ue_count"));
        if ce.is_none() && ue.is_none() {
            continue;
        }
        entries.push(Edac { at: at.clone(), label: None, ce, ue });
        for dimm in dimms(roots, &at).into_iter().chain(rows(roots, &at)) {
            looked_at = looked_at.saturating_add(1);
            if entries.len() >= limits::EDAC_ENTRIES || looked_at > limits::EDAC_ENTRIES {
                return (entries, true);
            }
            entries.extend(dimm.read(roots));
        }
    }
    (entries, false)
}

/// Where a DIMM's three files are.
struct Dimm {
    at: String,
    directory: String,
    label: String,
    ce: String,
    ue: Option<String>,
}

impl Dimm {
    fn read(self, roots: &Roots) -> Option<Edac> {
        let ce = number(roots, &self.directory, &self.ce);
        let ue = self.ue.and_then(|name| number(roots, &self.directory, &name));
        if ce.unwrap_or(0) == 0 && ue.unwrap_or(0) == 0 {
            return None;
        }
        let label = roots.sys_text(&format!("{MC}/{}/{}", self.directory, self.label)).ok();
        Some(Edac { at: self.at, label: label.and_then(|text| value::words(&text, LABEL)), ce, ue })
    }
}

fn number(roots: &Roots, at: &str, name: &str) -> Option<u64> {
    roots.sys_number(&format!("{MC}/{at}/{name}"))
}

/// mcN/dimmN and mcN/rankN.
fn dimms(roots: &Roots, mc: &str) -> Vec<Dimm> {
    let named = |kind: &str| {
        let numbers = roots.sys_numbered(&format!("{MC}/{mc}"), kind);
        numbers.into_iter().map(|n| format!("{mc}/{kind}{n}")).collect::<Vec<_>>()
    };
    let places = named("dimm").into_iter().chain(named("rank"));
    places
        .map(|at| Dimm {
            directory: at.clone(),
            at,
            label: "dimm_label".to_owned(),
            ce: "dimm_ce_count".to_owned(),
            ue: Some("dimm_ue_count".to_owned()),
        })
        .collect()
}

/// mcN/csrowN/chN_…, where there are no DIMMs. Uncorrected errors are the
/// whole row's, and told with its first channel.
fn rows(roots: &Roots, mc: &str) -> Vec<Dimm> {
    let mut places = Vec::new();
    let directory = format!("{MC}/{mc}");
    if !roots.sys_numbered(&directory, "dimm").is_empty()
        || !roots.sys_numbered(&directory, "rank").is_empty()
    {
        return places;
    }
    for row in roots.sys_numbered(&directory, "csrow") {
        for channel in 0..8 {
            let directory = format!("{mc}/csrow{row}");
            let ce = format!("ch{channel}_ce_count");
            if number(roots, &directory, &ce).is_none() {
                break;
            }
            places.push(Dimm {
                at: format!("{directory}/ch{channel}"),
                directory,
                label: format!("ch{channel}_dimm_label"),
                ce,
                ue: (channel == 0).then(|| "ue_count".to_owned()),
            });
        }
    }
    places
}
