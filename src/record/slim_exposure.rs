//! What a study reads of an exposure report: everything but serials, CPU times and what it
//! does not need of a living process.

use super::workload;
use super::{Control, Edac, Exposure, Hardware, Host, Process, Running};

/// The report with one name for each thing that ran. Whether the control is privileged is not
/// in a report, so that each is taken for it: what stays of it is what `running` tells as well.
pub fn slim_exposure(report: Exposure) -> Exposure {
    let control = report.control.map(|control| {
        let process = self::process(control.process, &report.images);
        Control { process, of: control.of, cpu: None }
    });
    let edac = |edac: Edac| Edac { ce: edac.ce, ue: edac.ue, ..Edac::default() };
    Exposure {
        v: report.v,
        id: report.id,
        realtime_ns: report.realtime_ns,
        boottime_ns: report.boottime_ns,
        since_ns: report.since_ns,
        host: Host { mid: None, ..report.host },
        hardware: Hardware {
            model_name: report.hardware.model_name,
            microcode: report.hardware.microcode,
            cores: report.hardware.cores,
            edac: report.hardware.edac.into_iter().map(edac).collect(),
            ..Hardware::default()
        },
        labels: report.labels,
        running: report.running.into_iter().map(running).collect(),
        images: report.images,
        control,
        ..Exposure::default()
    }
}

/// Image, else unit, else executable: the one that it is counted by.
fn running(mut running: Running) -> Running {
    if running.image.is_some() {
        running.unit = None;
    }
    if running.image.is_some() || running.unit.is_some() {
        running.exe = None;
    }
    Running { threads: 0, ..running }
}

/// The same of the control. Of a unit that was made for one container or session, the id
/// becomes `*`.
fn process(process: Process, images: &[(String, String)]) -> Process {
    let named = |own: &String| images.iter().any(|(container, _)| container == own);
    let container = process.container.filter(named);
    let unit = process.unit.filter(|_| container.is_none());
    let exe = process.exe.filter(|_| container.is_none() && unit.is_none());
    let unit = unit.and_then(|unit| workload::of(None, Some(&unit), None).map(|unit| unit.into_owned()));
    Process { container, unit, exe, build_id: process.build_id, ..Process::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{CpuTime, Hex, Id, Serials};

    fn texts(container: &str, image: &str) -> Vec<(String, String)> {
        vec![(container.to_owned(), image.to_owned())]
    }

    fn with_control(process: Process) -> Process {
        let control = Some(Control { process, cpu: Some(3), of: 40 });
        let report = Exposure { control, images: texts("c1", "web:4"), ..Exposure::default() };
        let slim = slim_exposure(report).control.unwrap();
        assert_eq!((slim.cpu, slim.of), (None, 40));
        slim.process
    }

    #[test]
    fn of_the_control_one_name_and_the_build_stay() {
        let text = |text: &str| Some(text.to_owned());
        let full = Process {
            comm: text("su"),
            exe: text("/usr/bin/su"),
            cgroup: text("/user.slice/x"),
            unit: text("session-42.scope"),
            user_unit: text("mine.service"),
            euid: Some(0),
            start_ns: Some(7),
            build_id: Some(Id(vec![1])),
            ..Process::default()
        };
        let build_id = full.build_id.clone();
        let expected = Process { unit: text("session-*.scope"), build_id, ..Process::default() };
        assert_eq!(with_control(full.clone()), expected);
        let contained = Process { container: text("c1"), ..full.clone() };
        assert_eq!(
            with_control(contained),
            Process { container: text("c1"), unit: None, ..expected.clone() }
        );
        // Of an image that nobody knows the container says nothing.
        let unknown = Process { container: text("c2"), ..full.clone() };
        assert_eq!(with_control(unknown), expected);
        let bare = Process { unit: None, ..full };
        assert_eq!(with_control(bare), Process { unit: None, exe: text("/usr/bin/su"), ..expected });
    }

    #[test]
    fn serials_and_cpu_times_go_and_what_a_study_counts_stays() {
        let report = Exposure {
            v: 1,
            since_ns: Some(1),
            boottime_ns: Some(2),
            host: Host { name: Some("web-1".into()), mid: Some(Id(vec![9])), ..Host::default() },
            hardware: Hardware {
                model_name: Some("a model".into()),
                microcode: Some(Hex(5)),
                stepping: Some(2),
                cores: Some(8),
                edac: vec![Edac {
                    at: "mc0".into(),
                    label: Some("A2".into()),
                    ce: Some(3),
                    ..Edac::default()
                }],
                ..Hardware::default()
            },
            serials: Serials { board: Some(Id(vec![1; 8])), ..Serials::default() },
            labels: texts("rack", "7"),
            cpus: CpuTime { cpu: vec![0], busy_ms: vec![9], ..CpuTime::default() },
            running: vec![Running {
                unit: Some("a.service".into()),
                exe: Some("/a".into()),
                n: 2,
                threads: 9,
                ..Running::default()
            }],
            ..Exposure::default()
        };
        let slim = slim_exposure(report.clone());
        let gone = (&slim.host.mid, &slim.serials, &slim.cpus, slim.hardware.stepping);
        assert_eq!(gone, (&None, &Serials::default(), &CpuTime::default(), None));
        let kept = (slim.v, slim.since_ns, slim.boottime_ns, &slim.host.name, &slim.labels);
        assert_eq!(kept, (1, Some(1), Some(2), &report.host.name, &report.labels));
        assert_eq!(slim.hardware.edac, [Edac { ce: Some(3), ..Edac::default() }]);
        let ran = Running { unit: Some("a.service".into()), n: 2, ..Running::default() };
        assert_eq!(slim.running, [ran]);
    }
}
