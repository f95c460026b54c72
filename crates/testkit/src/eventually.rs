//! Waits for a condition with a limit: the accepted way for a test to wait.
//!
//! A bare sleep is either too short on a loaded machine or wastes time on an idle one.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// Polls `condition` until it answers `Ok`, and returns what it answered.
///
/// The first poll is immediate; later ones follow 5 ms, then 10, 20, 40 and 50 ms apart.
/// `what` completes the sentence "waited … for", such as `"the relay to publish 3 messages"`.
///
/// # Panics
/// After `limit`, with `what` and the last `Err` observed. A poll that has not answered by
/// then counts as not holding, so a condition that hangs cannot hang the test.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::time::Duration;
///
/// let mut polls = 0;
/// let seen = testkit::eventually(Duration::from_secs(5), "three polls", || {
///     polls += 1;
///     let polled = polls;
///     async move { if polled >= 3 { Ok(polled) } else { Err(format!("{polled} polls")) } }
/// })
/// .await;
/// assert_eq!(seen, 3);
/// # });
/// ```
pub async fn eventually<T, E: Debug>(
    limit: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let deadline = Instant::now() + limit;
    let mut interval = Duration::from_millis(5);
    let mut last = None;
    loop {
        match timeout_at(deadline, condition()).await {
            Ok(Ok(value)) => return value,
            Ok(Err(observed)) => last = Some(observed),
            Err(_elapsed) => {}
        }
        if Instant::now() >= deadline {
            match last {
                Some(observed) => panic!("waited {limit:?} for {what}; last seen: {observed:?}"),
                None => panic!("waited {limit:?} for {what}; the condition never answered"),
            }
        }
        sleep(interval).await;
        interval = (interval * 2).min(Duration::from_millis(50));
    }
}
