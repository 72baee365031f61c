//! stub
use super::arguments::Common;
use super::failure::{Failure, Outcome};
use super::output::Output;
#[derive(Debug, clap::Args)]
pub(super) struct Enable {}
#[derive(Debug, clap::Args)]
pub(super) struct Disable {}
pub(super) fn enable(_: &Enable, _: &Common, _: &mut Output) -> Outcome {
    Err(Failure::new("not built yet", ""))
}
pub(super) fn disable(_: &Disable, _: &mut Output) -> Outcome {
    Err(Failure::new("not built yet", ""))
}
