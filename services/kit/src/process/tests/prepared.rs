//! Processes that are forked from a prepared one.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::process::{Claim, Prepared, PreparedError, Runs};

/// A peer of the protocol. What it forks executes the line of shell that comes over its first
/// descriptor, after it has put its marker where `/proc` shows it.
const PEER: &str = r#"
import os, signal, socket, struct, sys
control = socket.socket(fileno=os.dup(0))
fields = open("/proc/self/stat").read().rpartition(")")[2].split()
start = int(fields[47])
environment = open("/proc/self/environ", "rb").read()
at = environment.index(b"HEARKEN_RUN=") + 12
room = environment.index(b"\0", at) - at
children = set()
control.sendall(b"Y")
while True:
    data, fds, _, _ = socket.recv_fds(control, 4096, 3)
    if not data:
        for pid in children:
            os.killpg(pid, signal.SIGKILL)
        os._exit(0)
    while data:
        if data[:1] == b"R":
            pid = struct.unpack(">i", data[1:5])[0]
            data = data[5:]
            os.waitpid(pid, 0)
            children.discard(pid)
            continue
        number, length = struct.unpack(">IH", data[1:7])
        marker, data = data[7:7 + length], data[7 + length:]
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            with open("/proc/self/mem", "r+b", 0) as memory:
                memory.seek(start + at)
                memory.write(marker.ljust(room, b"\0"))
            for target, fd in enumerate(fds):
                os.dup2(fd, target)
            line = os.read(0, 4096).decode()
            if line.startswith("exit "):
                os._exit(int(line[5:]))
            if line == "forked":
                os.write(1, b"forked\n")
                signal.pause()
            os.environ["HEARKEN_RUN"] = marker.decode()
            os.execv("/bin/sh", ["sh", "-c", line])
        os.setpgid(pid, pid)
        children.add(pid)
        for fd in fds:
            os.close(fd)
        control.sendall(struct.pack(">Ii", number, pid))
"#;

/// A run of a line of shell, to be forked.
fn line(name: &str, text: &str) -> Spawn {
    let mut spawn = script(name, "");
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    std::io::Write::write_all(&mut ours, text.as_bytes()).unwrap();
    spawn.stdin = Stdin::Given(Arc::new(theirs.into()));
    spawn
}

/// The peer, or what becomes of another program.
async fn prepare(program: &str) -> Result<Prepared, PreparedError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = format!("prepared{}{}", COUNT.fetch_add(1, Ordering::Relaxed), ".".repeat(64));
    let mut spawn = Spawn::new("python3", Marker::new("test", &name).unwrap());
    spawn.arguments = vec!["-c".into(), program.into()];
    let home = std::env::var_os("HOME").unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    spawn.environment = vec![("PATH".into(), path), ("HOME".into(), home)];
    spawn.timeout = PATIENCE;
    Prepared::start(&spawn).await
}

async fn finish(running: Running) -> Outcome {
    tokio::time::timeout(PATIENCE, running.finish(pending(), None)).await.expect("it ends")
}

/// Cancels a run when it has said `words` words. Answers what it said as well.
async fn cancel_forked(running: Running, words: usize) -> (Vec<String>, Outcome) {
    let (tx, mut rx) = mpsc::channel(64);
    let listener = Listener::new(tx);
    let mut said = String::new();
    let cancel = async {
        while said.split_whitespace().count() < words || !said.ends_with('\n') {
            let chunk: Chunk = rx.recv().await.expect("it speaks");
            said.push_str(std::str::from_utf8(&chunk.bytes).unwrap());
        }
    };
    let run = running.finish(cancel, Some(&listener));
    let outcome = tokio::time::timeout(PATIENCE, run).await.expect("it ends");
    (said.split_whitespace().map(str::to_owned).collect(), outcome)
}

