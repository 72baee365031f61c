//! Every cap, named, with its reason. Nothing in epicore is sized by a number
//! that came from a crash without being held against one of these first.

/// Program headers of one core. The kernel's own default for mappings of a
/// process is 65,530 (vm.max_map_count); databases raise it to a million.
pub const SEGMENTS: usize = 1 << 20;
/// Bytes of all notes that are read past. 2,000 threads with AVX-512 state
/// are 6 MB; NT_FILE may be 4 MiB (core_file_note_size_limit, up to 16 MiB).
pub const NOTES_BYTES: u64 = 64 << 20;
/// Threads of one process that are kept. The rest are counted.
pub const THREADS: usize = 32_768;
/// The largest NT_FILE that is kept (the kernel's own upper limit).
pub const NT_FILE_BYTES: u64 = 16 << 20;
/// The largest NT_AUXV that is kept: 2 × 8 bytes × far more than exist.
pub const AUXV_BYTES: u64 = 4096;
/// Entries of the auxiliary vector.
pub const AUXV_ENTRIES: usize = 64;
/// The longest note name that is looked at ("CORE", "LINUX").
pub const NOTE_NAME_BYTES: u64 = 16;
/// One read from the stream.
pub const STREAM_CHUNK: usize = 64 << 10;

/// Bytes of stack kept for the crashing thread, upwards from rsp: deep C++
/// and interpreter stacks are 100–300 KiB.
pub const STACK_CRASHING: u64 = 512 << 10;
/// Bytes of stack kept for any other thread while the budget lasts.
pub const STACK_OTHER: u64 = 64 << 10;
/// The least that a further thread gets when the budget runs low: a thread
/// that waits has its callers within a few KiB.
pub const STACK_LEAST: u64 = 2 << 10;
/// Bytes kept at the oldest end of the crashing thread's stack, so that a
/// runaway recursion still shows who began it.
pub const STACK_TAIL: u64 = 64 << 10;
/// The red zone and what a signal left behind below rsp.
pub const STACK_BELOW: u64 = 16 << 10;
/// All stack bytes together.
pub const STACK_TOTAL: u64 = 12 << 20;
/// Bytes of code kept on either side of an instruction pointer, besides the
/// page that it is in.
pub const CODE_AROUND: u64 = 256;
/// The page of code that is compared with its file.
pub const CODE_PAGE: u64 = 4096;
/// Pages of code that words of the stack point into, which are kept live and
/// compared as well: who ran last is among them. A page is read in 2 to 3 us.
pub const CODE_PAGES: usize = 32;
/// Words of stack on which they are looked for, from rsp upwards.
pub const CODE_WORDS: u64 = 2048;
/// Of these the ones that go before the words below rsp, and as many of those.
pub const CODE_WORDS_NEAR: u64 = 256;
/// Return addresses whose calls are followed, and the steps of one: a call, its
/// stub, the stub's slot.
pub const CODE_CALLS: usize = 32;
/// See [`CODE_CALLS`].
pub const CODE_STEPS: usize = 3;
/// Bytes of an abort's message.
pub const ABORT_MESSAGE: usize = 1024;
/// Bytes of read-only data of a module in which its pieces are looked for.
pub const LITERALS: usize = 512 << 10;
/// Bytes of the path of a source file that a panic names.
pub const SOURCE_PATH: usize = 512;
/// Stack words among which the place of a panic is looked for.
pub const PANIC_WORDS: u64 = 2048;
/// Links of a chain of a hash table of symbols.
pub const SYMBOL_CHAIN: usize = 64;
/// Bytes of a module's ELF header, program headers and notes.
pub const MODULE_HEAD: u64 = 4096;
/// Modules whose headers are read and whose files are opened.
pub const MODULES: usize = 1024;
/// Bytes of the vdso.
pub const VDSO_BYTES: u64 = 16 << 10;
/// Mappings read from /proc/TID/maps.
pub const MAPPINGS: usize = 1 << 18;
/// Bytes read from /proc/TID/maps: 100k lines of 100 bytes, and more.
pub const MAPS_BYTES: usize = 64 << 20;
/// Bytes and lines of /proc/TID/mountinfo; a host of containers has some thousand.
pub const MOUNTS_BYTES: usize = 2 << 20;
/// See [`MOUNTS_BYTES`].
pub const MOUNTS: usize = 20_000;
/// Bytes of any other text file of /proc or /sys.
pub const PROC_TEXT: usize = 64 << 10;
/// Longest path that is kept (PATH_MAX of Linux).
pub const PATH: usize = 4096;

