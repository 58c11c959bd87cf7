//! Which processes there are of those that somebody wants.

use crate::sources::process::{self, Process};
use crate::{Context, Unavailable};

/// What processes are wanted: all that is said has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The kernel's name, or that of the program in the first argument: the kernel's is cut after
    /// 15 bytes.
    pub name: Option<String>,
    /// The user's name or number.
    pub user: Option<String>,
    /// A part of the command line, as it is after masking.
    pub cmdline: Option<String>,
}

impl Wanted {
    /// Whether this process is wanted.
    #[must_use]
    pub fn matches(&self, process: &Process) -> bool {
        let of_name = |name: &String| *name == process.name || *name == program(process);
        let of_user = |user: &String| *user == process.user || *user == process.uid.to_string();
        self.name.as_ref().is_none_or(of_name)
            && self.user.as_ref().is_none_or(of_user)
            && self.cmdline.as_ref().is_none_or(|part| process.cmdline.contains(part.as_str()))
    }
}

/// The file of the program in the first argument, without its folders.
fn program(process: &Process) -> &str {
    let first = process.cmdline.split(' ').next().unwrap_or_default();
    first.rsplit('/').next().unwrap_or_default()
}

/// Every process that is wanted, by number; their count is the length.
///
/// # Errors
/// When the processes cannot be listed, or there are more than the bound.
pub fn processes(context: &Context, wanted: &Wanted) -> Result<Vec<Process>, Unavailable> {
    let mut processes = process::processes(context)?;
    processes.retain(|process| wanted.matches(process));
    Ok(processes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_said_has_to_hold() {
        let process = Process {
            pid: 7,
            ppid: 1,
            name: "a-program-with-".to_owned(),
            user: "app".to_owned(),
            uid: 1000,
            state: 'S',
            cmdline: "/usr/bin/a-program-with-a-name --serve x".to_owned(),
            rss: 0,
            vms: 0,
            threads: 1,
            cpu_seconds: 0.0,
            start_time: 0.0,
            start_ticks: 0,
        };
        let rows = [
            (["", "", ""], true),
            (["a-program-with-", "", ""], true),
            (["a-program-with-a-name", "", ""], true),
            (["a-program", "", ""], false),
            (["", "app", ""], true),
            (["", "1000", ""], true),
            (["", "root", ""], false),
            (["", "", "--serve"], true),
            (["a-program-with-", "app", "--stop"], false),
        ];
        for ([name, user, cmdline], expected) in rows {
            let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            let wanted = Wanted { name: said(name), user: said(user), cmdline: said(cmdline) };
            assert_eq!(wanted.matches(&process), expected, "{wanted:?}");
        }
    }
}
