//! What a caller's thread does with an item before the writer sees it: decode
//! what the columns need, refuse what is nobody's, pack the bytes.

use std::borrow::Cow;

use super::census;
use super::number::{HOUR_NS, clamp, hour, key};
use super::part::{HostPart, Least, Little, Part};
use crate::limits;
use crate::record::workload::{self, short};
use crate::record::{DecodeError, EXPOSURE_SCHEMA, Kind, SCHEMA, decode_part};
use crate::store::{Incoming, Origin};
use crate::wire::ItemKind;
use crate::wire::pack::{UnpackError, is_packed, pack, unpack};

/// Clocks that are no further apart agree: NTP steps, and the time that a
/// batch travels.
const CLOCK_AGREES_NS: i64 = 300_000_000_000;
/// 2020-01-01, before this program was written: a clock that says less was not
/// set yet, as of a machine without one that crashes before NTP.
const CLOCK_UNSET_NS: i64 = 1_577_836_800_000_000_000;
/// The longest build-id and machine-id that is kept.
const ID_BYTES: usize = 64;
/// The longest container id: runtimes use 64 hexadecimal digits.
const CONTAINER_BYTES: usize = 128;

/// One item, ready for the writer.
#[derive(Debug)]
pub(super) enum Prepared {
    Crash(Box<CrashRow>),
    Exposure(Box<census::Report>),
    Refused([u8; 16], String),
    Later([u8; 16], String),
}

impl Prepared {
    /// About how many rows the writer changes for it.
    pub(super) fn cost(&self) -> u64 {
        match self {
            Prepared::Crash(_) => CRASH,
            Prepared::Exposure(report) => report.cost(),
            Prepared::Refused(..) | Prepared::Later(..) => 1,
        }
    }

    pub(super) fn id(&self) -> [u8; 16] {
        match self {
            Prepared::Crash(row) => row.item.id,
            Prepared::Exposure(report) => report.item.id,
            Prepared::Refused(id, _) | Prepared::Later(id, _) => *id,
        }
    }
}

/// Row updates of a crash: its row and indexes, its body, roll-up and host.
const CRASH: u64 = 10;

/// What crashes and exposure reports have in common.
#[derive(Debug, Default)]
pub(super) struct ItemRow {
    pub id: [u8; 16],
    pub host: String,
    pub mid: Vec<u8>,
    pub at: i64,
    pub received: i64,
    pub clock: i64,
    pub hour: i64,
    /// The moment of `hour`: corrected and clamped.
    pub moment: i64,
    pub shifted: bool,
    pub kernel: Option<String>,
    pub model: Option<String>,
    pub microcode: Option<i64>,
    pub packed: Vec<u8>,
}

/// A crash's columns, texts not yet numbers.
#[derive(Debug, Default)]
pub(super) struct CrashRow {
    pub item: ItemRow,
    pub v: u16,
    pub unit: Option<String>,
    pub container: Option<String>,
    pub exe: Option<String>,
    pub comm: Option<String>,
    pub build: Option<Vec<u8>>,
    pub workload: Option<String>,
    pub signal: Option<u32>,
    pub code: Option<i32>,
    pub addr: Option<i64>,
    pub uid: Option<u32>,
    pub signature: i64,
    pub functions: Option<i64>,
    pub culprit: Option<String>,
    pub cpu: Option<u32>,
    pub core: i64,
    pub private: bool,
    pub minimal: bool,
}

/// Makes an item ready, or says why it will never be taken.
pub(super) fn prepare(origin: &Origin, mut item: Incoming) -> Prepared {
    let packed = match open(&mut item) {
        Ok(packed) => packed,
        // Whoever updates this program has it sent again.
        Err(UnpackError::Newer(how)) => {
            return Prepared::Later(
                item.id,
                format!("packed by a later epicored ({how}): update the collector"),
            );
        }
        Err(error) => return Prepared::Refused(item.id, error.to_string()),
    };
    let made = match item.kind {
        ItemKind::Crash => crash(origin, &item, packed).map(|row| Prepared::Crash(Box::new(row))),
        ItemKind::Exposure => {
            census::report(origin, &item, packed).map(|row| Prepared::Exposure(Box::new(row)))
        }
    };
    made.unwrap_or_else(|why| Prepared::Refused(item.id, why))
}

/// What is stored is what was sent, if it was packed; the item then holds what
/// can be read.
fn open(item: &mut Incoming) -> Result<Vec<u8>, UnpackError> {
    if !is_packed(&item.body) {
        return Ok(pack(&item.body));
    }
    let plain = unpack(&item.body)?;
    Ok(std::mem::replace(&mut item.body, plain))
}

