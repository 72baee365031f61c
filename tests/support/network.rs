//! Hosts with links of their own: network namespaces on this machine, each
//! joined to the collector's by a pair of veth, gone when dropped.
//!
//! Needs root and ip(8). Addresses are 10.71.N.0/30, and exist only inside.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::process::{Command, Output};

/// The collector's namespace, and one for each host.
pub struct Network {
    tag: String,
    hosts: Vec<String>,
}

impl Network {
    /// None, and why, where it cannot be had.
    pub fn of(hosts: &[&str]) -> Result<Network, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("network namespaces need root".to_owned());
        }
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        let network = Network { tag: format!("epi{}", std::process::id()), hosts };
        let centre = network.centre();
        ip(&format!("netns add {centre}"))?;
        ip(&format!("-n {centre} link set lo up"))?;
        for (number, host) in network.hosts.iter().enumerate() {
            let edge = network.edge(host);
            ip(&format!("netns add {edge}"))?;
            ip(&format!("link add wire netns {edge} type veth peer name to{number} netns {centre}"))?;
            // From here on nothing is the machine's to refuse.
            let must = |words: String| ip(&words).unwrap();
            must(format!("-n {edge} address add 10.71.{number}.2/30 dev wire"));
            must(format!("-n {edge} link set lo up"));
            must(format!("-n {edge} link set wire up"));
            must(format!("-n {centre} address add 10.71.{number}.1/30 dev to{number}"));
            must(format!("-n {centre} link set to{number} up"));
        }
        Ok(network)
    }

    /// The namespace that all links lead to.
    pub fn centre(&self) -> String {
        format!("{}-centre", self.tag)
    }

    fn edge(&self, host: &str) -> String {
        format!("{}-{host}", self.tag)
    }

    /// The centre's address as this host sees it.
    pub fn address(&self, host: &str) -> String {
        format!("10.71.{}.1", self.number(host))
    }

    fn number(&self, host: &str) -> usize {
        self.hosts.iter().position(|known| known == host).unwrap()
    }

    /// Takes the host's cable out, or puts it back.
    pub fn link(&self, host: &str, up: bool) {
        let state = if up { "up" } else { "down" };
        ip(&format!("-n {} link set to{} {state}", self.centre(), self.number(host))).unwrap();
    }

    /// A program on that host, under its name.
    pub fn on(&self, host: &str, program: &str) -> Command {
        let mut command = Command::new("ip");
        let script = "hostname \"$1\" && shift && exec \"$@\"";
        command.args(["netns", "exec", &self.edge(host), "unshare", "--uts", "sh", "-c", script, "sh", host]);
        command.arg(program);
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in &self.hosts {
            let _ = ip(&format!("netns delete {}", self.edge(host)));
        }
        let _ = ip(&format!("netns delete {}", self.centre()));
    }
}

fn ip(words: &str) -> Result<(), String> {
    let done = Command::new("ip").args(words.split(' ')).output();
    let Output { status, stderr, .. } = done.map_err(|error| format!("ip: {error}"))?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("ip {words}: {}", String::from_utf8_lossy(&stderr).trim())),
    }
}
