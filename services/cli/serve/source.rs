//! The pack source: folders of packs, watched, put in force whenever they change.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hearken_kit::Shutdown;
use hearken_kit::bus::Bus;
use hearken_packs::bundle::Sealed;
use hearken_packs::load::Loaded;
use hearken_packs::publish::{self, Offer, Published};
use hearken_packs::source::{self, Discovery, Origin, Roots};
use hearken_packs::watch::Watcher;
use hearken_packs::{Located, load};
use tracing::{error, info};

use crate::config::PackSettings;
use crate::error::{Failure, chain};

/// Packs that could not be put in force are tried again after this pause.
const RETRY: Duration = Duration::from_secs(2);

/// How the engine says that no pack and no sensor declares a rule's trigger.
const UNREGISTERED: &str = "nobody has registered trigger";

/// Folders of packs that are watched.
#[derive(Debug)]
pub(super) struct Source {
    bus: Bus,
    roots: Roots,
    watcher: Watcher,
    /// What was said already, so that it is said once.
    told: BTreeSet<String>,
    /// What the packs of the last look define, so that those that stay are not loaded again.
    loaded: Vec<Arc<Loaded>>,
}

/// What a look at the folders found.
#[derive(Debug, Default)]
pub(super) struct Look {
    offers: Vec<Offer>,
    problems: Vec<Located>,
    loaded: Vec<Arc<Loaded>>,
}

impl Source {
    /// Watches from now on. Packs in the data folder are always there.
    pub(super) fn new(bus: Bus, settings: &PackSettings, data: &Path) -> Result<Self, Failure> {
        let mut folders: Vec<PathBuf> = Vec::new();
        for folder in &settings.folders {
            let absolute = folder.canonicalize().map_err(|error| {
                Failure::usage(format!("cannot read the packs in {}: {error}", folder.display()))
                    .hint("--packs takes a folder of packs, or one pack")
            })?;
            folders.push(absolute);
        }
        let own = data.join("packs");
        std::fs::create_dir_all(&own).map_err(|error| {
            Failure::usage(format!("cannot make the folder {}: {error}", own.display()))
        })?;
        folders.push(own);
        // What an interrupted installation left is finished or removed before anything is read.
        if let Err(error) = hearken_packs::install::sweep(data) {
            error!(error = chain(&error), "an interrupted installation could not be put in order");
        }
        let roots = Roots { bundled: settings.bundled, folders };
        // The watch begins before the first look, so that no change falls between.
        let watcher = Watcher::start(&roots);
        Ok(Self { bus, roots, watcher, told: BTreeSet::new(), loaded: Vec::new() })
    }

    /// Reads the folders and puts what is there in force. Answers what is new to say about them.
    pub(super) async fn publish(
        &mut self,
    ) -> Result<(Published, Vec<String>), hearken_packs::Error> {
        let roots = self.roots.clone();
        let look = tokio::task::spawn_blocking(move || look(&source::discover(&roots)));
        let look = look.await.map_err(|_panicked| hearken_packs::Error::Broken)?;
        let published = publish::publish(&self.bus, &look.offers).await?;
        let said: BTreeSet<String> = look.problems.iter().map(describe).collect();
        let new = said.difference(&self.told).cloned().collect();
        self.told = said;
        self.loaded = look.loaded;
        Ok((published, new))
    }

    /// Publishes whenever something changes.
    pub(super) async fn run(mut self, shutdown: Shutdown) -> Result<(), String> {
        let mut failed = false;
        loop {
            tokio::select! {
                biased;
                () = shutdown.requested() => return Ok(()),
                () = self.watcher.changed() => {}
                () = tokio::time::sleep(RETRY), if failed => {}
            }
            let published = self.publish().await;
            failed = published.is_err();
            match published {
                Ok((published, problems)) => {
                    if !published.changed.is_empty() {
                        let packs = published.changed.join(", ");
                        info!(mark = published.mark, packs, "packs changed");
                    }
                    say(&problems);
                }
                // What was in force stays; soon, or with the next change, it is tried again.
                Err(error) => error!(error = chain(&error), "packs could not be put in force"),
            }
        }
    }
}

/// Tells the operator about problems and notices of packs.
pub(super) fn say(problems: &[String]) {
    use std::io::Write as _;
    for problem in problems {
        // Nobody is told when standard error is gone.
        writeln!(std::io::stderr(), "hearken: {problem}").unwrap_or(());
    }
}

/// Notices as they are told at a start: what may be wrong one by one, and how many rules wait for
/// triggers without a declaration in one line, for there are many of those where all is well.
pub(super) fn summed_up(notices: &[String]) -> Vec<String> {
    let (common, others): (Vec<_>, Vec<_>) = notices.iter().partition(|notice| is_common(notice));
    let mut told: Vec<String> = others.into_iter().cloned().collect();
    let count = common.len();
    if count > 0 {
        let who = if count == 1 { "rule listens" } else { "rules listen" };
        told.push(format!(
            "{count} {who} to triggers that nobody has registered: fine for events you publish \
             yourself; hearken rule list shows them"
        ));
    }
    told
}

/// Whether a notice is one of those that are only counted.
pub(super) fn is_common(notice: &str) -> bool {
    notice.contains(UNREGISTERED)
}

fn describe(problem: &Located) -> String {
    let kind = if problem.fatal { "not in force" } else { "notice" };
    format!("{kind}: {problem}")
}

fn look(discovery: &Discovery) -> Look {
    let problems = discovery.problems.clone();
    let mut look = Look { offers: Vec::new(), problems, loaded: Vec::new() };
    let mut packs = Vec::new();
    for found in &discovery.packs {
        look.problems.extend(found.problems.iter().cloned());
        let sealed = match Sealed::new(found.bundle.clone()) {
            Ok(sealed) => sealed,
            Err(error) => {
                error!(pack = %found.bundle.name, error = chain(&error), "a pack cannot be used");
                continue;
            }
        };
        let loaded = load::shared(&sealed);
        packs.push((sealed, loaded, &found.origin));
    }
    let all: Vec<_> =
        packs.iter().map(|(sealed, loaded, _)| (sealed, &loaded.definitions)).collect();
    let found_together = load::together(&all);
    for (sealed, loaded, origin) in packs {
        look.problems.extend(loaded.problems.iter().cloned());
        let source = match origin {
            Origin::Bundled => "bundled".to_owned(),
            Origin::Folder(folder) => folder.display().to_string(),
        };
        let version = loaded.manifest.as_ref().map(|manifest| manifest.version.clone());
        look.offers.push(Offer { sealed, source, version });
        look.loaded.push(loaded);
    }
    look.problems.extend(found_together.into_iter().filter(|found| !is_common(&found.message)));
    look
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_common_is_counted_and_the_rest_told_in_full() {
        let lost = |rule: &str| format!("notice: rule {rule}: {UNREGISTERED} \"a.b\"");
        let odd = "notice: rule p.x: no action is called \"p.y\"".to_owned();
        let told = summed_up(&[lost("p.one"), odd.clone(), lost("p.two")]);
        let [first, second] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(*first, odd);
        assert!(second.starts_with("2 rules listen to triggers"), "{second}");
        assert!(summed_up(&[lost("p.one")]).concat().starts_with("1 rule listens to triggers"));
        assert_eq!(summed_up(&[]), Vec::<String>::new());
    }
}
