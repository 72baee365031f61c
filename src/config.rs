//! stub
#[derive(Default)]
#[allow(missing_docs)]
pub struct Config {
    pub spool: Option<std::path::PathBuf>,
    pub release: Release,
}
#[derive(Default)]
#[allow(missing_docs)]
pub struct Release {
    pub kill: bool,
    pub sparse_threshold: u64,
}
#[allow(missing_docs)]
impl Release {
    pub fn kills(&self) -> bool {
        self.kill
    }
}
#[allow(missing_docs)]
impl Config {
    pub fn load(_: Option<&std::path::Path>) -> Config {
        Config::default()
    }
}
