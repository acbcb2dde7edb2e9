//! Facts about a movie that the programme has besides its title and running time.

use jiff::civil::Date;

use crate::text;

/// The most characters of a synopsis.
pub const SYNOPSIS_MAX: usize = 5_000;

/// The most characters of the other texts.
const LINE_MAX: usize = 255;

/// The most characters of a rating and of the name of its system.
pub const RATING_MAX: usize = 20;

/// Highest id that a client keeps exactly.
const TMDB_ID_MAX: i64 = (1 << 53) - 1;

/// Facts about a movie. An empty text stands for an unknown one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Details {
    pub original_title: String,
    pub synopsis: String,
    /// Names separated by ", ".
    pub genres: String,
    /// The age rating, such as `12`, in the words of its system.
    pub rating: String,
    /// The system of the rating, such as `FSK`, `BBFC` or `MPA`.
    pub rating_system: String,
    /// `YYYY-MM-DD`.
    pub release_date: String,
    pub distributor: String,
    /// `tt` and digits.
    pub imdb_id: String,
    pub tmdb_id: Option<i64>,
}

impl Details {
    /// Removes what can't be shown, doubled genres, and what surrounds an id in an address that someone pasted.
    pub fn tidy(&mut self) {
        let lines = [&mut self.original_title, &mut self.rating, &mut self.rating_system, &mut self.distributor];
        for line in lines {
            *line = text::clean(line);
        }
        self.synopsis = text::clean_lines(&self.synopsis);
        self.release_date = self.release_date.trim().to_owned();
        self.genres = text::names(&self.genres);
        self.imdb_id = imdb_id(self.imdb_id.trim()).to_owned();
    }

    /// Returns the texts by the names of their fields.
    fn texts(&self) -> [(&'static str, &str); 8] {
        [
            ("original_title", &self.original_title),
            ("synopsis", &self.synopsis),
            ("genres", &self.genres),
            ("rating", &self.rating),
            ("rating_system", &self.rating_system),
            ("release_date", &self.release_date),
            ("distributor", &self.distributor),
            ("imdb_id", &self.imdb_id),
        ]
    }

    /// Returns the faults of those fields that differ from the stored ones. Old values are not judged.
    pub fn new_faults(&self, stored: &Details) -> Vec<(&'static str, String)> {
        text::without_kept(self.faults(), &self.texts(), &stored.texts())
    }

    /// Returns the faults by the names of their fields.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let mut check = |is_good: bool, field, problem: &str| {
            if !is_good {
                faults.push((field, problem.to_owned()));
            }
        };
        let is_short = |text: &str, most: usize| text.chars().count() <= most;
        for (field, line) in
            [("original_title", &self.original_title), ("genres", &self.genres), ("distributor", &self.distributor)]
        {
            check(is_short(line, LINE_MAX), field, "Enter at most 255 characters.");
        }
        for (field, line) in [("rating", &self.rating), ("rating_system", &self.rating_system)] {
            check(is_short(line, RATING_MAX), field, "Enter at most 20 characters.");
        }
        check(is_short(&self.synopsis, SYNOPSIS_MAX), "synopsis", "Enter at most 5000 characters.");
        let has_system = self.rating.is_empty() || !self.rating_system.is_empty();
        check(has_system, "rating_system", "Enter the system of the rating, such as FSK, BBFC or MPA.");
        let is_date =
            self.release_date.is_empty() || self.release_date.len() == 10 && self.release_date.parse::<Date>().is_ok();
        check(is_date, "release_date", "Enter a date as year-month-day, like 2026-11-23.");
        let digits = self.imdb_id.strip_prefix("tt").unwrap_or_default();
        let has_digits = (7..=10).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
        check(has_digits || self.imdb_id.is_empty(), "imdb_id", "Enter an id like tt0111161.");
        let is_number = self.tmdb_id.is_none_or(|id| (1..=TMDB_ID_MAX).contains(&id));
        check(is_number, "tmdb_id", "Enter a positive whole number.");
        faults
    }
}

/// Returns the id in an address such as `https://www.imdb.com/title/tt0111161/`, and any other text as it is.
fn imdb_id(text: &str) -> &str {
    let in_address = text.split('/').find(|part| {
        part.strip_prefix("tt")
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|one| one.is_ascii_digit()))
    });
    in_address.unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_tidied() {
        let mut details = Details {
            genres: " Drama,comedy ;Comedy,\n, Sci-Fi".to_owned(),
            imdb_id: " https://www.imdb.com/title/tt0111161/?ref_=x ".to_owned(),
            synopsis: "One.\r\nTwo.\u{0}".to_owned(),
            ..Details::default()
        };
        details.tidy();
        assert_eq!(details.genres, "Drama, comedy, Sci-Fi");
        assert_eq!(details.imdb_id, "tt0111161");
        assert_eq!(details.synopsis, "One.\nTwo.");
        assert_eq!(details.faults(), []);
    }

    #[test]
    fn wrong_details_are_named() {
        let wrong = |change: fn(&mut Details)| {
            let mut details = Details::default();
            change(&mut details);
            details.faults().into_iter().map(|(field, _)| field).collect::<Vec<_>>()
        };
        assert_eq!(wrong(|_| {}), [""; 0]);
        assert_eq!(wrong(|details| details.rating = "12".into()), ["rating_system"]);
        assert_eq!(wrong(|details| details.release_date = "2026-02-30".into()), ["release_date"]);
        assert_eq!(wrong(|details| details.release_date = "20260230".into()), ["release_date"]);
        assert_eq!(wrong(|details| details.imdb_id = "nm0000151".into()), ["imdb_id"]);
        assert_eq!(wrong(|details| details.imdb_id = "tt1".into()), ["imdb_id"]);
        assert_eq!(wrong(|details| details.tmdb_id = Some(0)), ["tmdb_id"]);
        assert_eq!(wrong(|details| details.synopsis = "x".repeat(5_001)), ["synopsis"]);
        assert_eq!(wrong(|details| details.genres = "x".repeat(256)), ["genres"]);
    }
}
