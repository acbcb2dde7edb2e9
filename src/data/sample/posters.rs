//! The posters of the sample's movies: a few shapes in two colours.

use image::{Rgb, RgbImage};

use crate::db::{DbError, Tx};
use crate::posters::image::of_drawing;
use crate::posters::store as poster_store;

const WIDTH: u32 = 500;
const HEIGHT: u32 = 750;

/// The colours of each poster: of the ground and of the shapes.
const COLORS: [([u8; 3], [u8; 3]); 8] = [
    ([24, 58, 82], [231, 196, 120]),
    ([214, 224, 220], [46, 92, 110]),
    ([30, 26, 52], [240, 138, 93]),
    ([20, 74, 90], [248, 240, 206]),
    ([232, 170, 66], [58, 86, 52]),
    ([44, 44, 58], [184, 196, 206]),
    ([196, 72, 54], [250, 224, 178]),
    ([66, 40, 70], [240, 206, 96]),
];

/// Gives posters to the movies that have none; the movies are those of the sample, in its order.
pub(super) async fn hang(tx: &mut Tx, movies: &[i64]) -> Result<(), DbError> {
    for (number, movie_id) in movies.iter().enumerate() {
        let has = poster_store::of_movie(tx, *movie_id).await?;
        if has.is_some_and(|(_, hash)| hash.is_empty()) {
            let poster = of_drawing(&draw(number)).map_err(|error| DbError::Other(error.to_string()))?;
            poster_store::give(tx, *movie_id, Some(&poster)).await?;
        }
    }
    Ok(())
}

/// Draws the poster of a movie.
fn draw(number: usize) -> RgbImage {
    let (ground, shape) = COLORS[number % COLORS.len()];
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        // The place from the centre, in widths; the ground darkens downwards.
        let (across, down) = (x as f32 / WIDTH as f32 - 0.5, (y as f32 - HEIGHT as f32 / 2.0) / WIDTH as f32);
        let shade = 1.0 - 0.35 * y as f32 / HEIGHT as f32;
        let seen =
            if is_shape(number, across, down) { shape } else { ground.map(|part| (f32::from(part) * shade) as u8) };
        Rgb(seen)
    })
}

/// Checks whether a place is part of the shapes of a poster. `across` is -0.5 to 0.5, `down` -0.75 to 0.75.
fn is_shape(number: usize, across: f32, down: f32) -> bool {
    let is_in_disc = |x: f32, y: f32, radius: f32| (across - x).hypot(down - y) < radius;
    let from_centre = across.hypot(down + 0.1);
    match number % COLORS.len() {
        // The lines of a map around a place.
        0 => (from_centre + 0.04 * (6.0 * across).sin()) % 0.12 < 0.02 || is_in_disc(0.08, -0.12, 0.05),
        // A window with four panes.
        1 => {
            let is_pane = |x: f32, y: f32| (across - x).abs() < 0.15 && (down - y).abs() < 0.2;
            [-0.17, 0.17].iter().any(|x| [-0.3, 0.14].iter().any(|y| is_pane(*x, *y)))
        }
        // A staircase under the sun.
        2 => is_in_disc(0.2, -0.45, 0.14) || down > 0.55 - (across * 11.0 + 5.5).floor() * 0.09,
        // A lighthouse and its light.
        3 => {
            let is_tower = across.abs() < 0.06 + (down + 0.3) * 0.06 && down > -0.3;
            let is_light = (down + 0.38).abs() < across.abs() * 0.25 + 0.02;
            is_tower || is_light || down > 0.6
        }
        // Rows of trees.
        4 => {
            let (x, y) = ((across * 5.0 + 10.0).fract() - 0.5, (down * 4.0 + 10.0).fract() - 0.45);
            x.hypot(y) < 0.33 || x.abs() < 0.06 && y > 0.0
        }
        // A moon over towers.
        5 => {
            let is_moon = is_in_disc(-0.1, -0.4, 0.18) && !is_in_disc(-0.02, -0.44, 0.16);
            is_moon || down > 0.2 + 0.25 * ((across * 13.0).floor() * 2.4).sin().abs()
        }
        // Gears.
        6 => [(-0.14, -0.2, 0.22), (0.2, 0.16, 0.18), (-0.16, 0.44, 0.14)].iter().any(|(x, y, radius)| {
            let turn = (down - y).atan2(across - x);
            let teeth = if (turn * 12.0).sin() > 0.0 { 0.03 } else { 0.0 };
            is_in_disc(*x, *y, radius + teeth) && !is_in_disc(*x, *y, radius * 0.4)
        }),
        // Rails to the horizon.
        _ => {
            let depth = down + 0.15;
            let is_rail = depth > 0.0 && (across.abs() - depth * 0.35).abs() < 0.02 + depth * 0.03;
            let is_sleeper = depth > 0.0 && across.abs() < depth * 0.5 && (1.0 / (depth + 0.06)).fract() < 0.25;
            is_rail || is_sleeper || is_in_disc(0.0, -0.4, 0.13)
        }
    }
}
