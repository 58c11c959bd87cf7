//! Every payload that was ever written, as bytes: each must decode for ever.
//!
//! A file of `proto/golden/` is never edited. A payload that changes gets a new file, of the next
//! version, in the same commit; `HEARKEN_GOLDEN=write cargo test -p hearken-proto` makes files that
//! are missing.

use std::fmt::Debug;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, json};

use crate::check::{CheckRecord, CheckResult, CheckStatus, LastRun, Metric, Origin};
use crate::execution::Step;
use crate::incident::{
    Acknowledgement, Comparison, Held, IncidentKind, IncidentRecord, LabelMatcher, Member, Moment,
    Outcome, SilenceRecord, Told, Window,
};
use crate::kv::KeyState;
use crate::notice::{NoticeKind, NoticeRecord, NoticeRequest, PicomonNotice, RecipientOutcome};
use crate::record::{
    CancelHint, DeadLetter, DefinitionsState, Enforcement, FoldSlot, FoldState, Gate, GateState,
    Holder, InForce, LeaseState, PackTransition, RunnerState, ScheduleState, SensorState,
    SensorStatus, Waiter,
};
use crate::request::{POOL_ANY, TriggerInstance};
use crate::{ActionRequest, Execution, Headers, Status, Timestamp, codec};

fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, value: &T) {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
    if !file.exists() && std::env::var_os("HEARKEN_GOLDEN").is_some_and(|what| what == "write") {
        std::fs::write(&file, codec::encode(value).unwrap()).unwrap();
    }
    let bytes = std::fs::read(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
    let decoded: T = codec::decode(&Headers::new(), &bytes).unwrap();
    assert_eq!(&decoded, value, "{name} reads as something else");
}

fn moment() -> Timestamp {
    Timestamp::parse("2026-01-02T03:04:05.678901Z").unwrap()
}

fn instance() -> TriggerInstance {
    TriggerInstance {
        id: "shop.order:42".into(),
        trigger: "shop.order_late".into(),
        sequence: 7,
        definitions: 3,
    }
}

fn request() -> ActionRequest {
    ActionRequest {
        execution: "6957353500112233445566aa".into(),
        action: "shop.note".into(),
        digest: "d".repeat(64),
        parameters: Map::from_iter([
            ("order".to_owned(), json!(7)),
            ("price".to_owned(), json!(1.5)),
            ("tags".to_owned(), json!(["a", null, true, {"deep": -1}])),
        ]),
        secret: vec!["password".into()],
        rule: Some("shop.order_late".into()),
        trigger_instance: Some(instance()),
        pool: POOL_ANY.into(),
        requested_at: moment(),
        user: "hearken".into(),
        rerun_of: None,
        context: Map::new(),
        not_before: None,
    }
}

/// A request as a policy makes it.
fn retry() -> ActionRequest {
    let retry = json!({
        "retry_count": 1,
        "applied_policy": "shop.again",
        "retried_liveaction_id": "6957353500112233445566aa",
    });
    ActionRequest {
        context: Map::from_iter([("policies".to_owned(), json!({ "retry": retry }))]),
        not_before: Some(moment()),
        ..request()
    }
}

#[test]
fn requests_and_executions_decode_for_ever() {
    check("action_request.v1", &request());
    check("action_request.v2", &retry());
    check("action_request.v3", &ActionRequest { pool: "gpu".into(), ..request() });
    let execution = Execution {
        request: request(),
        status: Status::Succeeded,
        attempt: 1,
        runner: Some("host-0011".into()),
        start: Some(moment()),
        end: Some(moment()),
        result: json!({"stdout": "x", "return_code": 0}),
        log: vec![
            Step { status: Status::Requested, timestamp: moment() },
            Step { status: Status::Running, timestamp: moment() },
        ],
        gates: Vec::new(),
    };
    check("execution.v1", &execution);
    let result = json!({"$blob": "e".repeat(64), "bytes": 70_000, "return_code": 0});
    let gates = vec!["shop.two#00/all".to_owned()];
    check("execution.v2", &Execution { request: retry(), result, gates, ..execution });
}

#[test]
fn sensors_decode_for_ever() {
    let sensor = SensorState {
        sensor: "shop.Orders".into(),
        digest: "b".repeat(64),
        status: SensorStatus::Running,
        host: "host".into(),
        pid: Some(17),
        since: Some(moment()),
        restarts: 2,
        error: Some("KeyError: 'url'".into()),
        trigger_types: vec![r#"{"name":"order","pack":"shop"}"#.into()],
    };
    check("sensor_state.v1", &sensor);
}

#[test]
fn what_folds_keep_decodes_for_ever() {
    let fold = FoldState {
        incarnation: "17".into(),
        place: 12,
        slot: "a".into(),
        chunks: 2,
        digest: "e".repeat(64),
        before: None,
    };
    check("fold_state.v1", &fold);
    let before = FoldSlot { place: 9, slot: "b".into(), chunks: 1, digest: "f".repeat(64) };
    check("fold_state.v2", &FoldState { before: Some(before), ..fold });
}

#[test]
fn records_decode_for_ever() {
    let in_force = InForce {
        packs: [("core".to_owned(), "a".repeat(64))].into(),
        rules: [("shop.order_late".to_owned(), false)].into(),
    };
    check("in_force.v1", &in_force);
    check("definitions_state.v1", &DefinitionsState { mark: 9, in_force });
    let pack = PackTransition {
        name: "shop".into(),
        digest: Some("b".repeat(64)),
        version: Some("1.0.0".into()),
        source: "/srv/packs/shop".into(),
    };
    check("pack_transition.v1", &pack);
    let enforcement = Enforcement {
        rule: "shop.order_late".into(),
        trigger_instance: instance(),
        reason: "no such name".into(),
        parameters: Map::from_iter([("order".to_owned(), json!("{{ trigger.order }}"))]),
        enforced_at: moment(),
        held_by: None,
    };
    check("enforcement.v1", &enforcement);
    let held = Enforcement { held_by: Some("throttle".into()), ..enforcement };
    check("enforcement.v2", &held);
    let runner = RunnerState {
        incarnation: "host-0011".into(),
        installation: "0123".into(),
        host: "host".into(),
        holds: vec!["00112233445566aa".into()],
        seen: 12,
        ended: false,
    };
    check("runner_state.v1", &runner);
    let schedule = ScheduleState {
        trigger: "core.st2.IntervalTimer".into(),
        parameters: json!({"unit": "seconds", "delta": 10}),
        anchor: moment(),
        ticked: Some(moment()),
        nonce: String::new(),
    };
    check("schedule_state.v1", &schedule);
    check("schedule_state.v2", &ScheduleState { nonce: "0a1b".into(), ..schedule });
    check("lease_state.v1", &LeaseState { holder: "host-1".into(), until: moment() });
    let gate = Gate {
        running: vec![Holder("00112233445566aa".into(), moment().nanos())],
        starts: vec![moment().nanos()],
        waiting: vec![Waiter("ffeeddccbbaa9988".into(), moment().nanos(), 0)],
    };
    let lanes = [("all".to_owned(), gate)].into();
    check("gate_state.v1", &GateState { policy: "shop.two".into(), lanes });
    let letter = DeadLetter {
        subject: "hearken.event.a.b".into(),
        stream: "EVENTS".into(),
        sequence: 5,
        service: "rules".into(),
        reason: "the body is not JSON".into(),
        deliveries: 1,
    };
    check("dead_letter.v1", &letter);
    check("cancel_hint.v1", &CancelHint { execution: "6957353500112233445566aa".into() });
}

#[test]
fn keys_decode_for_ever() {
    let key = KeyState {
        value: Some("eu".into()),
        secret: false,
        expires: Some(moment()),
        user: "stanley".into(),
    };
    check("key_state.v1", &key);
}

fn metric() -> Metric {
    Metric {
        label: "time".into(),
        value: Some(0.25),
        unit: "s".into(),
        warning: Some("1".into()),
        critical: Some("@2:".into()),
        min: Some(0.0),
        max: None,
    }
}

#[test]
fn checks_decode_for_ever() {
    let result = CheckResult {
        check: "web1/https".into(),
        tick: 1_767_323_045_678,
        scheduled: moment(),
        started: moment(),
        duration_us: 1_234,
        status: CheckStatus::Unknown,
        origin: Origin::Tool,
        text: "no such program".into(),
        long_text: "more\nlines".into(),
        perfdata: vec![metric()],
        location: "berlin".into(),
        host: "probe1".into(),
    };
    check("check_result.v1", &result);
    let last = LastRun {
        at: moment(),
        status: CheckStatus::Critical,
        origin: Origin::Target,
        duration_us: 7,
        text: "refused".into(),
        long_text: String::new(),
        perfdata: vec![metric()],
        location: "berlin".into(),
    };
    let record = CheckRecord {
        check: "web1/https".into(),
        status: Some(CheckStatus::Critical),
        since: Some(moment()),
        bad: 3,
        good: 0,
        bad_since: Some(moment()),
        tool: 1,
        tick: 1_767_323_045_678,
        sequence: 9,
        last: Some(last),
        last_good: Some("200 OK".into()),
        changes: 0b101,
        flapping: Some(moment()),
        fresh_until: Some(moment()),
        late: None,
        unreachable: Some("gw/ping".into()),
        incident: Some("6957353500112233445566aa".into()),
        tool_incident: None,
        incidents: 2,
    };
    check("check_record.v1", &record);
}

fn incident() -> IncidentRecord {
    let held = Held { kind: NoticeKind::Reminder, rule: "silence 17".into(), until: None };
    let told = Told {
        contact: "ops".into(),
        channel: "mail".into(),
        recipients: vec!["ops@example.net".into()],
        from: moment(),
        escalation: true,
        problem: true,
        flapping: true,
        unreachable: true,
        acknowledged: true,
        view: "00112233".into(),
        level: CheckStatus::Critical,
        at: Some(moment()),
        reminders: 1,
        sent: vec![1, 2],
        held: Some(held),
        outcome: Some(Outcome::Partial),
    };
    let member = Member {
        check: "web1/https".into(),
        level: CheckStatus::Warning,
        since: moment(),
        ended: Some(moment()),
        runs: 4,
        flapping: false,
        cause: Some("gw/ping".into()),
        text: "slow".into(),
        long_text: "more".into(),
        perfdata: vec![metric()],
        last_good: Some("200 OK".into()),
    };
    IncidentRecord {
        id: "6957353500112233445566aa".into(),
        kind: IncidentKind::Tool,
        group: "host=web1".into(),
        title: "web1/https".into(),
        labels: [("host".to_owned(), "web1".to_owned())].into(),
        opened: moment(),
        closed: Some(moment()),
        level: CheckStatus::Warning,
        worst: CheckStatus::Critical,
        members: vec![member],
        affected: vec!["web2/https".into()],
        cause: None,
        acknowledged: Some(Acknowledgement {
            author: "ann".into(),
            comment: "on it".into(),
            at: moment(),
            until: Some(moment()),
            sticky: true,
        }),
        told: vec![told],
        notices: 2,
        timeline: vec![Moment { at: moment(), level: CheckStatus::Critical, text: "a".into() }],
        next: Some(moment()),
        runbook: Some("https://wiki.example/web".into()),
    }
}

#[test]
fn incidents_decode_for_ever() {
    check("incident_record.v1", &incident());
    let matchers = Comparison::ALL.map(|(comparison, word)| LabelMatcher {
        label: "host".into(),
        comparison,
        value: word.into(),
    });
    let opens = Map::from_iter([("hour".to_owned(), json!(3))]);
    let silence = SilenceRecord {
        id: "17".into(),
        matchers: matchers.into(),
        from: moment(),
        until: Some(moment()),
        windows: vec![Window { opens, seconds: 3_600 }],
        author: "ann".into(),
        comment: "disk".into(),
        ended: Some(moment()),
    };
    check("silence_record.v1", &silence);
}

#[test]
fn notices_decode_for_ever() {
    let request = NoticeRequest {
        id: "6957353500112233445566aa-3".into(),
        thread: "6957353500112233445566aa".into(),
        number: 3,
        channel: "mail".into(),
        contact: "ops".into(),
        recipients: vec!["ops@example.net".into()],
        kind: NoticeKind::FlappingEnd,
        at: moment(),
        earlier: vec![1, 2],
        title: "web1/https".into(),
        level: CheckStatus::Ok,
        previous: Some(CheckStatus::Critical),
        incident: Some(IncidentRecord { told: Vec::new(), ..incident() }),
        text: "t".into(),
        picomon: Some(PicomonNotice {
            class: "CheckHTTP4".into(),
            target: "web1".into(),
            shown: "<CheckHTTP4 on 192.0.2.1>".into(),
        }),
    };
    check("notice_request.v1", &request);
    let record = NoticeRecord {
        id: request.id,
        thread: request.thread,
        number: 3,
        contact: "ops".into(),
        channel: "mail".into(),
        kind: NoticeKind::Problem,
        attempts: 2,
        outcome: Some(Outcome::Failed),
        recipients: vec![RecipientOutcome {
            recipient: "ops@example.net".into(),
            delivered: Some(moment()),
            given_up: true,
            reply: "550 no".into(),
        }],
        at: moment(),
    };
    check("notice_record.v1", &record);
}
