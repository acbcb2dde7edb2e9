//! Tests and their trials: a test runs once on each engine that it is for.

use std::pin::Pin;
use std::sync::Arc;

use libtest_mimic::{Completion, Trial};

use super::engine::Survey;
use super::needs::Need;
use super::{Engine, run_trial};

/// Defines the `tests()` of a file from a list that names each test once:
///
/// ```ignore
/// tests! {
///     holds: [
///         on_every_engine,
///         only_if_instances_can_share_it on SHARED,
///         behind_the_http_layer on SQLITE,
///         without_a_database once,
///         with_django needs python,
///     ]
/// }
/// ```
///
/// A trial is named after its engine, the word before the list, and the function: `mysql::holds::on_every_engine`.
macro_rules! tests {
    ($feature:ident: [$($test:ident $($how:ident)*),* $(,)?]) => {
        pub fn tests() -> Vec<$crate::support::Test> {
            vec![$(tests!(@test concat!(stringify!($feature), "::", stringify!($test)), $test $($how)*)),*]
        }
    };
    (@test $name:expr, $test:ident) => { $crate::support::Test::new($name, $test) };
    (@test $name:expr, $test:ident once) => { $crate::support::Test::plain($name, $test) };
    (@test $name:expr, $test:ident on $engines:ident) => {
        $crate::support::Test::on(&$crate::support::Engine::$engines, $name, $test)
    };
    (@test $name:expr, $test:ident needs $what:ident) => {
        tests!(@test $name, $test).needs($crate::support::needs::$what)
    };
    (@test $name:expr, $test:ident once needs $what:ident) => {
        tests!(@test $name, $test once).needs($crate::support::needs::$what)
    };
    (@test $name:expr, $test:ident on $engines:ident needs $what:ident) => {
        tests!(@test $name, $test on $engines).needs($crate::support::needs::$what)
    };
}

pub type Running = Pin<Box<dyn Future<Output = ()>>>;

/// One test: a name like `contract::signup` and an async function that panics when it fails.
pub struct Test {
    name: &'static str,
    engines: &'static [Engine],
    need: Option<Need>,
    run: Arc<dyn Fn(Option<Engine>) -> Running + Send + Sync>,
}

impl Test {
    /// A test that runs once per engine.
    pub fn new<F, Fut>(name: &'static str, run: F) -> Test
    where
        F: Fn(Engine) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        Test::on(&Engine::ALL, name, run)
    }

    /// A test that runs once on each of these engines.
    pub fn on<F, Fut>(engines: &'static [Engine], name: &'static str, run: F) -> Test
    where
        F: Fn(Engine) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let run = move |engine: Option<Engine>| -> Running {
            Box::pin(run(engine.expect("a test on engines runs on one of them")))
        };
        Test { name, engines, need: None, run: Arc::new(run) }
    }

    /// A test that needs no engine and runs once.
    pub fn plain<F, Fut>(name: &'static str, run: F) -> Test
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        Test { name, engines: &[], need: None, run: Arc::new(move |_| Box::pin(run())) }
    }

    /// The same test, ignored on machines that lack what it needs.
    pub fn needs(self, need: Need) -> Test {
        Test { need: Some(need), ..self }
    }

    /// Returns one trial per engine; those on missing engines are ignored, with the reason.
    pub fn trials(&self, survey: &Survey) -> Vec<Trial> {
        if self.engines.is_empty() {
            return vec![self.trial(self.name.to_owned(), None)];
        }
        let on = |&engine: &Engine| {
            let name = format!("{engine}::{}", self.name);
            match survey.why_missing(engine) {
                None => self.trial(name, Some(engine)),
                Some(reason) => ignored(name, reason),
            }
        };
        self.engines.iter().map(on).collect()
    }

    fn trial(&self, name: String, engine: Option<Engine>) -> Trial {
        let (run, need) = (self.run.clone(), self.need);
        Trial::ignorable_test(name.clone(), move || match need.and_then(|need| need(engine)) {
            Some(reason) => Ok(Completion::ignored_with(reason)),
            None => run_trial(name, || run(engine)).map(|()| Completion::Completed),
        })
    }
}

/// A trial that can't run on this machine; it fails if it is run regardless (`--include-ignored`).
fn ignored(name: String, reason: &str) -> Trial {
    let failure = reason.to_owned();
    Trial::test(name, move || Err(failure.into())).with_kind(reason).with_ignored_flag(true)
}
