//! The spool's promises to whoever forwards it: what is pending, what became of
//! it, and who gives way when there is no room.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use epicore::limits;
use epicore::spool::{
    AuditLine, ClaimError, Counts, Item, Kind, Quota, Reader, RecordId, RecordStatus, Retention, Spool,
    SpoolError, Stamp, State,
};

#[path = "support/spool.rs"]
mod support;
use support::{fresh, id, numbers, payload_of};

const MANY: u64 = u64::MAX;

/// The pending items, as somebody who read them.
fn read(reader: &Reader) -> Vec<Item> {
    let items = reader.pending(1000).unwrap().items;
    let read = |item: &Item| match reader.read_item(item) {
        RecordStatus::Valid { header, .. } => item.read_as(&header),
        other => panic!("{other:?}"),
    };
    items.iter().map(read).collect()
}

fn names(path: &Path) -> Vec<String> {
    let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with('.') && name != "private").collect();
    names.sort_unstable();
    names
}

#[test]
fn what_is_acknowledged_is_pending_no_more_and_can_still_be_read() {
    let (_parent, path, spool) = fresh();
    for n in 1..=3 {
        spool.replace_with_full((id(n), n == 2), b"full").unwrap();
    }
    spool.write_exposure(id(4), b"report").unwrap();
    let reader = Reader::open(&path).unwrap();
    let items = read(&reader);
    assert_eq!(items.iter().map(|item| item.kind).collect::<Vec<_>>().last(), Some(&Kind::Exposure));
    spool.acknowledge(&items).unwrap();
    spool.acknowledge(&items).unwrap();
    let pending = reader.pending(10).unwrap();
    assert!(pending.items.is_empty() && !pending.more);
    assert_eq!(pending.totals.crashes, Counts { sent: 3, ..Counts::default() });
    assert_eq!(pending.totals.exposures, Counts { sent: 1, ..Counts::default() });
    assert_eq!(payload_of(&path, 2), b"full");
    let states: Vec<State> = reader.list().unwrap().entries.iter().map(|entry| entry.state).collect();
    assert_eq!(states, [State::Sent; 3]);
    assert_eq!(spool.write_exposure(id(4), b"again"), Err(SpoolError::Exists));
}

#[test]
fn the_oldest_are_pending_first_and_no_more_than_were_asked_for() {
    let (_parent, path, spool) = fresh();
    for n in [5, 3, 1, 4, 2] {
        spool.write_minimal((id(n), n % 2 == 0), b"x").unwrap();
    }
    let reader = Reader::open(&path).unwrap();
    let ids = |items: &[Item]| items.iter().map(|item| item.id).collect::<Vec<_>>();
    let pending = reader.pending(2).unwrap();
    assert_eq!((ids(&pending.items), pending.more), (vec![id(1), id(2)], true));
    assert_eq!(pending.totals.crashes.pending, 5);
    let public = reader.pending_of(2, &mut |item| !item.private).unwrap();
    assert_eq!((ids(&public.items), public.more), (vec![id(1), id(3)], true));
}

#[test]
fn the_full_record_that_came_after_the_minimal_one_was_read_is_not_acknowledged() {
    let (_parent, path, spool) = fresh();
    spool.write_minimal((id(1), false), b"minimal").unwrap();
    let reader = Reader::open(&path).unwrap();
    let sent = read(&reader);
    spool.replace_with_full((id(1), false), b"full").unwrap();
    spool.acknowledge(&sent).unwrap();
    assert_eq!(names(&path), [id(1).file_name()]);
    let sent = read(&reader);
    assert!(sent[0].full);
    spool.acknowledge(&sent).unwrap();
    assert_eq!(names(&path), [format!("{}.sent", id(1).file_name())]);
}

#[test]
fn a_full_record_over_an_acknowledged_minimal_one_is_listed_once_and_sent_again() {
    let (_parent, path, spool) = fresh();
    spool.write_minimal((id(1), false), b"minimal").unwrap();
    let reader = Reader::open(&path).unwrap();
    spool.acknowledge(&read(&reader)).unwrap();
    spool.replace_with_full((id(1), false), b"full").unwrap();
    assert_eq!(numbers(&path), [1]);
    assert_eq!(payload_of(&path, 1), b"full");
    spool.acknowledge(&read(&reader)).unwrap();
    assert_eq!(names(&path), [format!("{}.sent", id(1).file_name())]);
    assert_eq!(payload_of(&path, 1), b"full");
}

