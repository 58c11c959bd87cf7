//! Runs `tests/conformance/plugins.toml`, and throws noise at the same readers.
//!
//! All rows of a table run, and all that fail are shown at once.

use std::fmt::Debug;
use std::fs;
use std::path::Path;

use hearken_engine::check::plugin::{
    Ended, LABEL_MAX, LONG_TEXT_MAX, METRICS_MAX, Range, TEXT_MAX, interpret, perfdata,
};
use hearken_proto::check::{CheckStatus, Metric, Origin};
use proptest::prelude::*;

/// Fewer rows than this, and some were lost.
const ROWS_MIN: usize = 120;

fn tables() -> toml::Table {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance/plugins.toml");
    fs::read_to_string(file).expect("the table is there").parse().expect("the table is TOML")
}

fn rows(name: &str) -> Vec<toml::Value> {
    let rows = tables().get(name).and_then(toml::Value::as_array).cloned();
    rows.expect("a list of rows")
}

fn text(row: &toml::Value, cell: &str) -> String {
    row.get(cell).and_then(toml::Value::as_str).unwrap_or_default().to_owned()
}

fn texts(row: &toml::Value, cell: &str) -> Vec<String> {
    let items = row.get(cell).and_then(toml::Value::as_array).cloned().unwrap_or_default();
    items.iter().map(|item| item.as_str().expect("a text").to_owned()).collect()
}

fn numbers(row: &toml::Value, cell: &str) -> Vec<f64> {
    let items = row[cell].as_array().expect("a list");
    items.iter().map(|item| item.as_float().expect("a number")).collect()
}

fn report<T: PartialEq + Debug>(wrong: &mut Vec<String>, name: &str, actual: &T, expected: &T) {
    if actual != expected {
        wrong.push(format!("{name}\n      is {actual:?}\n  not {expected:?}"));
    }
}

/// A metric with its fields, without empty ones at the end.
fn shown(metric: &Metric) -> String {
    let bound = |bound: Option<f64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
    let value = metric.value.map_or_else(|| "U".to_owned(), |value| value.to_string());
    let fields = [
        format!("{}={value}{}", metric.label, metric.unit),
        metric.warning.clone().unwrap_or_default(),
        metric.critical.clone().unwrap_or_default(),
        bound(metric.min),
        bound(metric.max),
    ];
    fields.join(";").trim_end_matches(';').to_owned()
}

fn ended(text: &str) -> Ended {
    if let Some(signal) = text.strip_prefix("signal ") {
        return Ended::Signaled(signal.parse().expect("a number"));
    }
    if let Some(seconds) = text.strip_prefix("timeout ") {
        return Ended::TimedOut(seconds.parse().expect("a number"));
    }
    match text.strip_prefix("not started ") {
        Some(reason) => Ended::NotStarted(reason.to_owned()),
        None => Ended::Exited(text.parse().expect("a number")),
    }
}

#[test]
fn plugins_mean_what_the_table_says() {
    let mut wrong = Vec::new();
    for row in rows("outputs") {
        let name = text(&row, "name");
        let report_of =
            interpret(&ended(&text(&row, "ended")), &text(&row, "out"), &text(&row, "err"));
        let origin = match report_of.origin {
            Origin::Target => "",
            Origin::Tool => "tool",
        };
        let actual = (
            report_of.status.word().to_owned(),
            origin.to_owned(),
            report_of.text,
            report_of.long_text,
            report_of.perfdata.iter().map(shown).collect::<Vec<_>>(),
        );
        let expected = (
            text(&row, "status"),
            text(&row, "origin"),
            text(&row, "text"),
            text(&row, "long"),
            texts(&row, "perfdata"),
        );
        report(&mut wrong, &name, &actual, &expected);
    }
    for row in rows("perfdata") {
        let actual: Vec<String> = perfdata(&text(&row, "given")).iter().map(shown).collect();
        report(&mut wrong, &text(&row, "name"), &actual, &texts(&row, "then"));
    }
    for row in rows("ranges") {
        let source = text(&row, "range");
        let range = Range::parse(&source).unwrap_or_else(|error| panic!("{source}: {error}"));
        for (cell, told) in [("told", true), ("fine", false)] {
            for value in numbers(&row, cell) {
                report(&mut wrong, &format!("{source} {value}"), &range.alerts(value), &told);
            }
        }
    }
    let refused = rows("not_ranges");
    for row in &refused {
        let source = row.as_str().expect("a text");
        report(&mut wrong, source, &Range::parse(source).is_err(), &true);
    }
    let rows = rows("outputs").len() + rows("perfdata").len() + rows("ranges").len();
    assert!(rows + refused.len() >= ROWS_MIN, "{rows} rows");
    assert!(wrong.is_empty(), "{} rows\n{}", wrong.len(), wrong.join("\n"));
}

