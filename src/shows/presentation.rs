//! How a show is presented: in which format and language, for which audience, and after which pre-show.

use crate::text;

/// The formats of shows, as they are named everywhere.
pub const FORMATS: &[(&str, &str)] = &[
    ("2D", "2D"),
    ("3D", "3D"),
    ("IMAX", "IMAX"),
    ("IMAX 3D", "IMAX 3D"),
    ("Dolby Cinema", "Dolby Cinema"),
    ("4DX", "4DX"),
    ("ScreenX", "ScreenX"),
    ("D-BOX", "D-BOX"),
    ("35 mm", "35 mm"),
    ("70 mm", "70 mm"),
    ("Live", "Live broadcast"),
];

/// Languages that the panel offers, as BCP 47 tags. Files can have any other tag.
pub const LANGUAGES: &[(&str, &str)] = &[
    ("ar", "Arabic"),
    ("bg", "Bulgarian"),
    ("bs", "Bosnian"),
    ("ca", "Catalan"),
    ("cs", "Czech"),
    ("cy", "Welsh"),
    ("da", "Danish"),
    ("de", "German"),
    ("el", "Greek"),
    ("en", "English"),
    ("es", "Spanish"),
    ("et", "Estonian"),
    ("eu", "Basque"),
    ("fa", "Persian"),
    ("fi", "Finnish"),
    ("fr", "French"),
    ("ga", "Irish"),
    ("gsw", "Swiss German"),
    ("he", "Hebrew"),
    ("hi", "Hindi"),
    ("hr", "Croatian"),
    ("hu", "Hungarian"),
    ("is", "Icelandic"),
    ("it", "Italian"),
    ("ja", "Japanese"),
    ("ko", "Korean"),
    ("lb", "Luxembourgish"),
    ("lt", "Lithuanian"),
    ("lv", "Latvian"),
    ("mul", "Several languages"),
    ("nb", "Norwegian"),
    ("nl", "Dutch"),
    ("pl", "Polish"),
    ("pt", "Portuguese"),
    ("pt-BR", "Portuguese (Brazil)"),
    ("ro", "Romanian"),
    ("ru", "Russian"),
    ("sk", "Slovak"),
    ("sl", "Slovenian"),
    ("sq", "Albanian"),
    ("sr", "Serbian"),
    ("sv", "Swedish"),
    ("ta", "Tamil"),
    ("te", "Telugu"),
    ("th", "Thai"),
    ("tr", "Turkish"),
    ("uk", "Ukrainian"),
    ("ur", "Urdu"),
    ("vi", "Vietnamese"),
    ("yue", "Cantonese"),
    ("zh", "Mandarin Chinese"),
    ("zxx", "No dialogue"),
];

/// The most minutes of a pre-show.
pub const PRE_SHOW_MINUTES_MAX: i64 = 120;

/// The most characters of the labels of a show.
pub const LABELS_MAX: usize = 60;

/// How a show is presented. An empty text stands for an unknown fact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Presentation {
    /// One of [`FORMATS`].
    pub format: String,
    /// The spoken language, as a BCP 47 tag.
    pub language: String,
    /// The language of the subtitles, as a BCP 47 tag.
    pub subtitles: String,
    /// Such as `OV` and `OmU`, separated by ", ".
    pub labels: String,
    /// Describes the pictures to people who can't see them.
    pub audio_description: bool,
    /// Shows speech and sounds as text, for people who can't hear them.
    pub captions: bool,
    /// With more light and less noise, for people whom the usual shows strain.
    pub relaxed: bool,
    /// Minutes of advertising and trailers before the feature.
    pub pre_show_minutes: i64,
    /// If it is set, the show is in no list, and opens only to those who have this key.
    pub unlisted_key: Option<String>,
}

impl Presentation {
    /// Brings labels and language tags into their usual form.
    pub fn tidy(&mut self) {
        self.labels = text::names(&self.labels);
        for tag in [&mut self.language, &mut self.subtitles] {
            *tag = canonical(tag.trim()).unwrap_or_else(|| tag.trim().to_owned());
        }
    }

    /// Returns the texts by the names of their fields.
    fn texts(&self) -> [(&'static str, &str); 4] {
        [
            ("format", &self.format),
            ("language", &self.language),
            ("subtitles", &self.subtitles),
            ("labels", &self.labels),
        ]
    }

    /// Returns the faults of those fields that differ from the stored ones. Old values are not judged.
    pub fn new_faults(&self, stored: &Presentation) -> Vec<(&'static str, String)> {
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
        let is_format = self.format.is_empty() || FORMATS.iter().any(|(format, _)| *format == self.format);
        let formats: Vec<&str> = FORMATS.iter().map(|(format, _)| *format).collect();
        check(is_format, "format", &format!("Choose one of {}.", formats.join(", ")));
        for (field, tag) in [("language", &self.language), ("subtitles", &self.subtitles)] {
            let is_tag = tag.is_empty() || tag.len() <= 35 && canonical(tag).is_some();
            check(is_tag, field, "Enter a language tag (BCP 47), such as de, en or pt-BR.");
        }
        check(self.labels.chars().count() <= LABELS_MAX, "labels", "Enter at most 60 characters.");
        let is_short = (0..=PRE_SHOW_MINUTES_MAX).contains(&self.pre_show_minutes);
        check(is_short, "pre_show_minutes", "Enter a number from 0 to 120.");
        let is_key = |key: &str| {
            let is_letter = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_');
            (16..=40).contains(&key.len()) && key.bytes().all(is_letter)
        };
        let problem = "Enter 16 to 40 letters, digits, hyphens and underscores.";
        check(self.unlisted_key.as_deref().is_none_or(is_key), "unlisted_key", problem);
        faults
    }
}

/// Returns a language tag in its canonical form: `pt-BR` for `PT-br`. None if it is not one.
fn canonical(tag: &str) -> Option<String> {
    tag.parse::<icu_locale_core::Locale>().ok().map(|tag| tag.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_get_their_canonical_form() {
        for (tag, form) in [("PT-br", Some("pt-BR")), ("zh-hans-cn", Some("zh-Hans-CN")), ("de", Some("de"))] {
            assert_eq!(canonical(tag).as_deref(), form, "{tag}");
        }
        for tag in ["Deutsch!", "d", "deutschland-ist-lang", "de_", "<b>"] {
            assert_eq!(canonical(tag), None, "{tag}");
        }
        assert!(LANGUAGES.iter().all(|(tag, _)| canonical(tag).as_deref() == Some(tag)));
    }

    #[test]
    fn wrong_presentations_are_named() {
        let wrong = |change: fn(&mut Presentation)| {
            let mut presentation = Presentation::default();
            change(&mut presentation);
            presentation.tidy();
            presentation.faults().into_iter().map(|(field, _)| field).collect::<Vec<_>>()
        };
        assert_eq!(wrong(|it| it.labels = "OV; OmU,OV".into()), [""; 0]);
        assert_eq!(wrong(|it| it.format = "5D".into()), ["format"]);
        assert_eq!(wrong(|it| it.language = "German, please".into()), ["language"]);
        assert_eq!(wrong(|it| it.pre_show_minutes = 121), ["pre_show_minutes"]);
        assert_eq!(wrong(|it| it.labels = "x".repeat(61)), ["labels"]);
        assert_eq!(wrong(|it| it.unlisted_key = Some("short".into())), ["unlisted_key"]);
        assert_eq!(wrong(|it| it.unlisted_key = Some("0123456789abcdef<".into())), ["unlisted_key"]);
    }
}
