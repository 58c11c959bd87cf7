//! Questions with an answer: a message with an inbox, and a wait with an end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hearken_proto::{Message, subject};

use super::hub::{Delivered, Origin, Router};

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Nobody is subscribed to the subject.
    #[error("nobody answers on this subject")]
    NoResponders,
    /// Somebody was asked and did not answer in time.
    #[error("no answer in time")]
    TimedOut,
}

impl Router {
    /// Asks whoever is subscribed to `subject` and waits for the first answer.
    ///
    /// # Errors
    /// [`AskError::NoResponders`] at once when nobody is there, [`AskError::TimedOut`] after
    /// `timeout`.
    pub async fn ask(
        &self,
        subject: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Arc<Message>, AskError> {
        let inbox = self.inbox();
        let mut answers = self.subscribe(&inbox, None);
        let message = Message { subject: subject.to_owned(), body, ..Message::default() };
        let question =
            Delivered { message: Arc::new(message), reply: Some(Arc::from(inbox.as_str())) };
        let is_subject = subject::is_literal(subject);
        if !is_subject || !self.route(&question, Origin::Process).was_wanted() {
            return Err(AskError::NoResponders);
        }
        match tokio::time::timeout(timeout, answers.next()).await {
            Ok(Some(answer)) => Ok(answer.message),
            Ok(None) => Err(AskError::NoResponders),
            Err(_) => Err(AskError::TimedOut),
        }
    }
}