fn crash(origin: &Origin, item: &Incoming, packed: Vec<u8>) -> Result<CrashRow, String> {
    let part = part(&item.body)?;
    identity(origin, item, part.id, &part.host)?;
    let process = &part.process;
    let own = |text: Option<&str>| text.map(|text| short(text).into_owned());
    Ok(CrashRow {
        item: ItemRow {
            packed,
            ..row(origin, item, part.at, &part.host, part.hardware.model, part.hardware.microcode)
        },
        v: part.v,
        unit: own(process.unit),
        container: process.container.filter(|id| id.len() <= CONTAINER_BYTES).map(str::to_owned),
        exe: own(process.exe),
        comm: own(process.comm),
        build: build(process.build),
        workload: workload::of(None, process.unit, process.exe).map(Cow::into_owned),
        signal: part.crash.signal,
        code: part.crash.code,
        addr: part.crash.addr.map(key),
        uid: part.crash.uid,
        signature: key(part.signature().unwrap_or(0)),
        functions: part.keys.functions.map(key),
        culprit: part.culprit(),
        cpu: part.crash.cpu,
        core: part.core().unwrap_or(-1),
        private: part.private,
        minimal: part.kind == Kind::Minimal,
    })
}

/// A build-id as a column keeps it.
pub(super) fn build(id: Option<&[u8]>) -> Option<Vec<u8>> {
    id.filter(|id| !id.is_empty() && id.len() <= ID_BYTES).map(<[u8]>::to_vec)
}

/// A newer schema may have given a key another type: then as much as can be
/// read. One that is not newer must be readable.
fn part(body: &[u8]) -> Result<Part<'_>, String> {
    let error = match decode_part::<Part<'_>>(body) {
        Ok(part) => return Ok(part),
        Err(error) => error,
    };
    if newest(body, &error)? <= SCHEMA {
        return Err(error.to_string());
    }
    // Nobody knows whether it is private: then it is.
    let least = || {
        let least = decode_part::<Least<'_>>(body)?;
        Ok(Little { v: least.v, id: least.id, private: true, ..Little::default() })
    };
    let little = decode_part::<Little<'_>>(body)
        .or_else(|_| least())
        .map_err(|error: DecodeError| error.to_string())?;
    Ok(Part {
        v: little.v,
        id: little.id,
        // Its kind is not known: only one that says "minimal" gives way.
        kind: Kind::Full,
        private: little.private,
        at: little.at,
        host: little.host,
        ..Part::default()
    })
}

/// The version that a body claims, when it is MessagePack at all.
pub(super) fn newest(body: &[u8], error: &DecodeError) -> Result<u16, String> {
    decode_part::<Least<'_>>(body).map(|least| least.v).map_err(|_| error.to_string())
}

/// A body is its item's and its sender's, or it is refused.
pub(super) fn identity(
    origin: &Origin,
    item: &Incoming,
    id: &[u8],
    host: &HostPart<'_>,
) -> Result<(), String> {
    if item.body.len() > limits::RECORD_BYTES {
        return Err(DecodeError::TooLarge(item.body.len()).to_string());
    }
    if id != item.id {
        return Err("the record's own id is another than the item's".to_owned());
    }
    match host.name {
        Some(name) if name != origin.host => {
            Err(format!("the record is of host {:?}, the sender is {:?}", short(name), short(&origin.host)))
        }
        _ => Ok(()),
    }
}

/// The common columns but for the body. A clock that is more than five minutes
/// off is corrected by what the batch told; nothing has happened in the future, and what says
/// that it was before this program happened when it came: taken at its word it
/// would be too old to be kept.
pub(super) fn row(
    origin: &Origin,
    item: &Incoming,
    at: Option<u64>,
    host: &HostPart<'_>,
    model: Option<&str>,
    microcode: Option<u64>,
) -> ItemRow {
    let received = clamp(origin.received);
    let told = at.map_or(received, clamp);
    let wrong = origin.clock_ns.saturating_abs() > CLOCK_AGREES_NS;
    let corrected = if wrong { told.saturating_sub(origin.clock_ns) } else { told };
    let corrected = if corrected < CLOCK_UNSET_NS { received } else { corrected };
    let moment = corrected.min(received);
    let own = |text: Option<&str>| text.map(|text| short(text).into_owned());
    ItemRow {
        id: item.id,
        host: short(host.name.unwrap_or(&origin.host)).into_owned(),
        mid: mid(origin, host),
        at: told,
        received,
        clock: origin.clock_ns,
        hour: hour(moment),
        moment,
        shifted: at.is_none() || hour(moment) != told.div_euclid(HOUR_NS),
        kernel: own(host.kernel),
        model: own(model),
        microcode: microcode.map(key),
        packed: Vec::new(),
    }
}

fn mid(origin: &Origin, host: &HostPart<'_>) -> Vec<u8> {
    let told = host.mid.filter(|mid| mid.len() <= ID_BYTES).map(<[u8]>::to_vec);
    told.or_else(|| origin.mid.map(|mid| mid.to_vec())).unwrap_or_default()
}

/// True when this program writes a schema at least as new.
pub(super) fn readable_exposure(v: u16) -> bool {
    v <= EXPOSURE_SCHEMA
}
