//! A directory that a target fills anew for each input, in memory where there is
//! such a place.

#![allow(dead_code, unreachable_pub)]

use std::path::{Path, PathBuf};
use std::sync::Mutex;

struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An empty directory, this thread's own.
pub fn empty(name: &str) -> PathBuf {
    thread_local! {
        static PLACE: std::cell::RefCell<Option<Place>> = const { std::cell::RefCell::new(None) };
    }
    static NUMBER: Mutex<u32> = Mutex::new(0);
    PLACE.with_borrow_mut(|place| {
        let place = place.get_or_insert_with(|| {
            let memory = Path::new("/dev/shm");
            let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
            let mut number = NUMBER.lock().expect("no panic while it was held");
            *number += 1;
            Place(parent.join(format!("epicore-fuzz-{name}-{}-{number}", std::process::id())))
        });
        let _ = std::fs::remove_dir_all(&place.0);
        std::fs::create_dir(&place.0).expect("a directory");
        place.0.clone()
    })
}
