//! The programs that metadata names, as far as they can be judged without running them.

use hearken_proto::definition::Bundle;
use serde_json::{Value, json};

use super::files;
use crate::Located;

/// Where StackStorm is installed; some packs name it, and with us nothing is there.
const FOREIGN_PREFIX: &str = "/opt/stackstorm/";

/// What can be said of the program that `entry_point` of a file in `folder` names: nothing when all
/// is well.
pub(super) fn missing(bundle: &Bundle, folder: &str, entry_point: &str) -> Option<String> {
    match files::entry_point(folder, entry_point) {
        None => Some(format!("the entry point {entry_point:?} lies outside the pack")),
        Some(path) if bundle.file(&path).is_none() => {
            Some(format!("the entry point {entry_point:?} does not exist: there is no {path}"))
        }
        Some(_) => None,
    }
}

/// A notice when a program is to be run by StackStorm's own interpreter.
pub(super) fn foreign_interpreter(bundle: &Bundle, entry_point: &str) -> Option<Located> {
    let path = files::entry_point("actions", entry_point)?;
    let first = bundle.file(&path)?.content.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(first).ok()?;
    let interpreter = line.strip_prefix("#!")?.trim().strip_prefix(FOREIGN_PREFIX)?;
    let message = format!("its interpreter is {FOREIGN_PREFIX}{interpreter}, which is not here");
    let name = interpreter.split_whitespace().next()?.rsplit('/').next()?;
    let told = Located::notice(&bundle.name, &path, message);
    Some(told.hint(format!("write #!/usr/bin/env {name}")))
}

/// Pointers to defaults that name a place in StackStorm's installation.
pub(super) fn foreign_defaults(action: &Value) -> Vec<String> {
    let Some(Value::Object(parameters)) = action.get("parameters") else { return Vec::new() };
    let names_it = |value: &Value| {
        value
            .get("default")
            .and_then(Value::as_str)
            .is_some_and(|text| text.contains(FOREIGN_PREFIX))
    };
    parameters
        .iter()
        .filter(|(_, parameter)| names_it(parameter))
        .map(|(name, _)| {
            format!("/parameters/{}/default", name.replace('~', "~0").replace('/', "~1"))
        })
        .collect()
}

/// Sensor classes in Python files without metadata, as packs of the first generation bring them:
/// file name and class name of each.
///
/// A class counts when its text has the methods that those sensors cannot do without. What it
/// dispatches is known only when it runs.
pub(super) fn classes_without_metadata(bundle: &Bundle) -> Vec<(String, Value)> {
    let programs = files::inside(bundle, "sensors")
        .filter(|path| path.ends_with(".py") && !path.ends_with("/__init__.py"));
    let mut found = Vec::new();
    for path in programs {
        let file = path.trim_start_matches("sensors/");
        let content = bundle.file(path).map(|file| file.content.as_slice()).unwrap_or_default();
        for class in sensor_classes(&String::from_utf8_lossy(content)) {
            let metadata = json!({"class_name": class, "entry_point": file});
            found.push((path.to_owned(), metadata));
        }
    }
    found
}

/// Names of the classes in a Python text that look like sensors.
fn sensor_classes(text: &str) -> Vec<String> {
    let mut classes = Vec::new();
    let mut current: Option<Class> = None;
    for line in text.lines() {
        let is_top = line.starts_with(|first: char| !first.is_whitespace() && first != '#');
        if is_top {
            classes.extend(current.take().and_then(Class::into_sensor));
            current = line.strip_prefix("class ").and_then(Class::begin);
        } else if let (Some(class), Some(method)) =
            (&mut current, line.trim_start().strip_prefix("def "))
        {
            class.add(method);
        }
    }
    classes.extend(current.and_then(Class::into_sensor));
    classes
}

/// A class whose text is being read.
struct Class {
    /// What it is called.
    name: String,
    /// Whether it can be started.
    starts: bool,
    /// Whether it says what it dispatches.
    tells_types: bool,
}

impl Class {
    fn begin(rest: &str) -> Option<Self> {
        let name: String =
            rest.chars().take_while(|next| next.is_alphanumeric() || *next == '_').collect();
        (!name.is_empty()).then_some(Self { name, starts: false, tells_types: false })
    }

    fn add(&mut self, method: &str) {
        match method.split('(').next().unwrap_or_default().trim_end() {
            "start" | "run" | "poll" => self.starts = true,
            "get_trigger_types" => self.tells_types = true,
            _ => {}
        }
    }

    fn into_sensor(self) -> Option<String> {
        (self.starts && self.tells_types).then_some(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::sensor_classes;

    #[test]
    fn classes_that_can_be_sensors_are_found_in_their_text() {
        let text = "import x\n\
            class Helper(object):\n    def start(self):\n        pass\n\
            class One:\n    # a comment\n\n    def setup(self): pass\n    def start(self): pass\n\
            # not indented\n    def get_trigger_types(self): return []\n\
            def add_trigger(self): pass\n\
            @decorated\nclass Two(Base):\n\tdef poll (self):\n\t\tpass\n\
            \tdef get_trigger_types(self):\n\t\tpass";
        assert_eq!(sensor_classes(text), ["One", "Two"]);
        assert!(sensor_classes("class").is_empty() && sensor_classes("class :\n").is_empty());
    }
}
