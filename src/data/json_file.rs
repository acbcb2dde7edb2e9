//! The text of a file that should be JSON. If it is something else, the error says which kind of file it looks like.

use std::collections::HashMap;

use serde::de;

/// Returns the text of a file.
///
/// # Errors
/// What the file is instead.
pub fn json_text(bytes: &[u8]) -> Result<String, String> {
    if let Some(other) = other_kind(bytes) {
        return Err(other.to_owned());
    }
    let text = decode(bytes)?;
    match text.trim_start().chars().next() {
        None => return Err("the file is empty".to_owned()),
        Some('<') => return Err("this is HTML or XML, not JSON: was a web page saved instead of the file?".to_owned()),
        Some('[') if is_django_dump(&text) => {
            return Err("this is the output of Django's dumpdata, which loaddata does not read: use `marquee \
                        import-django`, which copies Django's database directly"
                .to_owned());
        }
        Some('{' | '[') => {}
        Some(_) if is_table(&text) => {
            return Err("this is a table (CSV), not JSON: `marquee loaddata --help` describes the format".to_owned());
        }
        Some(_) => {}
    }
    Ok(text)
}

/// Recognizes files that are not text by their first bytes.
fn other_kind(bytes: &[u8]) -> Option<&'static str> {
    let kinds: [(&[u8], &str); 5] = [
        (b"PK\x03\x04", "this is a ZIP file or an Excel or LibreOffice workbook, not JSON"),
        (b"\xd0\xcf\x11\xe0", "this is an old Excel workbook, not JSON"),
        (b"\x1f\x8b", "this file is compressed: unpack it first"),
        (
            b"SQLite format 3\0",
            "this is an SQLite database, not JSON: to copy one from Django, use `marquee import-django`",
        ),
        (b"%PDF", "this is a PDF, not JSON"),
    ];
    kinds.into_iter().find(|(head, _)| bytes.starts_with(head)).map(|(_, kind)| kind)
}

/// Decodes the text of a file: UTF-8, or UTF-16 with a byte order mark, as editors and shells on Windows write it.
fn decode(bytes: &[u8]) -> Result<String, String> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let (units, rest) = bytes.as_chunks::<2>();
        let text = String::from_utf16(&units.iter().map(|bytes| unit(*bytes)).collect::<Vec<_>>());
        text.ok().filter(|_| rest.is_empty()).ok_or_else(|| "this starts like UTF-16, but is not valid".to_owned())
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            std::str::from_utf8(bytes).map(str::to_owned).map_err(|error| {
                let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
                format!("this is not UTF-8 (line {line}): save it as UTF-8")
            })
        }
    }
}

fn is_django_dump(text: &str) -> bool {
    let objects = serde_json::from_str::<Vec<HashMap<String, de::IgnoredAny>>>(text).unwrap_or_default();
    objects.first().is_some_and(|object| object.contains_key("model") && object.contains_key("fields"))
}

/// Checks whether the first line looks like columns of a table rather than JSON.
fn is_table(text: &str) -> bool {
    let first = text.trim_start().lines().next().unwrap_or_default();
    first.contains([',', ';', '\t']) && !first.contains(['{', '[', ':'])
}
