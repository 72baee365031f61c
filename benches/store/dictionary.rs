//! Trains the dictionary that bodies are packed with, and says what it is
//! worth for records that it was not trained on.

use std::path::Path;

use epicore::record::{Record, encode};

use crate::fleet::{Fleet, captured};

const LEVELS: [i32; 3] = [1, 3, 6];
const BYTES: usize = 16 << 10;

pub fn train(file: &Path) {
    let all = captured();
    for left_out in 0..all.len() {
        let others: Vec<Record> =
            all.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, r)| r.clone()).collect();
        let dictionary = made(&others);
        let body = encode(&all[left_out]).unwrap();
        print!("left out {left_out}: {} bytes", body.len());
        for level in LEVELS {
            let alone = zstd::bulk::compress(&body, level).unwrap().len();
            let mut with = zstd::bulk::Compressor::with_dictionary(level, &dictionary).unwrap();
            print!("; level {level}: {alone} alone, {} with", with.compress(&body).unwrap().len());
        }
        println!();
    }
    let dictionary = made(&all);
    println!("{} bytes of dictionary", dictionary.len());
    std::fs::write(file, dictionary).unwrap();
}

/// Samples as a fleet sends them: the same records over and over with other
/// ids, hosts and registers.
fn made(records: &[Record]) -> Vec<u8> {
    let mut fleet = Fleet::new(3, 2000);
    fleet.only(records);
    let samples: Vec<Vec<u8>> = (0..40).flat_map(|_| fleet.batch(50).1).map(|item| item.body).collect();
    zstd::dict::from_samples(&samples, BYTES).unwrap()
}
