//! What is seen, how soon, and how often. These tests use the kernel and real time.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, Event, EventKind, Flag};
use tempfile::TempDir;
use tokio::time::timeout;

use super::poll::Fingerprint;
use super::{BURST, REFILL, SETTLE_MAX, Watcher, is_relevant, polling};
use crate::source::Roots;

/// Long enough for a machine that compiles meanwhile.
const PATIENCE: Duration = Duration::from_secs(20);

fn watcher(folders: &[&Path]) -> Watcher {
    let folders = folders.iter().map(|folder| folder.to_path_buf()).collect();
    Watcher::start(&Roots { bundled: true, folders })
}

async fn expect_change(watcher: &mut Watcher, what: &str) {
    assert!(timeout(PATIENCE, watcher.changed()).await.is_ok(), "not seen: {what}");
}

#[tokio::test]
async fn edits_of_all_kinds_are_seen() {
    let root = TempDir::new().unwrap();
    let rules = root.path().join("shop/rules");
    fs::create_dir_all(&rules).unwrap();
    fs::write(rules.join("a.yaml"), "1").unwrap();
    let mut watcher = watcher(&[root.path()]);
    assert!(!watcher.is_polling(), "this machine has no inotify watches left");

    fs::write(rules.join("a.yaml"), "2").unwrap();
    expect_change(&mut watcher, "a file written in place").await;

    fs::write(rules.join(".a.yaml.tmp"), "3").unwrap();
    fs::rename(rules.join(".a.yaml.tmp"), rules.join("a.yaml")).unwrap();
    expect_change(&mut watcher, "a hidden file renamed over").await;

    fs::remove_file(rules.join("a.yaml")).unwrap();
    expect_change(&mut watcher, "a file removed").await;

    fs::create_dir_all(root.path().join("new/rules")).unwrap();
    expect_change(&mut watcher, "a new pack").await;
    fs::write(root.path().join("new/rules/b.yaml"), "1").unwrap();
    expect_change(&mut watcher, "a file in a new pack").await;

    fs::rename(root.path().join("new"), root.path().join("other")).unwrap();
    expect_change(&mut watcher, "a pack renamed").await;
}

#[tokio::test]
async fn a_root_may_come_go_and_come_again() {
    let base = TempDir::new().unwrap();
    let root = base.path().join("a/b/packs");
    let mut watcher = watcher(&[&root]);
    for turn in 0..3 {
        fs::create_dir_all(root.join("shop/rules")).unwrap();
        expect_change(&mut watcher, &format!("the root made, turn {turn}")).await;
        fs::write(root.join("shop/rules/a.yaml"), "1").unwrap();
        expect_change(&mut watcher, &format!("a file in it, turn {turn}")).await;
        fs::remove_dir_all(base.path().join("a")).unwrap();
        expect_change(&mut watcher, &format!("the root removed, turn {turn}")).await;
    }
    // Put in place of another, whole.
    fs::create_dir_all(root.join("shop/rules")).unwrap();
    expect_change(&mut watcher, "the root made").await;
    fs::rename(&root, base.path().join("old")).unwrap();
    fs::create_dir_all(root.join("shop/rules")).unwrap();
    expect_change(&mut watcher, "the root replaced").await;
    fs::write(root.join("shop/rules/a.yaml"), "1").unwrap();
    expect_change(&mut watcher, "a file in the new root").await;
}

