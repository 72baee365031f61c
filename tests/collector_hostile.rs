//! Whatever is sent, the collector answers with the status of
//! docs/wire-protocol.md, stays small, and goes on.
#![cfg(feature = "collector")]

#[path = "support/collector.rs"]
mod collector;

use std::io::Write;
use std::time::{Duration, Instant};

use collector::{Collector, Options, batch, crash, pack, rest};
use epicore::record::{Exposure, Id, Running};
use epicore::wire::{Batch, Item, ItemKind};

fn plain(settings: &str) -> Collector {
    Collector::start(Options { tls: false, settings: settings.to_owned(), ..Options::default() })
}

/// MessagePack of a batch of web-17 whose `items` are these bytes.
fn with_items(items: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x83\xa1v\x01\xa4from\x81\xa4name\xa6web-17\xa5items".to_vec();
    bytes.extend_from_slice(items);
    bytes
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 3).unwrap()
}

/// `total` zero bytes behind `head`, as one zstd frame that declares no size:
/// a window of 8 MiB, one raw block, then blocks of 128 KiB in four bytes each.
fn bomb(head: &[u8], total: u64) -> Vec<u8> {
    const BLOCK: u32 = 128 << 10;
    let header = |kind: u32, size: usize| (kind << 1 | u32::try_from(size).unwrap() << 3).to_le_bytes();
    let mut frame = b"\x28\xb5\x2f\xfd\x00\x68".to_vec();
    frame.extend_from_slice(&header(0, head.len())[..3]);
    frame.extend_from_slice(head);
    for _ in 0..total / u64::from(BLOCK) {
        frame.extend_from_slice(&header(1, BLOCK as usize)[..3]);
        frame.push(0);
    }
    frame.extend_from_slice(&[1, 0, 0]);
    frame
}

#[test]
fn a_bomb_costs_nothing() {
    let collector = plain("");
    let token = collector.token("ingest", "web-17");
    collector.ingest(&token, &batch("web-17", &[crash("web-17")]));
    // 10 GB of zeros as one body's bytes (10,000,000,000 = 0x2540be400 does not
    // fit into 32 bits: the length says 4 GiB − 1).
    let mut head = with_items(b"\x91\x83\xa2id\xc4\x10");
    head.extend_from_slice(&[7; 16]);
    head.extend_from_slice(b"\xa4kind\xa5crash\xa4body\xc6\xff\xff\xff\xff");
    let bomb = bomb(&head, 10_000_000_000);
    println!("10 GB are {} bytes compressed", bomb.len());
    let before = collector.memory_kib("VmHWM");
    let begun = Instant::now();
    for _ in 0..4 {
        assert_eq!(collector.post(&token, bomb.clone()).status(), 413);
    }
    let grown = collector.memory_kib("VmHWM").saturating_sub(before);
    println!("four bombs: {:?}, the high water mark grew by {grown} KiB", begun.elapsed());
    assert!(grown < 100 << 10, "{grown} KiB");
    collector.ingest(&token, &batch("web-17", &[crash("web-17")]));
}

/// A batch of 60 reports, each packed by itself: 16,384 workloads over a day.
fn wide() -> Batch {
    let mut sent = batch("web-17", &[]);
    sent.items = (0..60u8)
        .map(|n| {
            let id = epicore::record::new_id();
            let running =
                (0..16_384).map(|n| Running { unit: Some(format!("{n:x}")), n: 1, ..Running::default() });
            let mut seen =
                Exposure { v: 1, id: id.clone(), running: running.collect(), ..Exposure::default() };
            seen.host.boot = Some(Id(vec![n; 16]));
            (seen.since_ns, seen.boottime_ns) = (Some(0), Some(86_400_000_000_000));
            let body = epicore::wire::pack::pack(&epicore::record::encode_exposure(&seen).unwrap());
            Item { id, kind: ItemKind::Exposure, body }
        })
        .collect();
    sent
}

