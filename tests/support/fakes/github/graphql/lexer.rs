//! GraphQL's tokens.

/// Line and column, both from 1.
pub(super) type Place = (usize, usize);

/// What is wrong, and where.
pub(super) type Wrong = (String, Place);

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Name(String),
    Sign(char),
    Dots,
    Number(i64),
    Text(String),
    End,
}

/// The tokens of a text and where they stand; the last is `End`.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Place)>, Wrong> {
    let mut found = Vec::new();
    let (mut line, mut column) = (1, 1);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let place = (line, column);
        let length = match first {
            '\n' => {
                line += 1;
                column = 0;
                1
            }
            ' ' | '\t' | '\r' | ',' | '\u{feff}' => first.len_utf8(),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '{' | '}' | '(' | ')' | '[' | ']' | ':' | '=' | '!' | '$' | '&' | '@' | '|' => {
                found.push((Token::Sign(first), place));
                1
            }
            '.' if rest.starts_with("...") => {
                found.push((Token::Dots, place));
                3
            }
            '"' => {
                let (text, length) =
                    string(rest).ok_or_else(|| (format!("Unterminated string at {place:?}"), place))?;
                found.push((Token::Text(text), place));
                length
            }
            '-' | '0'..='9' => {
                let end = rest[1..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |end| end + 1);
                let number = rest[..end].parse().map_err(|_| (format!("Bad number at {place:?}"), place))?;
                found.push((Token::Number(number), place));
                end
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                found.push((Token::Name(rest[..end].to_owned()), place));
                end
            }
            other => return Err((format!("Unexpected character {other:?} at {place:?}"), place)),
        };
        column += rest[..length].chars().count();
        rest = &rest[length..];
    }
    found.push((Token::End, (line, column)));
    Ok(found)
}

/// A string at the beginning of the text, and its length there. Block strings are not modelled.
fn string(text: &str) -> Option<(String, usize)> {
    let mut end = 1;
    let mut escaped = false;
    for c in text[1..].chars() {
        end += c.len_utf8();
        match c {
            '"' if !escaped => return Some((serde_json::from_str(&text[..end]).ok()?, end)),
            '\n' => return None,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    None
}