#[tokio::test]
async fn a_pack_that_is_a_link_is_watched_where_it_is() {
    let (root, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    fs::create_dir(elsewhere.path().join("rules")).unwrap();
    let mut watcher = watcher(&[root.path()]);
    symlink(elsewhere.path(), root.path().join("shop")).unwrap();
    symlink("/", root.path().join("everything")).unwrap();
    expect_change(&mut watcher, "a pack linked").await;
    // Whatever the links themselves still cause is not what is waited for below.
    while timeout(Duration::from_millis(500), watcher.changed()).await.is_ok() {}
    fs::write(elsewhere.path().join("rules/a.yaml"), "1").unwrap();
    expect_change(&mut watcher, "a file in a linked pack").await;
    assert!(!watcher.is_polling());
}

#[tokio::test]
async fn a_cancelled_wait_loses_nothing() {
    let root = TempDir::new().unwrap();
    let mut watcher = watcher(&[root.path()]);
    fs::write(root.path().join("pack.yaml"), "1").unwrap();
    for _ in 0..20 {
        // Long enough to see the event now and then, too short to settle.
        assert!(timeout(Duration::from_millis(5), watcher.changed()).await.is_err());
    }
    expect_change(&mut watcher, "the change before the cancelled waits").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_written_to_for_ever_is_read_now_and_then() {
    let root = TempDir::new().unwrap();
    let mut watcher = watcher(&[root.path()]);
    let stop = AtomicBool::new(false);
    let (reports, elapsed) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut count = 0_u64;
            while !stop.load(Ordering::SeqCst) {
                count += 1;
                fs::write(root.path().join("log"), count.to_string()).unwrap();
            }
        });
        let counted = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let begun = Instant::now();
                let mut reports = 0_u128;
                while begun.elapsed() < Duration::from_secs(2) {
                    expect_change(&mut watcher, "writes without end").await;
                    reports += 1;
                }
                (reports, begun.elapsed())
            })
        });
        stop.store(true, Ordering::SeqCst);
        counted
    });
    let allowed = elapsed.as_millis() / SETTLE_MAX.as_millis() + 1;
    assert!((2..=allowed).contains(&reports), "{reports} reports in {elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn reports_after_a_burst_are_paced() {
    let mut watcher = watcher(&[]);
    let begun = tokio::time::Instant::now();
    for _ in 0..BURST {
        watcher.token().await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    for _ in 0..10 {
        watcher.token().await;
    }
    assert_eq!(begun.elapsed(), REFILL * 10);
    tokio::time::advance(REFILL * 3 * BURST).await;
    let rested = tokio::time::Instant::now();
    for _ in 0..BURST {
        watcher.token().await;
    }
    assert_eq!(rested.elapsed(), Duration::ZERO);
    watcher.token().await;
    assert!(rested.elapsed() > Duration::ZERO, "a long rest saved up more than a burst");
}

#[tokio::test]
async fn without_the_kernel_folders_are_looked_at() {
    let root = TempDir::new().unwrap();
    fs::create_dir_all(root.path().join("shop/rules")).unwrap();
    let mut watcher = watcher(&[root.path(), &root.path().join("missing")]);
    let error = notify::Error::new(notify::ErrorKind::MaxFilesWatch);
    watcher.backend = polling(&watcher.roots, &error);
    assert!(watcher.is_polling());
    fs::write(root.path().join("shop/rules/a.yaml"), "1").unwrap();
    expect_change(&mut watcher, "a new file").await;
    fs::create_dir(root.path().join("missing")).unwrap();
    expect_change(&mut watcher, "a new root").await;
}

#[test]
fn the_look_of_folders_shows_edits_and_not_what_is_ignored() {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join("a.yaml"), "1").unwrap();
    let roots = [root.path().to_path_buf()];
    let before = Fingerprint::of(&roots);
    fs::create_dir(root.path().join("__pycache__")).unwrap();
    fs::write(root.path().join(".a.yaml.swp"), "1").unwrap();
    assert_eq!(Fingerprint::of(&roots), before);
    fs::write(root.path().join("a.yaml"), "22").unwrap();
    assert_ne!(Fingerprint::of(&roots), before);
}

#[test]
fn reading_and_ignored_files_are_no_change() {
    let roots = ["/home/me/.packs".into()];
    let open = EventKind::Access(AccessKind::Open(AccessMode::Any));
    let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
    let created = EventKind::Create(CreateKind::File);
    let rows = [
        (created, "/home/me/.packs/shop/rules/a.yaml", true),
        (closed, "/home/me/.packs/shop/rules/a.yaml", true),
        (open, "/home/me/.packs/shop/rules/a.yaml", false),
        (created, "/home/me/.packs/shop/.git/index", false),
        (created, "/home/me/.packs/shop/actions/__pycache__/a.pyc", false),
        (created, "/home/me/.packs/shop/rules/.a.yaml.swp", false),
        (created, "/home/me/.packs", true),
        (created, "/home/me", true),
        (created, "/home/me/other", false),
    ];
    for (kind, path, expected) in rows {
        let event = Event::new(kind).add_path(path.into());
        assert_eq!(is_relevant(&event, &roots), expected, "{kind:?} {path}");
    }
    assert!(is_relevant(&Event::new(open).set_flag(Flag::Rescan), &roots));
}
