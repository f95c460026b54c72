//! How a process stops serving.

use tokio_util::sync::CancellationToken;

/// Where a process is on its way out, for whoever has to know; clones share it.
///
/// First it drains: `/readyz` says so, and everything is still served, so that a proxy notices and
/// sends requests elsewhere before any is refused. Then it closes: nobody is let in any more, and
/// what is in flight ends.
#[derive(Debug, Clone, Default)]
pub struct Drain {
    draining: CancellationToken,
    closing: CancellationToken,
}

impl Drain {
    /// Whether the process is not to be sent any more requests.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Cancelled when the listener closes: what never ends by itself, such as a feed, ends now, or
    /// it is cut off. Not earlier, for a client that comes back would come back here.
    #[must_use]
    pub const fn closing(&self) -> &CancellationToken {
        &self.closing
    }

    /// Resolves when the process drains.
    pub(super) async fn draining(&self) {
        self.draining.cancelled().await;
    }

    pub(super) fn begin(&self) {
        self.draining.cancel();
    }

    pub(super) fn close(&self) {
        self.draining.cancel();
        self.closing.cancel();
    }
}