/// Texts of the characters that mean something.
fn noise() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z'=;:|@~ 0-9.eE+\\-%\n\tU]{0,12}",
        Just("'a b'=1s;1:2;@3:4;0;9 ".to_owned()),
        Just("::".to_owned()),
        Just("|".to_owned()),
        "\\PC{0,6}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_output_is_too_odd(code in -2..300_i32, stdout in noise(), stderr in noise()) {
        let report = interpret(&Ended::Exited(code), &stdout, &stderr);
        prop_assert!(!report.text.is_empty() && report.text.len() <= TEXT_MAX);
        prop_assert!(!report.text.contains('\n'));
        prop_assert!(report.long_text.len() <= LONG_TEXT_MAX);
        prop_assert!(report.perfdata.len() <= METRICS_MAX);
        for metric in &report.perfdata {
            prop_assert!(!metric.label.is_empty() && metric.label.chars().count() <= LABEL_MAX);
            prop_assert!(metric.value.is_none_or(f64::is_finite));
        }
        let own = (0..=3).contains(&code);
        prop_assert_eq!(report.origin == Origin::Target, own);
        prop_assert_eq!(report.status == CheckStatus::Ok, code == 0);
    }

    #[test]
    fn what_is_long_is_cut(times in 1_usize..4, lines in 1_usize..400) {
        let line = "é".repeat(1_000 * times);
        let stdout = format!("{line}\n").repeat(lines) + "x | " + &"'label'=1s;2;3 ".repeat(300);
        let report = interpret(&Ended::Exited(0), &stdout, "");
        prop_assert!(report.text.len() <= TEXT_MAX && report.text.ends_with('…'));
        prop_assert!(report.long_text.len() <= LONG_TEXT_MAX);
        prop_assert_eq!(report.perfdata.len(), METRICS_MAX);
    }

    #[test]
    fn metrics_that_are_written_read_back(
        label in "[a-zA-Z/ =.µ']{1,20}",
        value in -1.0e12..1.0e12,
        unit in "(s|ms|%|KB|c|)",
        warning in prop::option::of(0_u32..1_000),
    ) {
        let label = label.trim().to_owned();
        prop_assume!(!label.is_empty());
        let warning = warning.map(|warning| warning.to_string());
        let written = format!(
            "'{}'={value}{unit};{}", label.replace('\'', "''"), warning.as_deref().unwrap_or("")
        );
        let metrics = perfdata(&written);
        prop_assert_eq!(metrics.len(), 1, "{}", written);
        prop_assert_eq!(&metrics[0].label, &label);
        prop_assert_eq!(metrics[0].value, Some(value));
        prop_assert_eq!(&metrics[0].unit, &unit);
        prop_assert_eq!(&metrics[0].warning, &warning);
    }

    #[test]
    fn no_range_is_too_odd(text in "[@~:0-9.eE+\\-% a]{0,16}", value in -1.0e9..1.0e9) {
        if let Ok(range) = Range::parse(&text) {
            // Inside and outside are each other's opposite.
            let other = match text.trim().strip_prefix('@') {
                Some(rest) => rest.to_owned(),
                None => format!("@{}", text.trim()),
            };
            let other = Range::parse(&other).expect("the opposite is a range");
            prop_assert_ne!(range.alerts(value), other.alerts(value));
        }
    }
}