/// A few KB unfolded to gigabytes of memory and minutes of the writer, in which
/// nobody else was answered.
#[test]
fn a_batch_that_unfolds_costs_little_memory_and_others_get_their_turn() {
    let collector = plain("[limits]\nrequests_per_host = 0\n");
    let (host, other) = (collector.token("ingest", "web-17"), collector.token("ingest", "web-1"));
    collector.ingest(&other, &batch("web-1", &[crash("web-1")]));
    let before = collector.memory_kib("VmHWM");
    let bomb = wide();
    println!("{} bytes", pack(&bomb).len());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let bombs: Vec<_> =
            (0..4).map(|_| scope.spawn(|| collector.post(&host, pack(&bomb)).status())).collect();
        let watched = scope.spawn(|| {
            let mut worst = Duration::ZERO;
            while !done.load(std::sync::atomic::Ordering::SeqCst) {
                let begun = Instant::now();
                collector.ingest(&other, &batch("web-1", &[crash("web-1")]));
                worst = worst.max(begun.elapsed());
            }
            worst
        });
        let begun = Instant::now();
        let all: Vec<u16> = bombs.into_iter().map(|bomb| bomb.join().unwrap().as_u16()).collect();
        done.store(true, std::sync::atomic::Ordering::SeqCst);
        let worst = watched.join().unwrap();
        println!(
            "the bombs were answered {all:?} and took {:?}, another host waited {worst:?} at most",
            begun.elapsed()
        );
        assert!(all.iter().all(|status| [200, 503].contains(status)), "{all:?}");
        assert!(worst < Duration::from_secs(10), "{worst:?}");
    });
    let grown = collector.memory_kib("VmHWM").saturating_sub(before);
    println!("the high water mark grew by {grown} KiB");
    assert!(grown < 64 << 10, "limits.memory_bytes: {grown} KiB");
}

#[test]
fn a_length_that_lies_is_not_allocated() {
    let collector = plain("");
    let token = collector.token("ingest", "web-17");
    let before = collector.memory_kib("VmHWM");
    let lies: [&[u8]; 6] = [
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\x91\x81\xa4body\xc6\xff\xff\xff\xff",
        b"\x91\x81\xa2id\xc6\xff\xff\xff\xff",
        b"\x91\x81\xdb\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff\x80\x80\x80",
    ];
    for lie in lies {
        assert_eq!(collector.post(&token, zstd(&with_items(lie))).status(), 400, "{lie:x?}");
    }
    let grown = collector.memory_kib("VmHWM").saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB");
}

#[test]
fn what_is_not_a_batch_is_a_400_with_words() {
    let collector = plain("");
    let token = collector.token("ingest", "web-17");
    let good = pack(&batch("web-17", &[crash("web-17")]));
    let mut trailing = good.clone();
    trailing.extend_from_slice(b"and more");
    let mut twice = good.clone();
    twice.extend_from_slice(&good);
    let mut inside = zstd::bulk::decompress(&good, 1 << 20).unwrap();
    inside.push(0xc0);
    let mut window = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    window.window_log(27).unwrap();
    window.include_contentsize(false).unwrap();
    window.write_all(&zstd::bulk::decompress(&good, 1 << 20).unwrap()).unwrap();
    let middle = good.len() / 2;
    let bodies = [
        ("empty", Vec::new()),
        ("no zstd", b"hello".to_vec()),
        ("truncated", good[..good.len() - 5].to_vec()),
        ("half", good[..middle].to_vec()),
        ("trailing bytes", trailing),
        ("two frames", twice),
        ("bytes behind the batch", zstd(&inside)),
        ("a window of 128 MiB", window.finish().unwrap()),
        ("no protocol", zstd(b"\x80")),
        ("no map", zstd(b"\xc0")),
        ("nothing inside", zstd(b"")),
        ("10,000 lists in each other", zstd(&[0x91; 10_000])),
        ("10,000 lists as items", zstd(&with_items(&[0x91; 10_000]))),
        ("10,000 lists under a key nobody knows", zstd(&[b"\x81\xa1x".as_slice(), &[0x91; 10_000]].concat())),
        ("a name that is not UTF-8", zstd(b"\x82\xa1v\x01\xa4from\x81\xa4name\xa2\xff\xfe")),
        ("items that are a text", zstd(&with_items(b"\xa4item"))),
    ];
    for (what, body) in bodies {
        let response = collector.post(&token, body);
        assert_eq!(response.status(), 400, "{what}");
        let problem: epicore::wire::api::Problem = rmp_serde::from_slice(&response.bytes().unwrap()).unwrap();
        assert!(!problem.error.is_empty(), "{what}");
        println!("{what}: {}", problem.error);
    }
    collector.ingest(&token, &batch("web-17", &[crash("web-17")]));
}

