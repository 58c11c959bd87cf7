//! StackStorm's own client, unmodified from PyPI: what packs do with it works.

use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::harness::{App, On};

/// A rule that is switched on by the client, and one that has a timer.
const LATE: &str = "
name: late
description: An order is late.
enabled: false
trigger: {type: shop.order_late}
action: {ref: core.noop}
";
const SOLD: &str = "
name: sold
description: Something was sold.
payload_schema:
  type: object
  properties:
    order: {type: integer}
";

#[test]
fn what_packs_do_with_stackstorms_client_works() -> anyhow::Result<()> {
    let python = std::env::var("HEARKEN_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python).args(["-c", "import st2client.client"]).output()?;
    if !found.status.success() {
        let offline = std::env::var("HEARKEN_TEST_OFFLINE").is_ok_and(|offline| offline == "1");
        let errors = String::from_utf8_lossy(&found.stderr);
        ensure!(offline, "{python} has no st2client (tests/run installs it): {errors}");
        eprintln!("skipped: {python} has no st2client, and HEARKEN_TEST_OFFLINE=1");
        return Ok(());
    }
    let app = App::new(On::Embedded)?;
    app.write("shop/rules/late.yaml", LATE)?;
    app.write("shop/triggers/sold.yaml", SOLD)?;
    let _up = app.up()?;
    let server: Value = serde_json::from_slice(&std::fs::read(app.data().join("server.json"))?)?;
    let url = server.get("url").and_then(Value::as_str).context("a url")?;
    let ran = Command::new(&python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/st2client/suite.py"))
        .args([url, &app.token()?])
        .env_clear()
        .output()?;
    let said = String::from_utf8_lossy(&ran.stdout);
    ensure!(ran.status.success(), "{said}\n{}", String::from_utf8_lossy(&ran.stderr));
    Ok(())
}