/// Frames walked on one stack before it is called a loop.
pub const FRAMES_WALKED: usize = 200_000;
/// Innermost frames kept of one stack.
pub const FRAMES_INNER: usize = 112;
/// Outermost frames kept of one stack.
pub const FRAMES_OUTER: usize = 16;
/// Stack words looked at by one scan for a return address.
pub const SCAN_WORDS: usize = 512;
/// Operations of one DWARF expression; glibc's longest has about ten.
pub const EXPRESSION_OPERATIONS: usize = 256;
/// Values on the stack of one DWARF expression.
pub const EXPRESSION_STACK: usize = 64;
/// Rows of call frame information kept by instruction, over all stacks.
pub const ROWS_CACHED: usize = 16 << 10;
/// Bytes of call frame information that are run for all stacks of one process:
/// [`ROWS_CACHED`] rows at a quarter KiB. An entry may have 64 KiB, and every address
/// that it covers may ask for a row of its own.
pub const ROW_BYTES: usize = 4 << 20;
/// Register rules of one row: 17 registers, or aarch64 with its vectors.
pub const ROW_RULES: usize = 128;
/// Times that one walk may go to another stack or downwards (alternate
/// signal stacks, coroutines) before it is called a loop.
pub const STACK_SWITCHES: usize = 64;
/// Instructions read ahead to find the `ret` of a function without CFI.
pub const INSTRUCTIONS_AHEAD: usize = 512;
/// What one walk may spend beyond call frame information, in units of about
/// 30 ns: a stack word, an instruction, a quarter of a look-up.
pub const EFFORT_WALK: usize = 4 << 20;
/// What all walks of one process may spend so: half a second.
pub const EFFORT_TOTAL: usize = 16 << 20;
/// Candidates tried at the oldest end of a stack.
pub const TAIL_CANDIDATES: usize = 512;
/// Steps over all candidates at the oldest end of a stack.
pub const TAIL_STEPS: usize = 50_000;
/// A module's file is never taken for one above this (a 10 GB binary is one).
pub const MODULE_FILE: u64 = 64 << 30;
/// Bytes of one frame description entry or common information entry.
pub const CFI_ENTRY: usize = 64 << 10;
/// A whole .eh_frame is read only below this, and only when the module has no
/// .eh_frame_hdr to search.
pub const EH_FRAME_WHOLE: u64 = 4 << 20;
/// Program headers of one module: linkers write about a dozen.
pub const PROGRAM_HEADERS: usize = 128;
/// Section headers of one module that are looked through.
pub const SECTION_HEADERS: usize = 4096;
/// Bytes of one PT_NOTE or PT_DYNAMIC of a module.
pub const MODULE_TABLE: usize = 16 << 10;
/// One cached block of a module's file.
pub const BLOCK: usize = 4096;
/// Cached blocks of one module's file: 1 MiB, then the cache starts anew.
pub const BLOCKS: usize = 256;
/// The largest single read from a module's file.
pub const MODULE_READ: usize = 8 << 20;
/// FDEs that are indexed when a module has no .eh_frame_hdr.
pub const FDES_INDEXED: usize = 1 << 17;
/// Symbols of one symbol table that are read (24 bytes each).
pub const SYMBOLS: usize = 1 << 18;
/// Longest symbol name: C++ and Rust names run to a few KiB.
pub const SYMBOL_NAME: usize = 4096;
/// Bytes of a function's code that L2 hashes.
pub const FUNCTION_BYTES: usize = 16 << 10;
/// Frames that make a location key.
pub const KEY_FRAMES: usize = 6;
/// Frames whose functions' identities are in a record: what of a stack tells one bug
/// from another. 9 bytes each.
pub const KEY_IDENTITIES: usize = 8;

/// A record is never larger than this (raw MessagePack).
pub const RECORD_BYTES: usize = 256 << 10;
/// Distinct stacks in a record.
pub const RECORD_STACKS: usize = 256;
/// Modules in a record; those with frames first. As many as are opened: 110
/// bytes each, and the record's budget cuts those without frames before others.
pub const RECORD_MODULES: usize = MODULES;
/// Register sets in a record.
pub const RECORD_REGISTERS: usize = 16;
/// Threads whose last CPU is asked for, beside the crashing one.
pub const THREAD_CPUS: usize = 64;
/// Gaps in a record.
pub const GAPS: usize = 64;

