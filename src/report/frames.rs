//! Frames, numbered from the innermost, each with how it was found.

use super::amount;
use super::escape::{clean, columns, shorten};
use super::names::Names;
use super::paint::Paint;
use crate::record::{Frame, Module, Record, Stack, Trust};

/// Columns of the longest function before the place, when nothing limits the
/// line; and the least that a narrow terminal leaves it.
const FUNCTION_COLUMNS: usize = 100;
const FUNCTION_LEAST: usize = 24;
/// Columns of the longest place that still moves the column behind it.
const PLACE_COLUMNS: usize = 40;

/// How a frame was found, in words.
pub fn how(trust: Trust) -> &'static str {
    match trust {
        Trust::Context => "registers",
        Trust::Cfi => "call frame information",
        Trust::Signal => "signal frame",
        Trust::Slot => "return slot",
        Trust::Fp => "frame pointer",
        Trust::Scan => "stack scan",
        Trust::Tail => "oldest end of the stack",
    }
}

/// A path's last part; the whole of "[vdso]".
pub fn base(path: &str) -> &str {
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(path)
}

fn module<'a>(record: &'a Record, frame: &Frame) -> Option<&'a Module> {
    record.modules.get(usize::try_from(frame.module?).ok()?)
}

/// "libc.so.6+0x9e21", or "0xdeadbeef (wild)" outside every module.
pub fn place(record: &Record, frame: &Frame) -> String {
    let kind = || frame.kind.as_deref().map_or(String::new(), |k| format!(" ({})", clean(k)));
    match (frame.module, module(record, frame)) {
        (Some(_), Some(m)) => {
            let path = m.path.as_deref().unwrap_or("a module without a name");
            format!("{}+{:#x}", clean(base(path)), frame.offset.0)
        }
        (Some(index), None) => format!("module {index}+{:#x}", frame.offset.0),
        (None, _) => format!("{:#x}{}", frame.offset.0, kind()),
    }
}

/// "parse_header+0x14", "function at +0x4120 +0x14", or "??".
pub fn function(names: &Names, frame: &Frame) -> String {
    if let Some(found) = names.of(frame) {
        let inside = frame.offset.0.saturating_sub(found.start);
        return format!("{}+{inside:#x}", clean(&found.name));
    }
    match frame.function {
        Some(start) if start <= frame.offset => {
            format!("fn_{:x}+{:#x}", start.0, frame.offset.0 - start.0)
        }
        _ => "??".to_owned(),
    }
}

/// Function and place in one phrase, for a sentence or a table's cell.
pub fn phrase(record: &Record, names: &Names, frame: &Frame) -> String {
    let place = place(record, frame);
    match names.of(frame) {
        Some(_) => format!("{} ({place})", function(names, frame)),
        None => place,
    }
}

/// The frame that says where it died: the first that a key is made of (raise
/// and abort are not), else the innermost. Of an abort the C and C++ libraries'
/// own functions say only how.
pub fn culprit(record: &Record) -> Option<&Frame> {
    let frames = &record.stacks.first()?.frames;
    let mut keyed = record.keys.frames.iter().filter_map(|i| frames.get(usize::try_from(*i).ok()?));
    let is_runtime = |frame: &&Frame| {
        let module = frame.module.and_then(|module| record.modules.get(usize::try_from(module).ok()?));
        let path = module.and_then(|module| module.path.as_deref()).unwrap_or("");
        ["libc.so", "libc-", "libstdc++", "libgcc_s", "libc++"]
            .iter()
            .any(|name| base(path).starts_with(name))
    };
    let own = record.crash.is_abort().then(|| keyed.clone().find(|frame| !is_runtime(frame))).flatten();
    own.or_else(|| keyed.next()).or_else(|| frames.first())
}

/// How lines look: colours, and the width of the terminal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    /// Colours.
    pub paint: Paint,
    /// Columns of a line; absent = as many as it takes.
    pub width: Option<usize>,
}

/// Widths of the columns of one stack.
#[derive(Clone, Copy)]
struct Widths {
    function: usize,
    place: usize,
}

