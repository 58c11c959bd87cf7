//! `[[webhook]]`: hooks whose senders prove themselves by a signature or a token of their own.

use std::path::{Path, PathBuf};

use hearken_web::{Hook, Sender};
use serde::Deserialize;

use super::{Loader, unknown};
use crate::error::Failure;

/// Keys of an entry.
const KEYS: [&str; 4] = ["url", "sender", "secret", "secret_file"];
/// Entries of one configuration: every one is looked at by hand.
const ENTRIES_MAX: usize = 1000;
/// The largest file of a secret; what is larger is some other file.
const SECRET_BYTES_MAX: u64 = 4096;

/// One `[[webhook]]`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookSettings {
    pub url: String,
    pub sender: String,
    secret: Option<String>,
    secret_file: Option<PathBuf>,
}

impl WebhookSettings {
    /// Who sends and where the secret is, for `config show`; never the secret.
    pub(crate) fn shown(&self) -> String {
        let secret = match &self.secret_file {
            Some(file) => format!("secret in {}", file.display()),
            None => "secret in the configuration".to_owned(),
        };
        format!("{}, {secret}", self.sender)
    }
}

impl std::fmt::Debug for WebhookSettings {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("url", &self.url).field("sender", &self.sender).finish()
    }
}

/// Looks at the entries of one file, and makes names of files in them absolute.
pub(super) fn check(
    entries: &mut toml::Value,
    text: &str,
    file: &Path,
    name: &str,
) -> Result<(), Failure> {
    let wrong = |index: usize, what: String| {
        let mut lines = text.lines().enumerate();
        let line = lines.by_ref().filter(|(_, line)| line.trim().starts_with("[[webhook]]"));
        let line = line.map(|(line, _)| line + 1).nth(index);
        let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
        Failure::usage(what).at(place).hint(
            "an entry has url, sender, and secret or secret_file; hearken config default shows one",
        )
    };
    let toml::Value::Array(entries) = entries else {
        return Err(wrong(0, "webhook is written [[webhook]], once for each hook".to_owned()));
    };
    if entries.len() > ENTRIES_MAX {
        return Err(wrong(ENTRIES_MAX, format!("more than {ENTRIES_MAX} webhooks")));
    }
    let mut urls: Vec<String> = Vec::new();
    for (index, entry) in entries.iter_mut().enumerate() {
        let toml::Value::Table(entry) = entry else {
            return Err(wrong(index, "webhook is written [[webhook]], once for each".to_owned()));
        };
        if let Some(key) = entry.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let known = KEYS.map(ToOwned::to_owned);
            return Err(unknown(key, Some("[webhook]"), &known, text, name));
        }
        if let Some((key, _)) = entry.iter().find(|(_, value)| !value.is_str()) {
            return Err(wrong(index, format!("{key} of a webhook is a text")));
        }
        let of = |key: &str| entry.get(key).and_then(toml::Value::as_str);
        let Some(url) = of("url") else {
            return Err(wrong(index, "a webhook has no url".to_owned()));
        };
        let url = url.trim_matches('/').to_owned();
        let Some(sender) = of("sender") else {
            return Err(wrong(index, format!("the webhook {url:?} has no sender")));
        };
        if Sender::parse(sender).is_none() {
            let known = Sender::ALL.map(Sender::word).join(", ");
            let what = format!("the webhook {url:?} has the sender {sender:?}: there are {known}");
            return Err(wrong(index, what));
        }
        if of("secret").is_some() == of("secret_file").is_some() {
            let what = format!("the webhook {url:?} needs either secret or secret_file");
            return Err(wrong(index, what));
        }
        if urls.contains(&url) {
            return Err(wrong(index, format!("the webhook {url:?} is there twice")));
        }
        urls.push(url);
        if let Some(secret) = of("secret_file") {
            let folder = file.parent().unwrap_or_else(|| Path::new("."));
            let secret = folder.join(secret).display().to_string();
            entry.insert("secret_file".to_owned(), secret.into());
        }
    }
    Ok(())
}

