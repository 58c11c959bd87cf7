//! Parents and groups: one cause is told once.

use hearken_engine::check::Input;
use hearken_proto::check::CheckStatus::{Critical, Ok};
use serde_json::json;

use crate::scene::{Scene, definitions};

/// A gateway, a host behind it, and what runs there.
fn network(failures: u32) -> Scene {
    let attempts = json!({"failures": failures});
    Scene::new(
        &json!({"gw": {"ipv4": "192.0.2.1"}, "web": {"ipv4": "192.0.2.2", "parents": ["gw"]}}),
        &json!([
            {"name": "ping", "hosts": ["*"], "alive": true, "icmp": {}, "attempts": attempts,
             "freshness": {"within": "1d"}},
            {"name": "http", "hosts": ["web"], "http": "/", "attempts": attempts, "freshness": {"within": "1d"}},
        ]),
    )
}

#[test]
fn what_fails_behind_what_failed_is_not_told() {
    let mut scene = network(1);
    for check in ["gw/ping", "web/ping", "web/http"] {
        scene.run(check, Ok);
    }
    assert_eq!(scene.run("gw/ping", Critical), ["ops problem gw/ping"]);
    let held = scene.run("web/ping", Critical);
    assert_eq!(held, ["recheck gw/ping", "held web/ping problem: parent gw/ping failed"]);
    let held = scene.run("web/http", Critical);
    assert_eq!(held, ["recheck web/ping", "held web/http problem: parent web/ping failed"]);
    assert_eq!(scene.check("web/http").word(), "unreachable");
    assert_eq!(scene.incident().affected, ["web/ping", "web/http"]);
    // All come back in their order.
    assert_eq!(scene.run("gw/ping", Ok), ["ops recovery gw/ping", "recheck web/ping"]);
    assert_eq!(scene.run("web/ping", Ok), ["recheck web/http"]);
    assert_eq!(scene.run("web/http", Ok), [""; 0]);
    assert_eq!(scene.check("web/http").word(), "ok");
}

#[test]
fn what_stays_failed_when_its_parent_recovers_has_to_fail_anew() {
    let mut scene = network(2);
    scene.run("gw/ping", Critical);
    scene.run("gw/ping", Critical);
    scene.run("web/ping", Critical);
    scene.run("web/ping", Critical);
    assert_eq!(scene.check("web/ping").word(), "unreachable");
    assert_eq!(scene.run("gw/ping", Ok), ["ops recovery gw/ping", "recheck web/ping"]);
    assert_eq!(scene.run("web/ping", Critical), ["recheck gw/ping"]);
    scene.run("gw/ping", Ok);
    assert_eq!(scene.run("web/ping", Critical), ["ops problem web/ping"]);
}

#[test]
fn a_child_that_fails_first_waits_for_its_parent_to_be_looked_at() {
    let mut scene = network(1);
    scene.run("gw/ping", Ok);
    let doubt = "held ops problem: parent gw/ping is looked at first";
    let mut lines = scene.run("web/ping", Critical);
    lines.sort();
    assert_eq!(lines, [doubt, "recheck gw/ping"]);
    // It was the parent.
    let mut lines = scene.run("gw/ping", Critical);
    lines.sort();
    let over =
        "held ops problem: over before anybody was told: web/ping is behind gw/ping, which failed";
    assert_eq!(lines, [over, "ops problem gw/ping"]);
    assert_eq!(scene.check("web/ping").word(), "unreachable");
    assert_eq!(scene.incident().affected, ["web/ping"]);
}

#[test]
fn a_parent_that_is_well_lets_its_child_speak() {
    let mut scene = network(1);
    scene.run("gw/ping", Ok);
    scene.run("web/ping", Critical);
    assert_eq!(scene.run("gw/ping", Ok), ["ops problem web/ping"]);
    // And one that is not heard of does so after a while.
    let mut scene = network(1);
    scene.run("gw/ping", Ok);
    scene.run("web/ping", Critical);
    assert!(scene.after(119).is_empty());
    let lines = scene.after(1);
    assert!(lines.contains(&"ops problem web/ping".to_owned()), "{lines:?}");
}

