//! The machine's answers, in the record's words.

use super::evidence::Evidence;
use crate::hardware::Roots;
use crate::record::Record;

/// Adds host and hardware.
pub(super) fn ask(record: &mut Record, evidence: &Evidence, roots: &Roots) {
    let _ = (record, evidence, roots);
}