/// It was a 400, which a host takes as the end of the record: after an upgrade of
/// the hosts before the collector each record was marked as refused.
#[test]
fn a_newer_protocol_is_a_426_with_words_whatever_it_made_of_a_batch() {
    let collector = plain("");
    let token = collector.token("ingest", "web-17");
    let mut newer = batch("web-17", &[crash("web-17")]);
    newer.v = 2;
    let other_items = b"\x82\xa5items\x81\xa1a\xa1b\xa1v\x02";
    for body in [pack(&newer), zstd(other_items), zstd(b"\x83\xa1v\x02\xa4from\x07\xa5items\xc0")] {
        let response = collector.post(&token, body);
        assert_eq!(response.status(), 426);
        let problem: epicore::wire::api::Problem = rmp_serde::from_slice(&response.bytes().unwrap()).unwrap();
        assert!(problem.error.contains("protocol version 2"), "{}", problem.error);
        assert!(problem.next.unwrap().contains("upgrade the collector"));
    }
    assert_eq!(collector.post(&token, zstd(b"\x82\xa1v\x01\xa4from\x07")).status(), 400, "of this protocol");
}

#[test]
fn what_is_too_large_is_a_413() {
    let collector = plain("");
    let token = collector.token("ingest", "web-17");
    let declared = format!(
        "POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/msgpack\r\nContent-Length: 99999999999\r\n\r\n"
    );
    let mut stream = collector.connect();
    stream.write_all(declared.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(rest(&mut stream).starts_with("HTTP/1.1 413 "));
    assert_eq!(collector.post(&token, vec![0; (4 << 20) + 1]).status(), 413);
    let mut many = batch("web-17", &[]);
    many.items = vec![Item::default(); 1001];
    assert_eq!(collector.post(&token, pack(&many)).status(), 413);
    let large = zstd::bulk::compress(&vec![0; (16 << 20) + 1], 3).unwrap();
    assert_eq!(collector.post(&token, large).status(), 413, "a size that is declared");
    many.items.truncate(1000);
    assert_eq!(collector.post(&token, pack(&many)).status(), 200);
}

#[test]
fn other_kinds_of_requests_have_their_statuses() {
    let collector = plain("");
    let token = collector.token("ingest", "web-17");
    let read = collector.token("read", "mia");
    let client = collector.client();
    let post = |kind: &str, encoding: &str| {
        let request = client.post(format!("{}/v1/batches", collector.url)).bearer_auth(&token);
        let request = request.header("Content-Type", kind).header("Content-Encoding", encoding);
        request.body(pack(&batch("web-17", &[]))).send().unwrap().status()
    };
    assert_eq!(post("application/msgpack", "zstd"), 200);
    assert_eq!(post("application/json", "zstd"), 415);
    assert_eq!(post("application/msgpack", "gzip"), 415);
    assert_eq!(post("application/msgpack", "zstd, zstd"), 415);
    assert_eq!(collector.get("/v2/records", &read).status(), 404);
    assert_eq!(collector.get("/v1/records/0199f0a6d1c87bd2a1b0c3d441f7a2c3", &read).status(), 404);
    let wrong = collector.get("/v1/batches", &token);
    assert_eq!((wrong.status().as_u16(), wrong.headers()["allow"].to_str().unwrap()), (405, "POST"));
    assert_eq!(collector.get("/v1/records?hots=x", &read).status(), 400);
    assert_eq!(collector.get("/v1/records/xyz", &read).status(), 400);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(client.get(format!("{}{path}", collector.url)).send().unwrap().status(), 200);
    }
}

#[test]
fn who_sends_too_often_is_told_when_to_come_back() {
    let collector = plain("[limits]\nrequests_per_host = 1\nrequests_burst = 2\n");
    let token = collector.token("ingest", "web-17");
    let everybody = collector.token("ingest", "*");
    for _ in 0..2 {
        collector.ingest(&token, &batch("web-17", &[]));
    }
    let response = collector.post(&token, pack(&batch("web-17", &[crash("web-17")])));
    assert_eq!(response.status(), 429);
    let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=61).contains(&seconds));
    assert_eq!(collector.post(&everybody, pack(&batch("web-17", &[]))).status(), 429);
    collector.ingest(&everybody, &batch("web-18", &[]));
}

