//! A census of a machine with a thousand more processes: the CPU time of
//! `epicore-handler --census`, as wait4(2) tells it.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use epicore::spool::initialise;

use super::meter::{ms, reaped_cpu};
use super::options::Options;
use super::place::program;
use super::report::{Report, spread, tail};
use super::statistics::median;

const PROCESSES: usize = 1000;
/// Different files, as different services are.
const EXECUTABLES: usize = 40;
const MOST_MS: f64 = 50.0;

pub(crate) fn run(options: &Options, report: &mut Report) -> Result<(), String> {
    let handler = program("epicore-handler")?;
    let dir = tempfile::Builder::new().prefix("epicore-fleet-").tempdir_in(&options.at);
    let dir = dir.map_err(|error| error.to_string())?;
    let path = |name: &str| dir.path().join(name);
    for name in ["spool", "run", "bin"] {
        std::fs::create_dir(path(name)).map_err(|error| error.to_string())?;
    }
    initialise(&path("spool"), None).map_err(|error| error.to_string())?;
    let sleep = which("sleep").ok_or("there is no sleep(1)")?;
    let mut sleepers = Sleepers(Vec::new());
    for n in 0..PROCESSES {
        let copy = path("bin").join(format!("service-{}", n % EXECUTABLES));
        if n < EXECUTABLES {
            std::fs::copy(&sleep, &copy).map_err(|error| error.to_string())?;
        }
        let child = Command::new(copy).arg("3600").stdin(Stdio::null()).spawn();
        sleepers.0.push(child.map_err(|error| error.to_string())?);
    }
    std::thread::sleep(Duration::from_secs(1));
    let runs = options.pick(20, 5);
    let samples: Result<Vec<f64>, String> = (0..runs)
        .map(|_| {
            let before = reaped_cpu();
            let mut census = Command::new(&handler);
            census.arg("--census").arg("--spool").arg(path("spool")).arg("--run").arg(path("run"));
            let done = census.output().map_err(|error| error.to_string())?;
            if !done.status.success() {
                return Err(String::from_utf8_lossy(&done.stderr).into_owned());
            }
            Ok(ms(reaped_cpu() - before))
        })
        .collect();
    let samples = samples?;
    let all = std::fs::read_dir("/proc").map_or(0, |proc| {
        proc.flatten().filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok()).count()
    });
    let (middle, [_, _, most]) = (median(&samples), tail(&samples));
    report.title(&format!(
        "census: {PROCESSES} sleeping processes of {EXECUTABLES} executables ({all} in all), {runs} runs"
    ));
    report.line(&format!("{} ms of CPU, at most {most:.1}", spread(&samples, 1)));
    report.keep("census, ms of CPU", &samples);
    report.promise(
        middle <= MOST_MS,
        &format!("a census of {all} processes takes {middle:.1} ms of CPU (median): at most {MOST_MS}"),
    );
    Ok(())
}

fn which(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Processes that end with this value.
struct Sleepers(Vec<Child>);

impl Drop for Sleepers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
        }
        for child in &mut self.0 {
            let _ = child.wait();
        }
    }
}
