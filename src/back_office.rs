//! What a cinema's staff find in the admin panel.

use crate::accounts::admin::{GROUPS, USERS};
use crate::admin::Site;
use crate::booking::admin::BOOKINGS;
use crate::catalog::admin::{MOVIES, SCREENS};
use crate::orders::admin::{HOLDS, ORDERS};
use crate::schedule::admin::SHOWS;

pub static SITE: Site = Site {
    title: "Marquee",
    groups: &[
        ("Programme", &[&MOVIES, &SCREENS, &SHOWS]),
        ("Box office", &[&BOOKINGS, &ORDERS, &HOLDS]),
        ("People", &[&USERS, &GROUPS]),
    ],
    board: |_, _| Box::pin(async { Ok(String::new()) }),
};
