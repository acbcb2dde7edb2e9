//! A programme of any size as JSON: movies, screens and shows in the format of `loaddata`.

use std::io::{self, Write};

use jiff::{Timestamp, ToSpan};

/// Shows last three hours including the break, so a screen has eight a day.
const SHOWS_A_DAY: u32 = 8;
const SCREENS: u32 = 50;

/// Writes `movies` movies and `shows` shows of `seats` seats each, assigned to the movies in turn. The first starts a
/// year from now, so that no run meets a show that has started.
pub fn write(out: &mut impl Write, movies: u32, shows: u32, seats: u32) -> io::Result<()> {
    let hour = Timestamp::now().as_second() / 3600 * 3600;
    let first =
        Timestamp::from_second(hour).and_then(|now| now.checked_add((365 * 24).hours())).map_err(io::Error::other)?;
    writeln!(out, "{{\"movies\":[")?;
    list(out, movies, |id| format!(r#"{{"id":{id},"title":"Feature {id}","duration_minutes":{}}}"#, 80 + id % 90))?;
    writeln!(out, "],\"screens\":[")?;
    list(out, SCREENS, |id| format!(r#"{{"id":{id},"name":"Screen {id}"}}"#))?;
    writeln!(out, "],\"shows\":[")?;
    list(out, shows, |id| {
        let (movie, screen, slot) = ((id - 1) % movies + 1, (id - 1) % SCREENS + 1, (id - 1) / SCREENS);
        let hours = i64::from(slot) * 24 / i64::from(SHOWS_A_DAY);
        let time = first + hours.hours();
        format!(r#"{{"id":{id},"movie":{movie},"screen":{screen},"date_time":"{time}","total_seats":{seats}}}"#)
    })?;
    writeln!(out, "]}}")
}

/// Writes one object per line, ids from 1.
fn list(out: &mut impl Write, count: u32, object: impl Fn(u32) -> String) -> io::Result<()> {
    for id in 1..=count {
        let comma = if id < count { "," } else { "" };
        writeln!(out, "{}{comma}", object(id))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_programme_has_the_requested_size_and_no_overlaps() {
        let mut out = Vec::new();
        write(&mut out, 7, 1_000, 55).unwrap();
        let programme: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let shows = programme["shows"].as_array().unwrap();
        assert_eq!((programme["movies"].as_array().unwrap().len(), shows.len()), (7, 1_000));
        let slots: HashSet<_> =
            shows.iter().map(|show| (show["screen"].to_string(), show["date_time"].to_string())).collect();
        assert_eq!(slots.len(), 1_000);
        assert!(
            shows.iter().all(|show| show["total_seats"] == 55 && (1..=7).contains(&show["movie"].as_u64().unwrap()))
        );
        assert!(shows[0]["date_time"].as_str().unwrap().parse::<Timestamp>().unwrap() > Timestamp::now());
    }
}
