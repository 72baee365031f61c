//! What can be asked.

/// A span of time, nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From here (by the hosts' clocks).
    pub since: u64,
    /// To here.
    pub until: u64,
    /// Rows at most.
    pub most: u32,
}

impl Default for Window {
    fn default() -> Window {
        Window { since: 0, until: u64::MAX, most: 1000 }
    }
}

/// A search for crashes. Absent = any; texts are whole, `*` for any text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Crashed at or after, nanoseconds since the epoch.
    pub since: Option<u64>,
    /// Crashed at or before.
    pub until: Option<u64>,
    /// Host name.
    pub host: Option<String>,
    /// systemd unit, with or without `.service`.
    pub unit: Option<String>,
    /// Path (with a slash), else file name of the executable or comm.
    pub exe: Option<String>,
    /// Signal number.
    pub signal: Option<u32>,
    /// The first hexadecimal digits of the signature, L1 or L2.
    pub signature: Option<String>,
    /// The first hexadecimal digits of the build-id.
    pub build: Option<String>,
    /// Only what came after (newest first: before) this position.
    pub after: Option<u64>,
    /// Newest first.
    pub newest_first: bool,
    /// Records of privileged processes too.
    pub private: bool,
    /// Records at most, 1 to 1,000; 0 = 100.
    pub most: u32,
}

/// What a study reads, one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// By the hosts' clocks, from here.
    pub since: u64,
    /// To here.
    pub until: u64,
    /// Only what came after this position.
    pub after: Option<u64>,
    /// Records of privileged processes too.
    pub private: bool,
    /// Items at most; 0: none, only where the end is.
    pub most: u32,
    /// The collector's clock: what tells a later time by more than a day is not
    /// the newest.
    pub now: u64,
}