/// EDAC controllers and DIMMs that are read.
pub const EDAC_ENTRIES: usize = 256;
/// Logical CPUs.
pub const CPUS: usize = 8192;
/// Bytes of /proc/cpuinfo that are read on the way to the block of the crash
/// CPU: 1.5 KB for each CPU before it.
pub const CPUINFO_BYTES: u64 = 16 << 20;
/// Bytes of /proc/interrupts: 11 for each CPU in each of 300 rows at 8192.
pub const INTERRUPTS_BYTES: u64 = 32 << 20;
/// CPUs whose siblings are read to count physical cores, one file each
/// (5 µs): 1,024 cores with two threads.
pub const CORES_READ: usize = 1024;
/// CPUs whose throttle counters are summed, two files each.
pub const THERMAL_CPUS: usize = 256;
/// One number, label or list in a file of sysfs (which gives a page at most).
pub const SYSFS_TEXT: usize = 4096;

/// core_pattern holds 127 characters and a NUL (CORENAME_MAX_SIZE 128).
pub const CORE_PATTERN: usize = 127;
/// core_pipe_limit that `epicore enable` writes: early release frees a slot
/// within milliseconds, so this many dumps at once is a storm.
pub const CORE_PIPE_LIMIT: u32 = 64;
/// Seconds that the handler may hold a process before it gives up.
pub const HELD_SECONDS: u64 = 2;
/// Seconds of analysis after the release.
pub const ANALYSIS_SECONDS: u64 = 5;
/// Address space of the handler (RLIMIT_AS).
pub const ADDRESS_SPACE: u64 = 256 << 20;
/// Nice value of the analysis: a third of what a busy processor gives to others.
pub const NICE: i32 = 5;
/// Processor seconds of the handler (RLIMIT_CPU).
pub const CPU_SECONDS: u64 = 8;
/// The largest file that the handler may write (RLIMIT_FSIZE).
pub const FILE_SIZE: u64 = 1 << 20;
/// Open files of the handler: modules and a few more.
pub const OPEN_FILES: u64 = 1200;

/// Default quota of the spool, bytes.
pub const SPOOL_BYTES: u64 = 256 << 20;
/// Default quota of the spool, records.
pub const SPOOL_RECORDS: u64 = 10_000;
/// The payload of one spool file. The same as [`RECORD_BYTES`]: a spool file
/// larger than this and a header is no spool file, and is not read.
pub const SPOOL_PAYLOAD: usize = RECORD_BYTES;
/// The longest header that a later format version may give a spool file.
pub const SPOOL_HEADER: usize = 512;
/// Directory entries of one part of the spool that are looked at: the quota
/// ten times over. More means that something else fills the directory.
pub const SPOOL_ENTRIES: usize = 100_000;
/// Exposure reports that the spool keeps, whatever their state. One an hour
/// is what a host writes: these are 83 days without a collector.
pub const SPOOL_EXPOSURES: u64 = 2000;
/// The share of the spool's bytes that exposure reports may take (1/8): they
/// must never push out crashes.
pub const SPOOL_EXPOSURES_SHARE: u64 = 8;
/// Files that one pass of a count remembers for removal: 1/16 of a quota of a
/// million records. What is still too much goes in the next pass.
pub const SPOOL_VICTIMS: usize = 1 << 16;
/// Executables whose records a count tells apart; further ones count as one.
pub const SPOOL_GROUPS: usize = 1 << 14;
/// Refusals that are explained.
pub const SPOOL_REFUSALS: usize = 256;
/// Bytes of one refusal's reason.
pub const SPOOL_REASON: usize = 256;
/// Bytes of the audit log before it is rotated: some 10,000 deeds.
pub const SPOOL_AUDIT: u64 = 1 << 20;
/// Records written between two counts of the whole spool, at most (the tally
/// of a longer time is thrown away and the spool is counted again).
pub const SPOOL_TALLY: usize = 4096;
/// The share of the quota that a count frees beyond what it must (1/16), so
/// that the next count is hundreds of crashes away.
pub const SPOOL_SLACK: u64 = 16;
/// Seconds after which a temporary file is a dead writer's: far above the
/// longest capture ([`HELD_SECONDS`] + [`ANALYSIS_SECONDS`]).
pub const SPOOL_TEMPORARY_SECONDS: u64 = 3600;
/// What one small file costs on disk: a filesystem block.
pub const SPOOL_BLOCK: u64 = 4096;
/// Candidates that a selector names before it is simply ambiguous.
pub const SPOOL_CANDIDATES: usize = 16;
/// The longest configuration file.
pub const CONFIG_BYTES: usize = 64 << 10;
/// Bytes of holes in a process's mappings above which release.sparse = "kill"
/// acts: the kernel walks about 10 GiB a second.
pub const SPARSE_THRESHOLD: u64 = 64 << 30;
/// Section headers of a module's file that are looked at for names.
pub const SECTIONS: usize = 8192;
/// Symbols of one module that are looked at for names: a debug build of a
/// browser has three million.
pub const NAMED_SYMBOLS: u64 = 8_000_000;
/// What the handler adds to its badness when memory runs out (of 1000).
pub const OOM_SCORE: &str = "500";
/// Seconds between the deadline and the end by force.
pub const GRACE_SECONDS: u64 = 1;
/// Frames looked at for a location key: an abort in a deep runtime is twenty.
pub const KEY_SEARCH: usize = 32;

