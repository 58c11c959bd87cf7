//! Where the past is read: from a running server, or from the log itself when none runs.

use std::path::Path;

use hearken_ledger::History;
use hearken_proto::question::{Answer, EntryFilter, Question, Shown};

use crate::client::Client;
use crate::commands::Context;
use crate::compose;
use crate::error::Failure;

/// Entries asked for at a time.
pub(crate) const PAGE: usize = 500;

/// The past of this installation.
pub(crate) enum Past {
    /// Somebody holds the log open and answers about it.
    Server(Client),
    /// The log in the data folder; nobody else has it.
    Log(History),
}

impl Past {
    /// The server's past; that of the data folder when no server is there and none was named.
    pub(crate) fn open(context: &Context<'_>) -> Result<Self, Failure> {
        let client = context.client();
        let named = std::env::var_os("HEARKEN_URL").is_some_and(|url| !url.is_empty());
        let kept = |copies: bool| {
            let folder = if copies { "ledger" } else { "log" };
            context.data.join(folder).is_dir().then_some(copies)
        };
        let unreachable = client.get("/healthz").is_err();
        match kept(false).or_else(|| kept(true)) {
            Some(copies) if unreachable && !named => {
                let loaded = context.loader()?.finish()?;
                let settings = &loaded.settings;
                let log = compose::open_log(settings, &context.data, copies)?;
                Ok(Self::Log(History::new(log, &settings.bus.prefix)))
            }
            Some(_) | None => Ok(Self::Server(client)),
        }
    }

    /// Asks one question.
    pub(crate) fn ask(&self, question: &Question) -> Result<Answer, Failure> {
        let answer = match self {
            Self::Server(client) => {
                let question = serde_json::to_value(question).map_err(unreadable)?;
                let answer = client.post("/hearken/v1/log", &question)?;
                serde_json::from_value(answer).map_err(unreadable)?
            }
            Self::Log(history) => history
                .answer(question)
                .map_err(|error| Failure::no(format!("the log cannot be read: {error}")))?,
        };
        if let Answer::Failed { reason } = answer {
            return Err(Failure::usage(reason));
        }
        Ok(answer)
    }

    /// One page of entries, and whether there are more.
    pub(crate) fn page(&self, filter: EntryFilter) -> Result<(Vec<Shown>, bool), Failure> {
        let Answer::Entries { entries, more } = self.ask(&Question::Entries(filter))? else {
            return Err(Failure::no("the ledger answered something else"));
        };
        Ok((entries, more))
    }

    /// Every entry that `filter` selects, in order, page by page.
    pub(crate) fn each(
        &self,
        filter: EntryFilter,
        mut each: impl FnMut(Shown) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut filter = EntryFilter { limit: PAGE, descending: false, ..filter };
        loop {
            let (entries, more) = self.page(filter.clone())?;
            let last = entries.last().map(|entry| entry.sequence);
            for entry in entries {
                each(entry)?;
            }
            match last {
                Some(last) if more => filter.from = Some(last + 1),
                Some(_) | None => return Ok(()),
            }
        }
    }
}

/// The folder in which unpacked content lies.
pub(crate) fn content(data: &Path, pack: &str, digest: &str) -> std::path::PathBuf {
    data.join("content").join(pack).join(digest)
}

fn unreadable(error: serde_json::Error) -> Failure {
    Failure::no(format!("the ledger's answer cannot be read: {error}"))
}
