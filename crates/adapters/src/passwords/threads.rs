//! Threads that hash, and the queue in front of them.
//!
//! Not the blocking threads of tokio: those are shared with others, who must not find themselves on a
//! thread of low priority, which nobody without privileges can raise again.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use application::ports::passwords::PasswordsError;
use tokio::sync::{Semaphore, oneshot};

use super::HashThreads;

/// How much nicer these threads are: with 5, they count a third of others.
const NICENESS: i32 = 5;

type Job = Box<dyn FnOnce() + Send>;

/// Runs one piece of work on each thread; as many more as may wait, wait.
pub(super) struct Threads {
    jobs: Sender<Job>,
    /// One for each that runs or waits.
    places: Arc<Semaphore>,
    /// One for each that runs, in the order in which they came.
    turns: Arc<Semaphore>,
}

impl Threads {
    pub(super) fn start(HashThreads { threads, waiting }: HashThreads) -> io::Result<Self> {
        let (jobs, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..threads.get() {
            let receiver = Arc::clone(&receiver);
            let name = format!("passwords-{number}");
            thread::Builder::new().name(name).spawn(move || work_off(&receiver))?;
        }
        let places = threads.get().saturating_add(waiting).min(Semaphore::MAX_PERMITS);
        Ok(Self {
            jobs,
            places: Arc::new(Semaphore::new(places)),
            turns: Arc::new(Semaphore::new(threads.get())),
        })
    }

    /// What `work` makes. Dropped before its turn, it leaves the queue; from then on it keeps its place
    /// until the work is done, whoever waits for it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordsError> {
        let place =
            Arc::clone(&self.places).try_acquire_owned().map_err(|_| PasswordsError::Busy)?;
        let turn =
            Arc::clone(&self.turns).acquire_owned().await.map_err(|_| PasswordsError::Failed)?;
        let (result, made) = oneshot::channel();
        let job = move || {
            let work = work();
            // Before the result: who has it may come again at once.
            drop((turn, place));
            let _ = result.send(work);
        };
        self.jobs.send(Box::new(job)).map_err(|_| PasswordsError::Failed)?;
        made.await.map_err(|_| PasswordsError::Failed)
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free = self.places.available_permits();
        f.debug_struct("Threads").field("free_places", &free).finish_non_exhaustive()
    }
}

/// Until there is nobody left to send jobs.
fn work_off(jobs: &Mutex<Receiver<Job>>) {
    be_nice();
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // Work that panics has no result, and the thread goes on to the next.
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

/// On Linux a priority is a thread's own; elsewhere it would be that of the whole process.
fn be_nice() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::warn!(error = %error, "threads that hash passwords keep their priority");
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, poll};
    use std::num::NonZeroUsize;

    use super::*;

    fn threads(threads: usize, waiting: usize) -> Threads {
        Threads::start(HashThreads { threads: NonZeroUsize::new(threads).unwrap(), waiting })
            .unwrap()
    }

    #[tokio::test]
    async fn what_does_not_fit_into_the_queue_is_refused_at_once() {
        let threads = threads(1, 1);
        let (end, ended) = channel::<()>();
        let mut first = Box::pin(threads.run(move || ended.recv()));
        let mut second = Box::pin(threads.run(|| 2));
        assert!(poll!(&mut first).is_pending());
        assert!(poll!(&mut second).is_pending());
        assert_eq!(threads.run(|| 3).now_or_never(), Some(Err(PasswordsError::Busy)));
        end.send(()).unwrap();
        assert_eq!((first.await, second.await), (Ok(Ok(())), Ok(2)));
        assert_eq!(threads.run(|| 4).await, Ok(4));
    }

    #[tokio::test]
    async fn who_gives_up_leaves_the_queue() {
        let threads = threads(1, 1);
        let (end, ended) = channel::<()>();
        let mut first = Box::pin(threads.run(move || ended.recv()));
        assert!(poll!(&mut first).is_pending());
        let (ran, runs) = channel::<()>();
        for _ in 0..100 {
            let ran = ran.clone();
            let mut second = Box::pin(threads.run(move || ran.send(())));
            assert!(poll!(&mut second).is_pending());
        }
        end.send(()).unwrap();
        assert_eq!(first.await, Ok(Ok(())));
        assert_eq!(threads.run(|| 3).await, Ok(3));
        assert!(runs.try_recv().is_err(), "none of those was begun");
    }

    #[tokio::test]
    async fn what_began_runs_to_its_end_and_keeps_its_place() {
        let threads = threads(1, 0);
        let (end, ended) = channel::<()>();
        let (ran, runs) = channel();
        let mut first = Box::pin(threads.run(move || {
            let end = ended.recv();
            ran.send(end)
        }));
        assert!(poll!(&mut first).is_pending());
        drop(first);
        assert_eq!(threads.run(|| 2).await, Err(PasswordsError::Busy));
        end.send(()).unwrap();
        assert_eq!(runs.recv(), Ok(Ok(())));
        while threads.run(|| 3).await.is_err() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn work_that_panics_takes_no_thread_along() {
        let threads = threads(1, 1);
        let panics = threads.run(|| std::panic::resume_unwind(Box::new("as it is to be")));
        assert_eq!(panics.await, Err::<(), _>(PasswordsError::Failed));
        assert_eq!(threads.run(|| 1).await, Ok(1));
    }

    #[tokio::test]
    async fn as_many_run_at_once_as_there_are_threads() {
        let threads = threads(3, 0);
        let barrier = Arc::new(std::sync::Barrier::new(3));
        let run = || {
            let barrier = Arc::clone(&barrier);
            threads.run(move || barrier.wait().is_leader())
        };
        let leaders = tokio::join!(run(), run(), run());
        let leaders = [leaders.0.unwrap(), leaders.1.unwrap(), leaders.2.unwrap()];
        assert_eq!(leaders.iter().filter(|leads| **leads).count(), 1);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn only_these_threads_are_nice() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        assert_eq!(threads(1, 0).run(niceness).await, Ok(NICENESS.max(before)));
        assert_eq!(niceness(), before);
    }
}
