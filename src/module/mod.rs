//! stub
use crate::{address::Addr, elfcore::Machine, gap::Gap, memory::Image, process::Mapping};
/// stub
pub struct Modules;
#[allow(missing_docs)]
impl Modules {
    pub fn assemble(_: &[Mapping], _: &Image, _: Option<Addr>, _: Machine) -> (Modules, Vec<Gap>) {
        (Modules, Vec::new())
    }
    pub fn len(&self) -> usize {
        0
    }
    pub fn first_mapping(&self, _: usize) -> Option<Mapping> {
        None
    }
    pub fn attach(&mut self, _: usize, _: std::fs::File, _: bool) {}
}
