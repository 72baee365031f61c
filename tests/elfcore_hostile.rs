//! Whatever comes down the pipe: a head with named gaps, bounded, no panic.

#[path = "support/core_builder.rs"]
mod core_builder;

use std::io::Read;

use core_builder::{CoreBuilder, ordinary, put};
use epicore::address::Addr;
use epicore::elfcore::{Head, Machine};
use epicore::memory::{Layout, Plan, Stream, from_stream};
use epicore::process::Mapping;
use proptest::prelude::*;

fn head(core: &[u8]) -> Head {
    Stream::new(core).head()
}

fn reasons(head: &Head) -> Vec<&str> {
    head.gaps.iter().map(|gap| gap.reason.as_str()).collect()
}

/// A reader that counts what it gives, and gives it in odd pieces.
struct Meter<'a> {
    bytes: &'a [u8],
    given: usize,
}

impl Read for Meter<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(self.bytes.len()).min(1 + self.given % 700);
        buffer[..most].copy_from_slice(&self.bytes[..most]);
        self.bytes = &self.bytes[most..];
        self.given += most;
        Ok(most)
    }
}

#[test]
fn a_whole_head_has_no_gap_and_reads_not_a_byte_of_memory() {
    let builder = ordinary();
    let core = builder.build();
    let mut meter = Meter { bytes: &core, given: 0 };
    let head = Stream::new(&mut meter).head();
    assert_eq!(reasons(&head), Vec::<&str>::new());
    assert_eq!(head.threads.len(), 2);
    assert_eq!(head.threads[0].registers.ip(), Addr(0x5555_0000_1010));
    assert_eq!(head.files.as_ref().map(Vec::len), Some(2));
    assert_eq!(head.segments.len(), 5);
    assert_eq!(meter.given, builder.head_size());
}

#[test]
fn a_core_cut_at_every_byte_of_its_head_keeps_what_came() {
    let builder = ordinary();
    let core = builder.build();
    let mut threads = 0;
    for cut in 0..builder.head_size() {
        let head = head(&core[..cut]);
        assert!(!head.gaps.is_empty(), "cut at {cut} left no gap");
        assert!(head.threads.len() >= threads, "a later cut lost a thread");
        threads = head.threads.len();
        assert!(head.position <= cut as u64);
    }
    // The second thread's note is the last of all.
    assert_eq!(threads, 1);
}

#[test]
fn arguments_in_prpsinfo_are_never_kept() {
    let head = head(&ordinary().build());
    assert!(!format!("{head:?}").contains("hunter2"));
    assert_eq!(head.prpsinfo.map(|info| info.comm), Some(b"victim".to_vec()));
}

#[test]
fn more_program_headers_than_sixteen_bits_are_counted_from_where_the_notes_begin() {
    let mut builder = ordinary();
    builder.many = true;
    for index in 0..70_000u64 {
        builder = builder.hole(0x10_0000_0000 + index * 4096, 4096, 4);
    }
    let head = head(&builder.build());
    assert_eq!(head.segments.len(), 70_005);
    assert_eq!(head.threads.len(), 2);
    assert_eq!(reasons(&head), Vec::<&str>::new());
}

#[test]
fn a_missing_nt_file_is_a_gap() {
    let core = CoreBuilder::default().thread(1, &[]).siginfo(6, -6, 0).build();
    assert_eq!(reasons(&head(&core)), ["NT_FILE is missing"]);
}

