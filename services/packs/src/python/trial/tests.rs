//! The files of tests, their environment, and what is made of what they told.

use std::path::Path;

use hearken_kit::process::{Captured, Ending, Outcome};

use super::*;

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, content) in files {
        let place = folder.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, content).unwrap();
    }
}

fn wanted(data: &Path, folder: &Path) -> Wanted {
    Wanted {
        data: data.to_owned(),
        pack: "shop".to_owned(),
        folder: folder.to_owned(),
        is_installed: false,
        only: None,
        python: None,
        installs: false,
        timeout: Duration::from_secs(60),
        now: Timestamp::default(),
    }
}

async fn tried(folder: &Path, wanted: Wanted) -> Trial {
    let mut say = |line: &str| panic!("{line}");
    let trial = run(&wanted, std::future::pending(), &mut say).await.unwrap();
    assert!(!folder.join("tests/__pycache__").exists(), "something was left in the pack");
    trial
}

#[test]
fn files_of_tests_are_known_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["test_a.py", "b_test.py", "deep/test_c.py", "testing.py", "test_d.txt", "e.py"];
    let hidden = ["__pycache__/test_f.py", ".git/test_g.py", "venv/test_h.py"];
    for name in names.iter().chain(&hidden) {
        write(folder.path(), &[(&format!("tests/{name}"), "")]);
    }
    let found = files(folder.path());
    let found: Vec<_> = found.iter().map(|p| p.strip_prefix(folder.path()).unwrap()).collect();
    assert_eq!(
        found,
        ["tests/b_test.py", "tests/deep/test_c.py", "tests/test_a.py"].map(Path::new)
    );
    assert!(files(&folder.path().join("none")).is_empty());
}

#[tokio::test]
async fn tests_run_in_the_folder_of_their_pack_with_its_modules() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(
        folder.path(),
        &[
            (
                "actions/say.py",
                "from st2common.runners.base_action import Action\nclass Say(Action):\n    def run(self): return 'said'\n",
            ),
            (
                "tests/test_say.py",
                "import os, mock\nfrom say import Say\nfrom st2tests.base import BaseActionTestCase\nclass SayTest(BaseActionTestCase):\n    action_cls = Say\n    def test_run(self):\n        print('heard by nobody')\n        assert os.path.isdir('actions')\n        self.assertEqual(self.get_action_instance().run(), 'said')\n    def test_fail(self): self.fail('as meant')\n",
            ),
        ],
    );
    let trial = tried(folder.path(), wanted(data.path(), folder.path())).await;
    let told: Vec<_> = trial.results.iter().map(|tried| (&*tried.name, tried.outcome)).collect();
    assert_eq!(
        told,
        [("SayTest.test_fail", Verdict::Failed), ("SayTest.test_run", Verdict::Passed)],
        "{trial:?}"
    );
    assert!(trial.results.first().unwrap().message.contains("as meant"), "{trial:?}");
    assert!(!trial.is_good() && trial.count(Verdict::Passed) == 1);
    let only = Some("test_run".to_owned());
    let trial = tried(folder.path(), Wanted { only, ..wanted(data.path(), folder.path()) }).await;
    assert!(trial.is_good() && trial.results.len() == 1, "{trial:?}");
}

#[tokio::test]
async fn whoever_ends_the_process_is_named() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (does, timeout, expected) in [
        ("os._exit(7)", 60, "ended with 7"),
        ("os.kill(os.getpid(), 9)", 60, "signal 9"),
        // Longer than this test would be waited for.
        ("print('waiting', file=sys.__stderr__); time.sleep(3600)", 1, "took longer than 1 s"),
    ] {
        let text = format!("import os, sys, time\ndef test_a(): pass\ndef test_b(): {does}\n");
        write(folder.path(), &[("tests/test_all.py", &text)]);
        let timeout = Duration::from_secs(timeout);
        let wanted = Wanted { timeout, ..wanted(data.path(), folder.path()) };
        let trial = tried(folder.path(), wanted).await;
        let [first, last] = trial.results.as_slice() else { panic!("{trial:?}") };
        assert_eq!((&*first.name, first.outcome), ("test_a", Verdict::Passed));
        assert_eq!((&*last.file, &*last.name), ("tests/test_all.py", "test_b"));
        assert_eq!(last.outcome, Verdict::Error);
        assert!(last.message.contains(expected), "{}", last.message);
    }
}

#[tokio::test]
async fn a_python_that_is_not_there_is_an_error() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(folder.path(), &[("tests/test_a.py", "")]);
    let python = Some("/no/such/python".into());
    let wanted = Wanted { python, ..wanted(data.path(), folder.path()) };
    let failed = run(&wanted, std::future::pending(), &mut |_| {}).await.unwrap_err();
    let said = failed.to_string();
    assert!(said.starts_with("the tests of shop cannot be run: ") && said.contains("/no/such"));
}

#[tokio::test]
async fn tests_end_when_the_user_wants_it() {
    let (data, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let text =
        "import os, time\ndef test_a():\n    open('begun', 'w').close()\n    time.sleep(3600)\n";
    write(folder.path(), &[("tests/test_all.py", text)]);
    let begun = async {
        while !folder.path().join("begun").exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let wanted = wanted(data.path(), folder.path());
    let trial = run(&wanted, begun, &mut |_| {}).await.unwrap();
    let [last] = trial.results.as_slice() else { panic!("{trial:?}") };
    assert_eq!((&*last.name, last.outcome), ("test_a", Verdict::Error));
    assert!(last.message.contains("ended by the user"), "{}", last.message);
    let early = run(&wanted, std::future::ready(()), &mut |_| {}).await.unwrap_err();
    assert!(early.to_string().contains("the user has ended it"), "{early}");
}

fn ended(stdout: &str, ending: Ending) -> Outcome {
    let kept = |text: &str| Captured { bytes: text.into(), ..Captured::default() };
    Outcome {
        ending,
        stdout: kept(stdout),
        stderr: kept("one\ntwo\n"),
        elapsed: Duration::ZERO,
        held_open: false,
        forced: false,
        escaped: 0,
        stuck: false,
        limits_refused: 0,
    }
}

#[test]
fn results_are_whole_or_say_that_they_are_not() {
    let result = r#"{"file":"f","name":"n","outcome":"passed","seconds":0.5,"message":""}"#;
    let began = r#"{"began":"m","file":"g"}"#;
    for (lines, code, expected) in [
        (format!("{result}\n{{\"over\":1}}\n"), 0, None),
        // Something else ended the process after a result, or while a test ran, or told lies.
        (format!("{result}\n"), 3, Some(("", "", "ended with 3"))),
        (format!("{result}\n{began}\n{{\"fi"), 1, Some(("g", "m", "last said:\none\ntwo"))),
        (format!("{result}\n{{\"over\":7}}\n"), 0, Some(("", "", "ended with 0"))),
    ] {
        let trial = outcome::read(&ended(&lines, Ending::Exited(code)), Duration::ZERO, Vec::new());
        assert_eq!(trial.results.first().unwrap().seconds, 0.5);
        let last = trial.results.get(1).map(|tried| (&*tried.file, &*tried.name, &tried.message));
        match (last, expected) {
            (None, None) => assert!(trial.is_good()),
            (Some((file, name, message)), Some((wanted_file, wanted_name, why))) => {
                assert_eq!((file, name), (wanted_file, wanted_name));
                assert!(message.contains(why), "{message}");
            }
            (found, expected) => panic!("{found:?} {expected:?}"),
        }
    }
}
