//! The SQL of the panel. Expressions come from the models' descriptions, which are constants of the program.

pub mod lists;
pub mod log;
pub mod objects;
pub mod sessions;
