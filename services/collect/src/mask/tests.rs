//! Secrets are hidden, look-alikes are not, and lengths stay.

use std::io::Read as _;

use super::{Masked, Masker};

/// Lines with a secret, which is what stands between `<<` and `>>`.
const HIDDEN: &str = include_str!("hidden.txt");
/// Lines that must stay as they are.
const KEPT: &str = include_str!("kept.txt");

fn read(text: &[u8], masker: &Masker, step: usize) -> Vec<u8> {
    let mut masked = Masked::new(text, masker, text.len() as u64);
    let mut all = Vec::new();
    let mut room = vec![0; step];
    loop {
        let count = masked.read(&mut room).unwrap();
        if count == 0 {
            return all;
        }
        all.extend_from_slice(&room[..count]);
    }
}

#[test]
fn secrets_are_hidden_in_every_form() {
    let masker = Masker::new().unwrap();
    let mut rows = 0;
    for line in HIDDEN.lines().filter(|line| !line.is_empty()) {
        let (before, rest) = line.split_once("<<").unwrap();
        let (secret, after) = rest.split_once(">>").unwrap();
        let plain = format!("{before}{secret}{after}");
        let found = masker.masked(&plain);
        assert!(!found.contains(secret), "{plain}: {found}");
        assert_eq!(found.len(), plain.len(), "{plain}");
        assert!(found.starts_with(before), "{plain}: {found}");
        rows += 1;
    }
    assert!(rows >= 60, "{rows}");
}

#[test]
fn what_only_looks_like_one_is_kept() {
    let masker = Masker::new().unwrap();
    for line in KEPT.lines() {
        assert_eq!(masker.masked(line), line);
    }
}

#[test]
fn a_private_key_is_hidden_over_many_lines() {
    let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n".repeat(30);
    let text = format!(
        "before\n-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----\nafter\n"
    );
    let masker = Masker::new().unwrap();
    let found = String::from_utf8(read(text.as_bytes(), &masker, 100)).unwrap();
    assert_eq!(found.len(), text.len());
    assert!(!found.contains("MIIE") && found.contains("before\n") && found.contains("\nafter\n"));
    let public = text.replace("RSA PRIVATE KEY", "CERTIFICATE");
    assert_eq!(read(public.as_bytes(), &masker, 100), public.as_bytes());
}

#[test]
fn lengths_stay_and_pieces_do_not_matter() {
    let masker = Masker::new().unwrap();
    let line = |n: u32| format!("{n} password=hunter{n} and more\nplain {n}\n");
    let text: String = (0..20_000).map(line).collect();
    let whole = masker.masked(&text);
    assert!(!whole.contains("hunter"));
    assert_eq!(read(text.as_bytes(), &masker, 7919), whole.as_bytes());
    // A line without end, with a secret across a border.
    let long = format!("{} password=\"hunter2\" {}", "x".repeat(262_130), "y".repeat(300_000));
    let found = read(long.as_bytes(), &masker, 4096);
    assert_eq!(found.len(), long.len());
    assert!(!String::from_utf8(found).unwrap().contains("hunter2"));
}

#[test]
fn what_is_no_text_is_kept_as_it_is() {
    let masker = Masker::new().unwrap();
    let binary = b"\x7fELF\0\0password=hunter2\n".repeat(100);
    assert_eq!(read(&binary, &masker, 64), binary);
    let cut = [vec![0; 20_000], b"\npassword=hunter2\n".to_vec()].concat();
    let found = read(&cut, &masker, 64);
    assert_eq!(found.len(), cut.len());
    assert!(!String::from_utf8_lossy(&found).contains("hunter2"));
}
