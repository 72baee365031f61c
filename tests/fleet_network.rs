//! Several hosts, each behind a link of its own, and one collector: what a
//! cable that is pulled out costs. They share a machine-id, as clones do.

#[path = "support/collector.rs"]
mod collector;
#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/network.rs"]
mod network;

use collector::{Collector, Options};
use daemon::{Daemon, Place, record};
use epicore::daemon::Activity;
use epicore::forward::Cause;
use network::Network;

const HOSTS: [&str; 2] = ["web-1", "web-2"];
const EACH: u64 = 40;

/// The daemon of a host, with records that name it.
fn start(network: &Network, collector: &Collector, host: &str) -> (Place, Daemon) {
    let place = Place::new();
    std::fs::write(place.path("token"), collector.token("ingest", host)).unwrap();
    std::fs::write(place.path("ca.pem"), &collector.ca_pem).unwrap();
    let url = format!("https://{}:{}", network.address(host), collector.address.port());
    let files = format!(
        "token_file = \"{}\"\nca_file = \"{}\"\n[forward]\ntimeout_seconds = 5\n",
        place.path("token").display(),
        place.path("ca.pem").display()
    );
    place.configure(Some(&url), &files);
    let mut command = network.on(host, env!("CARGO_BIN_EXE_epicored"));
    command.arg("--config").arg(place.path("epicore.toml"));
    command.env_remove("NOTIFY_SOCKET").env_remove("JOURNAL_STREAM").env_remove("WATCHDOG_USEC");
    let daemon = place.start_as(command);
    (place, daemon)
}

fn crash(place: &Place, host: &str, numbers: std::ops::Range<u64>) {
    for n in numbers {
        let mut record = record(n);
        record.host.name = Some(host.to_owned());
        record.crash.signal = Some(11);
        place.put(&record, false);
    }
}

fn all_sent(daemon: &Daemon, count: u64) -> bool {
    let status = daemon.status();
    status.crashes.sent == count && status.activity == Activity::Idle
}

/// Names and ids of all crashes, as somebody on a host sees them.
fn listed(network: &Network, collector: &Collector, host: &str) -> Vec<(String, String)> {
    collector.write("reader", &collector.token("read", "mia"));
    collector.write("reader-ca.pem", &collector.ca_pem);
    let mut command = network.on(host, env!("CARGO_BIN_EXE_epicore"));
    command.args(["list", "--json", "-n", "1000", "--remote"]);
    command.arg(format!("https://{}:{}", network.address(host), collector.address.port()));
    command.arg("--token-file").arg(collector.path("reader"));
    command.arg("--ca-file").arg(collector.path("reader-ca.pem"));
    let done = command.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let lines = String::from_utf8(done.stdout).unwrap();
    let crashes = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut all: Vec<_> = crashes.map(|crash| (text(&crash["host"]), text(&crash["id"]))).collect();
    all.sort();
    all
}

#[test]
fn a_pulled_cable_costs_its_host_time_and_the_others_nothing() {
    let network = match Network::of(&HOSTS) {
        Ok(network) => network,
        Err(why) => return println!("skipped: {why}"),
    };
    let collector = Collector::start(Options {
        listen: "0.0.0.0:0".to_owned(),
        names: HOSTS.iter().map(|host| network.address(host)).collect(),
        within: ["ip", "netns", "exec", &network.centre()].map(str::to_owned).to_vec(),
        ..Options::default()
    });
    let [mut first, mut second] = HOSTS.map(|host| start(&network, &collector, host));
    crash(&first.0, HOSTS[0], 0..EACH / 2);
    first.1.wait("the first half is there", |daemon| all_sent(daemon, EACH / 2));

    network.link(HOSTS[0], false);
    crash(&first.0, HOSTS[0], EACH / 2..EACH);
    first.1.wait("the outage is told in words", |daemon| {
        let outage = daemon.status().outage;
        outage.is_some_and(|outage| [Cause::Unreachable, Cause::TimedOut].contains(&outage.trouble.cause))
    });
    crash(&second.0, HOSTS[1], 0..EACH);
    second.1.wait("the other host does not notice", |daemon| all_sent(daemon, EACH));
    assert_eq!(second.1.status().outage, None);
    assert_eq!(first.1.status().crashes.pending, EACH / 2, "nothing is given up");

    network.link(HOSTS[0], true);
    first.1.wait("the rest arrives by itself", |daemon| all_sent(daemon, EACH));
    let all = listed(&network, &collector, HOSTS[1]);
    assert_eq!(all.len() as u64, 2 * EACH, "each once");
    let mut ids: Vec<_> = all.iter().map(|(_, id)| id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len() as u64, 2 * EACH);
    for host in HOSTS {
        assert_eq!(all.iter().filter(|(name, _)| name == host).count() as u64, EACH, "of {host}");
    }
}
