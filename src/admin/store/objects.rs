//! One object: its fields, its version, what depends on it.