#[test]
fn what_was_refused_is_kept_with_its_reason_until_it_is_tried_again() {
    let (_parent, path, spool) = fresh();
    let reader = Reader::open(&path).unwrap();
    let most = limits::SPOOL_REFUSALS as u64;
    for n in 0..most + 5 {
        spool.write_minimal((id(n), false), b"x").unwrap();
        let item = read(&reader)[0];
        spool.refuse(&item, &format!("no. {n}\tof\nmany \\x41 \x1b[31m{}", "x".repeat(999))).unwrap();
    }
    assert!(reader.pending(9).unwrap().items.is_empty());
    let refusals = reader.refusals();
    assert_eq!(refusals, spool.refusals());
    assert_eq!((refusals.len(), refusals[0].0), (limits::SPOOL_REFUSALS, id(5)));
    let (last, why) = refusals.last().unwrap();
    assert_eq!(*last, id(most + 4));
    assert!(why.starts_with(&format!("no. {}\tof\nmany \\x41 \x1b[31mxx", most + 4)), "{why}");
    assert!(why.len() <= limits::SPOOL_REASON);
    assert_eq!(spool.retry_refused(), Ok(most + 5));
    assert_eq!(reader.pending(9).unwrap().totals.crashes.pending, most + 5);
    fs::write(path.join(".refusals"), vec![0xff; 1 << 20]).unwrap();
    assert!(reader.refusals().is_empty(), "an overlong file explains nothing");
}

#[test]
fn a_refused_minimal_record_is_not_tried_again_over_the_full_one() {
    let (_parent, path, spool) = fresh();
    let reader = Reader::open(&path).unwrap();
    spool.write_minimal((id(1), false), b"minimal").unwrap();
    spool.refuse(&read(&reader)[0], "no").unwrap();
    spool.replace_with_full((id(1), false), b"full").unwrap();
    assert_eq!(spool.retry_refused(), Ok(0));
    assert_eq!(names(&path), [id(1).file_name()]);
    assert_eq!(payload_of(&path, 1), b"full");
}

#[test]
fn what_a_collector_has_gives_way_before_anything_pending() {
    let (_parent, path, spool) = fresh();
    let reader = Reader::open(&path).unwrap();
    for n in 1..=10 {
        spool.replace_with_full((id(n), n % 3 == 0), b"x").unwrap();
    }
    let newest_four: Vec<Item> = read(&reader).split_off(6);
    spool.acknowledge(&newest_four).unwrap();
    let done = spool.make_room(Quota { bytes: MANY, records: 7 }, id(0)).unwrap();
    assert_eq!((done.records, done.evicted), (3, 0));
    assert_eq!(numbers(&path), [1, 2, 3, 4, 5, 6, 10]);
    let done = spool.make_room(Quota { bytes: MANY, records: 4 }, id(0)).unwrap();
    assert_eq!((done.records, done.evicted), (3, 2));
    assert_eq!(numbers(&path), [3, 4, 5, 6]);
    assert_eq!(spool.evicted(), 2);
}

#[test]
fn a_crash_loop_of_one_executable_leaves_the_records_of_another() {
    let (_parent, path, spool) = fresh();
    let stamp = |n, group| Stamp { id: id(n), private: false, group };
    for n in 1..=3 {
        spool.write_minimal(stamp(n, 7), b"rare").unwrap();
    }
    let quota = Quota { bytes: MANY, records: 200 };
    for n in 4..10_004 {
        spool.write_minimal(stamp(n, 8), b"loop").unwrap();
        spool.make_room(quota, id(n)).unwrap();
    }
    let left = numbers(&path);
    assert_eq!(left[..3], [1, 2, 3]);
    assert!(left.len() <= 200 && left.ends_with(&[10_002, 10_003]));
    assert_eq!(spool.evicted(), 10_003 - left.len() as u64);
    assert_eq!(Reader::open(&path).unwrap().evicted(), spool.evicted());
}

