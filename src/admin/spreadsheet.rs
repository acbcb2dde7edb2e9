//! Tables as CSV for spreadsheets. A program separates cells by the character that its country uses: the comma, or the
//! semicolon where the comma is the decimal point. The user who exports a table chooses it.

/// The character between the cells of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Comma,
    Semicolon,
}

/// Spreadsheets read a file as UTF-8 if it begins with this mark.
pub const BEGIN: &[u8] = b"\xEF\xBB\xBF";

impl Dialect {
    /// Parses the format in the URL of an export.
    pub fn read(format: &str) -> Option<Dialect> {
        match format {
            "csv" => Some(Dialect::Comma),
            "csv-semicolon" => Some(Dialect::Semicolon),
            _ => None,
        }
    }

    fn separator(self) -> u8 {
        match self {
            Dialect::Comma => b',',
            Dialect::Semicolon => b';',
        }
    }

    /// Returns a line as in RFC 4180, each cell in quotes.
    pub fn line(self, cells: impl IntoIterator<Item = String>) -> Vec<u8> {
        let mut writer = csv::WriterBuilder::new();
        let writer = writer.delimiter(self.separator());
        let writer = writer.terminator(csv::Terminator::CRLF).quote_style(csv::QuoteStyle::Always);
        let mut writer = writer.from_writer(Vec::new());
        // Writing to memory can't fail.
        let _ = writer.write_record(cells.into_iter().map(String::into_bytes));
        writer.into_inner().unwrap_or_default()
    }

    /// Puts an apostrophe in front of text that a spreadsheet would take for a formula. A program that expects the
    /// other separator ignores the quotes and begins a cell wherever that character or a line break stands in the text,
    /// so the same is done there. Other text stays as it is: the file's own separator does not end a cell within
    /// quotes.
    pub fn harmless(self, text: &str) -> String {
        let (mut harmless, mut is_begin) = (String::with_capacity(text.len()), true);
        for letter in text.chars() {
            if is_begin && FORMULA.contains(&letter) {
                harmless.push('\'');
            }
            harmless.push(letter);
            is_begin = match letter {
                ';' | ',' => u32::from(letter) != u32::from(self.separator()),
                '\t' | '\n' | '\r' => true,
                ' ' | '"' => is_begin,
                _ => false,
            };
        }
        harmless
    }
}

/// The characters that begin a formula in spreadsheets.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_stay_as_they_are() {
        for name in ["O'Neil", "Anna -Maria", "Smith-Jones", "a=b", "1-1=0", "'tis", "tom@example.com", "Ödland: +1"] {
            for dialect in [Dialect::Comma, Dialect::Semicolon] {
                assert_eq!(dialect.harmless(name), name);
            }
        }
        // A cell in quotes may contain its own file's separator.
        assert_eq!(Dialect::Comma.harmless("Neil, -O"), "Neil, -O");
        assert_eq!(Dialect::Semicolon.harmless("Neil; -O"), "Neil; -O");
        assert_eq!(Dialect::Semicolon.harmless("Neil, -O"), "Neil, '-O");
    }

    /// Splits a line as a program does that expects this separator: a cell is in quotes if it begins with one.
    fn cells(file: &str, separator: char) -> Vec<String> {
        let mut cells = vec![String::new()];
        let (mut is_quoted, mut is_begin) = (false, true);
        let mut letters = file.chars().peekable();
        while let Some(letter) = letters.next() {
            let cell = cells.last_mut().expect("there is a cell");
            match letter {
                '"' if is_begin => is_quoted = true,
                '"' if is_quoted && letters.peek() == Some(&'"') => {
                    letters.next();
                    cell.push('"');
                }
                '"' if is_quoted => is_quoted = false,
                letter if !is_quoted && (letter == separator || letter == '\n' || letter == '\r') => {
                    cells.push(String::new());
                    is_begin = true;
                    continue;
                }
                letter => cell.push(letter),
            }
            is_begin = false;
        }
        cells
    }

    proptest! {
        /// Whichever separator a program expects, no cell that it sees is a formula.
        #[test]
        fn no_cell_is_a_formula(texts in prop::collection::vec("[-=+@;,\" \t\r\na1＝]{0,8}", 1..4)) {
            for dialect in [Dialect::Comma, Dialect::Semicolon] {
                let line = dialect.line(texts.iter().map(|text| dialect.harmless(text)));
                let line = String::from_utf8(line).expect("UTF-8");
                for separator in [',', ';'] {
                    for cell in cells(&line, separator) {
                        let begin = cell.trim_start_matches([' ', '"', '\t', '\r', '\n']).chars().next();
                        prop_assert!(!begin.is_some_and(|begin| FORMULA.contains(&begin)), "{cell:?} in {line:?}");
                    }
                }
            }
        }

        /// A program that expects the file's own separator reads the cells as they were written.
        #[test]
        fn cells_are_read_as_they_were(texts in prop::collection::vec(".*", 1..5)) {
            for dialect in [Dialect::Comma, Dialect::Semicolon] {
                let written: Vec<String> = texts.iter().map(|text| dialect.harmless(text)).collect();
                let line = dialect.line(written.clone());
                let mut reader = csv::ReaderBuilder::new();
                let mut reader = reader.delimiter(dialect.separator()).has_headers(false).from_reader(line.as_slice());
                let read = reader.records().next().expect("a line").expect("CSV");
                prop_assert_eq!(read.iter().map(str::to_owned).collect::<Vec<_>>(), written);
            }
        }
    }
}
