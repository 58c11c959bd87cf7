//! The request to stop: asked for once, seen by everybody who holds a copy.

use std::sync::Arc;

use tokio::sync::watch;

/// A token that everything long-lived watches. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Shutdown(Arc<watch::Sender<bool>>);

impl Shutdown {
    /// A token nobody has asked yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Asks everything that holds a copy to stop. Asking twice is asking once.
    pub fn request(&self) {
        self.0.send_replace(true);
    }

    /// Whether somebody has asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until somebody asks.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn requested(&self) {
        let mut receiver = self.0.subscribe();
        // The sender lives in `self`, so waiting can only end with the value.
        let _seen = receiver.wait_for(|requested| *requested).await.map(|_| ());
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}
