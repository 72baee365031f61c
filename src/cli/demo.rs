//! stub
use super::failure::{Failure, Outcome};
use super::output::Output;
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}
pub(super) fn run(_: &Arguments, _: &mut Output) -> Outcome {
    Err(Failure::new("not built yet", ""))
}
