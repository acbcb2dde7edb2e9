//! Email addresses: which are allowed and how they are stored.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The most characters in an email address (contract S15).
pub const MAX_CHARS: usize = 254;

const TOO_LONG: &str = "Ensure this field has no more than 254 characters.";
const NUL: &str = "Null characters are not allowed.";
const INVALID: &str = "Enter a valid email address.";

/// Returns the faults of an address that has been trimmed and is not empty, in the words and order
/// of Django REST framework (contract S13 to S15). Empty if it is valid.
pub fn faults(raw_trimmed: &str) -> Vec<&'static str> {
    let mut faults = Vec::new();
    // Checked as typed and as stored: lower case can be longer (`İ` becomes two characters).
    if [raw_trimmed, &normalise(raw_trimmed)].iter().any(|form| form.chars().count() > MAX_CHARS) {
        faults.push(TOO_LONG);
    }
    if raw_trimmed.contains('\0') {
        faults.push(NUL);
    }
    if !is_valid(raw_trimmed) {
        faults.push(INVALID);
    }
    faults
}

/// Checks whether Django 5.2's `EmailValidator` accepts the address (contract section 4).
/// Its only limit on the length is RFC 3696's 320 characters; the field's limit is [`MAX_CHARS`].
fn is_valid(address: &str) -> bool {
    address.chars().take(321).count() <= 320
        && address.rsplit_once('@').is_some_and(|(local, domain)| is_local_part(local) && is_domain(domain))
}

/// Returns an address as it is stored: with the domain in lower case (contract S26). The local part
/// is left as it is, because only its mail server knows whether letter case counts.
pub fn normalise(address: &str) -> String {
    match address.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_lowercase()),
        None => address.to_owned(),
    }
}

fn is_local_part(local: &str) -> bool {
    is_dot_atom(local) || is_quoted_string(local)
}

fn is_dot_atom(local: &str) -> bool {
    let is_atom_char = |c: char| c.is_ascii_alphanumeric() || "-!#$%&'*+/=?^_`{}|~".contains(c);
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().map(fold_to_ascii).all(is_atom_char))
}

fn is_quoted_string(local: &str) -> bool {
    let Some(inner) = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return false;
    };
    let mut chars = inner.chars().map(fold_to_ascii);
    while let Some(c) = chars.next() {
        let allowed = match c {
            '"' | '\t' | ' ' => false,
            '\\' => chars.next().is_some_and(is_quotable),
            c => is_quotable(c),
        };
        if !allowed {
            return false;
        }
    }
    true
}

/// Checks whether `c` may follow a backslash in a quoted string.
fn is_quotable(c: char) -> bool {
    c.is_ascii() && !matches!(c, '\0' | '\n' | '\r')
}

fn is_domain(domain: &str) -> bool {
    if domain == "localhost" {
        return true;
    }
    if let Some(literal) = domain.strip_prefix('[') {
        return literal
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv4Addr>().is_ok() || address.parse::<Ipv6Addr>().is_ok());
    }
    domain.rsplit_once('.').is_some_and(|(host, top)| host.split('.').all(is_label) && is_top_label(top))
}

fn is_label(label: &str) -> bool {
    has_label_shape(label) && label.chars().all(|c| is_domain_letter(c) || c.is_ascii_digit() || c == '-')
}

fn is_top_label(label: &str) -> bool {
    let is_name = || label.chars().count() >= 2 && label.chars().all(|c| is_domain_letter(c) || c == '-');
    let is_punycode = || {
        let folded: String = label.chars().map(fold_to_ascii).collect();
        folded
            .to_ascii_lowercase()
            .strip_prefix("xn--")
            .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_alphanumeric()))
    };
    has_label_shape(label) && (is_name() || is_punycode())
}

/// 1 to 63 characters, with no hyphen at either end.
fn has_label_shape(label: &str) -> bool {
    (1..=63).contains(&label.chars().count()) && !label.starts_with('-') && !label.ends_with('-')
}

/// Django accepts everything from U+00A1 to U+FFFF as a letter of an international domain.
fn is_domain_letter(c: char) -> bool {
    c.is_ascii_alphabetic() || ('\u{a1}'..='\u{ffff}').contains(&c)
}

