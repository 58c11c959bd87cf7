//! `hearken pack test` with the Python tests that packs bring along, without a server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::harness::{App, On};

/// A pack as StackStorm's have them: an action, a sensor, tests of both, and a base class.
const FILES: [(&str, &str); 7] = [
    ("pack.yaml", "ref: shop\nname: shop\nversion: 1.0.0\n"),
    ("actions/price.yaml", "name: price\nrunner_type: python-script\nentry_point: price.py\n"),
    (
        "actions/price.py",
        r#"
from st2common.runners.base_action import Action
from lib import table


class PriceAction(Action):
    def run(self, article):
        seen = int(self.action_service.get_value("seen") or 0) + 1
        self.action_service.set_value("seen", seen)
        return table.PRICES[article] * self.config["factor"]
"#,
    ),
    ("actions/lib/table.py", "PRICES = {'pear': 3}\n"),
    (
        "sensors/orders.py",
        r#"
from st2reactor.sensor.base import Sensor


class Orders(Sensor):
    def run(self):
        self.sensor_service.dispatch(trigger="shop.order", payload={"id": 7})

    setup = cleanup = lambda self: None
    add_trigger = update_trigger = remove_trigger = lambda self, trigger: None
"#,
    ),
    (
        "tests/shop_case.py",
        "from st2tests.base import BaseActionTestCase\n\n\nclass ShopCase(BaseActionTestCase):\n    \
         __test__ = False\n    def test_there_is_an_action(self):\n        self.get_action_instance()\n",
    ),
    (
        "tests/test_shop.py",
        r#"
import mock

from orders import Orders
from price import PriceAction
from shop_case import ShopCase
from st2tests.base import BaseSensorTestCase


class PriceTest(ShopCase):
    __test__ = True
    action_cls = PriceAction

    def test_price(self):
        action = self.get_action_instance(config={"factor": 2})
        self.assertEqual(action.run(article="pear"), 6)
        self.assertEqual(self.action_service.get_value("seen"), 1)

    @mock.patch("lib.table.PRICES", {"plum": 1})
    def test_of_another_table(self):
        self.assertEqual(self.get_action_instance({"factor": 5}).run("plum"), 5)


class OrdersTest(BaseSensorTestCase):
    sensor_cls = Orders

    def test_order(self):
        self.get_sensor_instance().run()
        self.assertTriggerDispatched("shop.order", payload={"id": 7})
"#,
    ),
];

/// A Python whose pip finds nobody; it makes environments that hold nothing but itself.
const OFFLINE: &str = r#"#!/bin/sh
for last; do :; done
case "$*" in
*sys.stdout.write*) printf '3.11 %s' "$0" ;;
*"-m venv"*)
    mkdir -p "$last/bin" "$last/lib/python3.11/site-packages"
    ln -s "$0" "$last/bin/python" ;;
*"-m pip"*) echo "ERROR: there is no network" >&2; exit 1 ;;
*) exec python3 "$@" ;;
esac
"#;

fn write(folder: &Path, files: &[(&str, &str)]) -> anyhow::Result<()> {
    for (path, content) in files {
        let place = folder.join(path);
        fs::create_dir_all(place.parent().context("a folder")?)?;
        fs::write(place, content)?;
    }
    Ok(())
}

