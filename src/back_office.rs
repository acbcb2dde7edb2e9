//! What a cinema's staff find in the admin panel.

use crate::admin::Site;
use crate::catalog::admin::{MOVIES, SCREENS};

pub static SITE: Site = Site {
    title: "Marquee",
    groups: &[("Programme", &[&MOVIES, &SCREENS])],
    board: |_, _| Box::pin(async { Ok(String::new()) }),
};
