//! How long each question takes over the whole store, through the API.
//!
//! Cold: the collector was started anew and the kernel keeps no page of the
//! database. Warm: the same question again. What is timed is the request until
//! the answer has been read to its end.

use std::time::{Duration, Instant};

use epicore::forward::Api;
use epicore::wire::api::Page;
use serde::de::IgnoredAny;

use super::captured;
use super::ingest;
use super::meter::ms;
use super::options::Options;
use super::place::{Collector, Place};
use super::report::{Report, tail};
use super::statistics::median;

const MOST_MS: f64 = 1000.0;
const PATIENCE: Duration = Duration::from_secs(120);

/// A route and its parameters.
struct Question {
    path: &'static str,
    query: Vec<(&'static str, String)>,
}

pub(crate) fn run(options: &Options, filled: Option<Place>, report: &mut Report) -> Result<(), String> {
    let place = match filled {
        Some(place) => place,
        None => {
            let place = Place::prepare(options)?;
            ingest::fill(options, &place, &captured::records(options).0, None)?;
            place
        }
    };
    let questions = questions(&ask_page(&place)?);
    let (cold_rounds, warm_rounds) = (options.pick(3, 1), options.pick(11, 3));
    report.title(&format!(
        "study: {} records, {} MiB; cold {cold_rounds} ×, warm {warm_rounds} ×; ms",
        options.records,
        place.database_bytes() >> 20
    ));
    report.line(&format!("{:58} {:>8} {:>8}   {:>8} {:>8}", "", "cold p50", "max", "warm p50", "max"));
    let mut worst: (f64, String) = (0.0, String::new());
    for question in &questions {
        let timed =
            cold(&place, question, cold_rounds).and_then(|c| Ok((c, warm(&place, question, warm_rounds)?)));
        let (cold, warm) = match timed {
            Ok(timed) => timed,
            Err(why) => {
                report.not_measured("study", &why);
                continue;
            }
        };
        let ([cold_middle, _, cold_most], [warm_middle, _, warm_most]) = (tail(&cold), tail(&warm));
        let name = question.name();
        report.line(&format!(
            "{name:58} {cold_middle:>8.1} {cold_most:>8.1}   {warm_middle:>8.1} {warm_most:>8.1}"
        ));
        let slow = median(&cold).max(median(&warm));
        if slow > worst.0 {
            worst = (slow, name.clone());
        }
        report.keep(&format!("study, {name}, cold ms"), cold);
        report.keep(&format!("study, {name}, warm ms"), warm);
    }
    let (slow, name) = worst;
    let what = format!(
        "the slowest question, {name}, takes {slow:.0} ms (the worse of both medians): at most {MOST_MS}"
    );
    report.promise(slow <= MOST_MS, &what);
    Ok(())
}

fn api(place: &Place, collector: &Collector) -> Result<Api, String> {
    Api::new(&place.access(collector.address.port(), "admin"), PATIENCE).map_err(|error| error.to_string())
}

fn ask_page(place: &Place) -> Result<Page, String> {
    let collector = place.collector()?;
    let newest = [("limit", "100".to_owned())];
    api(place, &collector)?.get("/v1/records", &newest).map_err(|error| error.to_string())
}

/// Every aggregate, and the first page under every filter: values that many,
/// some and no records have.
fn questions(page: &Page) -> Vec<Question> {
    let record = page.records.first().cloned().unwrap_or_default();
    let text = |text: Option<String>| text.unwrap_or_default();
    let signature = record.signature.map_or_else(String::new, |hex| format!("{:016x}", hex.0));
    let day = 86_400_000_000_000;
    let of = |path, query: &[(&'static str, String)]| Question { path, query: query.to_vec() };
    let records = |query: &[(&'static str, String)]| of("/v1/records", query);
    vec![
        of("/v1/study", &[]),
        of("/v1/signatures", &[]),
        of("/v1/hosts", &[]),
        of("/v1/attributes", &[]),
        of("/v1/attributes", &[("signature", signature.clone())]),
        of("/v1/exposure", &[]),
        records(&[]),
        records(&[("order", "oldest".to_owned())]),
        records(&[("host", record.host.clone())]),
        records(&[("host", "web-00*".to_owned())]),
        records(&[("unit", text(record.unit))]),
        records(&[("exe", text(record.exe.clone()))]),
        records(&[("exe", text(record.comm))]),
        records(&[("signal", "11".to_owned())]),
        records(&[("signal", "63".to_owned())]),
        records(&[("signature", signature.get(..8).unwrap_or("").to_owned())]),
        records(&[("build", record.build.map_or_else(String::new, |id| id.hex()))]),
        records(&[("build", "feedc0de".to_owned())]),
        records(&[
            ("since", (record.at - 10 * day).to_string()),
            ("until", (record.at - 9 * day).to_string()),
        ]),
        records(&[("exe", text(record.exe)), ("signal", "63".to_owned())]),
    ]
}

impl Question {
    fn name(&self) -> String {
        let pairs: Vec<String> = self.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
        let whole = format!("{}{query}", self.path);
        if whole.len() <= 58 { whole } else { whole.chars().take(57).chain(['…']).collect() }
    }

    fn ask(&self, api: &Api) -> Result<f64, String> {
        let began = Instant::now();
        let answer: Result<IgnoredAny, _> = api.get(self.path, &self.query);
        answer.map(|_| ms(began.elapsed())).map_err(|error| format!("{}: {error}", self.name()))
    }
}

fn cold(place: &Place, question: &Question, times: u64) -> Result<Vec<f64>, String> {
    let once = |_| {
        forget_pages(place)?;
        let collector = place.collector()?;
        let api = api(place, &collector)?;
        // The handshake is not the question.
        let _: Result<IgnoredAny, _> = api.get("/v1/nothing", &[]);
        question.ask(&api)
    };
    (0..times).map(once).collect()
}

fn warm(place: &Place, question: &Question, times: u64) -> Result<Vec<f64>, String> {
    let collector = place.collector()?;
    let api = api(place, &collector)?;
    question.ask(&api)?;
    (0..times).map(|_| question.ask(&api)).collect()
}

/// Takes the database out of the kernel's memory.
fn forget_pages(place: &Place) -> Result<(), String> {
    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
    let file = std::fs::File::open(place.path("fleet.db")).map_err(|error| error.to_string())?;
    file.sync_all().map_err(|error| error.to_string())?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).map_err(|errno| errno.to_string())
}
