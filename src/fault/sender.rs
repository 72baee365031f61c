//! Who sent a signal that no fault raised, by class (sigaction(2): si_pid and
//! si_uid are those of the sender's real ids, as the receiver's namespaces see
//! them).

use super::scene::Scene;
use crate::elfcore::Origin;

/// The process that crashed, as its own namespaces name it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Receiver {
    /// In its own pid namespace.
    pub pid: Option<u32>,
    /// Its parent.
    pub parent: Option<u32>,
    /// Its real user.
    pub uid: Option<u32>,
}

/// Who it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// The process itself: raise(3), abort(3).
    Itself,
    /// Its parent: a supervisor, a shell, a test's driver.
    Parent,
    /// A process that its pid namespace does not show: the container's host.
    Outside,
    /// A process of root's.
    Root,
    /// One of the same user.
    SameUser,
    /// One of another user.
    OtherUser,
}

impl Sender {
    /// As the record spells it.
    pub fn name(self) -> &'static str {
        match self {
            Sender::Itself => "itself",
            Sender::Parent => "parent",
            Sender::Outside => "outside",
            Sender::Root => "root",
            Sender::SameUser => "same-user",
            Sender::OtherUser => "other-user",
        }
    }

    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Sender::Itself => "the process itself",
            Sender::Parent => "its parent",
            Sender::Outside => "a process outside its pid namespace",
            Sender::Root => "a process of root",
            Sender::SameUser => "a process of the same user",
            Sender::OtherUser => "a process of another user",
        }
    }
}

/// Looks; None for what the kernel raised.
pub(super) fn look(scene: &Scene<'_>) -> Option<Sender> {
    let Origin::Sender { pid, uid } = scene.siginfo?.origin else { return None };
    let own = scene.receiver;
    Some(match pid {
        0 => Sender::Outside,
        pid if Some(pid) == own.pid => Sender::Itself,
        pid if Some(pid) == own.parent => Sender::Parent,
        _ if uid == 0 && own.uid != Some(0) => Sender::Root,
        _ if Some(uid) == own.uid => Sender::SameUser,
        _ => Sender::OtherUser,
    })
}
