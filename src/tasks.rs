//! Background work. Once begun, it is finished, or stopped between two of its steps. A panic either fails only the task
//! in which it happens or ends the program, which never keeps running without an essential part.

use std::panic::AssertUnwindSafe;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::telemetry::log;

/// How long to wait before work that panicked is restarted.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// How long work that must end may still wait for another party, for example to send its last bytes.
const LAST_BYTES_MAX: Duration = Duration::from_secs(1);

/// All work that a server must finish before it stops; cheap to clone.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    /// Cancelled when the server must stop.
    stopping: CancellationToken,
    /// Cancelled when streams and work in steps must end before their next step.
    ending: CancellationToken,
}

impl Tasks {
    /// Starts work that the server finishes before it stops. It logs with the id of the current request. Long work must
    /// check [`Tasks::must_end`] between its steps.
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tracker.spawn(log::carried(work))
    }

    /// Completes work, in a task of its own if it has to wait: then it goes on even if this future is dropped. Work that
    /// never waits, such as a reply from a cache, costs no task. Returns `None` if the work panicked, which is logged.
    pub async fn complete<F>(&self, work: F) -> Option<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let mut work = Box::pin(caught(work));
        let first = std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
        match first {
            Poll::Ready(output) => output,
            Poll::Pending => self.spawn(work).await.ok().flatten(),
        }
    }

    /// Runs work for as long as the server runs, and restarts it after a panic. It must end when [`Tasks::pause`]
    /// returns false.
    pub fn keep<F>(&self, name: &'static str, work: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let tasks = self.clone();
        self.tracker.spawn(async move {
            while caught(work()).await.is_none() {
                tracing::error!(name, "a background task panicked and is restarted");
                if !tasks.pause(RESTART_DELAY).await {
                    break;
                }
            }
        });
    }

    /// Waits; returns false if the server must stop.
    pub async fn pause(&self, wait: Duration) -> bool {
        self.stopping.run_until_cancelled(tokio::time::sleep(wait)).await.is_some()
    }

    /// Tells all work that the server must stop. Work in steps may continue for `grace`.
    pub fn stop(&self, grace: Duration) {
        self.stopping.cancel();
        let ending = self.ending.clone();
        tokio::spawn(async move {
            tokio::time::sleep(grace).await;
            ending.cancel();
        });
    }

    /// Waits until the server must stop.
    pub async fn stopped(&self) {
        self.stopping.cancelled().await;
    }

    /// Returns whether work in steps must end before its next step.
    pub fn must_end(&self) -> bool {
        self.ending.is_cancelled()
    }

    /// Waits for `other`, which may never complete; returns `None` a second after the work must end.
    pub async fn while_going_on<F: Future>(&self, other: F) -> Option<F::Output> {
        let too_late = async {
            self.ending.cancelled().await;
            tokio::time::sleep(LAST_BYTES_MAX).await;
        };
        tokio::select! {
            ready = other => Some(ready),
            () = too_late => None,
        }
    }

    /// Waits at most `limit` until all work is done, and returns whether it is.
    pub async fn finished(&self, limit: Duration) -> bool {
        self.tracker.close();
        tokio::time::timeout(limit, self.tracker.wait()).await.is_ok()
    }
}

/// Runs work; returns `None` if it panicked, which is logged.
pub async fn caught<F: Future>(work: F) -> Option<F::Output> {
    AssertUnwindSafe(work).catch_unwind().await.ok()
}

/// Starts work that the program can't run without: if it panics, the program ends.
pub fn essential(name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async move {
        if caught(work).await.is_none() {
            give_up(name);
        }
    });
}

/// Ends the program with exit code 1, so that its supervisor restarts it.
pub fn give_up(name: &'static str) -> ! {
    tracing::error!(name, "an essential task has failed; the program exits");
    log::flush();
    std::process::exit(1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn panicked_work_is_restarted_until_the_server_stops() {
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
    async fn work_that_waits_goes_on_without_its_caller() {
        let tasks = Tasks::default();
        assert_eq!(tasks.complete(async { 1 }).await, Some(1));
        assert_eq!(tasks.complete(async { tokio::task::yield_now().await }).await, Some(()));
        assert_eq!(tasks.complete(async { panic!("on purpose") }).await, None::<()>);
        let (go, wait) = tokio::sync::oneshot::channel();
        let (done, ended) = tokio::sync::oneshot::channel();
        let work = tasks.complete(async move { done.send(wait.await) });
        assert!(tokio::time::timeout(Duration::from_millis(10), work).await.is_err());
        go.send(()).unwrap();
        assert_eq!(ended.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn stop_waits_for_steps_but_not_for_others_that_never_complete() {
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
        // Other tasks may panic at the same time.
        let died: JoinHandle<()> = tasks.spawn(async { panic!("on purpose") });
        assert!(died.await.is_err());
        tasks.stop(Duration::from_millis(50));
        tasks.stopped().await;
        assert!(tasks.finished(Duration::from_secs(10)).await);
        let parts = parts.load(Ordering::Relaxed);
        assert!((101..=110).contains(&parts), "{parts}");
    }

    /// Runs this test again in a child process, which must exit.
    #[test]
    fn program_ends_when_essential_work_panics() {
        if std::env::var_os("MARQUEE_TEST_ENDS").is_some() {
            tokio::runtime::Runtime::new().unwrap().block_on(async {
                essential("test", async { panic!("on purpose") });
                std::future::pending::<()>().await;
            });
        }
        let mut itself = std::process::Command::new(std::env::current_exe().unwrap());
        itself.args(["--exact", "tasks::tests::program_ends_when_essential_work_panics"]);
        assert_eq!(itself.env("MARQUEE_TEST_ENDS", "1").output().unwrap().status.code(), Some(1));
    }
}
