//! A recorded machine for tests: a folder with the files that a test gives it.

use std::path::Path;

use hearken_proto::Timestamp;
use jiff::tz::TimeZone;

use crate::{Context, Roots, Sampling};

/// A folder that is removed at the end.
#[derive(Debug)]
pub(crate) struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    /// A machine with these files, by their paths without the first slash.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        for (path, content) in files {
            machine.write(path, content);
        }
        machine
    }

    /// Adds or replaces a file.
    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What facts of it are gathered with: at 2014-10-24 17:05:13 in UTC, without a window.
    pub(crate) fn context(&self) -> Context {
        let mut context = Context::new(Timestamp::from_nanos(1_414_170_313_000_000_000));
        context.roots = Roots::under(self.path());
        context.zone = TimeZone::UTC;
        context.sampling = Sampling::NONE;
        context
    }
}
