//! Tables for eyes: a heading, columns as wide as they need to be, nothing else.

use serde_json::Value;

/// The widest that a column gets, in characters; longer values are cut with an ellipsis.
const WIDTH_MAX: usize = 60;

/// A column: its heading and where its value is, as a JSON pointer.
pub(crate) type Column = (&'static str, &'static str);

/// Rows as a table; only the heading when there are none.
pub(super) fn text(rows: &[Value], columns: &[Column]) -> String {
    let mut lines: Vec<Vec<String>> =
        vec![columns.iter().map(|(heading, _)| (*heading).to_owned()).collect()];
    for row in rows {
        lines.push(columns.iter().map(|(_, at)| cell(row.pointer(at))).collect());
    }
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns.len()).map(|c| width(c).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in &lines {
        let mut padded = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let padding = width.saturating_sub(cell.chars().count()) + 2;
            padded.push_str(cell);
            padded.extend(std::iter::repeat_n(' ', padding));
        }
        text.push_str(padded.trim_end());
        text.push('\n');
    }
    text
}

fn cell(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    let text = text.lines().next().unwrap_or_default();
    if text.chars().count() <= WIDTH_MAX {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(WIDTH_MAX - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_value() {
        let rows = [json!({"a": {"b": "long value"}, "n": 1}), json!({"n": null})];
        let table = text(&rows, &[("A", "/a/b"), ("N", "/n")]);
        assert_eq!(table, "A           N\nlong value  1\n-           -\n");
    }

    #[test]
    fn long_values_are_cut_and_only_the_first_line_is_shown() {
        let rows = [json!({"a": "x".repeat(100)}), json!({"a": "one\ntwo"})];
        let table = text(&rows, &[("A", "/a")]);
        assert!(table.contains(&format!("{}…\none\n", "x".repeat(59))), "{table}");
    }
}
