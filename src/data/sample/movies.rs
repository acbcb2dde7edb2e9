//! The movies of the sample; none of them exists.

use crate::movies::details::Details;
use crate::shows::presentation::Presentation;

/// A movie of the sample.
pub struct SampleMovie {
    pub title: &'static str,
    pub minutes: i64,
    /// How much people like it, compared with an average movie.
    pub popularity: f64,
    original_title: &'static str,
    /// The language in which it was made.
    language: &'static str,
    genres: &'static str,
    rating: &'static str,
    release_date: &'static str,
    synopsis: &'static str,
    /// Whether it is also shown in 3D.
    is_3d: bool,
}

const RATING_SYSTEM: &str = "FSK";
const DISTRIBUTOR: &str = "Halfmoon Pictures";
const PRE_SHOW_MINUTES: i64 = 15;

pub const MOVIES: [SampleMovie; 8] = [
    SampleMovie {
        title: "The Cartographer's Daughter",
        minutes: 128,
        popularity: 1.2,
        original_title: "",
        language: "en",
        genres: "Adventure, Drama",
        rating: "12",
        release_date: "2026-10-15",
        synopsis: "A map shows an island that nobody has ever seen. The daughter of its maker sails there, and finds that \
                   someone has been waiting for the map.",
        is_3d: true,
    },
    SampleMovie {
        title: "Salt on the Windowpane",
        minutes: 104,
        popularity: 0.9,
        original_title: "Salz auf der Scheibe",
        language: "de",
        genres: "Drama",
        rating: "6",
        release_date: "2026-09-24",
        synopsis: "Three sisters keep a hotel by the sea open for one last winter, for a single guest who never leaves his \
                   room.",
        is_3d: false,
    },
    SampleMovie {
        title: "Eleven Floors to Morning",
        minutes: 97,
        popularity: 0.7,
        original_title: "",
        language: "en",
        genres: "Thriller",
        rating: "16",
        release_date: "2026-11-05",
        synopsis: "The lift stops, the lights go out, and on each floor of the tower somebody knows a different part of what \
                   happened.",
        is_3d: false,
    },
    SampleMovie {
        title: "A Lighthouse for Ottilie",
        minutes: 88,
        popularity: 0.45,
        original_title: "Et fyrtårn til Ottilie",
        language: "da",
        genres: "Family, Animation",
        rating: "0",
        release_date: "2026-07-30",
        synopsis: "Ottilie is afraid of the dark, so her grandfather builds her a lighthouse. Soon ships arrive in the garden.",
        is_3d: false,
    },
    SampleMovie {
        title: "The Orchard Protocol",
        minutes: 139,
        popularity: 1.2,
        original_title: "",
        language: "en",
        genres: "Science fiction, Thriller",
        rating: "12",
        release_date: "2026-11-19",
        synopsis: "The last apple tree on Earth is guarded by a machine that has begun to ask questions about the people it \
                   protects it from.",
        is_3d: true,
    },
    SampleMovie {
        title: "Midnight at the Tin Museum",
        minutes: 112,
        popularity: 0.9,
        original_title: "Minuit au musée de l'étain",
        language: "fr",
        genres: "Comedy, Mystery",
        rating: "6",
        release_date: "2026-10-01",
        synopsis: "A night watchman without talent and a thief without luck want to save the same museum, each from the other.",
        is_3d: false,
    },
    SampleMovie {
        title: "Sparrows in the Engine Room",
        minutes: 91,
        popularity: 0.6,
        original_title: "",
        language: "en",
        genres: "Documentary",
        rating: "0",
        release_date: "2026-08-20",
        synopsis: "For forty years a ferry has carried the same family of sparrows across the same fjord. Now it sails for \
                   the last time.",
        is_3d: false,
    },
    SampleMovie {
        title: "The Last Tram to Velden",
        minutes: 119,
        popularity: 0.8,
        original_title: "Die letzte Bahn nach Velden",
        language: "de",
        genres: "Romance, Drama",
        rating: "6",
        release_date: "2026-11-26",
        synopsis: "Two strangers miss the last tram and walk home along its rails, one station and one story at a time.",
        is_3d: false,
    },
];

impl SampleMovie {
    pub fn details(&self) -> Details {
        Details {
            original_title: self.original_title.to_owned(),
            synopsis: self.synopsis.to_owned(),
            genres: self.genres.to_owned(),
            rating: self.rating.to_owned(),
            rating_system: RATING_SYSTEM.to_owned(),
            release_date: self.release_date.to_owned(),
            distributor: DISTRIBUTOR.to_owned(),
            ..Details::default()
        }
    }

    /// Returns how a show is presented: every third one in the original language, and every fifth one relaxed.
    pub fn presentation(&self, turn: usize) -> Presentation {
        let is_original = self.language == "en" || turn.is_multiple_of(3);
        let has_subtitles = is_original && self.language != "en";
        let format = if self.is_3d && turn.is_multiple_of(2) { "3D" } else { "2D" };
        Presentation {
            format: format.to_owned(),
            language: if is_original { self.language } else { "en" }.to_owned(),
            subtitles: if has_subtitles { "en" } else { "" }.to_owned(),
            labels: if has_subtitles { "OmeU" } else { "" }.to_owned(),
            audio_description: turn.is_multiple_of(4),
            relaxed: turn.is_multiple_of(5),
            pre_show_minutes: PRE_SHOW_MINUTES,
            ..Presentation::default()
        }
    }
}
