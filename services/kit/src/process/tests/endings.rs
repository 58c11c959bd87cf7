//! How runs end, and who ends with them.

use super::*;

#[tokio::test]
async fn ending_is_the_childs_own() {
    for code in [0, 1, 3, 127, 255] {
        let outcome = outcome(&script("codes", &format!("exit {code}"))).await;
        assert!(matches!(outcome.ending, Ending::Exited(c) if c == code), "{code}: {outcome:?}");
        assert!(!outcome.held_open && !outcome.forced && !outcome.stuck && outcome.escaped == 0);
    }
    for signal in [1, 9, 11, 15] {
        let outcome = outcome(&script("signals", &format!("kill -{signal} $$"))).await;
        assert!(matches!(outcome.ending, Ending::Signaled(s) if s == signal), "{outcome:?}");
    }
}

#[tokio::test]
async fn ending_that_somebody_else_has_taken_is_unknown() {
    let Ok(_) = std::env::var("HEARKEN_TEST_IGNORING") else {
        // In a process that was started with SIGCHLD ignored: the kernel reaps its children.
        let name = "process::tests::endings::ending_that_somebody_else_has_taken_is_unknown";
        let mut helper = std::process::Command::new("env");
        helper.arg("--ignore-signal=CHLD").arg(std::env::current_exe().unwrap());
        helper.args(["--exact", name]).env("HEARKEN_TEST_IGNORING", "1");
        assert!(helper.status().unwrap().success());
        return;
    };
    let outcome = outcome(&script("ignoring", "echo hello; exit 3")).await;
    assert!(matches!(outcome.ending, Ending::Unknown(_)), "{outcome:?}");
    assert_eq!(stdout(&outcome), "hello\n");
}

#[tokio::test]
async fn child_leads_its_group_and_leaves_no_zombie() {
    let running = start(&script("group", "exec sleep 0.01")).await.unwrap();
    let identity = running.identity();
    let stat = procfs::stat(identity.group).unwrap();
    assert!(identity.is(&stat), "{identity:?} {stat:?}");
    running.finish(pending(), None).await;
    assert!(procfs::stat(identity.group).is_err(), "it is reaped when its outcome is there");
}

#[tokio::test]
async fn timeout_ends_the_whole_group() {
    let mut spawn = script("timeout", "sleep 1000 & echo $!; sleep 1000 & echo $!; wait");
    spawn.timeout = Duration::from_secs(1);
    let outcome = outcome(&spawn).await;
    assert!(matches!(outcome.ending, Ending::TimedOut), "{outcome:?}");
    assert!(outcome.elapsed >= spawn.timeout && !outcome.held_open, "{outcome:?}");
    let pids: Vec<&str> = stdout(&outcome).split_whitespace().collect();
    assert_eq!(pids.len(), 2, "it was not given time to begin");
    assert!(!pids.into_iter().any(is_alive));
}

#[tokio::test]
async fn flood_without_end_is_ended_by_its_timeout() {
    let mut spawn = script("flood-timeout", "exec cat /dev/zero");
    spawn.timeout = Duration::from_millis(100);
    let outcome = outcome(&spawn).await;
    assert!(matches!(outcome.ending, Ending::TimedOut), "{:?}", outcome.ending);
    assert!(outcome.stdout.truncated);
}

#[tokio::test]
async fn child_tidies_up_within_its_grace() {
    let text = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done";
    let (_, outcome) = cancel_after(&script("tidy", text), 1).await;
    assert!(matches!(outcome.ending, Ending::Canceled) && !outcome.forced, "{outcome:?}");
    assert_eq!(stdout(&outcome), "ready\nbye\n");
}

#[tokio::test]
async fn members_tidy_up_within_the_grace_after_their_leader_has_gone() {
    // The shell dies of SIGTERM at once; its child needs a moment and has no pipe of ours.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidied");
    let text = format!(
        "(trap 'sleep 0.2; echo done >{0}; exit' TERM; echo ready; exec >/dev/null 2>&1; \
         while :; do sleep 0.01; done) & wait",
        file.display()
    );
    let (_, outcome) = cancel_after(&script("members", &text), 1).await;
    assert!(matches!(outcome.ending, Ending::Canceled) && !outcome.forced, "{outcome:?}");
    assert!(file.exists(), "it was killed before its grace was over");
}