#[test]
fn exposure_reports_have_a_quota_of_their_own() {
    let (_parent, path, spool) = fresh();
    let reader = Reader::open(&path).unwrap();
    spool.write_minimal((id(0), false), b"x").unwrap();
    for n in 1..=9 {
        spool.write_exposure(id(n), b"report").unwrap();
    }
    spool.acknowledge(&reader.pending(10).unwrap().items[8..]).unwrap();
    // An eighth of these bytes is four reports.
    let quota = Quota { bytes: 32 * limits::SPOOL_BLOCK, records: MANY };
    let done = spool.retain(&Retention { quota, ..Retention::default() }).unwrap();
    assert_eq!((done.exposures, done.records), (5, 0));
    let left: Vec<_> = reader.list().unwrap().exposures.iter().map(|entry| entry.id).collect();
    assert_eq!(left, [id(4), id(5), id(6), id(7)]);
}

#[test]
fn retention_removes_by_age_what_was_sent_and_only_if_asked_what_was_not() {
    let (_parent, path, spool) = fresh();
    let reader = Reader::open(&path).unwrap();
    // After the spool was made: what is from before tells no age.
    let now = milliseconds(Duration::ZERO);
    for n in 1..=6 {
        spool.replace_with_full((id_at(now + n), false), b"x").unwrap();
    }
    spool.acknowledge(&read(&reader)[..4]).unwrap();
    let left = || {
        reader.list().unwrap().entries.iter().map(|entry| entry.id.milliseconds() - now).collect::<Vec<_>>()
    };
    let retention = Retention { acknowledged_before: Some(now + 3), ..Retention::default() };
    assert_eq!(spool.retain(&retention).unwrap().records, 2);
    assert_eq!(left(), [3, 4, 5, 6]);
    let done = spool.retain(&Retention { any_before: Some(now + 6), ..Retention::default() }).unwrap();
    assert_eq!((done.records, done.evicted), (3, 1));
    assert_eq!(left(), [6]);
}

