//! CaLink's four sections into a plan.

use std::path::Path;

use hearken_facts::RESERVED;

use super::{Command, Compression, Error, Files, Line, Output, Pick, Plan};
use crate::ini::{Entry, Ini};
use crate::key::{self, Wanted};
use crate::limits::Limits;

pub(super) fn plan(ini: &Ini, prefix: &Path, folder: &Path) -> Result<Plan, Error> {
    let mut notices = Vec::new();
    let facts = ini.section("info").iter().map(group).collect::<Result<_, _>>()?;
    let mut files = Vec::new();
    for entry in ini.section("files") {
        files.extend(files_of(&entry, prefix, &mut notices)?);
    }
    let command =
        |entry: Entry| Command { label: entry.key, line: Line::Shell(entry.value), timeout: None };
    let commands = ini.section("commands").into_iter().map(command).collect();
    Ok(Plan {
        facts,
        files,
        commands,
        output: output(&ini.section("output"), folder)?,
        limits: Limits::calink(),
        mask: true,
        notices,
    })
}

fn place(section: &str, entry: &Entry) -> String {
    format!("line {}, [{section}] {}", entry.line, entry.key)
}

/// Values separated by commas.
fn list(value: &str) -> Vec<String> {
    let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(ToOwned::to_owned).collect()
}

fn group(entry: &Entry) -> Result<(String, Vec<String>), Error> {
    if RESERVED.contains(&entry.key.as_str()) {
        let why = "this name is a key of the document itself: choose another for the group";
        return Err(Error::at(place("info", entry), why));
    }
    Ok((entry.key.clone(), list(&entry.value)))
}

fn files_of(
    entry: &Entry,
    prefix: &Path,
    notices: &mut Vec<String>,
) -> Result<Option<Files>, Error> {
    let at = place("files", entry);
    let Some(meaning) = key::meaning(&entry.key, prefix) else {
        notices.push(format!("{at}: left out, it ends neither in _dirs nor in _files"));
        return Ok(None);
    };
    if !meaning.others.is_empty() {
        let others: Vec<_> = meaning.others.iter().map(|path| path.display().to_string()).collect();
        let (folder, others) = (meaning.folder.display(), others.join(", "));
        notices.push(format!("{at}: taken as {folder}; {others} exists too (begin with / to say)"));
    }
    let names = list(&entry.value);
    for name in &names {
        if leaves(name) {
            let folder = meaning.folder.display();
            return Err(Error::at(at, format!("{name:?} leaves {folder}: name what is in it")));
        }
    }
    let pick = match meaning.wanted {
        Wanted::Folders => Pick::Folders(names),
        Wanted::Files => Pick::Files(names),
    };
    let (label, folder) = (entry.key.clone(), meaning.folder);
    Ok(Some(Files { label, folder, pick, file_bytes: None, since: None }))
}

/// Whether a name below a folder leads out of it.
pub(super) fn leaves(name: &str) -> bool {
    name.starts_with('/') || name.split('/').any(|part| part == "..")
}

fn output(entries: &[Entry], folder: &Path) -> Result<Output, Error> {
    let name = |key: &str| {
        let Some(entry) = entries.iter().find(|entry| entry.key == key) else { return Ok(None) };
        let is_name = !entry.value.is_empty() && !entry.value.contains('/');
        if is_name && !entry.value.starts_with('.') {
            return Ok(Some(entry.value.clone()));
        }
        let why = format!("{:?} is no name of a file: the folder is said by --out", entry.value);
        Err(Error::at(place("output", entry), why))
    };
    Ok(Output {
        folder: folder.to_owned(),
        stem: "CaLink",
        archive: name("archive")?,
        json: name("json")?,
        commands: name("commands")?,
        keeps_plain: true,
        compression: Compression::GZIP,
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_four_sections_become_a_plan() {
        let text = "[info]\nsystem = host, os,\n[files]\nvar_log_dirs=engines,.\netc_files=a.log\n\
                    strange=x\n[commands]\nlist = ls -l, a\n[output]\njson=facts\n";
        let plan = Plan::from_ini(text, Path::new("/nowhere"), Path::new("/out")).unwrap();
        assert_eq!(plan.facts, [("system".to_owned(), vec!["host".to_owned(), "os".to_owned()])]);
        let folders: Vec<PathBuf> = plan.files.iter().map(|files| files.folder.clone()).collect();
        assert_eq!(folders, [Path::new("/nowhere/var/log"), Path::new("/nowhere/etc")]);
        assert!(matches!(&plan.files[0].pick, Pick::Folders(names) if names == &["engines", "."]));
        assert_eq!(plan.commands[0].line, Line::Shell("ls -l, a".to_owned()));
        assert_eq!((plan.output.json.as_deref(), plan.output.archive), (Some("facts"), None));
        assert_eq!(plan.notices.len(), 1, "{:?}", plan.notices);
    }

    #[test]
    fn what_leads_out_or_hides_the_document_is_refused() {
        for (text, expected) in [
            ("[info]\nerrors = host\n", "line 2, [info] errors: this name is a key"),
            ("[files]\nvar_log_dirs = ../x\n", "line 2, [files] var_log_dirs: \"../x\" leaves"),
            ("[files]\nvar_log_files = /etc/shadow\n", "\"/etc/shadow\" leaves /nowhere/var/log"),
            ("[output]\narchive = a/b\n", "\"a/b\" is no name of a file"),
            ("[output]\njson = ..\n", "\"..\" is no name of a file"),
        ] {
            let error = Plan::from_ini(text, Path::new("/nowhere"), Path::new(".")).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