#[test]
fn who_sends_slowly_is_sent_away() {
    let collector = plain("[limits]\nheader_seconds = 1\nbody_seconds = 1\n");
    let token = collector.token("ingest", "web-17");
    let mut head = collector.connect();
    head.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
    assert!(!rest(&mut head).contains("200"), "a head that never ends");
    let mut silent = collector.connect();
    assert_eq!(rest(&mut silent), "", "a connection that says nothing");
    let mut body = collector.connect();
    let request = format!(
        "POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/msgpack\r\nContent-Length: 1000\r\n\r\nabc"
    );
    body.write_all(request.as_bytes()).unwrap();
    assert!(rest(&mut body).starts_with("HTTP/1.1 408 "), "a body that never ends");
}

#[test]
fn a_handshake_that_never_ends_is_ended() {
    let settings = "[limits]\nhandshake_seconds = 1\n".to_owned();
    let collector = Collector::start(Options { settings, ..Options::default() });
    let mut silent = collector.connect();
    assert_eq!(rest(&mut silent), "");
    let mut plain = collector.connect();
    plain.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").unwrap();
    assert!(!rest(&mut plain).contains("HTTP/1.1 200"));
    let text = collector.get("/metrics", &collector.token("read", "mia")).text().unwrap();
    assert!(text.contains("epicore_collector_tls_failures_total{cause=\"timeout\"} 1"), "{text}");
    assert!(text.contains("epicore_collector_tls_failures_total{cause=\"handshake\"} 1"), "{text}");
}

#[test]
fn a_thousand_idle_connections_are_small_and_others_are_served() {
    let collector = Collector::start(Options::default());
    let token = collector.token("ingest", "web-17");
    let before = collector.memory_kib("VmRSS");
    let mut idle: Vec<_> = (0..1000).map(|_| collector.connect_tls()).collect();
    for stream in &mut idle {
        stream.conn.complete_io(&mut stream.sock).unwrap();
    }
    let after = collector.memory_kib("VmRSS");
    println!("1,000 idle TLS connections: {} KiB more, {after} KiB in all", after - before);
    collector.ingest(&token, &batch("web-17", &[crash("web-17")]));
    assert!(after < 150 << 10, "{after} KiB");
}

#[test]
fn requests_that_follow_each_other_without_waiting_are_answered_in_order() {
    let collector = Collector::start(Options::default());
    let mut stream = collector.connect_tls();
    let ask = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50)
        + "GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(ask.as_bytes()).unwrap();
    let text = rest(&mut stream);
    assert_eq!(text.matches("HTTP/1.1 200 ").count(), 50);
    assert!(text.rfind("HTTP/1.1 404 ") > text.rfind("HTTP/1.1 200 "));
}

#[test]
fn connections_beyond_the_number_wait_for_their_turn() {
    let collector = plain("[limits]\nconnections = 2\nheader_seconds = 2\n");
    let idle = [collector.connect(), collector.connect()];
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(collector.client().get(format!("{}/healthz", collector.url)).send().unwrap().status(), 200);
    drop(idle);
}

#[test]
fn nothing_from_the_network_breaks_a_line_of_the_log() {
    let collector = plain("[log]\nlevel = \"debug\"\n");
    let mut stream = collector.connect();
    stream.write_all(b"\x1b[2J\r\n\x1b]0;x\x07\r\n\r\n").unwrap();
    rest(&mut stream);
    let token = collector.token("ingest", "*");
    assert_eq!(collector.post(&token, zstd(b"\x81\xa1\n\x1b")).status(), 400);
    let everyone = collector.post(&token, pack(&batch("a\nb\x1b[2J", &[])));
    assert_eq!(everyone.status(), 200);
    let log = collector.log();
    assert!(!log.contains('\x1b') && !log.contains('\x07'), "{log:?}");
}

mod any_bytes {
    use super::*;
    use proptest::prelude::*;
    use std::sync::OnceLock;