#[test]
fn a_cause_that_shows_later_is_told_in_the_same_thread() {
    let mut scene = network(1);
    scene.run("gw/ping", Ok);
    scene.run("web/ping", Critical);
    scene.run("gw/ping", Ok);
    let lines = scene.run("gw/ping", Critical);
    assert!(lines.contains(&"ops unreachable web/ping".to_owned()), "{lines:?}");
    assert!(lines.contains(&"ops problem gw/ping".to_owned()), "{lines:?}");
    assert_eq!(scene.run("gw/ping", Ok)[0], "ops recovery gw/ping");
    assert_eq!(scene.run("web/ping", Ok), ["ops recovery web/ping"]);
}

#[test]
fn of_two_ways_one_is_enough() {
    let mut scene = Scene::new(
        &json!({}),
        &json!([
            {"name": "a", "memory": {}, "freshness": {"within": "1d"}, "attempts": {"failures": 1}},
            {"name": "b", "memory": {}, "freshness": {"within": "1d"}, "attempts": {"failures": 1}},
            {"name": "c", "memory": {}, "freshness": {"within": "1d"}, "attempts": {"failures": 1}, "parents": [["a", "b"]]},
        ]),
    );
    scene.run("a", Critical);
    scene.run("b", Ok);
    let lines = scene.run("c", Critical);
    assert!(
        lines.iter().any(|line| line.starts_with("held ops problem: parent b is looked")),
        "{lines:?}"
    );
    assert_eq!(scene.run("b", Ok), ["ops problem c"]);
    assert_eq!(scene.run("c", Ok), ["ops recovery c"]);
    scene.run("b", Critical);
    let lines = scene.run("c", Critical);
    assert!(lines.contains(&"held c problem: parent a failed".to_owned()), "{lines:?}");
}

fn group() -> Scene {
    let hosts = json!({"web": {}, "db": {}});
    let group = json!({"by": ["host"], "wait": "2m"});
    let check = |name: &str| {
        json!({"name": name, "hosts": ["*"], "memory": {}, "attempts": {"failures": 1},
               "group": group, "freshness": {"within": "30d"}})
    };
    Scene::new(&hosts, &json!([check("a"), check("b"), check("c")]))
}

#[test]
fn a_group_is_one_incident_and_one_notice() {
    let mut scene = group();
    assert_eq!(scene.run("web/a", Critical), ["held ops problem: group: others may join"]);
    assert!(scene.run("web/b", Critical).is_empty());
    assert_eq!(scene.after(60), ["ops problem host=web"]);
    assert_eq!(scene.incident().members.len(), 2);
    // A member that recovers is an update, one that fails again too.
    assert_eq!(scene.run("web/a", Ok), ["ops update host=web"]);
    assert_eq!(scene.run("web/a", Critical), ["ops update host=web"]);
    assert_eq!(scene.incident().members.len(), 2);
    scene.run("web/b", Ok);
    assert_eq!(scene.run("web/a", Ok), ["ops recovery host=web"]);
}

#[test]
fn other_groups_and_late_comers_are_incidents_of_their_own() {
    let mut scene = group();
    scene.run("web/a", Critical);
    scene.run("db/a", Critical);
    assert_eq!(scene.book.incidents().count(), 2);
    scene.after(300);
    scene.run("web/c", Critical);
    assert_eq!(scene.book.incidents().count(), 3);
}

#[test]
fn what_is_no_longer_checked_is_told_to_be_over() {
    let mut scene = group();
    scene.run("web/a", Critical);
    scene.after(120);
    let check = json!({"name": "b", "hosts": ["web"], "memory": {}});
    scene.definitions = definitions(&json!({"web": {}}), &json!([check]));
    let lines = scene.tell(Input::Definitions);
    assert_eq!(lines, ["ops recovery host=web", "gone web/a"]);
    assert!(scene.book.incidents().next().is_none());
    assert!(scene.book.check("web/b").is_some());
}