/// Python's case-insensitive patterns treat these four letters like their ASCII counterparts.
fn fold_to_ascii(c: char) -> char {
    match c {
        'İ' | 'ı' => 'i',
        'ſ' => 's',
        '\u{212a}' => 'k',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Accepted by Django 5.2's validator.
    const GOOD: &[&str] = &[
        "user@example.com",
        "a@b.co",
        "a.b@c.de",
        "\"a\\ b\"@c.de",
        "\"a\"@c.de",
        "\"\"@c.de",
        "\"a\\\"\"@c.de",
        "\"a@b\"@c.de",
        "a@localhost",
        "a@[127.0.0.1]",
        "a@[::1]",
        "a@[::ffff:1.2.3.4]",
        "a@[1::2:3:4:5:6:7]",
        "a@[1:2:3:4:5:6:7::]",
        "a@[1:2:3:4:5:6:7:8]",
        "a@b.xn--p1ai",
        "a@b.XN--P1AI",
        "a@b.xn--a-b",
        "a@b.xn--1",
        "a@bücher.de",
        "a@b.香港",
        "a@例え.テスト",
        "a@b.c-d",
        "a@b.a--b",
        "a+b@c.de",
        "aſ@b.co",
        "\u{212a}@b.co",
        "İı@b.co",
        "\"\u{212a}\"@b.co",
        "\"\\\u{212a}\"@b.co",
        "a@b.xn--\u{212a}1",
        "a@¡b.co",
        "a@b.xn--ı0",
        "a@\u{212a}.\u{212a}\u{212a}",
        "\"\\\t\"@b.co",
        "\"\u{7f}\"@b.co",
        "\"\u{b}\u{c}\u{1f}\"@b.co",
        "a@b.c\u{200d}",
        "a@1.co",
        "a@1-2.co",
        "x@\u{ffff}.co",
        "a@[0.0.0.0]",
        "a@[1::1.2.3.4]",
        "a@[1:2:3:4:5:6:1.2.3.4]",
        "+-!#$%&'*/=?^_`{}|~@b.co",
    ];

    /// Refused by Django 5.2's validator.
    const BAD: &[&str] = &[
        "nope",
        "a@b",
        ".a@b.co",
        "a.@b.co",
        "a..b@c.de",
        "a b@c.de",
        "\"a b\"@c.de",
        "\"a\\\"@c.de",
        "\"a\"b@c.de",
        "a@b@c.de",
        "a@LOCALHOST",
        "a@[127.0.0.01]",
        "a@[1::2:3:4:5:6:7:8]",
        "a@[:::]",
        "a@[12345::]",
        "a@[256.1.1.1]",
        "a@[fe80::1%eth0]",
        "a@[]",
        "a@[127.0.0.1",
        "a@127.0.0.1",
        "a@-b.co",
        "a@b-.co",
        "a@b.-co",
        "a@b.co-",
        "a@b.c",
        "a@b.c1",
        "a@b.1c",
        "a@b.xn--",
        "a@b.xn--1-",
        "a@b..co",
        "a@.co",
        "a@b.co.",
        "@b.co",
        "a@",
        "@",
        "a@b_c.de",
        "ä@b.de",
        "a@b.co\n",
        "a\n@b.co",
        "a@b.--",
        "\"é\"@b.co",
        "a@b.𐐀𐐁",
        "a@\u{a0}b.co",
        "\"\t\"@b.co",
        "\"\\\n\"@b.co",
        "\"\0\"@b.co",
        "\"\\\0\"@b.co",
        "\"\\\r\"@b.co",
        "a@b。co",
        "a@b.com1",
        "a(c)@b.co",
        "a@b.co ",
        "a@[1.2.3]",
        "a@[1.2.3.4.5]",
        "a@[1:2:3:4:5:6:7:1.2.3.4]",
        "a@[::1.2.3.04]",
    ];

    #[test]
    fn addresses_are_judged_as_by_django() {
        for address in GOOD {
            assert!(is_valid(address), "{address:?}");
        }
        for address in BAD {
            assert!(!is_valid(address), "{address:?}");
        }
    }

    #[test]
    fn labels_have_at_most_63_characters() {
        for c in ["b", "é"] {
            let label = |count| c.repeat(count);
            assert!(is_valid(&format!("a@{}.co", label(63))));
            assert!(is_valid(&format!("a@b.{}.co", label(63))));
            assert!(is_valid(&format!("a@b.{}", label(63))));
            assert!(!is_valid(&format!("a@{}.co", label(64))));
            assert!(!is_valid(&format!("a@b.{}.co", label(64))));
            assert!(!is_valid(&format!("a@b.{}", label(64))));
        }
        assert!(is_valid(&format!("a@b.xn--{}", "1".repeat(59))));
        assert!(!is_valid(&format!("a@b.xn--{}", "1".repeat(60))));
    }

    #[test]
    fn addresses_have_at_most_320_characters() {
        assert!(is_valid(&format!("{}@example.com", "a".repeat(308))));
        assert!(!is_valid(&format!("{}@example.com", "a".repeat(309))));
    }

    #[test]
    fn the_domain_is_stored_in_lower_case() {
        assert_eq!(normalise("User@Example.COM"), "User@example.com");
        assert_eq!(normalise("\"A@B\"@Example.COM"), "\"A@B\"@example.com");
        assert_eq!(normalise("nothing"), "nothing");
    }

    #[test]
    fn faults_are_those_of_django_in_its_order() {
        let long = |count: usize| format!("{}@example.com", "a".repeat(count - 12));
        assert!(faults(&long(254)).is_empty());
        assert_eq!(faults(&long(255)), [TOO_LONG]);
        assert_eq!(faults(&long(320)), [TOO_LONG]);
        assert_eq!(faults(&long(321)), [TOO_LONG, INVALID]);
        assert_eq!(faults("nope"), [INVALID]);
        assert_eq!(faults("a\0@example.com"), [NUL, INVALID]);
    }
}