#[tokio::test]
async fn forked_processes_end_like_started_ones() {
    let prepared = prepare(PEER).await.unwrap();
    for code in [0, 3, 255] {
        let running = prepared.fork(&line("exit", &format!("exit {code}"))).await.unwrap();
        let pid = running.identity().group.to_string();
        assert!(matches!(finish(running).await.ending, Ending::Exited(found) if found == code));
        // Told to, the peer reaps it.
        eventually("it is reaped", || !Path::new("/proc").join(&pid).exists()).await;
    }
    let text = "echo out; echo err >&2; echo $HEARKEN_RUN; kill -9 $$";
    let outcome = finish(prepared.fork(&line("said", text)).await.unwrap()).await;
    assert!(matches!(outcome.ending, Ending::Signaled(9)), "{outcome:?}");
    assert_eq!((stdout(&outcome), &outcome.stderr.bytes[..]), ("out\ntest:said\n", &b"err\n"[..]));
    // Each is on its own: the end of one does not touch the other.
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let wait = format!("until [ -e {} ]; do sleep 0.01; done; echo done", go.display());
    let other = prepared.fork(&line("other", &wait)).await.unwrap();
    let text =
        "trap '' TERM; setsid sh -c 'echo $$; exec sleep 1000' & echo $$; sleep 1000; sleep 1";
    let mut stubborn = line("stubborn", text);
    stubborn.grace = Duration::from_millis(50);
    let (pids, outcome) = cancel_forked(prepared.fork(&stubborn).await.unwrap(), 2).await;
    assert!(matches!(outcome.ending, Ending::Canceled), "{outcome:?}");
    assert!(outcome.forced && outcome.escaped == 1, "{outcome:?}");
    assert!(!pids.iter().any(|pid| is_alive(pid)));
    // A prepared process that is not needed any more goes when its last run has ended.
    let own = prepared.identity().group.to_string();
    drop(prepared);
    assert!(is_alive(&own));
    std::fs::write(go, "").unwrap();
    assert_eq!(stdout(&finish(other).await), "done\n");
    eventually("the prepared process ends", || !is_alive(&own)).await;
}

#[tokio::test]
async fn forked_run_is_found_after_a_crash() {
    let prepared = prepare(PEER).await.unwrap();
    let data = tempfile::tempdir().unwrap();
    let runs = Runs::open(data.path(), "forked").unwrap();
    let mut processes = Vec::new();
    for (name, noted) in [("noted", true), ("unnoted", false)] {
        let (execution, incarnation) = (name.to_owned(), "first".to_owned());
        let claim = Claim { execution, incarnation, attempt: 1 };
        let mut run = runs.begin(claim).unwrap();
        let mut spawn = line("replaced", "forked");
        spawn.marker = run.marker().clone();
        let mut running = prepared.fork(&spawn).await.unwrap();
        let output = running.take_output(Output::Stdout).unwrap();
        output.readable().await.unwrap();
        if noted {
            run.started(running.identity()).unwrap();
        }
        processes.push(running);
    }
    let own = prepared.identity().group.to_string();
    drop(runs);
    // It never executed anything, and still carries its own marker and no other.
    let leftovers = Runs::open(data.path(), "forked").unwrap().leftovers();
    assert!(leftovers.runs.iter().all(|run| run.was_running), "{leftovers:?}");
    assert_eq!(leftovers.runs.len(), 2);
    assert!(is_alive(&own), "the prepared process is none of them");
    for running in processes {
        let outcome = finish(running).await;
        assert!(matches!(outcome.ending, Ending::Signaled(9)), "{outcome:?}");
    }
}

#[tokio::test]
async fn what_is_not_prepared_says_why() {
    for (program, expected) in [
        ("import os; os.write(0, b'Nno such library')", "no such library"),
        ("import sys; sys.exit('broken')", "broken"),
    ] {
        let error = prepare(program).await.unwrap_err();
        assert!(matches!(error, PreparedError::NotReady { .. }), "{error:?}");
        assert!(error.to_string().ends_with(expected), "{error}");
    }
    let prepared = prepare(PEER).await.unwrap();
    let running = prepared.fork(&line("orphan", "sleep 1000")).await.unwrap();
    kill(&prepared.identity().group.to_string());
    let error = loop {
        // The request may be taken by a process that is just dying.
        match prepared.fork(&line("late", "exit 0")).await {
            Ok(running) => drop(running),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, PreparedError::Gone(_)), "{error:?}");
    // Nobody knows how an orphan ended, and so nobody says that it did well.
    kill(&running.identity().group.to_string());
    let outcome = finish(running).await;
    assert!(matches!(outcome.ending, Ending::Unknown(_) | Ending::Signaled(9)), "{outcome:?}");
}
