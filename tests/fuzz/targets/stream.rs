//! The core as the kernel's pipe brings it: whatever bytes, in whatever pieces
//! (`memory::Stream`, `elfcore::Parser`, `memory::Plan`).
//!
//! Input: the core. Beside "no crash": how the pipe cuts the stream changes
//! nothing; the parser by hand finds what the driver finds, asks for a bounded
//! number of things, and for no more bytes than the largest note may have; what
//! is kept is no more than what was planned, and the plan is within its limits; gaps
//! are few, however often something is wrong.
#![cfg_attr(fuzzing, no_main)]

use std::io::Read;

use epicore::elfcore::{Head, Parser, Want};
use epicore::limits;
use epicore::memory::{Image, Layout, Plan, Stream, from_stream};
use epicore::process::Mapping;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| run(data));

/// A pipe that gives odd pieces.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.1 = self.1.wrapping_mul(31).wrapping_add(7) % 4093;
        let count = buffer.len().min(self.0.len()).min(1 + self.1);
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

pub fn run(data: &[u8]) {
    let (whole, image) = kept(data);
    let (pieces, other) = kept(Pieces(data, 0));
    same(&whole, &pieces);
    assert!(image.ranges().eq(other.ranges()));
    for range in image.ranges() {
        let length = range.len() as usize;
        let bytes = |image: &Image| image.read(range.start, length).map(|bytes| bytes.as_slice().to_vec());
        assert_eq!(bytes(&image), bytes(&other));
    }
    same(&whole, &by_hand(data));
    assert!(whole.position <= data.len() as u64);
    assert!(whole.segments.len() * 56 <= data.len());
    assert!(whole.threads.len() <= limits::THREADS.min(data.len() / 112));
    assert!(whole.machine.is_some() || !whole.gaps.is_empty());
}

fn same(one: &Head, other: &Head) {
    assert_eq!(one.machine, other.machine);
    assert_eq!(one.segments, other.segments);
    assert_eq!(one.threads, other.threads);
    assert_eq!(one.prpsinfo, other.prpsinfo);
    assert_eq!(one.siginfo, other.siginfo);
    assert_eq!(one.auxv, other.auxv);
    assert_eq!(one.files, other.files);
    assert_eq!(one.position, other.position);
    assert_eq!(one.gaps, other.gaps);
}

fn kept(reader: impl Read) -> (Head, Image) {
    let mut stream = Stream::new(reader);
    let head = stream.head();
    let files = head.files.iter().flatten().map(|file| Mapping {
        range: file.range,
        path: file.path.clone(),
        offset: file.offset,
        ..Mapping::default()
    });
    let plan = Plan::new(&head, &Layout::new(&head), &files.collect::<Vec<_>>());
    let mut planned = 0u64;
    for pair in plan.ranges().windows(2) {
        assert!(pair[0].end <= pair[1].start, "ranges of a plan are ascending and disjoint");
    }
    for range in plan.ranges() {
        assert!(!range.is_empty());
        planned += range.len();
    }
    let heads = limits::MODULES as u64 * limits::MODULE_HEAD + limits::VDSO_BYTES;
    assert!(planned <= limits::STACK_TOTAL + heads + (4 << 20), "{planned} bytes are planned");
    let (image, lost) = from_stream(&mut stream, &head, &plan);
    assert!(image.len() <= planned);
    // However often something is wrong.
    assert!(head.gaps.len() + plan.gaps.len() + lost.len() <= limits::GAPS);
    (head, image)
}

fn by_hand(data: &[u8]) -> Head {
    let (mut parser, mut rest) = (Parser::new(), data);
    let most = limits::NT_FILE_BYTES as usize + 4;
    for _ in 0..data.len() / 3 + 16 {
        let (count, keep) = match parser.want() {
            Want::Done => return parser.finish(),
            Want::Keep(count) => {
                assert!(count <= most, "{count} bytes are asked for");
                (count as u64, true)
            }
            Want::Skip(count) => (count, false),
        };
        if count > rest.len() as u64 {
            parser.cut(rest.len() as u64);
            continue;
        }
        let (taken, behind) = rest.split_at(count as usize);
        rest = behind;
        match keep {
            true => parser.feed(taken),
            false => parser.skipped(count),
        }
    }
    panic!("the parser asks without end");
}
