//! Installing, loading, unloading and removing packs: what the verbs do.

use std::path::{Path, PathBuf};

use hearken_proto::Timestamp;
use serde_json::{Value, json};

use super::environment::{self, Environment};
use super::place::{Place, remove_all};
use super::plan::{self, Around, Planned, version_of};
use super::program::Say;
use super::record::{self, Record, Register};
use super::{Error, Spec, tree};
use crate::source::said_of_itself;

/// Works in one data folder, alone.
pub struct Installer<'a> {
    /// Where it works.
    place: Place,
    /// Where the index of packs is; empty: there is none.
    index: String,
    /// The Python to build with; otherwise one is looked for.
    python: Option<PathBuf>,
    /// When this happens.
    now: Timestamp,
    /// Who is told how it goes.
    say: Say<'a>,
}

/// What is to be installed.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Where it is.
    pub spec: &'a Spec,
    /// Only these packs of a repository of many; all when there are none.
    pub only: &'a [String],
    /// What of it is to be in force.
    pub register: Register,
    /// Whether it is installed although it is not made for what runs here.
    pub is_forced: bool,
    /// Whether the packs that it needs are left out.
    pub is_alone: bool,
}

/// What was installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// What is remembered of it.
    pub record: Record,
    /// The version that its manifest says.
    pub version: Option<String>,
    /// Whether there was one of this name before.
    pub is_replaced: bool,
    /// Its Python.
    pub environment: Environment,
}

impl<'a> Installer<'a> {
    /// Waits until nobody else installs in `data`, and finishes what was interrupted there.
    ///
    /// # Errors
    /// [`Error::Busy`], or what the file system refuses.
    pub fn open(
        data: &Path,
        index: &str,
        python: Option<PathBuf>,
        now: Timestamp,
        say: Say<'a>,
    ) -> Result<Self, Error> {
        let place = Place::open(data, say)?;
        Ok(Self { place, index: index.to_owned(), python, now, say })
    }

    /// Fetches and puts in place, first what the pack needs. Nothing is put in place before all of
    /// it was fetched; when that fails later, those before the one that fails are installed.
    ///
    /// # Errors
    /// [`Error`] says what could not be fetched, or what was refused.
    pub async fn install(&mut self, wanted: Wanted<'_>) -> Result<Vec<Installed>, Error> {
        let staging = self.place.staging()?;
        let installed = self.install_in(&staging, wanted).await;
        // What cannot be removed now, the next sweep removes.
        remove_all(&staging).unwrap_or(());
        installed
    }

    async fn install_in(
        &mut self,
        staging: &Path,
        wanted: Wanted<'_>,
    ) -> Result<Vec<Installed>, Error> {
        let around = Around { installed: self.place.packs(), index: &self.index, staging };
        let planned = plan::plan(wanted, around, self.say).await?;
        let mut installed = Vec::new();
        for Planned { pack, source, version, commit, .. } in planned {
            let record = Record {
                pack: pack.name,
                source,
                version,
                commit,
                installed: self.now,
                register: wanted.register,
            };
            installed.push(self.put(staging, &pack.folder, record).await?);
        }
        Ok(installed)
    }

    /// Copies the pack in `folder`, builds its environment, and puts both in use.
    async fn put(
        &mut self,
        staging: &Path,
        folder: &Path,
        record: Record,
    ) -> Result<Installed, Error> {
        let tree = staging.join("pack");
        let what = format!("the pack {} of {}", record.pack, record.source);
        tree::copy(folder, &tree).map_err(|why| Error::Refused { what, why })?;
        let environment = match record.register {
            Register::None => Environment::NotNeeded,
            Register::Content | Register::All => self.environment(&record.pack, &tree).await,
        };
        let version = version_of(&said_of_itself(&tree));
        let is_replaced = self.place.packs().join(&record.pack).exists();
        self.place.put(&tree, &record, staging)?;
        if let Environment::Ready(place) = &environment {
            environment::switch(self.place.data(), &record.pack, place)?;
        }
        Ok(Installed { record, version, is_replaced, environment })
    }

    async fn environment(&mut self, pack: &str, folder: &Path) -> Environment {
        if !environment::is_needed(folder) {
            return Environment::NotNeeded;
        }
        let interpreter = match environment::interpreter(self.python.as_deref()).await {
            Ok(interpreter) => interpreter,
            Err(why) => return Environment::Failed(why),
        };
        let data = self.place.data();
        match environment::build(data, pack, folder, &interpreter, self.say).await {
            Ok(place) => Environment::Ready(place),
            Err(why) => Environment::Failed(why),
        }
    }

    /// Changes what of an installed pack is in force. It is put in place anew, so that whoever
    /// watches the folders sees it.
    ///
    /// # Errors
    /// [`Error::NotInstalled`], or what the file system refuses.
    pub async fn register(&mut self, name: &str, register: Register) -> Result<Installed, Error> {
        let folder = self.place.folder(name)?;
        let known = record::read(self.place.packs(), name)?;
        let record = Record {
            register,
            ..known.unwrap_or_else(|| Record {
                pack: name.to_owned(),
                source: folder.display().to_string(),
                version: None,
                commit: None,
                installed: self.now,
                register,
            })
        };
        let staging = self.place.staging()?;
        let put = self.put(&staging, &folder, record).await;
        remove_all(&staging).unwrap_or(());
        put
    }

    /// Takes a pack away, with its record and its environments.
    ///
    /// # Errors
    /// [`Error::NotInstalled`], or what the file system refuses.
    pub fn remove(&mut self, name: &str) -> Result<(), Error> {
        self.place.folder(name)?;
        self.place.remove(name)
    }

    /// Builds the environment of an installed pack, or of the pack in a folder, and puts it in use.
    ///
    /// # Errors
    /// [`Error::NotInstalled`], [`Error::NoPack`], or what the file system refuses.
    pub async fn set_up(&mut self, pack: &str) -> Result<(String, Environment), Error> {
        let (name, folder) = if pack.contains('/') {
            let folder = PathBuf::from(pack);
            let found = crate::source::read_pack(&folder)
                .map_err(|_none| Error::NoPack { what: pack.to_owned() })?;
            (found.bundle.name, folder)
        } else {
            (pack.to_owned(), self.place.folder(pack)?)
        };
        let environment = self.environment(&name, &folder).await;
        if let Environment::Ready(place) = &environment {
            environment::switch(self.place.data(), &name, place)?;
        }
        Ok((name, environment))
    }

    /// Builds the base layer and puts it in use.
    ///
    /// # Errors
    /// Why it could not be built.
    pub async fn set_up_base(&mut self) -> Result<PathBuf, Error> {
        let doing = || "setting up Python".to_owned();
        let fail = |why: String| Error::Program { doing: doing(), why };
        let interpreter = environment::interpreter(self.python.as_deref()).await.map_err(fail)?;
        environment::base(self.place.data(), &interpreter, self.say).await.map_err(fail)
    }
}

impl Environment {
    /// As it is printed.
    #[must_use]
    pub fn json(&self) -> Value {
        match self {
            Self::NotNeeded => json!({"state": "not needed"}),
            Self::Ready(place) => json!({"state": "ready", "folder": place}),
            Self::Failed(why) => json!({"state": "failed", "why": why}),
        }
    }
}

impl Installed {
    /// As it is printed.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "pack": self.record.pack,
            "version": self.version,
            "source": self.record.source,
            "wanted_version": self.record.version,
            "commit": self.record.commit,
            "register": self.record.register,
            "replaced": self.is_replaced,
            "environment": self.environment.json(),
        })
    }
}
