//! What changed between two looks at a machine.
//!
//! Facts are taken apart into rows with keys: a package by its name, a partition by its mount
//! point, a listening socket by protocol, address and port; [`crate::FACTS`] says which columns
//! count, so free bytes and counters are no changes. A first look is all additions, and folding
//! changes over rows gives the rows of now: [`apply`].
//!
//! A gap is not a change. A fact that is unavailable now keeps the rows that were known before
//! ([`carried`]), or a slow moment would remove every package and the next one add them again.
//!
//! Pure: no clock, no machine; documents are objects of facts by name, without groups.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::document::RESERVED;
use crate::table::{self, Kept, Table};

/// Which row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The fact.
    pub fact: String,
    /// The list within the fact; empty where the fact is the list, or is no list.
    pub table: String,
    /// The columns that name the row, in the table's order; empty where the fact is one row.
    pub key: Vec<String>,
}

/// Rows of a machine: what of it can change.
pub type Rows = BTreeMap<Place, Value>;

/// One row that is not what it was.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is new.
    Added {
        /// Which row.
        place: Place,
        /// What it is.
        after: Value,
    },
    /// It is gone.
    Removed {
        /// Which row.
        place: Place,
        /// What it was.
        before: Value,
    },
    /// It is another.
    Changed {
        /// Which row.
        place: Place,
        /// What it was.
        before: Value,
        /// What it is.
        after: Value,
    },
}

impl Change {
    /// Which row.
    #[must_use]
    pub fn place(&self) -> &Place {
        match self {
            Self::Added { place, .. }
            | Self::Removed { place, .. }
            | Self::Changed { place, .. } => place,
        }
    }

    /// `added`, `removed` or `changed`.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Added { .. } => "added",
            Self::Removed { .. } => "removed",
            Self::Changed { .. } => "changed",
        }
    }

    /// What it was, unless it is new.
    #[must_use]
    pub fn before(&self) -> Option<&Value> {
        match self {
            Self::Added { .. } => None,
            Self::Removed { before, .. } | Self::Changed { before, .. } => Some(before),
        }
    }

    /// What it is, unless it is gone.
    #[must_use]
    pub fn after(&self) -> Option<&Value> {
        match self {
            Self::Removed { .. } => None,
            Self::Added { after, .. } | Self::Changed { after, .. } => Some(after),
        }
    }

    /// For an event: `{"fact", "table", "key", "action", "before", "after"}`, the key as one text.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let place = self.place();
        json!({
            "fact": place.fact,
            "table": place.table,
            "key": place.key.join(" "),
            "action": self.action(),
            "before": self.before(),
            "after": self.after(),
        })
    }
}

/// What changed between two documents of facts by name, ordered by place.
#[must_use]
pub fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let (mut old, new) = (rows(before), rows(after));
    // What nobody could say now is not gone.
    old.retain(|place, _row| is_known(after.get(&place.fact)));
    let mut changes = Vec::new();
    for (place, after) in &new {
        let place = place.clone();
        match old.remove(&place) {
            None => changes.push(Change::Added { place, after: after.clone() }),
            Some(before) if before != *after => {
                changes.push(Change::Changed { place, before, after: after.clone() });
            }
            Some(_same) => {}
        }
    }
    let gone = old.into_iter().map(|(place, before)| Change::Removed { place, before });
    changes.extend(gone);
    changes.sort_by(|one, other| one.place().cmp(other.place()));
    changes
}

/// The document to compare the next one with: what is known now, and what was known before of the
/// facts that are unavailable or were not asked for now.
#[must_use]
pub fn carried(before: &Value, after: &Value) -> Value {
    let mut carried: Map<String, Value> = Map::new();
    for document in [before, after] {
        for (name, value) in document.as_object().into_iter().flatten() {
            if is_known(Some(value)) {
                carried.insert(name.clone(), value.clone());
            }
        }
    }
    carried.into()
}

/// Folds changes over rows.
pub fn apply(rows: &mut Rows, changes: &[Change]) {
    for change in changes {
        match change.after() {
            Some(after) => rows.insert(change.place().clone(), after.clone()),
            None => rows.remove(change.place()),
        };
    }
}

