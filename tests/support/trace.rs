//! What `strace -f -ttt -y -xx -v -s 1000000` wrote, as calls.
//!
//! -xx makes every string hexadecimal, so that nothing a process chose can be
//! taken for strace's own words; -y names the file behind each descriptor.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One system call that returned.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) at: SystemTime,
    pub(crate) name: String,
    /// Between the parentheses, as written.
    pub(crate) args: String,
    /// After the `=`.
    pub(crate) result: String,
}

/// One process's calls, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace {
    pub(crate) calls: Vec<Call>,
    /// When it ended.
    pub(crate) ended: Option<SystemTime>,
    /// Lines that are neither calls, signals nor ends.
    pub(crate) strange: Vec<String>,
}

impl Trace {
    pub(crate) fn parse(bytes: &[u8]) -> Trace {
        let mut trace = Trace::default();
        for line in String::from_utf8_lossy(bytes).lines() {
            trace.line(line);
        }
        // What the observer did before it became the handler is not its own.
        let exec = trace.calls.iter().position(|call| call.name == "execve");
        trace.calls.drain(..exec.unwrap_or(0));
        trace
    }

    fn line(&mut self, line: &str) {
        let mut rest = line;
        let mut word = || {
            let (word, after) = rest.trim_start().split_once(' ')?;
            rest = after;
            Some(word)
        };
        let (Some(_pid), Some(stamp)) = (word(), word()) else { return self.strange.push(line.to_owned()) };
        let seconds = stamp.parse::<f64>().unwrap_or(0.0);
        let at = UNIX_EPOCH + Duration::from_secs_f64(seconds);
        if rest.starts_with("+++") {
            self.ended = Some(at);
        } else if rest.starts_with("---") {
            // a signal
        } else if let Some(call) = call(at, rest) {
            self.calls.push(call);
        } else {
            self.strange.push(line.to_owned());
        }
    }

    /// Where the first call is of which `is` holds.
    pub(crate) fn first(&self, is: impl Fn(&Call) -> bool) -> Option<usize> {
        self.calls.iter().position(is)
    }

    /// Where the last one is.
    pub(crate) fn last(&self, is: impl Fn(&Call) -> bool) -> Option<usize> {
        self.calls.iter().rposition(is)
    }
}

fn call(at: SystemTime, text: &str) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let end = rest.rfind(") = ").or_else(|| rest.rfind(')'))?;
    let result = rest[end..].split_once("= ").map_or("", |(_, result)| result);
    Some(Call {
        at,
        name: name.to_owned(),
        args: rest[..end].trim_end().to_owned(),
        result: result.to_owned(),
    })
}

impl Call {
    pub(crate) fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.name.as_str())
    }

    pub(crate) fn failed(&self) -> bool {
        self.result.starts_with('-')
    }

    /// The file behind the first argument: `pipe:[7]`, `/proc`.
    pub(crate) fn file(&self) -> Option<String> {
        label(&self.args)
    }

    /// The file behind the descriptor that was returned.
    pub(crate) fn returned_file(&self) -> Option<String> {
        label(&self.result)
    }

    /// Every string among the arguments.
    pub(crate) fn strings(&self) -> Vec<Vec<u8>> {
        self.args.split('"').skip(1).step_by(2).map(unescape).collect()
    }

    /// The path that a call on a directory and a name means.
    pub(crate) fn path(&self) -> String {
        let name = self.strings().first().map_or(String::new(), |n| String::from_utf8_lossy(n).into_owned());
        match label(&self.args) {
            Some(dir) if !name.starts_with('/') => format!("{}/{name}", dir.trim_end_matches('/')),
            _ => name,
        }
    }
}

/// `4</proc>` → `/proc`; also in hexadecimal.
pub(crate) fn label(text: &str) -> Option<String> {
    let first = text.split([',', '"']).next()?;
    let (_, rest) = first.split_once('<')?;
    let inner = &rest[..rest.rfind('>')?];
    Some(String::from_utf8_lossy(&unescape(inner)).into_owned())
}

/// `\x41b` → `Ab`.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4);
    let mut rest = text;
    while let Some(at) = rest.find("\\x") {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let digits = rest.get(at + 2..at + 4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.extend(digits);
        rest = rest.get(at + 4..).unwrap_or("");
    }
    out.extend_from_slice(rest.as_bytes());
    out
}
