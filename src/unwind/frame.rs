//! What a walk gives: frames, and why it ended.

use crate::address::Addr;

/// How a frame was found, from surest to least sure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    /// The thread's own registers.
    #[default]
    Context,
    /// Call frame information of the frame below.
    Cfi,
    /// Through a signal frame: the interrupted instruction.
    Signal,
    /// The return slot at the stack pointer, after a jump or call to nowhere.
    Slot,
    /// The frame pointer chain.
    FramePointer,
    /// Instructions ahead or a scan of the stack, confirmed by what follows.
    Scan,
    /// Found at the oldest end of the stack, behind bytes that were not kept.
    Tail,
}

/// What a frame's address points at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// Code of a module.
    #[default]
    Code,
    /// Executable memory of no module.
    Jit,
    /// No code at all: where a wild jump went.
    Wild,
}

/// One frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// As it stands: a return address, or the instruction that was
    /// interrupted. Of a caller known only by the call to it (a return
    /// address was overwritten), the start of the function.
    pub ip: Addr,
    /// The address to look up: `ip`, or one less for a return address.
    pub lookup: Addr,
    /// The stack pointer in this frame.
    pub sp: Addr,
    /// Index of its module.
    pub module: Option<usize>,
    /// Start of its function: the FDE's, else the symbol's.
    pub function: Option<Addr>,
    /// Length of its function, 0 unknown.
    pub function_len: u64,
    /// How it was found.
    pub how: How,
    /// What it points at.
    pub kind: FrameKind,
}

/// Why a walk ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// The outermost frame: the unwind information says that nobody called.
    Outermost,
    /// The next frame is in memory that was not kept.
    NoMemory {
        /// The address that could not be read.
        at: Addr,
    },
    /// The stack pointer did not rise.
    Loop,
    /// [`crate::limits::FRAMES_WALKED`].
    LimitReached,
    /// No method found a caller.
    #[default]
    NothingFound,
}

impl End {
    /// As the record spells it.
    pub fn name(self) -> &'static str {
        match self {
            End::Outermost => "end",
            End::NoMemory { .. } => "not kept",
            End::Loop => "loop",
            End::LimitReached => "limit",
            End::NothingFound => "nothing found",
        }
    }
}

/// Frames that are missing in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Index of the first frame behind them.
    pub at: usize,
    /// How many, when that is known: not for bytes that were not kept.
    pub omitted: Option<usize>,
}

/// One walked stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// Innermost first: at most [`crate::limits::FRAMES_INNER`] from there
    /// and [`crate::limits::FRAMES_OUTER`] from the other end.
    pub frames: Vec<Frame>,
    /// What is missing between the two.
    pub cut: Option<Cut>,
    /// Why it ended.
    pub end: End,
}
