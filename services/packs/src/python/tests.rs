//! The modules on disk, the interpreter, and the modules' own tests.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use hearken_kit::process::Marker;

use super::*;

fn marker() -> Marker {
    Marker::new("test", "python").unwrap()
}

#[test]
fn modules_are_unpacked_once_and_whole() {
    let data = tempfile::tempdir().unwrap();
    let layer = unpack(data.path()).unwrap();
    assert!(layer.program().is_file());
    assert!(layer.modules().join("st2common/runners/base_action.py").is_file());
    assert!(layer.modules().parent().unwrap().join("last/st2client/client.py").is_file());
    let note = layer.modules().join("kept");
    std::fs::write(&note, "").unwrap();
    assert_eq!(unpack(data.path()).unwrap(), layer);
    assert!(note.exists(), "it was written again");
    assert_eq!(std::fs::read_dir(data.path().join("python")).unwrap().count(), 1);
}

#[test]
fn the_tests_of_the_modules_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let mut command = Command::new("python3");
    command.args(["-B", "-m", "unittest", "discover", "-s", "tests", "-t", "."]);
    let output = command.current_dir(&folder).env("PYTHONPATH", "layer").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // An empty suite is a success, too.
    assert!(said.contains("Ran ") && !said.contains("Ran 0 tests"), "{said}");
}

fn fake(folder: &Path, name: &str, says: &str) {
    let program = folder.join(name);
    std::fs::write(&program, format!("#!/bin/sh\n{says}\n")).unwrap();
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn first_interpreter_that_is_new_enough_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().as_os_str();
    let none = find(path, &marker()).await.unwrap_err();
    assert!(none.to_string().ends_with("none was found on PATH"), "{none}");
    fake(folder.path(), "python3", "printf '3.8 /usr/bin/python3.8'");
    fake(folder.path(), "python3.12", "exit 1");
    let old = find(path, &marker()).await.unwrap_err();
    assert_eq!(old.tried, ["python3 is 3.8", "python3.12 does not tell its version"]);
    fake(folder.path(), "python3.9", "printf '3.9 /opt/python/bin/python3.9'");
    let found = find(path, &marker()).await.unwrap();
    assert_eq!(
        (found.program.to_str().unwrap(), found.version),
        ("/opt/python/bin/python3.9", (3, 9))
    );
}

#[test]
fn virtual_environment_is_the_one_behind_the_link() {
    let data = tempfile::tempdir().unwrap();
    assert_eq!(virtualenv(data.path(), "shop"), None);
    let folder = data.path().canonicalize().unwrap().join("virtualenvs/shop");
    for name in ["one", "two", "."] {
        std::fs::create_dir_all(folder.join(name).join("bin")).unwrap();
        std::fs::write(folder.join(name).join("bin/python"), "").unwrap();
    }
    assert_eq!(virtualenv(data.path(), "shop"), Some(folder.join("bin/python")));
    std::os::unix::fs::symlink("two", folder.join("current")).unwrap();
    assert_eq!(virtualenv(data.path(), "shop"), Some(folder.join("two/bin/python")));
}