#[tokio::test]
async fn child_that_ignores_sigterm_is_killed_after_its_grace() {
    // Its child is as deaf, and only the group knows it: it has no environment.
    let text = "trap '' TERM; env -i sleep 1000 & echo $!; while :; do sleep 1; done";
    let mut spawn = script("deaf", text);
    spawn.grace = Duration::from_millis(50);
    let (said, outcome) = cancel_after(&spawn, 1).await;
    eventually("its child is killed", || !is_alive(&said[0])).await;
    assert!(matches!(outcome.ending, Ending::Canceled) && outcome.forced, "{outcome:?}");
    assert!(outcome.elapsed >= spawn.grace && !outcome.stuck, "{outcome:?}");
}

#[tokio::test]
async fn stopped_child_is_ended_like_any_other() {
    let (_, outcome) = cancel_after(&script("stopped", "echo ready; kill -STOP $$"), 1).await;
    assert!(matches!(outcome.ending, Ending::Canceled) && !outcome.forced, "{outcome:?}");
}

#[tokio::test]
async fn what_left_the_group_is_found_by_its_marker() {
    // One that left alone, and one that keeps forking new ones that leave.
    let text = "setsid sh -c 'echo $$; exec sleep 1000' &
                setsid sh -c 'echo $$; while :; do setsid sleep 1000 & sleep 0.005; done' &
                wait";
    let (said, outcome) = cancel_after(&script("escape", text), 2).await;
    assert!(matches!(outcome.ending, Ending::Canceled), "{outcome:?}");
    assert!(outcome.escaped >= 2, "{outcome:?}");
    assert!(!said.iter().any(|pid| is_alive(pid)));
    let mut buffer = Vec::new();
    let is_ours = |value: &[u8]| value == b"test:escape";
    let left: Vec<i32> = procfs::processes()
        .filter(|pid| procfs::environment_has(*pid, "HEARKEN_RUN", &mut buffer, &is_ours))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn daemon_is_left_alone_after_a_normal_end() {
    let folder = tempfile::tempdir().unwrap();
    let text = "setsid sh -c 'echo $$ >pid; exec sleep 1000' >/dev/null 2>&1 &
                until [ -s pid ]; do sleep 0.01; done";
    let mut spawn = script("daemon", text);
    spawn.folder = Some(folder.path().to_owned());
    spawn.stragglers = Stragglers::End;
    let outcome = outcome(&spawn).await;
    assert!(matches!(outcome.ending, Ending::Exited(0)) && !outcome.held_open, "{outcome:?}");
    let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
    assert!(is_alive(pid.trim()));
    kill(pid.trim());
}

#[tokio::test]
async fn grandchild_that_holds_the_output_does_not_hold_up_the_outcome() {
    for stragglers in [Stragglers::Leave, Stragglers::End] {
        let mut spawn = script("holder", "sleep 1000 & echo $!; exit 7");
        spawn.stragglers = stragglers;
        let outcome = outcome(&spawn).await;
        assert!(matches!(outcome.ending, Ending::Exited(7)) && outcome.held_open, "{outcome:?}");
        assert!(outcome.elapsed < LONG, "{outcome:?}");
        let pid = stdout(&outcome).trim();
        match stragglers {
            Stragglers::Leave => {
                assert!(is_alive(pid));
                kill(pid);
            }
            Stragglers::End => eventually("it is killed", || !is_alive(pid)).await,
        }
    }
}

#[tokio::test]
async fn last_words_of_a_grandchild_are_heard() {
    let outcome = outcome(&script("last-words", "(sleep 0.02; echo last words) & exit 0")).await;
    assert!(!outcome.held_open, "{outcome:?}");
    assert_eq!(stdout(&outcome), "last words\n");
}

#[tokio::test]
async fn dropped_run_takes_its_group_along() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        "trap '' TERM; setsid sleep 1000 & sleep 1000 & env -i sleep 1000 & echo $! >pid; wait";
    let mut spawn = script("dropped", text);
    spawn.folder = Some(folder.path().to_owned());
    let running: Running = start(&spawn).await.unwrap();
    let group = running.identity().group;
    let family = || {
        let mut buffer = Vec::new();
        let is_ours = |value: &[u8]| value == b"test:dropped";
        procfs::processes()
            .filter(|pid| procfs::environment_has(*pid, "HEARKEN_RUN", &mut buffer, &is_ours))
            .count()
    };
    let unmarked = || std::fs::read_to_string(folder.path().join("pid")).unwrap_or_default();
    eventually("all of them", || family() == 3 && unmarked().ends_with('\n')).await;
    let mut finish = Box::pin(running.finish(pending(), None));
    tokio::select! {
        biased;
        outcome = &mut finish => panic!("{outcome:?}"),
        () = std::future::ready(()) => {}
    }
    drop(finish);
    eventually("all are gone and reaped", || family() == 0 && procfs::stat(group).is_err()).await;
    eventually("the group was killed", || !is_alive(unmarked().trim())).await;
}

