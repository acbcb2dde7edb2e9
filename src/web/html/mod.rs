//! What pages share: templates, cookies, messages after a redirect, posted forms, and their protection against other
//! sites.

pub mod assets;
pub mod cookies;
pub mod csrf;
pub mod flash;
pub mod forms;
pub mod page;