#[test]
fn another_class_or_machine_is_named() {
    let thirty_two = CoreBuilder { class: 1, machine: 3, ..CoreBuilder::default() }.build();
    assert_eq!(reasons(&head(&thirty_two)), ["core of another kind: 32-bit little-endian, e_machine 3"]);
    let s390 = CoreBuilder { data: 2, machine: 22u16.swap_bytes(), ..CoreBuilder::default() }.build();
    assert_eq!(reasons(&head(&s390)), ["core of another kind: 64-bit big-endian, e_machine 22"]);
    let program = CoreBuilder { kind: 2, ..CoreBuilder::default() }.build();
    assert_eq!(reasons(&head(&program)), ["the stream is ELF, but no core"]);
    assert_eq!(
        reasons(&head(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n............................................")),
        ["the stream is not an ELF file"]
    );
}

#[test]
fn registers_of_aarch64_are_understood() {
    let builder = CoreBuilder { machine: 183, ..CoreBuilder::default() };
    let core = builder
        .thread(7, &[(32, 0x40_1000), (31, 0x7f_0000), (30, 0x40_2000)])
        .siginfo(11, 1, 0)
        .files(&[])
        .build();
    let head = head(&core);
    assert_eq!(head.machine, Some(Machine::Aarch64));
    let registers = head.threads[0].registers;
    assert_eq!(
        (registers.ip(), registers.sp(), registers.lr()),
        (Addr(0x40_1000), Addr(0x7f_0000), Addr(0x40_2000))
    );
}

#[test]
fn a_note_that_reaches_beyond_the_notes_ends_them() {
    let mut builder = ordinary();
    put(&mut builder.notes, 5, 4);
    put(&mut builder.notes, u32::MAX.into(), 4);
    put(&mut builder.notes, 1, 4);
    builder.notes.extend_from_slice(b"CORE\0\0\0\0");
    let head = head(&builder.build());
    assert_eq!(head.threads.len(), 2);
    assert_eq!(reasons(&head), ["a note reaches beyond the notes"]);
}

#[test]
fn notes_of_sixteen_megabytes_pass_without_being_kept() {
    let builder = ordinary().note(b"LINUX", 0x202, &vec![0x55; 16 << 20]).thread(102, &[]);
    let head = head(&builder.build());
    assert_eq!(head.threads.len(), 3);
}

#[test]
fn two_thousand_threads_are_all_there() {
    let mut builder = ordinary();
    for tid in 0..2000 {
        builder = builder.thread(1000 + tid, &[(19, 0x7f00_0000_4000)]).note(b"LINUX", 0x202, &[0; 2696]);
    }
    assert_eq!(head(&builder.build()).threads.len(), 2002);
}

fn kept(core: &[u8]) -> (Head, epicore::memory::Image, Plan) {
    let mut stream = Stream::new(core);
    let head = stream.head();
    let layout = Layout::new(&head);
    let plan = Plan::new(&head, &layout, &[] as &[Mapping]);
    let (image, _) = from_stream(&mut stream, &head, &plan);
    (head, image, plan)
}

#[test]
fn a_stream_is_read_no_further_than_the_last_wanted_byte() {
    let core = ordinary().segment(0x7fff_1000_0000, vec![9; 1 << 20], 6).build();
    let mut meter = Meter { bytes: &core, given: 0 };
    let mut stream = Stream::new(&mut meter);
    let head = stream.head();
    let plan = Plan::new(&head, &Layout::new(&head), &[]);
    let (image, gaps) = from_stream(&mut stream, &head, &plan);
    assert_eq!(gaps, vec![]);
    assert!(image.u64(Addr(0x7ffc_0000_3000)).is_some());
    assert!(image.u64(Addr(0x7f00_0000_4000)).is_some());
    assert!(meter.given <= core.len() - (1 << 20), "{} of {} bytes read", meter.given, core.len());
}

#[test]
fn arguments_and_environment_above_the_main_stack_are_not_even_read() {
    let (_, image, _) = kept(&ordinary().build());
    assert!(image.u64(Addr(0x7ffc_0000_0000 + 0x7ef8)).is_some());
    assert!(image.u64(Addr(0x7ffc_0000_0000 + 0x7f00)).is_none());
}

#[test]
fn segments_that_overlap_are_not_kept_more_often_than_planned() {
    let mut builder = ordinary();
    for _ in 0..200 {
        builder = builder.segment(0x7ffc_0000_0000, vec![0x44; 0x8000], 6);
    }
    let (_, image, plan) = kept(&builder.build());
    let planned: u64 = plan.ranges().iter().map(|range| range.len()).sum();
    assert!(image.len() <= planned);
}

#[test]
fn a_core_with_its_notes_at_the_end_is_read_twice_from_a_file() {
    // gdb's gcore writes the notes behind the segments.
    let mut core = ordinary().build();
    let notes_at = u64::from_le_bytes(core[64 + 8..64 + 16].try_into().unwrap()) as usize;
    let size = u64::from_le_bytes(core[64 + 32..64 + 40].try_into().unwrap()) as usize;
    let notes = core[notes_at..notes_at + size].to_vec();
    let end = core.len() as u64;
    core[64 + 8..64 + 16].copy_from_slice(&end.to_le_bytes());
    core.extend(notes);
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, &core).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let record = epicore::capture::replay_file(&file, &[]);
    assert_eq!(record.threads.tid, [100, 101]);
    assert!(record.capture.kept_bytes > Some(0x4000), "{:?}", record.capture);
    // A stream cannot go back: the registers are there, the stacks a gap.
    let record = epicore::capture::replay(core.as_slice(), &[]);
    assert_eq!(record.threads.tid, [100, 101]);
    assert!(record.gaps.iter().any(|gap| gap.reason == "segments out of order"), "{:?}", record.gaps);
}

proptest! {
    #[test]
    fn flipped_bits_never_panic_and_never_keep_more_than_the_budget(
        flips in prop::collection::vec((0usize..4096, 0u8..8), 1..24),
    ) {
        let mut core = ordinary().build();
        for (at, bit) in flips {
            let at = at % core.len();
            core[at] ^= 1 << bit;
        }
        let (head, image, _) = kept(&core);
        prop_assert!(head.threads.len() <= 3);
        prop_assert!(image.len() <= epicore::limits::STACK_TOTAL + (4 << 20));
    }

    #[test]
    fn overwritten_words_never_panic(words in prop::collection::vec((0usize..500, any::<u64>()), 1..12)) {
        let mut core = ordinary().build();
        for (at, word) in words {
            let at = at * 8;
            if at + 8 <= core.len() {
                core[at..at + 8].copy_from_slice(&word.to_le_bytes());
            }
        }
        kept(&core);
    }

    #[test]
    fn any_bytes_are_a_head_with_gaps(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        prop_assert!(!head(&bytes).gaps.is_empty());
    }
}
