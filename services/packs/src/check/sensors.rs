//! What there is to say of sensors and the programs that they name.

use hearken_proto::definition::BundleFile;

use super::material::{Material, Sights};
use crate::load::files::{self, Metadata};

/// Sensors of the pack whose program is there, with it.
fn each<'a>(
    material: &'a Material<'_>,
) -> impl Iterator<Item = (&'a Metadata, &'a str, &'a BundleFile)> {
    material.documents.sensors.iter().filter_map(|metadata| {
        let class = metadata.text("class_name")?;
        let path = files::entry_point("sensors", metadata.text("entry_point")?)?;
        Some((metadata, class, material.bundle.file(&path)?))
    })
}

/// A Python file without the class.
pub(super) fn class_missing(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, class, file) in each(material).filter(|(_, _, file)| file.path.ends_with(".py"))
    {
        let text = String::from_utf8_lossy(&file.content);
        if !text.lines().any(|line| names(line, class)) {
            let what = format!("there is no class {class} in {}", file.path);
            sights.at(metadata, "/class_name", what);
            let classes = text.lines().filter_map(class_of);
            let listed: Vec<&str> = classes.take(3).collect();
            if !listed.is_empty() {
                sights.hint(format!("it has {}", listed.join(", ")));
            }
        }
    }
}

/// Whether a line at the top of a file could be what makes the class known.
fn names(line: &str, class: &str) -> bool {
    let is_top = line.starts_with(|first: char| !first.is_whitespace() && first != '#');
    let makes = |word: &str| ["class", "import", "as", "from"].contains(&word);
    let mut words = line.split(|next: char| !(next.is_alphanumeric() || next == '_'));
    // `class X`, `import X`, `import a as X` and `X = …` are all good.
    is_top && words.clone().any(|word| word == class) && {
        let first = words.next().unwrap_or_default();
        makes(first) || first == class
    }
}

fn class_of(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("class ")?;
    let end = rest.find(|next: char| !(next.is_alphanumeric() || next == '_'))?;
    rest.get(..end).filter(|name| !name.is_empty())
}

/// A program that cannot be started.
pub(super) fn not_executable(material: &Material<'_>, sights: &mut Sights) {
    for (metadata, _class, file) in each(material) {
        if !file.path.ends_with(".py") && !file.executable {
            sights.at(metadata, "/entry_point", format!("{} is not executable", file.path));
            sights.hint(format!("chmod +x {}", file.path));
        }
    }
}
