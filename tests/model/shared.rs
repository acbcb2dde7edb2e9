//! Values that many states have in common. Each is kept once, so two are equal if they are at the same address.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::rc::Rc;

/// A value from a [`Pool`].
pub struct Shared<T>(Rc<T>);

/// All values of a kind, each once.
pub struct Pool<T>(RefCell<HashSet<Rc<T>>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool(RefCell::default())
    }
}

impl<T: Eq + Hash> Pool<T> {
    /// Returns the one copy of a value.
    pub fn share(&self, value: T) -> Shared<T> {
        let mut pool = self.0.borrow_mut();
        if let Some(known) = pool.get(&value) {
            return Shared(Rc::clone(known));
        }
        let new = Rc::new(value);
        pool.insert(Rc::clone(&new));
        Shared(new)
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared(Rc::clone(&self.0))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Eq for Shared<T> {}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Rc::as_ptr(&self.0).hash(state);
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