/// Tests a pack with what is on this machine, and as JSON.
fn test(app: &App, pack: &str, more: &[&str]) -> anyhow::Result<(Option<i32>, Value)> {
    let arguments = ["-o", "json", "pack", "test", pack, "--no-requirements"];
    let output = app.run(&[&arguments, more].concat())?;
    let said = serde_json::from_slice(&output.stdout).with_context(|| errors(&output))?;
    Ok((output.status.code(), said))
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Names and outcomes.
fn outcomes(said: &Value) -> Vec<(String, String)> {
    let text = |row: &'_ Value, key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
    let rows = said.get("tests").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    rows.iter().filter_map(|row| Some((text(row, "name")?, text(row, "outcome")?))).collect()
}

#[test]
fn tests_of_a_folder_run_beside_its_cases() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let folder = app.path("shop");
    write(&folder, &FILES)?;
    let given = folder.display().to_string();
    let (code, said) = test(&app, &given, &[])?;
    let expected = [
        ("PriceTest.test_of_another_table", "passed"),
        ("PriceTest.test_price", "passed"),
        ("PriceTest.test_there_is_an_action", "passed"),
        ("OrdersTest.test_order", "passed"),
    ]
    .map(|(name, outcome)| (name.to_owned(), outcome.to_owned()));
    ensure!(code == Some(0) && outcomes(&said) == expected, "{said}");
    ensure!(
        said.get("ok") == Some(&json!(true)) && said.get("cases") == Some(&json!([])),
        "{said}"
    );
    // Cases beside them count as well, either way.
    write(
        &folder,
        &[("cases/a.yaml", "event: {trigger: shop.order}\nrequests: [{action: shop.price}]\n")],
    )?;
    let (code, said) = test(&app, &given, &[])?;
    ensure!(code == Some(1) && outcomes(&said) == expected, "{said}");
    ensure!(said.pointer("/cases/0/ok") == Some(&json!(false)), "{said}");
    fs::remove_dir_all(folder.join("cases"))?;
    // What fails is shown with its reason; the rest is counted.
    let tests = folder.join("tests/test_shop.py");
    fs::write(&tests, fs::read_to_string(&tests)?.replace("), 6)", "), 7)"))?;
    let output = app.run(&["pack", "test", &given, "--no-requirements"])?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.code() == Some(1), "{said}");
    for part in
        ["FAILED  tests/test_shop.py: PriceTest.test_price\n", "6 != 7", "\n4 tests, 1 failed"]
    {
        ensure!(said.contains(part), "{part:?} is not in {said}");
    }
    let (code, said) = test(&app, &given, &["--only", "OrdersTest"])?;
    ensure!(code == Some(0) && outcomes(&said) == expected[3..], "{said}");
    ensure!(!folder.join("tests/__pycache__").exists(), "something was left in the pack");
    Ok(())
}

#[test]
fn an_installed_pack_is_tested_by_its_name() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    write(&app.data().join("packs/shop"), &FILES)?;
    let (code, said) = test(&app, "shop", &[])?;
    ensure!(code == Some(0) && outcomes(&said).len() == 4, "{said}");
    let missing = app.run(&["pack", "test", "other"])?;
    let why = errors(&missing);
    ensure!(
        missing.status.code() == Some(2) && why.contains("no installed pack \"other\""),
        "{why}"
    );
    Ok(())
}

#[test]
fn a_pack_without_anything_to_test_is_a_usage_error() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let folder = app.path("shop");
    write(&folder, &FILES[..5])?;
    write(&folder, &[("tests/README.md", "None yet.")])?;
    let output = app.run(&["pack", "test", &folder.display().to_string()])?;
    let why = errors(&output);
    ensure!(output.status.code() == Some(2) && why.contains("shop has nothing to test"), "{why}");
    ensure!(why.contains("tests/test_NAME.py"), "{why}");
    // Whoever only looks leaves no data folder behind.
    ensure!(!app.data().exists());
    Ok(())
}

#[test]
fn without_a_network_what_needs_no_library_is_tested() -> anyhow::Result<()> {
    let app = App::new(On::Embedded)?;
    let folder = app.path("shop");
    write(&folder, &FILES)?;
    write(
        &folder,
        &[
            ("requirements-tests.txt", "mock<2\nhearken-no-such-library\n"),
            ("tests/test_web.py", "import hearken_no_such_library\n\ndef test_web(): pass\n"),
        ],
    )?;
    let python = app.path("python");
    fs::write(&python, OFFLINE)?;
    fs::set_permissions(&python, fs::Permissions::from_mode(0o755))?;
    let mut command = app.command();
    command.args(["-o", "json", "pack", "test"]).arg(&folder).arg("--python").arg(&python);
    let output = command.output()?;
    let said: Value = serde_json::from_slice(&output.stdout).with_context(|| errors(&output))?;
    ensure!(output.status.code() == Some(1), "{said}");
    let told = outcomes(&said);
    ensure!(told.iter().filter(|(_, outcome)| outcome == "passed").count() == 4, "{said}");
    ensure!(told.contains(&(String::new(), "error".to_owned())) && told.len() == 5, "{said}");
    let notes = said.get("notes").map(Value::to_string).unwrap_or_default();
    ensure!(
        notes.contains("libraries of requirements-tests.txt could not be installed"),
        "{notes}"
    );
    ensure!(notes.contains("take for granted") && notes.contains("no network"), "{notes}");
    Ok(())
}