#[tokio::test]
async fn many_at_once_are_told_apart() {
    let runs = (0..64).map(|code| async move {
        let outcome = outcome(&script("many", &format!("echo {code}; exit {code}"))).await;
        assert!(matches!(outcome.ending, Ending::Exited(c) if c == code), "{outcome:?}");
        assert_eq!(stdout(&outcome), format!("{code}\n"));
    });
    let mut set = tokio::task::JoinSet::new();
    runs.for_each(|run| drop(set.spawn(run)));
    set.join_all().await;
}

#[tokio::test]
async fn failed_start_says_what_where_and_what_to_do() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let plain = file("plain", "echo", 0o644);
    let headless = file("headless", "echo hello", 0o755);
    let orphan = file("orphan", "#!/no/such/python2 -u\nprint 1", 0o755);
    let windows = file("windows", "#!/bin/sh\r\necho", 0o755);
    let here = folder.path().to_str().unwrap();
    let long = "x".repeat(200_000);
    // Program, folder, argument; the error's variant, and what its text and hint say.
    let rows = [
        ("/no/such", "/", "", "ProgramMissing", "cannot start /no/such: no such", "full path"),
        ("no-such", "/", "", "ProgramMissing", "cannot start no-such:", "in /usr/bin:/bin"),
        (&plain, "/", "", "ProgramNotExecutable", "may not be executed", "chmod +x /"),
        (here, "/", "", "ProgramNotExecutable", "may not be executed", "is a folder"),
        (&headless, "/", "", "ProgramUnknown", "is not a program", "#!/bin/sh"),
        (&orphan, "/", "", "InterpreterMissing", "/no/such/python2 is missing", "install"),
        (&windows, "/", "", "InterpreterMissing", "/bin/sh\\r is missing", "first line"),
        ("/bin/true", "/no/where", "", "Folder", "in /no/where", "create /no/where"),
        ("/bin/true", &plain, "", "Folder", "cannot be entered", "create"),
        ("/bin/true", "/", &long, "TooLong", "the longest one 200001", "standard input"),
        ("/bin/true", "/", "a\0b", "NulByte", "NUL byte", "standard input"),
    ];
    for (program, folder, argument, variant, text, hint) in rows {
        let mut spawn = script("failed", "");
        spawn.program = program.into();
        spawn.folder = Some(folder.into());
        spawn.arguments = vec![argument.into()];
        let Ending::FailedToStart(error) = outcome(&spawn).await.ending else {
            panic!("{program} was started");
        };
        assert!(format!("{error:?}").starts_with(variant), "{program}: {error:?}");
        assert!(error.to_string().contains(text), "{program}: {error}");
        assert!(error.hint().contains(hint), "{program}: {}", error.hint());
        assert!(!error.is_transient());
    }
    let mut spawn = script("failed", "");
    spawn.environment.push(("A=B".into(), "c".into()));
    let ending = outcome(&spawn).await.ending;
    assert!(matches!(ending, Ending::FailedToStart(StartError::VariableName { .. })));
}

#[tokio::test]
async fn program_that_is_just_being_written_is_tried_again() {
    use std::os::unix::fs::OpenOptionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path: &Path = &folder.path().join("program");
    std::fs::copy("/bin/true", path).unwrap();
    let mut options = std::fs::OpenOptions::new();
    let writer = options.append(true).mode(0o755).open(path).unwrap();
    let mut spawn = script("busy", "");
    spawn.program = path.into();
    spawn.arguments.clear();
    let close = async {
        tokio::task::yield_now().await;
        drop(writer);
    };
    let (outcome, ()) = tokio::join!(outcome(&spawn), close);
    assert!(matches!(outcome.ending, Ending::Exited(0)), "{outcome:?}");
}