    fn shared() -> &'static (Collector, String) {
        static ONE: OnceLock<(Collector, String)> = OnceLock::new();
        ONE.get_or_init(|| {
            let collector = plain("[limits]\nrequests_per_host = 0\n");
            let token = collector.token("ingest", "web-17");
            (collector, token)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
        #[test]
        fn as_a_batch_are_answered_and_nothing_ends(
            noise in proptest::collection::vec(any::<u8>(), 0..600),
            cut in 0usize..600,
            compressed in any::<bool>(),
        ) {
            let (collector, token) = shared();
            let mut bytes = rmp_serde::to_vec_named(&batch("web-17", &[crash("web-17")])).unwrap();
            let cut = cut.min(bytes.len());
            bytes.truncate(cut);
            bytes.extend_from_slice(&noise);
            let body = if compressed { zstd(&bytes) } else { noise };
            let status = collector.post(token, body).status().as_u16();
            prop_assert!([200, 400, 403, 413, 426].contains(&status), "{status}");
        }
    }
}

#[test]
fn a_host_that_sends_much_at_once_leaves_room_for_the_others() {
    let collector = plain("[limits]\nrequests_per_host = 0\nbody_seconds = 3600\n");
    let slow = collector.token("ingest", "slow");
    let uploads: Vec<_> = (0..12)
        .map(|_| {
            let mut stream = collector.connect();
            let head = format!(
                "POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {slow}\r\n\
                 Content-Type: application/msgpack\r\nContent-Encoding: zstd\r\nContent-Length: 4194304\r\n\r\nx"
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    loop {
        match collector.post(&slow, pack(&batch("slow", &[]))).status().as_u16() {
            200 => {}
            status => break assert_eq!(status, 429, "its own doing, and not the memory of all"),
        }
    }
    let other = collector.token("ingest", "web-1");
    assert_eq!(collector.post(&other, pack(&batch("web-1", &[crash("web-1")]))).status(), 200);
    drop(uploads);
}

/// Memory was admitted by Content-Length before a byte came: two hosts with
/// four connections each held all of it, and everybody else was "busy".
#[test]
fn bodies_that_are_only_declared_hold_nothing_that_others_need() {
    let collector = plain("[limits]\nrequests_per_host = 0\nbody_seconds = 3600\n");
    let hosts: Vec<String> = (0..20).map(|n| collector.token("ingest", &format!("slow-{n}"))).collect();
    let uploads: Vec<_> = hosts
        .iter()
        .flat_map(|token| [token; 4])
        .map(|token| {
            let mut stream = collector.connect();
            let head = format!(
                "POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
                 Content-Type: application/msgpack\r\nContent-Length: 4194304\r\n\r\nx"
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let read = collector.token("read", "mia");
    let in_flight = || -> u64 {
        let text = collector.get("/metrics", &read).text().unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("epicore_collector_in_flight_bytes "));
        line.unwrap().parse().unwrap()
    };
    let begun = Instant::now();
    while in_flight() < 80 * (64 << 10) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{} bytes", in_flight());
    }
    let other = collector.token("ingest", "web-1");
    let begun = Instant::now();
    collector.ingest(&other, &batch("web-1", &[crash("web-1")]));
    // One that is long and comes in full is read in whole.
    let mut long = batch("web-1", &[]);
    long.items = (0..15u8)
        .map(|n| Item { id: Id(vec![n; 16]), body: vec![0xc1; 250_000], ..Item::default() })
        .collect();
    let plain = rmp_serde::to_vec_named(&long).unwrap();
    let request = collector.client().post(format!("{}/v1/batches", collector.url)).bearer_auth(&other);
    let answer = request.header("Content-Type", "application/msgpack").body(plain).send().unwrap();
    assert_eq!(answer.status(), 200);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    drop(uploads);
}

#[test]
fn who_asks_whether_it_is_ready_takes_no_turn_of_who_asks_a_question() {
    let collector = plain("");
    let token = collector.token("read", "mia");
    let other = rusqlite::Connection::open(collector.path("collector.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let answered = std::sync::atomic::AtomicUsize::new(0);
    let client = collector.client();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let ready = client.get(format!("{}/readyz", collector.url)).send().unwrap();
                answered.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                assert_eq!(ready.status(), 200);
            });
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(collector.json("/v1/hosts", &token).as_array().map(Vec::len), Some(0));
        assert_eq!(answered.load(std::sync::atomic::Ordering::SeqCst), 0, "the writer was free");
        other.execute_batch("ROLLBACK").unwrap();
    });
}