/// The rows of a document: what of each fact can change.
#[must_use]
pub fn rows(document: &Value) -> Rows {
    let mut rows = Rows::new();
    for (fact, value) in document.as_object().into_iter().flatten() {
        if RESERVED.contains(&fact.as_str()) || !is_known(Some(value)) {
            continue;
        }
        // What packs gather is theirs to define; any of it counts.
        let kept = table::find(fact).map_or(Kept::Whole, |fact| fact.kept);
        let whole = || Place { fact: fact.clone(), table: String::new(), key: Vec::new() };
        match kept {
            Kept::Nothing => {}
            Kept::Whole => {
                rows.insert(whole(), value.clone());
            }
            Kept::Fields(fields) => {
                rows.insert(whole(), only(value, fields).into());
            }
            Kept::Rows(tables) => {
                for table in tables {
                    add_table(&mut rows, fact, table, value);
                }
            }
        }
    }
    rows
}

fn add_table(rows: &mut Rows, fact: &str, table: &Table, value: &Value) {
    let list = if table.at.is_empty() { Some(value) } else { value.get(table.at) };
    for row in list.and_then(Value::as_array).into_iter().flatten() {
        let key: Option<Vec<String>> =
            table.key.iter().map(|column| row.get(column).map(text)).collect();
        // A row without its key is none that could be found again.
        let Some(key) = key else { continue };
        let place = Place { fact: fact.to_owned(), table: table.at.to_owned(), key };
        let mut kept = only(row, table.key);
        kept.extend(only(row, table.columns));
        let kept = Value::from(kept);
        // Several sockets can share a port. Which one stands for them must not hang on their order.
        let shown = kept.to_string();
        let known = rows.get(&place).map(Value::to_string);
        if known.is_none_or(|known| shown < known) {
            rows.insert(place, kept);
        }
    }
}

