//! Chooses the format of a reply by the reference's rules for `?format=` and Accept (contract G49 to G58).

use crate::error::ApiError;

/// A reply format: its name for `?format=` and its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    pub name: &'static str,
    pub media_type: &'static str,
}

/// Plain JSON.
pub const JSON: Form = Form { name: "json", media_type: "application/json" };
/// The same JSON, shown on a page for people who open an endpoint in a browser.
pub const HTML: Form = Form { name: "api", media_type: "text/html" };

/// Chooses a format; the preferred one comes first in `forms`. More specific media ranges in Accept take precedence
/// over less specific ones; q-values and parameters are ignored (contract section 16).
///
/// # Errors
/// [`ApiError::NotFound`] for an unknown `?format=`, [`ApiError::NotAcceptable`] if Accept matches no available format.
pub fn choose(forms: &'static [Form], accept: Option<&str>, format: Option<&str>) -> Result<Form, ApiError> {
    let format = format.filter(|format| !format.is_empty());
    let mut available = forms.iter().filter(|form| format.is_none_or(|format| form.name == format)).peekable();
    if available.peek().is_none() {
        return Err(ApiError::NotFound);
    }
    let available: Vec<&Form> = available.collect();
    let mut ranges: Vec<(u8, &str, &str)> = accept.unwrap_or("*/*").split(',').map(range).collect();
    ranges.sort_by_key(|(precedence, ..)| std::cmp::Reverse(*precedence));
    for same in ranges.chunk_by(|a, b| a.0 == b.0) {
        let accepted = |form: &&&Form| same.iter().any(|(_, main, sub)| matches(form.media_type, main, sub));
        if let Some(form) = available.iter().find(accepted) {
            return Ok(**form);
        }
    }
    Err(ApiError::NotAcceptable)
}

/// Returns a media range's precedence and its two parts.
fn range(text: &str) -> (u8, &str, &str) {
    let mut parts = text.split(';').map(str::trim);
    let (main, sub) = parts.next().and_then(|range| range.split_once('/')).unwrap_or_default();
    let has_parameters = parts.any(|parameter| !parameter.starts_with("q="));
    let precedence = match (main, sub) {
        ("*", _) => 0,
        (_, "*") => 1,
        _ if has_parameters => 3,
        _ => 2,
    };
    (precedence, main, sub)
}

fn matches(media_type: &str, main: &str, sub: &str) -> bool {
    media_type.split_once('/').is_some_and(|(own_main, own_sub)| {
        (main == "*" || main.eq_ignore_ascii_case(own_main)) && (sub == "*" || sub.eq_ignore_ascii_case(own_sub))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMS: &[Form] = &[JSON, HTML];

    #[test]
    fn most_specific_range_wins_and_json_is_preferred() {
        let chosen = |accept| choose(FORMS, accept, None).map(|form| form.name).unwrap_or("none");
        assert_eq!(chosen(None), "json");
        assert_eq!(chosen(Some("*/*")), "json");
        assert_eq!(chosen(Some("application/*")), "json");
        assert_eq!(chosen(Some("text/html;q=0.5, application/json")), "json");
        assert_eq!(chosen(Some("text/html,application/xhtml+xml,*/*;q=0.8")), "api");
        assert_eq!(chosen(Some("text/*, */*")), "api");
        assert_eq!(chosen(Some("application/xml")), "none");
        assert_eq!(chosen(Some("")), "none");
    }

    #[test]
    fn format_parameter_narrows_the_choice() {
        assert!(matches!(choose(FORMS, None, Some("xml")), Err(ApiError::NotFound)));
        assert!(matches!(choose(FORMS, Some("text/html"), Some("json")), Err(ApiError::NotAcceptable)));
        assert_eq!(choose(FORMS, None, Some("api")).unwrap(), HTML);
        assert_eq!(choose(FORMS, None, Some("")).unwrap(), JSON);
    }
}
