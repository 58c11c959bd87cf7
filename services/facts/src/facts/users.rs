//! Who may be somebody here.

use serde_json::{Value, json};

use crate::sources::names;
use crate::{Context, Unavailable};

/// Every user of `/etc/passwd`, with the groups that list him.
pub(crate) fn users(context: &Context) -> Result<Value, Unavailable> {
    let mut groups = names::groups_by_user(context)?;
    let rows = names::users(context)?.into_iter().map(|user| {
        json!({
            "groups": groups.remove(&user.name).unwrap_or_default(),
            "name": user.name,
            "uid": user.uid,
            "gid": user.gid,
            "comment": user.comment,
            "home": user.home,
            "shell": user.shell,
        })
    });
    Ok(Value::Array(rows.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    #[test]
    fn users_have_their_groups() {
        let machine = Machine::with(&[
            ("etc/passwd", "ann:x:1000:1000:Ann:/home/ann:/bin/sh\n"),
            ("etc/group", "sudo:x:27:bob,ann\nann:x:1000:\nadm:x:4:ann\n"),
        ]);
        let expected = json!([{
            "groups": ["sudo", "adm"], "name": "ann", "uid": 1000, "gid": 1000, "comment": "Ann",
            "home": "/home/ann", "shell": "/bin/sh",
        }]);
        assert_eq!(users(&machine.context()).unwrap(), expected);
    }
}
