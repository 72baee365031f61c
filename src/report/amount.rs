//! Numbers as people say them: 1.5 MiB, 3 h 20 min, 4,812 frames.

/// Bytes in binary units, at most four digits.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// A duration in the two largest units that say something.
pub fn duration_ns(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    match seconds {
        0 if ns < 1_000_000 => format!("{} µs", ns / 1_000),
        0 => format!("{:.1} ms", ns as f64 / 1e6),
        1..60 => format!("{:.1} s", ns as f64 / 1e9),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A count with its thousands apart.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// "1 frame", "4,812 frames", "2 crashes".
pub fn of(value: u64, one: &str) -> String {
    let more = if one.ends_with("sh") { "es" } else { "s" };
    format!("{} {one}{}", count(value), if value == 1 { "" } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_say_them() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(64 << 30), "64 GiB");
        assert_eq!(bytes(u64::MAX), "16 EiB");
        assert_eq!(duration_ns(3_400_000), "3.4 ms");
        assert_eq!(duration_ns(12_000_000_000_000), "3 h 20 min");
        assert_eq!(of(4812, "frame"), "4,812 frames");
        assert_eq!(of(1, "frame"), "1 frame");
        assert_eq!(count(1_000_000), "1,000,000");
    }
}
