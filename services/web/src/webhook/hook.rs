//! A hook whose sender proves itself: its url, the way of its signature, its secret.

use super::signature::unbase64;

/// The longest url of a hook.
pub(super) const URL_BYTES_MAX: usize = 256;

/// How a sender proves that it is the one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// `X-Hub-Signature-256`.
    Github,
    /// `X-Gitlab-Token`.
    Gitlab,
    /// `X-Slack-Signature` over a time and the body.
    Slack,
    /// `Stripe-Signature` over a time and the body.
    Stripe,
    /// Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    Standard,
    /// The secret itself, in a header or in the query.
    Token,
}

impl Sender {
    /// All that there are.
    pub const ALL: [Self; 6] =
        [Self::Github, Self::Gitlab, Self::Slack, Self::Stripe, Self::Standard, Self::Token];

    /// Its name in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Slack => "slack",
            Self::Stripe => "stripe",
            Self::Standard => "standard",
            Self::Token => "token",
        }
    }

    /// The sender with this name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sender| sender.word() == word)
    }
}

/// A hook with a sender of its own.
#[derive(Clone)]
pub struct Hook {
    url: String,
    sender: Sender,
    key: Vec<u8>,
}

impl std::fmt::Debug for Hook {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hook").field("url", &self.url).field("sender", &self.sender).finish()
    }
}

impl Hook {
    /// The hook at `url`, slashes at its ends aside.
    ///
    /// # Errors
    /// In words, when the url or the secret cannot be used.
    pub fn new(url: &str, sender: Sender, secret: &str) -> Result<Self, String> {
        let url = url.trim_matches('/');
        if url.is_empty() || url.len() > URL_BYTES_MAX {
            return Err(format!("the url must have 1 to {URL_BYTES_MAX} bytes"));
        }
        if url == "st2" {
            return Err("\"st2\" is the webhook that takes any trigger: only the installation's \
                        token opens it"
                .to_owned());
        }
        if secret.is_empty() {
            return Err("the secret is empty".to_owned());
        }
        let key = if sender == Sender::Standard {
            let text = secret.strip_prefix("whsec_").unwrap_or(secret);
            unbase64(text)
                .filter(|key| !key.is_empty())
                .ok_or("the secret of a \"standard\" sender is base64, with or without whsec_")?
        } else {
            secret.as_bytes().to_vec()
        };
        Ok(Self { url: url.to_owned(), sender, key })
    }

    /// Its url, without slashes at the ends.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Who posts to it.
    #[must_use]
    pub const fn sender(&self) -> Sender {
        self.sender
    }

    /// What signatures are made with.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_refused_when_it_could_never_be_used() {
        let check = |url: &str, sender: Sender, secret: &str, expected: Result<&str, &str>| {
            let hook = Hook::new(url, sender, secret);
            let found = hook.as_ref().map(Hook::url).map_err(String::as_str);
            assert_eq!(found.is_ok(), expected.is_ok(), "{url} {found:?}");
            match (found, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (Ok(_), Err(_)) | (Err(_), Ok(_)) => {}
            }
        };
        check("/git/hub/", Sender::Github, "s", Ok("git/hub"));
        check("//", Sender::Github, "s", Err("1 to 256"));
        check("st2", Sender::Token, "s", Err("any trigger"));
        check("git", Sender::Github, "", Err("empty"));
        check("git", Sender::Standard, "whsec_!", Err("base64"));
        check("git", Sender::Standard, "whsec_c2VjcmV0", Ok("git"));
        let hook = Hook::new("git", Sender::Token, "hidden").unwrap();
        assert!(!format!("{hook:?}").contains("hidden"));
    }
}
