//! Work beside the requests: what is begun is finished, or stopped between two of its parts; a panic fails what it happened
//! in and nothing else, or ends the program. It never goes on half dead.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::log;

/// How long work that has panicked rests before it is begun again.
const REST: Duration = Duration::from_secs(1);

/// How long someone may keep work waiting that has to end: time to take a last word.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// All work of a server that a stop has to wait for; cheap to clone.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    /// The server is to stop.
    stopping: CancellationToken,
    /// What streams and goes on in parts has to end between two of them.
    ending: CancellationToken,
}

impl Tasks {
    /// Begins work that a stop waits for, and logs with the id of the request it is begun for. Work that may take long asks
    /// [`Tasks::must_end`] between its parts.
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tracker.spawn(log::carried(work))
    }

    /// Does work for as long as the server runs, and begins it again when it panics. It has to end when [`Tasks::pause`]
    /// says so.
    pub fn keep<F>(&self, name: &'static str, work: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let tasks = self.clone();
        self.tracker.spawn(async move {
            while caught(work()).await.is_none() {
                tracing::error!(name, "it broke off, and is begun again");
                if !tasks.pause(REST).await {
                    break;
                }
            }
        });
    }

    /// Waits; false when the server is to stop.
    pub async fn pause(&self, wait: Duration) -> bool {
        self.stopping.run_until_cancelled(tokio::time::sleep(wait)).await.is_some()
    }

    /// Says that the server is to stop. What goes on in parts may do so for `grace`.
    pub fn stop(&self, grace: Duration) {
        self.stopping.cancel();
        let ending = self.ending.clone();
        tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            ending.cancel();
        });
    }

    /// Waits until the server is to stop.
    pub async fn stopped(&self) {
        self.stopping.cancelled().await;
    }

    /// Whether what goes on in parts has to end before the next one.
    pub fn must_end(&self) -> bool {
        self.ending.is_cancelled()
    }

    /// Waits for someone who may never be ready; gives up a second after it has to end.
    pub async fn while_going_on<F: Future>(&self, other: F) -> Option<F::Output> {
        let too_late = async {
            self.ending.cancelled().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            ready = other => Some(ready),
            () = too_late => None,
        }
    }

    /// Waits until all work is done, for `limit` at most; whether it is.
    pub async fn finished(&self, limit: Duration) -> bool {
        self.tracker.close();
        tokio::time::timeout(limit, self.tracker.wait()).await.is_ok()
    }
}

/// Does work; none when it panicked, as the log tells then.
pub async fn caught<F: Future>(work: F) -> Option<F::Output> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}

/// Begins work without which the program would be half dead: when it panics, the program ends.
pub fn essential(name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async move {
        if caught(work).await.is_none() {
            give_up(name);
        }
    });
}

/// Ends the program with exit code 1, so that what watches it starts it again.
pub fn give_up(name: &'static str) -> ! {
    tracing::error!(name, "this has died, and without it the program is half dead: it ends");
    log::flush();
    std::process::exit(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_panics_is_begun_again_until_the_server_stops() {
        let (tasks, begun) = (Tasks::default(), Arc::new(AtomicUsize::new(0)));
        let (inner, count) = (tasks.clone(), Arc::clone(&begun));
        tasks.keep("test", move || {
            let (tasks, count) = (inner.clone(), Arc::clone(&count));
            async move {
                assert!(count.fetch_add(1, Ordering::Relaxed) >= 1, "on purpose");
                while tasks.pause(Duration::from_secs(60)).await {}
            }
        });
        while begun.load(Ordering::Relaxed) < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(!tasks.finished(Duration::from_millis(50)).await, "it goes on");
        tasks.stop(Duration::ZERO);
        assert!(tasks.finished(Duration::from_secs(10)).await);
        assert_eq!(begun.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_stop_waits_for_parts_and_not_for_those_who_are_never_ready() {
        let (tasks, parts) = (Tasks::default(), Arc::new(AtomicUsize::new(0)));
        let (inner, count) = (tasks.clone(), Arc::clone(&parts));
        tasks.spawn(async move {
            while !inner.must_end() {
                tokio::time::sleep(Duration::from_millis(20)).await;
                count.fetch_add(1, Ordering::Relaxed);
            }
            assert_eq!(inner.while_going_on(std::future::pending::<()>()).await, None);
            assert_eq!(inner.while_going_on(async { 7 }).await, Some(7));
            count.fetch_add(100, Ordering::Relaxed);
        });
        // Others may panic beside it.
        let died: JoinHandle<()> = tasks.spawn(async { panic!("on purpose") });
        assert!(died.await.is_err());
        tasks.stop(Duration::from_millis(50));
        tasks.stopped().await;
        assert!(tasks.finished(Duration::from_secs(10)).await);
        let parts = parts.load(Ordering::Relaxed);
        assert!((101..=110).contains(&parts), "{parts}");
    }

    /// Runs this very test in a process of its own, where it ends.
    #[test]
    fn the_program_ends_without_what_it_needs() {
        if std::env::var_os("MARQUEE_TEST_ENDS").is_some() {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                essential("test", async { panic!("on purpose") });
                std::future::pending::<()>().await;
            });
        }
        let mut itself = std::process::Command::new(std::env::current_exe().unwrap());
        itself.args(["--exact", "tasks::tests::the_program_ends_without_what_it_needs"]);
        assert_eq!(itself.env("MARQUEE_TEST_ENDS", "1").output().unwrap().status.code(), Some(1));
    }
}
