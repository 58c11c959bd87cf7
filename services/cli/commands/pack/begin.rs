//! `hearken pack new`: the smallest pack that does something.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::super::Context;
use crate::error::{EXIT_OK, Failure};

/// Its files: path, content with NAME for its name, executable or not.
const FILES: [(&str, &str, bool); 5] = [
    (
        "pack.yaml",
        "ref: NAME\nname: NAME\ndescription: What this pack is for.\nversion: 0.1.0\nauthor: You\n",
        false,
    ),
    (
        "actions/hello.yaml",
        "name: hello
description: Greet somebody.
runner_type: local-shell-script
entry_point: hello.sh
parameters:
  who:
    description: Who is greeted.
    type: string
    default: world
    position: 0
",
        false,
    ),
    ("actions/hello.sh", "#!/bin/sh\nset -eu\necho \"hello, $1\"\n", true),
    (
        "rules/greet.yaml",
        "name: greet
description: Greet whoever arrives.
enabled: true
trigger:
  type: NAME.arrived
criteria:
  trigger.who:
    type: exists
action:
  ref: NAME.hello
  parameters:
    who: \"{{ trigger.who }}\"
",
        false,
    ),
    (
        "cases/greet.yaml",
        "# Events in, expected requests out: hearken pack test FOLDER
- name: whoever arrives is greeted
  event: {trigger: NAME.arrived, payload: {who: Ada}}
  requests:
    - action: NAME.hello
      parameters: {who: Ada}
- name: nobody is not greeted
  event: {trigger: NAME.arrived, payload: {}}
  requests: []
",
        false,
    ),
];

/// Writes a new pack into `folder`.
pub(super) fn begin(context: &Context, folder: &Path) -> Result<u8, Failure> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !is_name {
        return Err(Failure::usage(format!("{name:?} cannot name a pack"))
            .hint("lower case letters, digits and _, beginning with a letter"));
    }
    let failed =
        |error: std::io::Error| Failure::no(format!("cannot write {}: {error}", folder.display()));
    if folder.exists() {
        return Err(Failure::usage(format!("{} is there already", folder.display()))
            .hint("choose another folder: nothing is written over"));
    }
    for (path, content, executable) in FILES {
        let place = folder.join(path);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::write(&place, content.replace("NAME", name)).map_err(failed)?;
        let mode = if executable { 0o755 } else { 0o644 };
        fs::set_permissions(&place, fs::Permissions::from_mode(mode)).map_err(failed)?;
    }
    let shown = folder.display();
    context.output.note(&format!(
        "{shown} is a pack: try hearken pack test {shown}, then hearken pack install ./{name} \
         --register rules from the folder that holds it"
    ));
    Ok(EXIT_OK)
}
