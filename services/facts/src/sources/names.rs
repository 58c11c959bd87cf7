//! Who is who: `/etc/passwd`, `/etc/group`, and the names of this machine.
//!
//! Users are read from the file and not asked for: a directory service that is away would hang the
//! answer. So users of a directory have their number for a name.

use std::collections::BTreeMap;

use crate::read::Text;
use crate::{Context, Unavailable};

/// One line of `/etc/passwd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) comment: String,
    pub(crate) home: String,
    pub(crate) shell: String,
}

/// All users of `/etc/passwd`.
pub(crate) fn users(context: &Context) -> Result<Vec<User>, Unavailable> {
    let path = context.roots.etc.join("passwd");
    parse_users(&Text::read(path, context.bounds.file_bytes)?, context.bounds.rows)
}

fn parse_users(text: &Text, limit: usize) -> Result<Vec<User>, Unavailable> {
    let mut users = Vec::new();
    for row in text.rows() {
        // Lines of "+" bring in users of a directory, and "#" comments are widespread.
        if row.text.is_empty() || row.text.starts_with(['#', '+', '-']) {
            continue;
        }
        if users.len() == limit {
            let what = "the list of users".to_owned();
            return Err(Unavailable::TooLarge { what, limit, unit: "users" });
        }
        let fields: Vec<&str> = row.text.split(':').collect();
        let [name, _password, uid, gid, comment, home, shell] = fields.as_slice() else {
            return Err(row.malformed(format!("{} fields, not 7", fields.len())));
        };
        users.push(User {
            name: (*name).to_owned(),
            uid: row.parse("the uid", uid)?,
            gid: row.parse("the gid", gid)?,
            comment: (*comment).to_owned(),
            home: (*home).to_owned(),
            shell: (*shell).to_owned(),
        });
    }
    Ok(users)
}

/// Names by number; empty where they cannot be read, for a number is a name too.
pub(crate) fn users_by_uid(context: &Context) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for user in users(context).unwrap_or_default() {
        names.entry(user.uid).or_insert(user.name);
    }
    names
}

/// The groups that list each user, by the user's name.
pub(crate) fn groups_by_user(
    context: &Context,
) -> Result<BTreeMap<String, Vec<String>>, Unavailable> {
    let path = context.roots.etc.join("group");
    let text = Text::read(path, context.bounds.file_bytes)?;
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in text.rows() {
        let mut fields = row.text.split(':');
        let (Some(group), Some(members)) = (fields.next(), fields.nth(2)) else { continue };
        for member in members.split(',').filter(|member| !member.is_empty()) {
            groups.entry(member.to_owned()).or_default().push(group.to_owned());
        }
    }
    Ok(groups)
}

/// One of the kernel's settings, as text.
pub(crate) fn kernel_setting(context: &Context, name: &str) -> Result<String, Unavailable> {
    let path = context.roots.proc.join("sys").join(name);
    Ok(Text::read(path, context.bounds.file_bytes)?.trimmed().to_owned())
}

/// The name that this machine calls itself.
pub(crate) fn host(context: &Context) -> Result<String, Unavailable> {
    kernel_setting(context, "kernel/hostname")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_and_lines_for_directories_passed_over() {
        let text = "root:x:0:0:root:/root:/bin/bash\n# note\n+@staff::::::\n\
                    www:x:33:33:web,,,:/var/www:\n";
        let users = parse_users(&Text::of("/etc/passwd", text), 9).unwrap();
        assert_eq!(users.len(), 2);
        assert_eq!(users[1].comment, "web,,,");
        assert_eq!((users[1].uid, users[1].shell.as_str()), (33, ""));
    }

    #[test]
    fn wrong_text_has_a_place() {
        let rows = [
            ("root:x:0:0\n", "p:1: 4 fields, not 7"),
            ("a:x:1:1:::\nb:x:no:1:::\n", "p:2: the uid is \"no\""),
            ("a:x:1:1:::\nb:x:2:1:::\nc:x:3:1:::\n", "the list of users is more than 2 users"),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_users(&Text::of("p", text), 2).unwrap_err().reason(), expected);
        }
    }
}
