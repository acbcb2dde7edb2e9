//! Money: amounts in the minor units of a currency, such as cents, and the tax that is included in them. Never a float.

use iso_currency::Currency as Iso;

/// The highest price of a ticket, in minor units.
pub const PRICE_MAX: i64 = 100_000_000;

/// The highest tax rate, in hundredths of a percent.
pub const TAX_RATE_MAX: i64 = 10_000;

/// A currency of ISO 4217.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Currency(Iso);

impl Currency {
    /// Returns the currency with this code, such as `EUR`; `None` if there is none, or if it has no minor unit, as gold has.
    pub fn named(code: &str) -> Option<Currency> {
        Iso::from_code(code).filter(|iso| iso.exponent().is_some()).map(Currency)
    }

    /// Returns the three letters of its code.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Returns how many digits follow the decimal point.
    pub fn decimals(self) -> usize {
        self.0.exponent().map_or(0, usize::from)
    }

    /// Writes an amount, such as `12.50`, without the currency.
    pub fn write(self, amount: i64) -> String {
        let decimals = self.decimals();
        if decimals == 0 {
            return amount.to_string();
        }
        let sign = if amount < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", amount.unsigned_abs(), width = decimals + 1);
        let (units, rest) = digits.split_at(digits.len() - decimals);
        format!("{sign}{units}.{rest}")
    }

    /// Reads an amount of at least zero that someone typed: `12`, `12.5`, `12.50` or `12,50`. Returns `None` if it is none,
    /// or has more decimals than the currency.
    pub fn read(self, text: &str) -> Option<i64> {
        let text = text.trim();
        let (units, rest) = text.split_once(['.', ',']).unwrap_or((text, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(units)
            || !is_number(rest)
            || rest.len() > self.decimals()
            || (units.is_empty() && rest.is_empty())
        {
            return None;
        }
        format!("{units}{rest:0<width$}", width = self.decimals()).parse().ok()
    }
}

/// Returns the tax that is included in an amount of at least zero, rounded half up. `rate` is in hundredths of a percent: 700
/// is 7%.
pub fn tax_in(amount: i64, rate: i64) -> i64 {
    let (amount, rate) = (i128::from(amount), i128::from(rate));
    let whole = 10_000 + rate;
    let tax = (2 * amount * rate + whole) / (2 * whole);
    i64::try_from(tax).unwrap_or(i64::MAX)
}

/// Writes a tax rate as a percentage, such as `7` or `5.5`.
pub fn write_rate(rate: i64) -> String {
    let text = format!("{}.{:02}", rate / 100, rate % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Reads a tax rate that someone typed as a percentage; `None` if it is none or has more than two decimals.
pub fn read_rate(text: &str) -> Option<i64> {
    let text = text.trim().trim_end_matches('%').trim_end();
    let (units, rest) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(units) || !is_number(rest) || rest.len() > 2 || units.is_empty() {
        return None;
    }
    let rate: i64 = format!("{units}{rest:0<2}").parse().ok()?;
    (rate <= TAX_RATE_MAX).then_some(rate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::named(code).expect(code)
    }

    #[test]
    fn currencies_have_their_decimals() {
        for (code, decimals) in [("EUR", 2), ("USD", 2), ("JPY", 0), ("KWD", 3), ("HUF", 2), ("CLF", 4)] {
            assert_eq!((currency(code).decimals(), currency(code).code()), (decimals, code));
        }
        for code in ["", "eur", "EURO", "XXX", "XAU", "ABC"] {
            assert_eq!(Currency::named(code), None, "{code}");
        }
    }

    #[test]
    fn amounts_are_written_and_read() {
        for (code, amount, text) in [
            ("EUR", 1250, "12.50"),
            ("EUR", 5, "0.05"),
            ("EUR", 0, "0.00"),
            ("EUR", -1250, "-12.50"),
            ("JPY", 1800, "1800"),
            ("KWD", 3500, "3.500"),
        ] {
            assert_eq!(currency(code).write(amount), text);
        }
        for (code, text, amount) in [
            ("EUR", "12", Some(1200)),
            ("EUR", " 12,5 ", Some(1250)),
            ("EUR", ".5", Some(50)),
            ("EUR", "12.", Some(1200)),
            ("EUR", "12.505", None),
            ("EUR", "-1", None),
            ("EUR", "1.2.3", None),
            ("EUR", "1 200", None),
            ("EUR", "", None),
            ("EUR", ".", None),
            ("EUR", "99999999999999999999", None),
            ("JPY", "1800", Some(1800)),
            ("JPY", "18.5", None),
        ] {
            assert_eq!(currency(code).read(text), amount, "{text}");
        }
    }

    #[test]
    fn rates_are_percentages() {
        for (text, rate) in [("7", 700), ("5.5", 550), ("19 %", 1900), ("7,75", 775), ("0", 0)] {
            assert_eq!(read_rate(text), Some(rate), "{text}");
        }
        for text in ["", "x", "7.755", "-7", "101", ".5"] {
            assert_eq!(read_rate(text), None, "{text}");
        }
        assert_eq!([700, 550, 775, 0].map(write_rate), ["7", "5.5", "7.75", "0"]);
    }

    #[test]
    fn tax_is_rounded_half_up() {
        // 1.07 at 7% has exactly 0.07. Of 1.00 at 100% it is half. 0.01 at 100% has half a cent, which becomes one.
        for (amount, rate, tax) in
            [(107, 700, 7), (100, 10_000, 50), (1, 10_000, 1), (1250, 700, 82), (1250, 0, 0), (0, 700, 0)]
        {
            assert_eq!(tax_in(amount, rate), tax, "{amount} at {rate}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(amount in 0..=PRICE_MAX, code in prop::sample::select(vec!["EUR", "JPY", "KWD"])) {
            let currency = currency(code);
            prop_assert_eq!(currency.read(&currency.write(amount)), Some(amount));
        }

        #[test]
        fn tax_is_within_half_a_unit(amount in 0..=PRICE_MAX, rate in 0..=TAX_RATE_MAX) {
            let (tax, whole) = (i128::from(tax_in(amount, rate)), i128::from(10_000 + rate));
            let exact = i128::from(amount) * i128::from(rate);
            // Twice the error is in (-1, 1], and only a half is rounded up.
            let twice = 2 * (tax * whole - exact);
            prop_assert!(-whole < twice && twice <= whole);
            prop_assert!(0 <= tax && tax <= i128::from(amount));
        }
    }
}