/// A stack's lines, at most `most` frames: the inner ones, then what was left
/// out, then the outermost.
pub fn lines(record: &Record, names: &Names, stack: &Stack, most: usize, look: Look) -> Vec<String> {
    let count = most.min(stack.frames.len());
    let outer = if count < stack.frames.len() { count / 4 } else { 0 };
    let inner = count - outer;
    let resume = stack.frames.len() - outer;
    // What the headline names is never left out.
    let first = record.stacks.first().is_some_and(|first| std::ptr::eq(first, stack));
    let named = culprit(record).filter(|_| first);
    let is_named = |frame: &Frame| named.is_some_and(|named| std::ptr::eq(named, frame));
    let shown =
        |index: usize| index < inner || index >= resume || stack.frames.get(index).is_some_and(is_named);
    let visible = stack.frames.iter().enumerate().filter(|(i, _)| shown(*i)).map(|(_, frame)| frame);
    let widths = widths(record, names, visible, look.width);
    let paint = look.paint;
    let mut out = Vec::new();
    let mut number = 0u64;
    let mut folded = 0u64;
    for (index, frame) in stack.frames.iter().enumerate() {
        if stack.cut_at.is_some_and(|at| usize::try_from(at) == Ok(index)) {
            flush(&mut out, &mut folded, paint);
            out.push(paint.dim(&cut(stack)));
            number = number.saturating_add(u64::from(stack.cut.unwrap_or(0)));
        }
        if shown(index) {
            flush(&mut out, &mut folded, paint);
            out.push(line(record, names, frame, number, widths, paint));
        } else {
            folded += 1;
        }
        number += 1;
    }
    flush(&mut out, &mut folded, paint);
    if stack.cut_at.is_some_and(|at| usize::try_from(at).is_ok_and(|at| at >= stack.frames.len())) {
        out.push(paint.dim(&cut(stack)));
    }
    out.extend(end(stack).map(|text| paint.dim(&text)));
    out
}

fn flush(out: &mut Vec<String>, folded: &mut u64, paint: Paint) {
    if *folded > 0 {
        out.push(paint.dim(&format!("  …   {} more: --full", amount::of(*folded, "frame"))));
        *folded = 0;
    }
}

fn cut(stack: &Stack) -> String {
    match stack.cut {
        Some(0) | None => {
            "  …   an unknown number of frames: their part of the stack was not kept".to_owned()
        }
        Some(n) => format!("  …   {} left out of the record", amount::of(u64::from(n), "frame")),
    }
}

fn end(stack: &Stack) -> Option<String> {
    let why = stack.end.as_deref().filter(|why| *why != "end")?;
    Some(format!("  the walk stopped here: {}", clean(why)))
}

fn widths<'a>(
    record: &Record,
    names: &Names,
    frames: impl Iterator<Item = &'a Frame>,
    width: Option<usize>,
) -> Widths {
    let sizes =
        frames.map(|f| (columns(&function(names, f)), columns(&place(record, f)), how(f.trust).len()));
    let widest = sizes.fold((0, 0, 0), |a, b| (a.0.max(b.0), a.1.max(b.1), a.2.max(b.2)));
    let place = widest.1.min(PLACE_COLUMNS);
    // "  #12 " before, two gaps of two.
    let left = width.map_or(FUNCTION_COLUMNS, |w| w.saturating_sub(6 + 4 + place + widest.2));
    Widths { function: widest.0.min(left.max(FUNCTION_LEAST)), place }
}

fn line(record: &Record, names: &Names, frame: &Frame, number: u64, widths: Widths, paint: Paint) -> String {
    let what = shorten(&function(names, frame), widths.function);
    let pad = widths.function.saturating_sub(columns(&what));
    let place = place(record, frame);
    let after = widths.place.saturating_sub(columns(&place));
    let label = format!("#{number}");
    format!("  {label:<3} {what}{:pad$}  {place}{:after$}  {}", "", "", paint.dim(how(frame.trust)))
}
