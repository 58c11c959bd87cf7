//! What the shell of a host is told.
//!
//! The whole of it goes over standard input to the user's own shell, so that no command line, here
//! or there, shows a variable or a password. It is one group in braces: a shell reads such a group
//! to its end before it does anything, and what it runs then reads nothing.
//!
//! The connection is a line to hold on to: a child of the shell reads it, and when it is cut before
//! the command has ended (a time limit, a cancellation, the end of this process), it ends the
//! command's whole group. StackStorm leaves the command running.

use std::fmt::Write as _;

use hearken_engine::script::quote;

/// Beginning of every text.
const LINE: &str = "exec 3<&0 </dev/null
( cat <&3 >/dev/null 2>&1; kill -0 $$ 2>/dev/null && kill -TERM 0 ) >/dev/null 2>&1 &
exec 3<&-
";

/// What is to be done on a host.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Variables, in order.
    pub environment: Vec<(String, String)>,
    /// Where it starts.
    pub folder: String,
    /// The command line.
    pub command: String,
    /// As root.
    pub sudo: bool,
    /// The password for that, where it asks for one.
    pub sudo_password: Option<String>,
    /// A folder that is removed at the end.
    pub removed: Option<String>,
}

impl Told {
    /// The text for the shell.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{{\n{LINE}");
        if let Some(folder) = &self.removed {
            let remove = format!("rm -rf -- {}", quote(folder));
            let traps = format!("trap {} EXIT\ntrap 'exit 143' TERM\n", quote(&remove));
            text.push_str(&traps);
        }
        let doing = self.doing();
        if self.sudo {
            text.push_str(&self.as_root(&doing));
        } else if self.removed.is_some() {
            // In a shell of its own, so that what it sets and traps is not ours.
            let _ok = write!(text, "(\n{doing}\n)\nexit $?\n");
        } else {
            text.push_str(&doing);
        }
        text.push_str("\n}\n");
        text
    }

    /// Variables, the folder, and the command.
    fn doing(&self) -> String {
        let mut doing = String::new();
        for (name, value) in &self.environment {
            let _ok = writeln!(doing, "export {name}={}", quote(value));
        }
        let _ok = write!(doing, "cd {} && {{\n{}\n}}", quote(&self.folder), self.command);
        doing
    }

    /// `doing` for a shell of root. A password is asked for only where it is needed: otherwise the
    /// shell would read it as a command.
    fn as_root(&self, doing: &str) -> String {
        let told = quote(&format!("{{\nexec </dev/null\n{doing}\n}}\n"));
        let bare = format!("printf %s {told} | sudo -n -E -- bash");
        let Some(password) = &self.sudo_password else { return bare };
        let password = quote(password);
        format!(
            "if sudo -n -k true 2>/dev/null; then\n{bare}\nelse\n\
             {{ printf '%s\\n' {password}; printf %s {told}; }} | sudo -k -S -E -p '' -- bash\nfi"
        )
    }
}

/// Whether a shell takes this as the name of a variable.
pub(super) fn is_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(command: &str) -> Told {
        Told {
            environment: vec![("A".to_owned(), "it's".to_owned())],
            folder: "/tmp".to_owned(),
            command: command.to_owned(),
            sudo: false,
            sudo_password: None,
            removed: None,
        }
    }

    #[test]
    fn a_password_is_text_for_sudo_and_for_nobody_else() {
        let plain = told("id").text();
        assert!(plain.starts_with("{\nexec 3<&0"), "{plain}");
        assert!(plain.contains("export A='it'\"'\"'s'\ncd /tmp && {\nid\n}"), "{plain}");
        let sudo = Told { sudo: true, sudo_password: Some("p w".to_owned()), ..told("id") }.text();
        assert!(sudo.contains("printf '%s\\n' 'p w'; printf %s"), "{sudo}");
        assert!(!sudo.contains("sudo p w"), "{sudo}");
    }

    #[test]
    fn names_of_variables_are_those_of_a_shell() {
        for (name, expected) in
            [("A", true), ("_a1", true), ("", false), ("1a", false), ("a-b", false), ("a;b", false)]
        {
            assert_eq!(is_name(name), expected, "{name}");
        }
    }
}