fn only(value: &Value, fields: &[&str]) -> Map<String, Value> {
    let field = |name: &&str| value.get(name).map(|value| ((*name).to_owned(), value.clone()));
    fields.iter().filter_map(field).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn is_known(value: Option<&Value>) -> bool {
    value.is_some_and(|value| !value.is_null() && value.get("unavailable").is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(before: &Value, after: &Value) -> Vec<String> {
        let one = |change: &Change| {
            let place = change.place();
            format!("{} {} {}", change.action(), place.fact, place.key.join(" "))
        };
        changes(before, after).iter().map(one).collect()
    }

    fn partition(mountpoint: &str, free: u64, device: u64) -> Value {
        json!({"mountpoint": mountpoint, "free": free, "percent": 1.5, "device": device})
    }

    fn listener(port: u16, uid: u32) -> Value {
        json!({"proto": "tcp", "address": "0.0.0.0", "port": port, "uid": uid})
    }

    #[test]
    fn rows_are_told_by_key_and_volatile_numbers_are_no_change() {
        let package = |name: &str, version: &str| json!({"name": name, "version": version, "architecture": "amd64", "manager": "dpkg"});
        let before = json!({
            "uptime": 1.5,
            "host": "h1",
            "loadavg": {"last_pid": 1},
            "disk": [partition("/", 10, 100), partition("/old", 1, 2)],
            "sockets": {"listening": [listener(22, 0), listener(80, 33)], "states": {"tcp": 1}},
            "packages": [package("bash", "5.1"), package("zlib", "1")],
            "vmem": {"total": 100, "used": 1},
        });
        let after = json!({
            "uptime": 2.5,
            "host": "h2",
            "loadavg": {"last_pid": 2},
            "disk": [partition("/", 9, 100), partition("/new", 1, 2)],
            "sockets": {"listening": [listener(80, 34), listener(22, 0)], "states": {"tcp": 9}},
            "packages": [package("bash", "5.2"), package("zlib", "1")],
            "vmem": {"total": 200, "used": 1},
        });
        let expected = [
            "added disk /new",
            "removed disk /old",
            "changed host ",
            "changed packages bash amd64",
            "changed sockets tcp 0.0.0.0 80",
            "changed vmem ",
        ];
        assert_eq!(told(&before, &after), expected);
        let change = changes(&before, &after).swap_remove(3).to_value();
        let expected = json!({
            "fact": "packages", "table": "", "key": "bash amd64", "action": "changed",
            "before": package_row("5.1"), "after": package_row("5.2"),
        });
        assert_eq!(change, expected);
    }

    fn package_row(version: &str) -> Value {
        json!({"name": "bash", "architecture": "amd64", "version": version, "manager": "dpkg"})
    }

    #[test]
    fn a_gap_is_no_change_and_what_was_known_is_carried_over_it() {
        let known = json!({"disk": [partition("/", 1, 2)], "host": "h1"});
        let gap = json!({"disk": {"unavailable": "timeout", "detail": "x"}, "os": null});
        assert!(changes(&known, &gap).is_empty());
        let carried = carried(&known, &gap);
        assert_eq!(carried, known);
        let grown = json!({"disk": [partition("/", 1, 2), partition("/srv", 1, 2)]});
        assert_eq!(told(&carried, &grown), ["added disk /srv"]);
        // Nothing was ever known of it.
        assert_eq!(told(&gap, &known), ["added disk /", "added host "]);
    }

    #[test]
    fn sockets_that_share_a_port_are_one_row_whatever_their_order() {
        let one = json!({"sockets": {"listening": [listener(80, 1), listener(80, 2)]}});
        let other = json!({"sockets": {"listening": [listener(80, 2), listener(80, 1)]}});
        assert!(changes(&one, &other).is_empty());
    }

    #[test]
    fn facts_of_packs_count_whole_and_odd_rows_are_passed_over() {
        let before = json!({"licences": {"left": 3}, "disk": [1, {"free": 1}], "errors": [1]});
        let after = json!({"licences": {"left": 2}, "disk": "none", "errors": [2]});
        assert_eq!(told(&before, &after), ["changed licences "]);
    }

    fn partitions() -> impl Strategy<Value = Value> {
        prop::collection::vec((0_u8..4, 0_u64..3, 0_u64..3), 0..5).prop_map(|rows| {
            let rows = rows.into_iter();
            rows.map(|(n, free, device)| partition(&format!("/{n}"), free, device)).collect()
        })
    }

    fn listeners() -> impl Strategy<Value = Value> {
        prop::collection::vec((0_u16..4, 0_u32..3), 0..5).prop_map(|rows| {
            let rows: Vec<Value> =
                rows.into_iter().map(|(port, uid)| listener(port, uid)).collect();
            json!({"listening": rows})
        })
    }

    fn name() -> impl Strategy<Value = Value> {
        prop_oneof![Just(json!("a")), Just(json!("b"))]
    }

    /// A look at which everything was known.
    fn whole() -> impl Strategy<Value = Value> {
        (partitions(), listeners(), name()).prop_map(
            |(disk, sockets, host)| json!({"disk": disk, "sockets": sockets, "host": host}),
        )
    }

    /// A look with facts that were not asked for, unavailable or unknown.
    fn document() -> impl Strategy<Value = Value> {
        let gaps = prop::collection::vec(0_u8..4, 3);
        (whole(), gaps).prop_map(|(mut document, gaps)| {
            for (name, gap) in ["disk", "sockets", "host"].into_iter().zip(gaps) {
                let facts = document.as_object_mut().unwrap();
                match gap {
                    0 => drop(facts.remove(name)),
                    1 => facts[name] = json!({"unavailable": "timeout"}),
                    2 => facts[name] = Value::Null,
                    _known => {}
                }
            }
            document
        })
    }

    proptest! {
        #[test]
        fn the_same_twice_is_no_change(document in document()) {
            prop_assert!(changes(&document, &document).is_empty());
        }

        #[test]
        fn changes_folded_over_the_rows_give_the_rows_of_now(
            before in document(), after in document(),
        ) {
            let mut state = rows(&before);
            apply(&mut state, &changes(&before, &after));
            prop_assert_eq!(state, rows(&carried(&before, &after)));
        }

        #[test]
        fn every_change_is_one_and_each_place_has_one(before in document(), after in document()) {
            let changes = changes(&before, &after);
            for pair in changes.windows(2) {
                prop_assert!(pair[0].place() < pair[1].place());
            }
            for change in &changes {
                prop_assert_ne!(change.before(), change.after());
            }
        }

        #[test]
        fn what_was_added_one_way_is_removed_the_other(
            before in whole(), after in whole(),
        ) {
            let there = changes(&before, &after);
            let back = changes(&after, &before);
            prop_assert_eq!(there.len(), back.len());
            for (one, other) in there.iter().zip(&back) {
                prop_assert_eq!(one.place(), other.place());
                prop_assert_eq!(one.before(), other.after());
                prop_assert_eq!(one.after(), other.before());
            }
        }
    }
}
