//! A door for tests/fuzz: a batch as the network brings it, without a network.

use super::unpack::unpack;
use crate::wire::ItemKind;

/// Items, each with its id and kind and body or why it is none; None: the batch
/// is refused.
pub type Items = Option<Vec<(Vec<u8>, Result<(ItemKind, Vec<u8>), String>)>>;

/// What is made of the body of one request; `more` grants memory or not.
pub fn batch(bytes: &[u8], compressed: bool, more: bool) -> Items {
    let mut grant = |_| if more { Ok(()) } else { Err(super::answer::Trouble::malformed("no more memory")) };
    let (_, items) = unpack(bytes, compressed, &mut grant).ok()?;
    Some(items.into_iter().map(|candidate| (candidate.id.0, candidate.item)).collect())
}