/// Seconds that one census may take.
pub const CENSUS_SECONDS: u64 = 10;
/// Processes that one census looks at (40 µs each).
pub const CENSUS_PROCESSES: usize = 100_000;
/// Executables whose build-id one census reads; the others' is unknown.
pub const CENSUS_BUILDS: usize = 4096;
/// Workloads (unit or image, executable, build) told apart by one census.
pub const CENSUS_WORKLOADS: usize = 16 << 10;
/// Containers whose image one census looks up.
pub const CENSUS_CONTAINERS: usize = 1024;
/// Bytes of a container runtime's state file: a runtime specification with
/// every mount of a large pod is 200 KB.
pub const CONTAINER_STATE: usize = 1 << 20;
/// Bytes of the hypervisor's key-value pool: 2,560 each, a dozen in use.
pub const KVP_POOL: usize = 256 << 10;
/// Bytes of the fleet's key.
pub const FLEET_KEY: usize = 4096;

/// Executables that the ledger of crashes tells apart at once. A host has some
/// thousand; those that crash within the same minutes are a few.
pub const STORM_KEYS: usize = 1024;
/// Places at which one executable may stand in that table: a look-up reads no
/// more.
pub const STORM_PROBES: usize = 16;
/// Handlers that the ledger knows by their process: [`CORE_PIPE_LIMIT`] that
/// hold a task, the slots of the analysis on 256 CPUs, and as many that end.
pub const STORM_HANDLERS: usize = 1024;
/// Attempts of one handler to change a word that others change meanwhile: each
/// failure is another one's success, and so many are not alive.
pub const STORM_ATTEMPTS: usize = 4096;
/// Seconds between two copies of the ledger's counters to the spool: what a
/// power cut may cost.
pub const STORM_KEPT_SECONDS: u64 = 5;
/// Bytes of that copy.
pub const STORM_KEPT: usize = 1024;
/// Suppressed executables that an exposure report names.
pub const STORM_TOLD: usize = 32;
/// Crashes of one executable that leave records at once. systemd gives up after
/// five starts in ten seconds; a unit without that limit that is started every
/// 100 ms has six seconds of it, and 60 records of one bug say all.
pub const THROTTLE_EXECUTABLE_BURST: u64 = 60;
/// And from then on, a minute: twice what crashes once a second, so that its
/// jitter is not noticed either.
pub const THROTTLE_EXECUTABLE_PER_MINUTE: u64 = 120;
/// Crashes of all executables that leave records at once: a test suite in which
/// everything crashes, two seconds of one CPU.
pub const THROTTLE_BURST: u64 = 200;
/// And from then on, a minute: ten a second are at most a tenth of one CPU and
/// some 40 KB a second of spool.
pub const THROTTLE_PER_MINUTE: u64 = 600;
/// The largest number that a throttle may be given: a million, so that none of
/// its products passes 64 bits.
pub const THROTTLE_MOST: u64 = 1_000_000;
/// Slots of the analysis for each CPU, where the configuration says no number:
/// one works while another waits for the disk.
pub const SLOTS_PER_CPU: u64 = 2;
/// Handlers that wait for a slot, for each slot: what their crash left them is a
/// megabyte or two each.
pub const WAITING_PER_SLOT: u64 = 8;
/// How long one waits for a slot, of the seconds that the analysis has: two CPUs analyse
/// some hundred crashes meanwhile.
pub const SLOT_PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);
/// And how long it sleeps between two looks.
pub const SLOT_WAIT: std::time::Duration = std::time::Duration::from_millis(10);
/// And how many slots it looks at each time.
pub const SLOTS_LOOKED_AT: u64 = 16;
/// The most slots that may be configured, and that are tried.
pub const SLOTS: u64 = 1024;
