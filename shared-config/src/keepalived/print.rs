//! A tree as text that reads back as the same tree.

use super::ast::{File, Statement};
use super::keyword::{Context, Shape};
use crate::words::Word;
use std::fmt::Write as _;

/// The whole tree, one statement per line.
pub fn print(file: &File) -> String {
    let mut text = String::new();
    statements(&mut text, &file.statements, Some(Context::Root), 0);
    text
}

/// Depth is bounded by the keyword table: a block can only stand where its keyword is legal.
fn statements(text: &mut String, list: &[Statement], context: Option<Context>, depth: usize) {
    for statement in list {
        let indent = depth * 4;
        let shape = context.and_then(|context| context.find(statement.name())).map(|row| row.shape);
        // Writing to a String cannot fail.
        let _ = write!(text, "{:indent$}{}", "", line(&statement.words, shape));
        if let Some(block) = &statement.block {
            text.push_str(" {\n");
            let inner = match shape {
                Some(Shape::Block(inner)) => Some(inner),
                Some(Shape::Line | Shape::Command | Shape::List | Shape::NamedList) | None => None,
            };
            statements(text, &block.statements, inner, depth + 1);
            let _ = write!(text, "{:indent$}}}", "");
        }
        text.push('\n');
    }
}

fn line(words: &[Word], shape: Option<Shape>) -> String {
    if let [brace] = words
        && brace.as_str() == "{"
    {
        return "{".to_owned();
    }
    let quote = if shape == Some(Shape::Command) { quoted_command } else { quoted };
    let words: Vec<String> = words.iter().map(quote).collect();
    without_comments(&words.join(" "))
}

/// A word of an ordinary line. It cannot hold a double quote.
fn quoted(word: &Word) -> String {
    let word = word.as_str();
    let starts = word.starts_with(['@', '~', '$']) || word.starts_with("include");
    let special = word.contains([' ', '\t', '\r', '\u{0B}', '\u{0C}', '\n', '#', '!', '{', '}', '\\', '$']);
    if word.is_empty() || starts || special { format!("\"{word}\"") } else { word.to_owned() }
}

/// A word of a line that holds a command. A double quote is written by its number, since the end of the quoted text is
/// looked for before escapes are.
fn quoted_command(word: &Word) -> String {
    let word = word.as_str();
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut text = String::from("\"");
    for c in word.chars() {
        match c {
            '"' => text.push_str("\\042"),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

/// Escapes what would be read as the beginning of a comment: a quoted word that ends in a backslash hides its closing
/// quote from the search for comments.
fn without_comments(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut in_quotes = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => in_quotes = !in_quotes,
            '#' | '!' if !in_quotes => text.push('\\'),
            _ => {}
        }
        text.push(c);
        if c == '\\' && in_quotes {
            text.extend(chars.next());
        }
    }
    text
}