/// So long ago, in milliseconds since the epoch.
fn milliseconds(ago: Duration) -> u64 {
    let then = SystemTime::now() - ago;
    u64::try_from(then.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn id_at(milliseconds: u64) -> RecordId {
    let mut id = id(0);
    id.0[..6].copy_from_slice(&milliseconds.to_be_bytes()[2..]);
    id
}

/// A host without a collector whose clock said 1970, or was 200 days behind,
/// lost these records to the first tidying after the clock was right.
#[test]
fn an_id_of_a_clock_that_was_wrong_tells_no_age() {
    const DAY: Duration = Duration::from_secs(86_400);
    let (_parent, path, spool) = fresh();
    let reader = Reader::open(&path).unwrap();
    let mut wrong = vec![id_at(5000), id_at(1_577_836_799_999)];
    // Where the filesystem tells when the spool was made.
    if fs::metadata(&path).unwrap().created().is_ok() {
        wrong.push(id_at(milliseconds(200 * DAY)));
    }
    wrong.iter().for_each(|id| spool.replace_with_full((*id, false), b"x").unwrap());
    let month = Some(milliseconds(30 * DAY));
    let retain = |retention: Retention| spool.retain(&retention).unwrap().records;
    assert_eq!(retain(Retention { any_before: month, ..Retention::default() }), 0);
    // What a collector has goes when its file is that old.
    spool.acknowledge(&read(&reader)).unwrap();
    let acknowledged = Retention { acknowledged_before: month, ..Retention::default() };
    assert_eq!(retain(acknowledged), 0);
    let file = fs::File::options().append(true).open(path.join(format!("{}.sent", wrong[0].file_name())));
    file.unwrap().set_modified(SystemTime::now() - 40 * DAY).unwrap();
    assert_eq!(retain(acknowledged), 1);
    assert_eq!(reader.list().unwrap().entries.len(), wrong.len() - 1);
    // The quota counts them like all others.
    assert_eq!(
        retain(Retention { quota: Quota { bytes: 0, records: 0 }, ..Retention::default() }),
        wrong.len() as u64 - 1
    );
}

#[test]
fn two_daemons_never_work_one_spool() {
    let (_parent, path, spool) = fresh();
    let claim = spool.claim().unwrap();
    let other = Spool::open(&path).unwrap();
    assert_eq!(other.claim().err(), Some(ClaimError::Held(Some(std::process::id()))));
    assert_eq!(fs::metadata(path.join(".forwarder")).unwrap().permissions().mode() & 0o777, 0o600);
    // A child that was started meanwhile does not keep the lock.
    let mut child = std::process::Command::new("sleep").arg("5").spawn().unwrap();
    drop(claim);
    assert!(other.claim().is_ok());
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A backlog far above the default quota: streamed, and brought back to one.
#[test]
fn a_backlog_of_any_length_is_drained_from_its_oldest_end() {
    let place = if Path::new("/dev/shm").is_dir() { "/dev/shm".into() } else { std::env::temp_dir() };
    let parent = tempfile::tempdir_in(place).unwrap();
    epicore::spool::initialise(parent.path(), None).unwrap();
    // More than one pass of a count removes.
    let many = limits::SPOOL_VICTIMS as u64 + 4000;
    for n in 0..many {
        fs::File::create(parent.path().join(id(n).file_name())).unwrap();
    }
    let spool = Spool::open(parent.path()).unwrap();
    let reader = Reader::of(&spool).unwrap();
    let begun = std::time::Instant::now();
    let pending = reader.pending(500).unwrap();
    println!("the oldest 500 of {many} names: {:?}", begun.elapsed());
    assert!(pending.more && pending.totals.crashes.pending == many);
    assert_eq!(
        pending.items.iter().map(|item| item.id).collect::<Vec<_>>(),
        Vec::from_iter((0..500).map(id))
    );
    let begun = std::time::Instant::now();
    let done = spool.make_room(Quota { bytes: MANY, records: 1600 }, id(0)).unwrap();
    println!("brought to 1,500: {:?} {done:?}", begun.elapsed());
    let left = numbers(parent.path());
    assert_eq!((left.len(), left[0], left[1]), (1500, 0, many - 1499));
}

#[test]
fn hostile_names_are_neither_forwarded_nor_removed() {
    let (_parent, path, spool) = fresh();
    let digits = id(1).to_string();
    let upper = "AB".repeat(16);
    let strangers = [
        format!("{digits}.rec.sent.sent"),
        format!("{digits}.rec.refuse"),
        format!("{digits}.exp "),
        format!("{digits}0.rec"),
        format!("{upper}.exp"),
        "\u{202e}.rec".to_owned(),
        "new\nline.exp".to_owned(),
    ];
    strangers.iter().for_each(|name| fs::write(path.join(name), b"x").unwrap());
    symlink("/etc/shadow", path.join(format!("{}.exp", id(2)))).unwrap();
    fs::create_dir(path.join(format!("{}.rec", id(3)))).unwrap();
    fs::create_dir(path.join(format!("{}.rec.sent", id(4)))).unwrap();
    spool.write_minimal((id(5), false), b"x").unwrap();
    let reader = Reader::open(&path).unwrap();
    let pending = reader.pending(10).unwrap();
    assert_eq!(pending.totals.strangers, strangers.len() as u64);
    assert_eq!(pending.items.len(), 3);
    let refused = pending.items.iter().filter(|i| matches!(reader.read_item(i), RecordStatus::Refused(_)));
    assert_eq!(refused.count(), 2);
    // What cannot be removed costs nothing but itself.
    let done = spool.make_room(Quota { bytes: 0, records: 0 }, id(9)).unwrap();
    assert_eq!((done.records, done.exposures), (1, 1));
    strangers.iter().for_each(|name| assert!(path.join(name).exists(), "{name:?}"));
    assert!(Path::new("/etc/shadow").symlink_metadata().is_ok());
}

#[test]
fn a_purge_removes_what_was_chosen_in_every_state_and_nothing_else() {
    let (_parent, path, spool) = fresh();
    let reader = Reader::open(&path).unwrap();
    for n in 1..=6 {
        spool.replace_with_full((id(n), n % 2 == 0), b"x").unwrap();
    }
    let items = read(&reader);
    spool.acknowledge(&items[..2]).unwrap();
    spool.refuse(&items[2], "no").unwrap();
    spool.write_exposure(id(7), b"x").unwrap();
    assert_eq!(spool.purge(&mut |item| item.id <= id(4) || item.kind == Kind::Exposure), Ok(5));
    assert_eq!(numbers(&path), [5, 6]);
    assert!(reader.list().unwrap().exposures.is_empty());
}

/// epicored acknowledged while somebody purged: 225 of 4,000 records survived
/// under their new name, and the purge was called a success.
#[test]
fn a_purge_beside_a_daemon_that_acknowledges_leaves_nothing() {
    const EACH: u64 = 3000;
    let place = if Path::new("/dev/shm").is_dir() { "/dev/shm".into() } else { std::env::temp_dir() };
    for round in 0..3 {
        let parent = tempfile::tempdir_in(&place).unwrap();
        epicore::spool::initialise(parent.path(), None).unwrap();
        let spool = Spool::open(parent.path()).unwrap();
        let reader = Reader::of(&spool).unwrap();
        (0..EACH).for_each(|n| spool.write_minimal((id(n), false), b"meant").unwrap());
        spool.write_minimal((id(EACH), false), b"another's").unwrap();
        let items = reader.pending(usize::MAX).unwrap().items;
        let daemon = Spool::open(parent.path()).unwrap();
        let (mut acknowledged, mut chosen) = (items.chunks(1), 0u64);
        let purged = std::thread::scope(|scope| {
            scope.spawn(|| items.rchunks(1).for_each(|one| daemon.acknowledge(one).unwrap()));
            spool.purge(&mut |item| {
                // One more wherever the thread is just now, and this one itself:
                // before it is looked at, after it, or not at all.
                spool.acknowledge(acknowledged.next().unwrap_or_default()).unwrap();
                chosen += 1;
                let itself = if item.state == State::Pending { std::slice::from_ref(item) } else { &[] };
                if chosen.is_multiple_of(3) {
                    spool.acknowledge(itself).unwrap();
                }
                let meant = matches!(reader.read_item(item), RecordStatus::Valid { payload, .. } if payload == b"meant");
                if chosen % 3 == 1 {
                    spool.acknowledge(itself).unwrap();
                }
                meant
            })
        });
        let left = numbers(parent.path());
        assert_eq!((purged, left.len(), left[0]), (Ok(EACH), 1, EACH), "round {round}");
    }
}

/// A record is one, under however many names it was found.
#[test]
fn a_purge_counts_each_record_once_and_ends_when_a_file_cannot_be_removed() {
    let (_parent, path, spool) = fresh();
    spool.write_minimal((id(1), false), b"minimal").unwrap();
    spool.acknowledge(&read(&Reader::open(&path).unwrap())).unwrap();
    spool.replace_with_full((id(1), false), b"full").unwrap();
    fs::create_dir(path.join(format!("{}.rec", id(2)))).unwrap();
    let mut asked = 0;
    let purged = spool.purge(&mut |item| {
        asked += 1;
        item.id == id(1)
    });
    assert_eq!(purged, Ok(1));
    assert!(spool.purge(&mut |item| item.id == id(2)).is_err(), "a directory is not unlinked");
    assert!(asked < 10, "{asked}");
}

#[test]
fn the_audit_log_keeps_every_deed_in_order_and_is_bounded() {
    let (_parent, path, spool) = fresh();
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.audit(5), Ok(Vec::new()));
    let deed = |n: u64| AuditLine {
        at: n,
        uid: 1000,
        action: "purge".into(),
        what: format!("host=\tweb\n{}", "x".repeat(400)),
        count: n,
    };
    for n in 0..20 {
        spool.audit(&deed(n)).unwrap();
    }
    assert_eq!(reader.audit(3).unwrap(), [deed(17), deed(18), deed(19)]);
    let long = fs::read(path.join(".audit")).unwrap().repeat(150);
    fs::write(path.join(".audit"), &long).unwrap();
    spool.audit(&deed(20)).unwrap();
    assert_eq!(fs::metadata(path.join(".audit.1")).unwrap().len(), long.len() as u64);
    assert_eq!(reader.audit(2).unwrap(), [deed(19), deed(20)]);
    assert_eq!(fs::metadata(path.join(".audit")).unwrap().permissions().mode() & 0o777, 0o640);
    fs::remove_file(path.join(".audit")).unwrap();
    symlink("/etc/passwd", path.join(".audit")).unwrap();
    assert!(spool.audit(&deed(21)).is_err(), "a log that is a link is never followed");
}