/// Takes the entries of a layer over, in place of those of the layer before.
pub(super) fn layer(loader: &mut Loader, entries: toml::Value, origin: &str) {
    let urls = entries.as_array().into_iter().flatten().filter_map(|entry| {
        Some(format!("webhook.{}", entry.get("url")?.as_str()?.trim_matches('/')))
    });
    loader.origins.retain(|key, _| !key.starts_with("webhook."));
    loader.origins.extend(urls.map(|url| (url, origin.to_owned())));
    loader.table.insert("webhook".to_owned(), entries);
}

/// The hooks, with their secrets read.
pub(crate) fn hooks(settings: &[WebhookSettings]) -> Result<Vec<Hook>, Failure> {
    settings.iter().map(hook).collect()
}

fn hook(settings: &WebhookSettings) -> Result<Hook, Failure> {
    let url = &settings.url;
    let wrong = |what: String| {
        Failure::usage(format!("the webhook {url:?} cannot be used: {what}"))
            .hint("it is a [[webhook]] of the configuration")
    };
    let secret = match (&settings.secret, &settings.secret_file) {
        (Some(secret), _) => secret.clone(),
        (None, Some(file)) => {
            read(file).map_err(|why| wrong(why).at(file.display().to_string()))?
        }
        (None, None) => return Err(wrong("it has no secret".to_owned())),
    };
    let sender = Sender::parse(&settings.sender);
    let sender = sender.ok_or_else(|| wrong(format!("no sender is called {}", settings.sender)))?;
    Hook::new(url, sender, &secret).map_err(wrong)
}

/// The content of a file, without the end of its line.
fn read(file: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("the secret cannot be read: {error}");
    let length = std::fs::metadata(file).map_err(cannot)?.len();
    if length > SECRET_BYTES_MAX {
        return Err(format!("the secret has {length} bytes, {SECRET_BYTES_MAX} are the most"));
    }
    let text = std::fs::read_to_string(file).map_err(cannot)?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;
    use super::*;

    #[test]
    fn entries_are_hooks() {
        let loaded = load(
            "[[webhook]]\nurl = \"/git/\"\nsender = \"github\"\nsecret = \"s\"\n\
             [[webhook]]\nurl = \"pay\"\nsender = \"stripe\"\nsecret_file = \"hearken.toml\"\n",
        )
        .unwrap();
        let origins: Vec<_> =
            loaded.origins.keys().filter(|key| key.starts_with("webhook")).collect();
        assert_eq!(origins, ["webhook.git", "webhook.pay"]);
        let [git, pay] = loaded.settings.webhook.as_slice() else { panic!("two") };
        assert_eq!(hook(git).unwrap().url(), "git");
        assert!(!format!("{git:?}").contains("secret"));
        // The folder of the test is gone: what is told is the file beside the configuration.
        let failure = hook(pay).unwrap_err();
        assert!(failure.what.contains("cannot be read"), "{}", failure.what);
        assert!(failure.place.unwrap().ends_with("/hearken.toml"));
    }

    #[test]
    fn what_is_wrong_with_an_entry_is_said_with_its_line() {
        let check = |text: &str, expected: &str, line: usize| {
            let failure = load(text).unwrap_err();
            assert!(failure.what.contains(expected), "{text}: {}", failure.what);
            let place = failure.place.unwrap();
            assert!(place.ends_with(&format!("hearken.toml:{line}")), "{text}: {place}");
        };
        let good = "[[webhook]]\nurl = \"a\"\nsender = \"token\"\nsecret = \"s\"\n";
        check("[[webhook]]\nurk = \"a\"\n", "unknown key \"urk\" in [[webhook]]", 2);
        check("\n[[webhook]]\nsender = \"token\"\n", "has no url", 2);
        check(&good.replace("token", "svn"), "there are github, gitlab, slack", 1);
        check(&good.replace("secret = \"s\"", ""), "needs either", 1);
        check(&format!("{good}secret_file = \"x\"\n"), "needs either", 1);
        check(&good.replace("\"s\"", "5"), "secret of a webhook is a text", 1);
        check(&format!("{good}{good}").replacen("\"a\"", "\"/a\"", 1), "is there twice", 5);
        assert!(load("webhook = 5\n").unwrap_err().what.contains("[[webhook]]"));
        assert!(load("[webhook]\nurl = \"a\"\n").unwrap_err().what.contains("[[webhook]]"));
    }
}
