//! Runs that a crash interrupted.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::process::{Claim, Identity, Leftover, Runs, RunsError};

/// The data folder of the process that is to crash.
const CRASHING: &str = "HEARKEN_TEST_CRASHING";

/// The process that is to crash; a test that fails takes it along.
struct Runner(std::process::Child);

impl Drop for Runner {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A claim on an execution.
fn claim(execution: &str) -> Claim {
    Claim { execution: execution.to_owned(), incarnation: "first".to_owned(), attempt: 2 }
}

/// Leaves two runs that go on, one of them without a note of its group, one that has ended, and one
/// that was only claimed; one more was told.
async fn work_until_killed(data: &Path) {
    let runs = Runs::open(data, "crash").unwrap();
    let text = "setsid sleep 1000 & echo $! >>pids; env -i sleep 1000 & echo $! >>pids; \
                echo $$ >>pids; touch ready; wait";
    let mut running = Vec::new();
    for (name, noted) in [("noted", true), ("unnoted", false)] {
        let mut run = runs.begin(claim(name)).unwrap();
        let mut spawn = script("replaced", text);
        spawn.marker = run.marker().clone();
        let folder = data.join(name);
        std::fs::create_dir(&folder).unwrap();
        spawn.folder = Some(folder.clone());
        let started = start(&spawn).await.unwrap();
        if noted {
            run.started(started.identity()).unwrap();
        }
        eventually("it is ready", || folder.join("ready").exists()).await;
        running.push((run, started));
    }
    let mut ended = runs.begin(claim("ended")).unwrap();
    let child = start(&script("ended", "exit 0")).await.unwrap();
    ended.started(child.identity()).unwrap();
    child.finish(pending(), None).await;
    let _only_claimed = runs.begin(claim("claimed")).unwrap();
    runs.begin(claim("told")).unwrap().told().unwrap();
    std::fs::write(data.join("working"), "").unwrap();
    pending::<()>().await;
}

#[tokio::test]
async fn interrupted_runs_are_ended_and_named() {
    if let Some(data) = std::env::var_os(CRASHING) {
        return work_until_killed(Path::new(&data)).await;
    }
    let data = tempfile::tempdir().unwrap();
    let name = "process::tests::interrupted::interrupted_runs_are_ended_and_named";
    let mut runner = Command::new(std::env::current_exe().unwrap());
    runner.args(["--exact", name]).env(CRASHING, data.path()).stdout(Stdio::null());
    let mut runner = Runner(runner.spawn().unwrap());
    eventually("it works", || data.path().join("working").exists()).await;
    let in_use = Runs::open(data.path(), "crash").unwrap_err();
    assert!(matches!(in_use, RunsError::InUse { .. }), "{in_use}");
    runner.0.kill().unwrap();
    runner.0.wait().unwrap();

    let pids = |name: &str| -> Vec<String> {
        let pids = std::fs::read_to_string(data.path().join(name).join("pids")).unwrap();
        pids.lines().map(str::to_owned).collect()
    };
    let all = [pids("noted"), pids("unnoted")].concat();
    assert!(all.len() == 6 && all.iter().all(|pid| is_alive(pid)), "they outlived the crash");
    let runs = Runs::open(data.path(), "crash").unwrap();
    let leftovers = runs.leftovers();
    let row = |name: &str, was_started, was_running| Leftover {
        claim: claim(name),
        was_started,
        was_running,
    };
    assert_eq!(leftovers.skipped, []);
    assert_eq!(
        leftovers.runs,
        [
            row("noted", true, true),
            row("unnoted", false, true),
            row("ended", true, false),
            row("claimed", false, false),
        ]
    );
    // What cleared its environment is known by its group, which only the note can tell.
    let [escaped, cleared, leader] = &pids("unnoted")[..] else { panic!("three of them") };
    eventually("the noted", || !pids("noted").iter().any(|pid| is_alive(pid))).await;
    eventually("the marked", || !is_alive(escaped) && !is_alive(leader)).await;
    assert!(is_alive(cleared));
    kill(cleared);

    let begun = runs.begin(claim("noted")).unwrap_err();
    assert!(matches!(begun, RunsError::Begun { .. }), "{begun}");
    for leftover in &leftovers.runs {
        runs.forget(&leftover.claim.execution).unwrap();
        runs.forget(&leftover.claim.execution).unwrap();
    }
    runs.begin(claim("noted")).unwrap().told().unwrap();
    drop(runs);
    let leftovers = Runs::open(data.path(), "crash").unwrap().leftovers();
    assert_eq!(leftovers.runs, []);
}

#[tokio::test]
async fn stranger_with_a_recycled_id_is_not_killed() {
    let running = start(&script("stranger", "exec sleep 1000")).await.unwrap();
    let own = running.identity();
    let stat = procfs::stat(own.group).unwrap();
    assert!(own.is(&stat));
    let at = |started_after_ticks, started_by_ticks| Identity {
        started_after_ticks,
        started_by_ticks,
        ..own
    };
    let started = stat.started_ticks;
    let data = tempfile::tempdir().unwrap();
    // Another start time, or ids that are nobody's and everybody's.
    let identities = [
        at(0, started - 1),
        at(started + 1, u64::MAX),
        Identity { group: 0, ..own },
        Identity { group: 1, ..own },
        Identity { group: -1, ..own },
        Identity { group: i32::MIN, ..own },
    ];
    let runs = Runs::open(data.path(), "recycled").unwrap();
    for (index, identity) in identities.into_iter().enumerate() {
        runs.begin(claim(&index.to_string())).unwrap().started(identity).unwrap();
    }
    drop(runs);
    let leftovers = Runs::open(data.path(), "recycled").unwrap().leftovers();
    assert_eq!(leftovers.runs.len(), identities.len());
    assert!(leftovers.runs.iter().all(|run| run.was_started && !run.was_running));

    // The right process of another boot is a stranger as well; of this boot it is not.
    let path = data.path().join("runs/claims");
    let text = std::fs::read_to_string(&path).unwrap();
    let line = text.lines().next().unwrap();
    let note = |boot: &str| {
        let mut note: serde_json::Value = serde_json::from_str(line).unwrap();
        note["started"]["identity"] = serde_json::to_value(own).unwrap();
        note["started"]["boot"] = boot.into();
        format!("{:<511}\n", note.to_string())
    };
    for boot in ["", "another"] {
        std::fs::write(&path, note(boot)).unwrap();
        let leftovers = Runs::open(data.path(), "recycled").unwrap().leftovers();
        assert!(!leftovers.runs[0].was_running, "{boot:?}");
    }
    assert!(procfs::stat(own.group).unwrap().is_alive());
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    std::fs::write(&path, note(boot.trim())).unwrap();
    let leftovers = Runs::open(data.path(), "recycled").unwrap().leftovers();
    assert!(leftovers.runs[0].was_running);
    let outcome = running.finish(pending(), None).await;
    assert!(matches!(outcome.ending, Ending::Signaled(9)), "{outcome:?}");
}

#[test]
fn torn_and_foreign_notes_are_reported_and_used_again() {
    let data = tempfile::tempdir().unwrap();
    let runs = Runs::open(data.path(), "torn").unwrap();
    let _first = runs.begin(claim("first")).unwrap();
    let _second = runs.begin(claim("second")).unwrap();
    drop((runs, _first, _second));
    let path = data.path().join("runs/claims");
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&[0; 512]).unwrap(); // A hole.
    file.write_all(&[b'#'; 512]).unwrap(); // Somebody's notes.
    file.write_all(br#"{"claim":{"execution":"third""#).unwrap(); // The end of the disk.
    let runs = Runs::open(data.path(), "torn").unwrap();
    let leftovers = runs.leftovers();
    let names: Vec<&str> =
        leftovers.runs.iter().map(|leftover| leftover.claim.execution.as_str()).collect();
    assert_eq!(names, ["first", "second"]);
    let whys: Vec<&str> = leftovers.skipped.iter().map(|skipped| skipped.why.as_str()).collect();
    assert_eq!(whys, ["expected value at line 1 column 1", "torn after 29 bytes"]);
    assert!(leftovers.skipped[0].place.ends_with("runs/claims at byte 1536"), "{leftovers:?}");
    // The three free ones come first, then the file grows.
    let begun: Vec<_> =
        (0..4).map(|index| runs.begin(claim(&index.to_string())).unwrap()).collect();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 6 * 512);
    begun.into_iter().for_each(|run| run.told().unwrap());
    drop(runs);
    let leftovers = Runs::open(data.path(), "torn").unwrap().leftovers();
    assert_eq!((leftovers.runs.len(), leftovers.skipped.len()), (2, 0));
}

#[test]
fn names_that_do_not_fit_are_refused_before_anything_runs() {
    let data = tempfile::tempdir().unwrap();
    let refused = Runs::open(data.path(), "a:b").unwrap_err();
    assert!(matches!(refused, RunsError::Name { .. }), "{refused}");
    let runs = Runs::open(data.path(), "names").unwrap();
    for name in ["", "a\0b", &"x".repeat(400)] {
        let refused = runs.begin(claim(name)).unwrap_err();
        assert!(matches!(refused, RunsError::Name { .. }), "{refused}");
    }
    let longest = "x".repeat(200);
    runs.begin(claim(&longest)).unwrap().told().unwrap();
    assert_eq!(std::fs::metadata(data.path().join("runs/claims")).unwrap().len(), 512);
}
