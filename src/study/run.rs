//! The study on one screen.

use std::collections::HashSet;

use super::findings::{Bug, Study, VERSION};
use super::gather::{Directory, Heard};
use super::rulings::{self, Told};
use super::{bugs, changed, machines, map};
use crate::epidemiology::episode::{self, Chain};
use crate::epidemiology::exposure::Background;
use crate::epidemiology::population::Population;
use crate::epidemiology::signature::Merged;
use crate::epidemiology::suspicion;
use crate::epidemiology::verdict::{self, Known};

/// Below so many hosts no host can stand out from the others.
const FEW_HOSTS: usize = 20;

/// Everything that can be said of this population.
pub fn study(population: &Population, directory: &Directory, heard: Heard, until: u64) -> Study {
    study_knowing(population, directory, heard, until, &[])
}

/// The same, with what people found out.
pub fn study_knowing(
    population: &Population,
    directory: &Directory,
    heard: Heard,
    until: u64,
    told: &[Told],
) -> Study {
    let merged = Merged::of(population);
    let episodes = merged.rename(episode::episodes(population, Chain::default()));
    let mut background = Background::of(population, &episodes);
    let kind = machines::kind(population);
    let told = rulings::understood(told, population, directory, &merged);
    let verdicts: Vec<verdict::Verdict> = told.iter().map(|(verdict, _)| *verdict).collect();
    let known = Known::of(&verdicts, &episodes, &mut background);
    let rulings = rulings::rulings(&told, &known.crashes, &background);
    let confirmed = known.confirmed.clone();
    let judged = suspicion::suspects_knowing(population, &mut background, &kind, known);
    let found = machines::machines(population, &background, &judged, directory, &rulings);
    let limits = limits(population, &heard, &background);
    let mut bugs = bugs::bugs(population, &episodes, &judged.judge.likelihood, directory, &merged, None);
    rulings::settle(&mut bugs, &rulings);
    let map = map::map(population, &episodes, directory, (&found, &bugs));
    let earlier: HashSet<&str> = population
        .earlier
        .iter()
        .filter_map(|crash| directory.signatures.get(usize::try_from(merged.name(crash.signature)).ok()?))
        .map(String::as_str)
        .collect();
    Study {
        v: VERSION,
        since: directory.since,
        until,
        hosts: population.hosts.len() as u64,
        crashes: heard.crashes,
        episodes: episodes.len() as u64,
        signatures: directory.signatures.len() as u64,
        merged: merged.merges.len() as u64,
        machines: found,
        rulings,
        errata: machines::errata(population, &judged),
        changed: changed::changed(&bugs, until, &changed::Time::of(population), &earlier),
        bugs,
        map,
        declared_fdr: machines::declared_fdr(&judged, &confirmed),
        limits,
        heard,
    }
}

/// What can be said of one signature.
pub fn study_signature(population: &Population, directory: &Directory, signature: &str) -> Option<Bug> {
    let number = directory.signatures.iter().position(|own| own == signature)?;
    let merged = Merged::of(population);
    let episodes = merged.rename(episode::episodes(population, Chain::default()));
    let mut background = Background::of(population, &episodes);
    let judged = suspicion::suspects(population, &mut background, &machines::kind(population));
    let only = u32::try_from(number).ok().map(|number| merged.name(number));
    bugs::bugs(population, &episodes, &judged.judge.likelihood, directory, &merged, only).pop()
}

/// What cannot be concluded.
fn limits(population: &Population, heard: &Heard, background: &Background) -> Vec<String> {
    let mut limits = Vec::new();
    let mut say = |text: String| limits.push(text);
    let hosts = population.hosts.len();
    if background.uniform {
        say(
            "no census: how long anything ran is unknown. Every host counts the same, no rate can be given, \
             and what a bug needs is looked for among other crashes, not among what ran; let \
             epicore-census.timer run, and the next study has denominators."
                .to_owned(),
        );
    } else if heard.unobserved > 0 {
        say(format!(
            "{} of {hosts} hosts sent no census: their crashes count, their hours do not.",
            heard.unobserved
        ));
    }
    if heard.capped > 0 {
        say(format!(
            "{} of {hosts} hosts told of more than 20 times as many processes of a unit as hosts usually run: \
             they count as 20 times as many.",
            heard.capped
        ));
    }
    if heard.labels > 0 {
        say(format!("{} labels that few hosts have are left out.", heard.labels));
    }
    if hosts < FEW_HOSTS {
        say(format!(
            "{hosts} hosts: too few for one to stand out by what only it shows. Only evidence of single \
             crashes and their cores can say something of a machine."
        ));
    }
    let part = |count: u64| count as f64 / heard.crashes.max(1) as f64;
    if heard.crashes > 0 && part(heard.coreless) > 0.3 {
        say(format!(
            "{:.0} % of the crashes have no known core: a single bad core is hard to see.",
            100.0 * part(heard.coreless)
        ));
    }
    if part(heard.keyless) > 0.05 {
        say(format!("{} crashes have no stack, and so no signature: they are left out.", heard.keyless));
    }
    if heard.outside > 0 {
        say(format!(
            "{} records or censuses are outside the window, or have no time: they are left out. A clock that \
             is off by hours looks like this.",
            heard.outside
        ));
    }
    if heard.unread > 0 {
        say(format!(
            "{} records could not be read (damaged, of a newer version, or the collector keeps only their \
             columns any more): they are left out.",
            heard.unread
        ));
    }
    if heard.private > 0 {
        say(format!(
            "{} crashes of privileged processes are left out: --private, with a token of the role admin.",
            heard.private
        ));
    }
    if heard.nameless > 0 {
        say(format!("{} records or censuses name no host: they are left out.", heard.nameless));
    }
    limits
}
