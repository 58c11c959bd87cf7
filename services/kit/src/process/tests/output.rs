//! What goes in and what comes out.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::*;

#[tokio::test]
async fn environment_is_what_was_given_and_the_marker() {
    let mut spawn = script("environment", "");
    spawn.program = "env".into();
    spawn.arguments.clear();
    spawn.environment.push(("TWICE".into(), "first".into()));
    spawn.environment.push(("TWICE".into(), "last".into()));
    let outcome = outcome(&spawn).await;
    let mut lines: Vec<&str> = stdout(&outcome).lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["HEARKEN_RUN=test:environment", "PATH=/usr/bin:/bin", "TWICE=last"]);
}

#[tokio::test]
async fn program_starts_in_its_folder_under_its_own_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let mut spawn = script("folder", "pwd; echo $0");
    spawn.folder = Some(path.clone());
    let outcome = outcome(&spawn).await;
    assert_eq!(stdout(&outcome), format!("{}\n/bin/sh\n", path.display()));
}

#[tokio::test]
async fn relative_program_is_looked_for_in_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/echo", folder.path().join("tool")).unwrap();
    for (program, path) in [("./tool", "/nowhere"), ("tool", "/nowhere:.")] {
        let mut spawn = script("relative", "");
        spawn.program = program.into();
        spawn.environment = vec![("PATH".into(), path.into())];
        spawn.folder = Some(folder.path().to_owned());
        let outcome = outcome(&spawn).await;
        assert!(matches!(outcome.ending, Ending::Exited(0)), "{program}: {outcome:?}");
    }
}

#[tokio::test]
async fn input_is_read_to_its_end_whatever_its_length() {
    for length in [0, 1, 65_536, 3_000_001] {
        let bytes: Vec<u8> = (0..length).map(|i: u32| i.to_le_bytes()[i as usize % 3]).collect();
        let mut spawn = script("input", "cat");
        spawn.stdin = Stdin::Bytes(Bytes::from(bytes.clone()));
        spawn.output_max_bytes = 4_000_000;
        let outcome = outcome(&spawn).await;
        assert!(matches!(outcome.ending, Ending::Exited(0)), "{length}: {:?}", outcome.ending);
        assert!(outcome.stdout.bytes == bytes && !outcome.stdout.truncated, "{length}");
    }
    let outcome = outcome(&script("no-input", "cat; echo end")).await;
    assert_eq!(stdout(&outcome), "end\n");
}

#[tokio::test]
async fn input_that_is_not_wanted_is_no_error() {
    let mut spawn = script("unwanted", "exec <&-; echo no thanks; exit 4");
    spawn.stdin = Stdin::Bytes(Bytes::from(vec![b'x'; 1 << 20]));
    let outcome = outcome(&spawn).await;
    assert!(matches!(outcome.ending, Ending::Exited(4)), "{outcome:?}");
    assert_eq!(stdout(&outcome), "no thanks\n");
}

