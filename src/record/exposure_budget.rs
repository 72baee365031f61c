//! What is dropped first when an exposure report is larger than it may be.
//!
//! [`fit_exposure`] gives the report's bytes, never more than
//! limits::RECORD_BYTES. Workloads with the fewest processes go first, and
//! with them the images that nothing refers to any longer are the next; each
//! cut is a gap with its number, so that a denominator that is missing is known
//! to be missing. A host of 200 units is 20 KB.

use super::{EncodeError, Exposure, encode_exposure};
use crate::gap::{Gap, Stage};
use crate::limits;

/// The longest text: a path is 4,096 at most, and a container may choose it.
const TEXT: usize = 512;

/// The report as bytes, cut until they are at most limits::RECORD_BYTES.
pub fn fit_exposure(exposure: &mut Exposure) -> Result<Vec<u8>, EncodeError> {
    let cut = texts(exposure);
    gap(exposure, "texts cut", cut);
    let over = exposure.gaps.len().saturating_sub(limits::GAPS);
    exposure.gaps.truncate(limits::GAPS);
    gap(exposure, "further gaps left out", over as u64);
    exposure.running.sort_by(|a, b| (b.n, &a.unit, &a.image, &a.exe).cmp(&(a.n, &b.unit, &b.image, &b.exe)));
    unname(exposure);
    let mut bytes = encode_exposure(exposure)?;
    while bytes.len() > limits::RECORD_BYTES {
        if !halve(exposure) {
            exposure.control = None;
            exposure.labels.clear();
            exposure.hardware = Default::default();
            exposure.gaps.clear();
        }
        unname(exposure);
        let smaller = encode_exposure(exposure)?;
        if smaller.len() >= bytes.len() {
            break;
        }
        bytes = smaller;
    }
    Ok(bytes)
}

/// Half of the longest list goes; false when there is none left.
fn halve(exposure: &mut Exposure) -> bool {
    let (running, images) = (exposure.running.len(), exposure.images.len());
    if running.max(images) > 1 && running >= images {
        let gone = exposure.running.split_off(running.div_ceil(2));
        let processes = gone.iter().map(|running| u64::from(running.n)).fold(0, u64::saturating_add);
        gap(exposure, "processes of workloads left out", processes);
    } else if images > 1 {
        let gone = exposure.images.split_off(images.div_ceil(2));
        gap(exposure, "container images left out", gone.len() as u64);
    } else if !exposure.cpus.cpu.is_empty() {
        let gone = exposure.cpus.cpu.len();
        exposure.cpus = Default::default();
        gap(exposure, "CPU times left out", gone as u64);
    } else {
        return false;
    }
    true
}

/// Paths of suppressed executables go with the workloads that told them.
fn unname(exposure: &mut Exposure) {
    let Exposure { lost, running, .. } = exposure;
    for by in &mut lost.by {
        by.exe = by.exe.take().filter(|exe| running.iter().any(|running| running.exe.as_ref() == Some(exe)));
    }
}

fn gap(exposure: &mut Exposure, reason: &str, count: u64) {
    if count == 0 {
        return;
    }
    match exposure.gaps.iter_mut().find(|gap| gap.stage == Stage::Record && gap.reason == reason) {
        Some(gap) => gap.count = Some(gap.count.unwrap_or(0).saturating_add(count)),
        None => exposure.gaps.push(Gap::counted(Stage::Record, reason, count)),
    }
}

fn texts(exposure: &mut Exposure) -> u64 {
    let mut count = 0u64;
    let mut cut = |text: &mut String| {
        if text.len() > TEXT {
            let end = (0..=TEXT).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(end.unwrap_or(0));
            text.push('…');
            count = count.saturating_add(1);
        }
    };
    for running in &mut exposure.running {
        [&mut running.unit, &mut running.image, &mut running.exe].into_iter().flatten().for_each(&mut cut);
    }
    exposure.lost.by.iter_mut().filter_map(|by| by.exe.as_mut()).for_each(&mut cut);
    exposure.images.iter_mut().for_each(|(_, image)| cut(image));
    if let Some(control) = &mut exposure.control {
        let process = &mut control.process;
        [&mut process.comm, &mut process.thread_comm, &mut process.exe, &mut process.cgroup]
            .into_iter()
            .chain([&mut process.unit, &mut process.user_unit])
            .flatten()
            .for_each(&mut cut);
    }
    exposure.gaps.iter_mut().for_each(|gap| cut(&mut gap.reason));
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Running, SuppressedBy, decode_exposure};

    #[test]
    fn a_suppressed_executable_is_named_only_where_the_report_names_it_anyway() {
        let by = |exe: &str| SuppressedBy { exe: Some(exe.to_owned()), n: 1, ..SuppressedBy::default() };
        let running = vec![Running { exe: Some("/told".into()), n: 1, ..Running::default() }];
        let mut exposure = Exposure { running, ..Exposure::default() };
        exposure.lost.by = vec![by("/told"), by("/untold")];
        fit_exposure(&mut exposure).unwrap();
        let names: Vec<_> = exposure.lost.by.iter().map(|by| by.exe.as_deref()).collect();
        assert_eq!(names, [Some("/told"), None]);
    }

    #[test]
    fn a_report_of_any_size_fits_and_says_what_it_left_out() {
        let mut exposure = Exposure::default();
        for n in 0..20_000u32 {
            exposure.running.push(Running {
                exe: Some(format!("/{n}/{}", "x".repeat(4000))),
                n,
                ..Running::default()
            });
            exposure.images.push((format!("{n:064}"), "y".repeat(600)));
        }
        let bytes = fit_exposure(&mut exposure).unwrap();
        assert!(bytes.len() <= limits::RECORD_BYTES, "{}", bytes.len());
        let read = decode_exposure(&bytes).unwrap();
        assert_eq!(read, exposure);
        // The busiest stay, and no process is lost without being counted.
        assert_eq!(read.running.first().map(|running| running.n), Some(19_999));
        let kept: u64 = read.running.iter().map(|running| u64::from(running.n)).sum();
        let of = |reason: &str| read.gaps.iter().find(|gap| gap.reason == reason).and_then(|gap| gap.count);
        let left = of("processes of workloads left out").unwrap();
        assert_eq!(kept + left, (0..20_000u64).sum::<u64>());
        assert!(of("texts cut").is_some());
    }

    #[test]
    fn an_ordinary_report_passes_untouched() {
        let mut exposure =
            Exposure { running: vec![Running { n: 1, ..Running::default() }], ..Exposure::default() };
        let before = exposure.clone();
        fit_exposure(&mut exposure).unwrap();
        assert_eq!(exposure, before);
    }
}
