//! Command lines that no process list shows.
//!
//! What stands on a command line can be read by every user of the host. A line or arguments that
//! hold a secret therefore go to a shell through its environment, which its own user and root alone
//! can read, and the shell forgets them before anything of the action runs.
//!
//! Deliberately not here: programs that are no shell scripts. They are given arguments, and a
//! process list shows them; where that matters the action is better a Python action.

use std::ffi::OsString;
use std::path::Path;

use hearken_engine::script;

/// Variables that carry a line, with a number behind.
const VARIABLE: &str = "HEARKEN_LINE_";
/// Bytes that one of them carries: the kernel takes 128 KiB.
const PIECE_BYTES_MAX: usize = 96 << 10;
/// Bytes of a script's first line that are looked at; the kernel looks at 256.
const SHEBANG_BYTES_MAX: usize = 256;
/// Shells that understand what is said to them here.
const SHELLS: [&str; 6] = ["sh", "bash", "dash", "ksh", "mksh", "zsh"];

/// What a shell is told, and the environment that it needs for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unlisted {
    /// The program; none where the caller knows it.
    pub program: Option<String>,
    /// What comes before the script's own name, `-c` and its text included.
    pub arguments: Vec<String>,
    /// To be added.
    pub environment: Vec<(OsString, OsString)>,
}

/// `line` for `sh -c`.
pub(super) fn line(line: &str) -> Unlisted {
    let (environment, text) = carried(line);
    let told = format!("eval \"{}\"", forgetting(&environment, &text));
    Unlisted { program: None, arguments: vec!["-c".to_owned(), told], environment }
}

/// The script `file` with `arguments`; nothing when it is no script of a shell.
pub(super) fn script(file: &Path, arguments: &[String]) -> Option<Unlisted> {
    let (program, mut before) = shell_of(file)?;
    let (environment, text) = carried(&script::command_line(arguments));
    let given = forgetting(&environment, &format!("set -- {text}"));
    before.push("-c".to_owned());
    before.push(format!("eval \"{given}\"; . \"$0\""));
    before.push(file.to_string_lossy().into_owned());
    Some(Unlisted { program: Some(program), arguments: before, environment })
}

/// The variables that carry `text`, and how a shell names it all.
fn carried(text: &str) -> (Vec<(OsString, OsString)>, String) {
    let mut variables = Vec::new();
    let mut named = String::new();
    let mut rest = text;
    while !rest.is_empty() || variables.is_empty() {
        let end = (0..=PIECE_BYTES_MAX.min(rest.len())).rev().find(|at| rest.is_char_boundary(*at));
        let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
        let name = format!("{VARIABLE}{}", variables.len());
        named.push_str("${");
        named.push_str(&name);
        named.push('}');
        variables.push((name.into(), piece.into()));
        rest = after;
    }
    (variables, named)
}

/// `text` after the variables are gone: the shell has read them by then.
fn forgetting(variables: &[(OsString, OsString)], text: &str) -> String {
    let names: Vec<_> = variables.iter().map(|(name, _)| name.to_string_lossy()).collect();
    format!("unset {}\n{text}", names.join(" "))
}

/// The shell that a script names, with the options it gives it; `sh` for one that names nothing.
fn shell_of(file: &Path) -> Option<(String, Vec<String>)> {
    let start = start_of(file)?;
    let Some(named) = start.strip_prefix("#!") else {
        return (!start.starts_with("\u{7f}ELF")).then(|| ("sh".to_owned(), Vec::new()));
    };
    let mut words = named.lines().next()?.split_whitespace().map(ToOwned::to_owned);
    let mut program = words.next()?;
    if program.ends_with("/env") {
        program = words.find(|word| !word.starts_with('-') && !word.contains('='))?;
    }
    let name = program.rsplit('/').next()?;
    SHELLS.contains(&name).then(|| (program.clone(), words.collect()))
}

fn start_of(file: &Path) -> Option<String> {
    use std::io::Read as _;
    let mut start = Vec::new();
    let limit = u64::try_from(SHEBANG_BYTES_MAX).ok()?;
    std::fs::File::open(file).ok()?.take(limit).read_to_end(&mut start).ok()?;
    Some(String::from_utf8_lossy(&start).into_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn run(program: &str, unlisted: &Unlisted) -> String {
        let mut command = Command::new(unlisted.program.as_deref().unwrap_or(program));
        command.args(&unlisted.arguments).envs(unlisted.environment.iter().cloned());
        let output = command.output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    }

    #[test]
    fn a_line_means_what_it_means_on_a_command_line() {
        let long = format!("echo {} | wc -c", "é".repeat(100_000));
        for (text, expected) in [
            ("echo \"it's\" 'a $HOME' `echo b`", "it's a $HOME b\n"),
            ("env | grep -c HEARKEN_LINE; echo $?", "0\n1\n"),
            ("tr '\\0' ' ' </proc/$$/cmdline | grep -c 4711", "0\n"),
            ("echo $0; exit 3", "sh\n"),
            (&long, "200001\n"),
            ("", ""),
        ] {
            let found = run("sh", &line(text));
            assert_eq!(found.replace("/bin/", ""), expected, "{text:.60}");
        }
    }

    #[test]
    fn a_script_gets_its_arguments_and_nobody_else_sees_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("script");
        let said = "echo \"$0 $# $1|$2\"; tr '\\0' '\\n' </proc/$$/cmdline | grep -c 4711\n";
        let arguments = ["4711 'x' \"y\" $z".to_owned(), "--line=a\nb".to_owned()];
        for first in [
            "#!/bin/sh\n",
            "#!/bin/bash -e\n",
            "#!/usr/bin/env bash\n",
            "#!/usr/bin/env -S bash -e\n",
            "",
        ] {
            std::fs::write(&file, format!("{first}{said}")).unwrap();
            let found = run("", &script(&file, &arguments).unwrap());
            let expected = format!("{} 2 {}|{}\n0\n", file.display(), arguments[0], arguments[1]);
            assert_eq!(found, expected, "{first}");
        }
        for first in ["#!/usr/bin/python3\n", "#!/usr/bin/env perl\n", "\u{7f}ELF"] {
            std::fs::write(&file, first).unwrap();
            assert_eq!(script(&file, &arguments), None, "{first}");
        }
    }
}