#[tokio::test]
async fn input_beyond_the_bound_is_refused() {
    let mut spawn = script("too-much", "cat");
    spawn.stdin = Stdin::Bytes(Bytes::from(vec![0; crate::process::spawn::STDIN_BYTES_MAX + 1]));
    let outcome = outcome(&spawn).await;
    let refused = Ending::FailedToStart(StartError::InputTooLong { bytes: 0, bytes_max: 0 });
    assert_eq!(
        std::mem::discriminant(&outcome.ending),
        std::mem::discriminant(&refused),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn output_beyond_the_cap_is_counted_and_thrown_away() {
    for cap in [0, 1, 5_000, 65_536] {
        let mut spawn = script("flood", "head -c 30000000 /dev/zero; head -c 7 /dev/zero >&2");
        spawn.output_max_bytes = cap;
        let outcome = outcome(&spawn).await;
        assert!(matches!(outcome.ending, Ending::Exited(0)), "{cap}: {:?}", outcome.ending);
        assert_eq!(outcome.stdout.bytes.len(), cap);
        assert!(outcome.stdout.bytes.capacity() <= cap.max(1), "{cap}");
        assert!(outcome.stdout.truncated && outcome.stdout.total_bytes == 30_000_000, "{cap}");
        assert_eq!((outcome.stderr.total_bytes, outcome.stderr.truncated), (7, cap < 7));
    }
}

#[tokio::test]
async fn output_of_exactly_the_cap_is_not_truncated() {
    let mut spawn = script("exact", "head -c 8192 /dev/zero");
    spawn.output_max_bytes = 8_192;
    let outcome = outcome(&spawn).await;
    assert_eq!((outcome.stdout.bytes.len(), outcome.stdout.truncated), (8_192, false));
}

#[tokio::test]
async fn memory_stays_small_under_a_flood_without_end() {
    let Ok(_) = std::env::var("HEARKEN_TEST_FLOOD") else {
        // In a process of its own, because memory is counted per process.
        let name = "process::tests::output::memory_stays_small_under_a_flood_without_end";
        let mut helper = std::process::Command::new(std::env::current_exe().unwrap());
        helper.args(["--exact", name]).env("HEARKEN_TEST_FLOOD", "1");
        assert!(helper.status().unwrap().success());
        return;
    };
    let peak_kib = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    let before = peak_kib();
    let (tx, _unread) = mpsc::channel(4);
    let listener = Listener::new(tx);
    let (enough, enough_said) = tokio::sync::oneshot::channel();
    let cancel = async { enough_said.await.unwrap() };
    let spawn = script("flood-without-end", "cat /dev/zero & cat /dev/zero >&2");
    let flood = async { run(&spawn, cancel, Some(&listener)).await };
    let watch = async {
        eventually("250 MB", || listener.dropped_bytes() > 250_000_000).await;
        enough.send(()).unwrap();
    };
    let (outcome, ()) = tokio::join!(flood, watch);
    assert!(matches!(outcome.ending, Ending::Canceled), "{:?}", outcome.ending);
    assert!(outcome.stdout.total_bytes + outcome.stderr.total_bytes > 250_000_000);
    let grown = peak_kib() - before;
    assert!(grown < 8 << 10, "grew by {grown} KiB, with two streams capped at 1 MiB");
}

#[tokio::test]
async fn slow_listener_loses_output_and_is_told_how_much() {
    let (tx, mut rx) = mpsc::channel(2);
    let listener = Listener::new(tx);
    let spawn = script("slow-listener", "head -c 5000000 /dev/zero");
    let outcome = run(&spawn, pending(), Some(&listener)).await;
    assert_eq!(outcome.stdout.total_bytes, 5_000_000);
    drop(listener.clone());
    let mut heard = 0;
    while let Ok(chunk) = rx.try_recv() {
        assert_eq!((chunk.output, chunk.offset), (Output::Stdout, heard));
        heard += chunk.bytes.len() as u64;
    }
    assert!(heard > 0 && listener.dropped_bytes() > 0);
    assert_eq!(heard + listener.dropped_bytes(), 5_000_000);
}

#[tokio::test]
async fn listener_that_left_is_no_error() {
    let (tx, rx) = mpsc::channel(2);
    drop(rx);
    let listener = Listener::new(tx);
    let outcome = run(&script("left", "echo hello"), pending(), Some(&listener)).await;
    assert_eq!((stdout(&outcome), listener.dropped_bytes()), ("hello\n", 0));
}

#[tokio::test]
async fn worker_is_spoken_with_while_it_runs() {
    let mut spawn = script("worker", "while read line; do echo \"got $line\"; done; echo bye >&2");
    spawn.stdin = Stdin::Open;
    let mut running = start(&spawn).await.unwrap();
    let mut stdin = running.take_stdin().unwrap();
    let mut lines = BufReader::new(running.take_output(Output::Stdout).unwrap()).lines();
    let talk = async {
        for word in ["one", "two"] {
            stdin.write_all(format!("{word}\n").as_bytes()).await.unwrap();
            assert_eq!(lines.next_line().await.unwrap(), Some(format!("got {word}")));
        }
        drop(stdin);
        assert_eq!(lines.next_line().await.unwrap(), None);
    };
    let (outcome, ()) = tokio::join!(running.finish(pending(), None), talk);
    assert!(matches!(outcome.ending, Ending::Exited(0)), "{outcome:?}");
    assert_eq!((outcome.stdout.total_bytes, &outcome.stderr.bytes[..]), (0, &b"bye\n"[..]));
}

#[tokio::test]
async fn limits_hold_the_child() {
    let mut spawn = script("limits", "read go; ulimit -n; ulimit -c; ulimit -v; ulimit -t; nice");
    spawn.limits.open_files = Some(37);
    spawn.limits.address_space_bytes = Some(1 << 30);
    spawn.limits.cpu_seconds = Some(9);
    spawn.limits.nice = Some(19);
    spawn.stdin = Stdin::Open;
    // Its first command waits for input, so the limits are there whatever the machine's load.
    let mut running = start(&spawn).await.unwrap();
    running.take_stdin().unwrap().write_all(b"go\n").await.unwrap();
    let outcome = running.finish(pending(), None).await;
    assert_eq!((stdout(&outcome), outcome.limits_refused), ("37\n0\n1048576\n9\n19\n", 0));
}
