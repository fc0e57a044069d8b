//! Text from outside made harmless, for each place it can land in.
//!
//! Names of files, classes and columns may hold anything: tags, quotes, formulas, ten thousand letters, letters that run
//! from right to left. Everything that is written anywhere goes through one of these.

use std::borrow::Cow;

/// Letters of a name that are shown before it is cut.
pub(crate) const SHOWN: usize = 80;

/// Letters of a name that are kept for those who ask.
const KEPT: usize = 300;

/// Text inside an HTML or SVG element, and inside double or single quotes of an attribute.
///
/// Characters that neither may hold (controls other than tab and line feed, and non-characters) become U+FFFD, so that the
/// same text is valid in an SVG file, which is XML.
pub(crate) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            '\t' | '\n' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// JSON text that can stand inside a `<script>` element: what could end it, or a line of it, is written `\uNNNN`.
pub(crate) fn script(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out += &format!("\\u{:04x}", c as u32),
            c => out.push(c),
        }
    }
    out
}

/// A field of a CSV file that no spreadsheet takes for a formula: a quote is put before `=`, `+`, `-`, `@`, tab and
/// carriage return, unless it is a number.
pub(crate) fn csv(text: &str) -> Cow<'_, str> {
    let risky = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if risky && text.parse::<f64>().is_err() { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// A cell of a Markdown table, and text around it: every character that Markdown or HTML could read is escaped.
pub(crate) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_whitespace() || c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A name of at most 80 letters: the middle of a longer one is left out, for ends of paths tell the most.
pub fn shortened(text: &str) -> Cow<'_, str> {
    shortened_to(text, SHOWN)
}

/// A name of at most `shown` letters.
pub fn shortened_to(text: &str, shown: usize) -> Cow<'_, str> {
    let letters = text.chars().count();
    if letters <= shown {
        return Cow::Borrowed(text);
    }
    let tail = shown / 2;
    let head: String = text.chars().take(shown - tail - 1).collect();
    let tail: String = text.chars().skip(letters - tail).collect();
    Cow::Owned(format!("{head}…{tail}"))
}

/// A name in full, on one line of a terminal or of a drawing.
pub fn line(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// About how wide a text is drawn at 12 pixels, in pixels, rather more than less: of scripts that the program's fonts do not know,
/// letters are taken for as wide as they are high.
pub(crate) fn width(text: &str) -> f64 {
    let of = |letter: char| match letter {
        'W' | 'M' | 'm' | 'w' | '@' | '%' | '—' => 12.0,
        'A'..='Z' | '_' | '#' | '&' | '\u{80}'..'\u{1100}' => 9.5,
        'i' | 'j' | 'l' | ' ' | '.' | ',' | '\'' | '|' | ':' => 4.2,
        '\u{1100}'.. => 12.5,
        _ => 7.7,
    };
    text.chars().map(of).sum()
}

/// A name that is drawn at 12 pixels in at most so many of them, its middle left out where it is longer.
pub(crate) fn fitted(text: &str, pixels: f64) -> Cow<'_, str> {
    let letters = text.chars().take(KEPT).count();
    let shown = (2..=letters).rev().find(|&shown| width(&shortened_to(text, shown)) <= pixels);
    shortened_to(text, shown.unwrap_or(2))
}

/// A name as HTML, apart from the text around it, whichever way it runs; a shortened one says so and has the whole (its
/// first 300 letters) in a tooltip.
pub(crate) fn name(text: &str) -> String {
    let short = shortened(text);
    if short == text {
        return format!("<bdi>{}</bdi>", html(text));
    }
    let letters = text.chars().count();
    let whole: String = text.chars().take(KEPT).collect();
    let cut = if letters > KEPT { "…" } else { "" };
    format!("<bdi title=\"{}{cut} ({} letters)\">{}</bdi>", html(&whole), crate::numbers::count(letters), html(&short))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: &str = "</script><script>alert(1)</script>\" onload='x' & \u{2028}\u{0}";

    #[test]
    fn html_holds_nothing_that_ends_text_or_an_attribute() {
        let safe = html(NASTY);
        assert!(!safe.contains(['<', '>', '"', '\'', '\0']), "{safe}");
        assert_eq!(html("a<b>\"c\"&'d'\u{7}"), "a&lt;b&gt;&quot;c&quot;&amp;&#39;d&#39;\u{fffd}");
        assert_eq!(html("ä 🐈 שלום"), "ä 🐈 שלום");
    }

    #[test]
    fn json_in_a_script_cannot_end_it_and_reads_back() {
        let json = serde_json::to_string(NASTY).unwrap();
        let safe = script(&json);
        assert!(!safe.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), NASTY);
    }

    #[test]
    fn formulas_are_quoted_and_numbers_are_not() {
        for (text, expected) in [
            ("=1+1", "'=1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("+cmd", "'+cmd"),
            ("-2+3", "'-2+3"),
            ("\tx", "'\tx"),
            ("-2.5", "-2.5"),
            ("cat", "cat"),
        ] {
            assert_eq!(csv(text), expected);
        }
    }

    #[test]
    fn markdown_cells_hold_no_pipe_tag_or_line() {
        assert_eq!(markdown("a|b\n<i>*c*</i>"), "a\\|b &lt;i&gt;\\*c\\*&lt;/i&gt;");
    }

    #[test]
    fn long_names_lose_their_middle_and_say_so() {
        let long = format!("start{}end.png", "x".repeat(10_000));
        let short = shortened(&long);
        assert_eq!(short.chars().count(), SHOWN);
        assert!(short.starts_with("start") && short.ends_with("end.png"));
        let html = name(&long);
        assert!(html.contains("(10,012 letters)") && html.len() < 1_000, "{}", html.len());
        assert_eq!(name("cat"), "<bdi>cat</bdi>");
    }

    #[test]
    fn names_are_cut_to_the_room_they_have() {
        assert_eq!(fitted("cat", 50.0), "cat");
        assert_eq!(fitted("illicit", 50.0), "illicit");
        assert_eq!(fitted("WWWWWWW", 50.0), "W…WW");
        assert!(fitted("ЖИЗНЬ", 46.0).contains('…'));
        assert_eq!(fitted("太陽電池の欠陥", 50.0), "太…欠陥");
        assert_eq!(fitted(&"x".repeat(10_000), 1e5).chars().count(), KEPT);
    }

    #[test]
    fn letters_are_never_cut_in_two() {
        let cats = "🐈".repeat(200);
        assert_eq!(shortened(&cats).chars().filter(|&c| c == '🐈').count(), SHOWN - 1);
    }
}
