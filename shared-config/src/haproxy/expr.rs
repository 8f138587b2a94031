//! Sample expressions (`src,ipmask(24)`), single calls (`hdr(host)`), and the conditions made of ACLs
//! (configuration manual, sections 7.2 and 7.3). Whether the names exist and take these arguments is for the caller to
//! say; [`Expression::unknown_names`] looks the names up.

use super::keyword::{CONVERTERS, FETCHES, find_converter, find_fetch};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Span;
use crate::suggest::nearest;
use crate::words::{Word, WordBuilder, Words};
use pest::Parser as _;
use pest::iterators::Pair;

/// The grammars of expressions and of log-formats, which hold expressions; the rules stay within this crate.
pub(super) mod grammar {
    #[derive(pest_derive::Parser)]
    #[grammar = "haproxy/expr.pest"]
    #[grammar = "haproxy/log_format.pest"]
    pub(in crate::haproxy) struct Grammar;
}
use grammar::{Grammar, Rule};

/// A sample fetch and what is done to the sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// Where the sample comes from.
    pub fetch: Call,
    /// Applied in this order.
    pub converters: Vec<Call>,
    /// All of it.
    pub span: Span,
}

/// A name with arguments in parentheses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The name.
    pub name: Word,
    /// The arguments after their own quotes and escapes; they may be empty words. `None` without parentheses, an empty
    /// list for `()`.
    pub arguments: Option<Vec<Word>>,
    /// Name, parentheses and all.
    pub span: Span,
}

/// What is wrong in an argument that is a language of its own. The caller knows the statement and what haproxy says in
/// front of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// In haproxy's words.
    pub message: String,
    /// Where.
    pub span: Span,
    /// What to write instead.
    pub help: Option<String>,
}

impl SyntaxError {
    pub(super) fn new(message: impl Into<String>, span: Span) -> Self {
        Self { message: message.into(), span, help: None }
    }

    pub(super) fn help(mut self, help: Option<String>) -> Self {
        self.help = help;
        self
    }

    /// As a diagnostic whose message begins with `prefix`: `error detected while parsing ACL 'a' : `.
    pub fn into_diagnostic(self, code: Code, prefix: &str) -> Diagnostic {
        let mut diagnostic = Diagnostic::error(code, self.span, format!("{prefix}{}", self.message));
        diagnostic.help = self.help;
        diagnostic
    }
}

/// Reads the expression that starts at the next word. A word that ends in a comma, or that is followed by the name of a
/// converter, goes on in the next one, as in `stick on src ipmask(24)`.
pub fn parse(words: &mut Words<'_>) -> Result<Expression, SyntaxError> {
    let Some(word) = words.next() else { return Err(SyntaxError::new("missing fetch method", words.here())) };
    let (calls, mut goes_on) = chain(word, None)?;
    let mut calls = calls.into_iter();
    let Some(fetch) = calls.next() else {
        return Err(SyntaxError::new("missing fetch method", word.span));
    };
    let mut expression = Expression { span: word.span, fetch, converters: calls.collect() };
    while let Some(next) = words.peek() {
        let name = next.text.split(['(', ',']).next().unwrap_or_default();
        if !goes_on && find_converter(name).is_none() {
            break;
        }
        words.next();
        let more;
        (more, goes_on) = chain(next, Some(expression.fetch.name.as_str()))?;
        expression.converters.extend(more);
        expression.span = expression.span.to(next.span);
    }
    Ok(expression)
}

/// Reads a word that is one name with or without arguments, such as `hdr(host)` or `set-var(txn.a)`.
pub fn parse_call(word: &Word) -> Result<Call, SyntaxError> {
    let (mut calls, comma) = chain(word, None)?;
    match calls.pop() {
        Some(call) if calls.is_empty() && !comma => Ok(call),
        _ => Err(SyntaxError::new(format!("expected one name with arguments but found '{}'", word.text), word.span)),
    }
}

/// The calls of a word, and whether it ends in a comma. `fetch`: the word continues an expression that begins with it.
fn chain(word: &Word, fetch: Option<&str>) -> Result<(Vec<Call>, bool), SyntaxError> {
    let Ok(pairs) = Grammar::parse(Rule::whole, &word.text) else {
        // The grammar accepts every text.
        return Err(SyntaxError::new("unreadable expression", word.span));
    };
    let base = Base { word, offset: 0 };
    let mut calls = Vec::new();
    for pair in pairs.flat_map(Pair::into_inner) {
        match pair.as_rule() {
            Rule::chain => calls = base.calls(pair, fetch)?,
            Rule::rest => {
                let span = base.span(&pair);
                let Some(Some(call)) = calls.last() else {
                    return Err(SyntaxError::new("missing fetch method", span));
                };
                let kind = if fetch.is_some() || calls.len() > 1 { "converter" } else { "fetch keyword" };
                return Err(SyntaxError::new(format!("missing comma after {kind} '{}'", call.name.text), span));
            }
            _ => {}
        }
    }
    let comma = calls.len() > 1 && calls.last().is_some_and(Option::is_none);
    if fetch.is_none() && calls.first().is_some_and(Option::is_none) {
        return Err(SyntaxError::new("missing fetch method", word.span));
    }
    Ok((calls.into_iter().flatten().collect(), comma))
}

/// The word that a parsed text is a part of.
#[derive(Clone, Copy)]
pub(super) struct Base<'a> {
    pub(super) word: &'a Word,
    /// Where in the word the parsed text starts.
    pub(super) offset: usize,
}

impl Base<'_> {
    pub(super) fn range(&self, pair: &Pair<'_, Rule>) -> std::ops::Range<usize> {
        self.offset + pair.as_span().start()..self.offset + pair.as_span().end()
    }

    pub(super) fn span(&self, pair: &Pair<'_, Rule>) -> Span {
        self.word.span_of(self.range(pair))
    }

    /// The calls of a `chain`; nothing stands for one without a name.
    pub(super) fn calls(&self, pair: Pair<'_, Rule>, fetch: Option<&str>) -> Result<Vec<Option<Call>>, SyntaxError> {
        let mut calls = Vec::new();
        for (index, pair) in pair.into_inner().enumerate() {
            calls.push(self.call(pair, fetch.is_some() || index > 0)?);
        }
        Ok(calls)
    }

    fn call(&self, pair: Pair<'_, Rule>, converter: bool) -> Result<Option<Call>, SyntaxError> {
        let span = self.span(&pair);
        let mut inner = pair.into_inner();
        let Some(name) = inner.next().filter(|pair| pair.as_rule() == Rule::name) else { return Ok(None) };
        let name = self.word.part(self.range(&name));
        let mut arguments = None;
        for pair in inner {
            if pair.as_rule() == Rule::unclosed {
                return Err(unclosed(&name, converter, name.span.to(span)));
            }
            let mut list = Vec::new();
            for argument in pair.into_inner() {
                let at = self.span(&argument);
                let mut text = WordBuilder::new(at);
                if self.argument(argument, &mut text).is_err() {
                    return Err(unclosed(&name, converter, at));
                }
                list.push(text.finish());
            }
            if let [only] = list.as_slice()
                && only.text.is_empty()
            {
                list.clear();
            }
            arguments = Some(list);
        }
        Ok(Some(Call { name, arguments, span }))
    }

    /// Adds the text of an argument or of something quoted in it; fails at a quote that is not closed.
    fn argument(&self, pair: Pair<'_, Rule>, text: &mut WordBuilder) -> Result<(), ()> {
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::strong | Rule::weak => self.argument(part, text)?,
                Rule::escape => {
                    let meant = match part.as_str() {
                        "\\n" => "\n",
                        "\\r" => "\r",
                        "\\t" => "\t",
                        other => &other[1..],
                    };
                    text.add(meant, self.span(&part));
                }
                Rule::unclosed => return Err(()),
                _ => text.add_part(self.word, self.range(&part)),
            }
        }
        Ok(())
    }
}

fn unclosed(name: &Word, converter: bool, span: Span) -> SyntaxError {
    let kind = if converter { "converter" } else { "fetch method" };
    SyntaxError::new(format!("{kind} '{}' : expected ')'", name.text), span).help(Some(
        "arguments that hold a comma or a parenthesis need quotes that reach this level: '(\"a,b\")'".into(),
    ))
}

impl Expression {
    /// The names that no version of haproxy has, each with the nearest that one has.
    pub fn unknown_names(&self) -> Vec<SyntaxError> {
        let mut unknown = Vec::new();
        let name = &self.fetch.name;
        if find_fetch(&name.text).is_none() {
            let known = nearest(&name.text, FETCHES.iter().map(|row| row.name));
            unknown.push(unknown_name("fetch method", name, known));
        }
        for name in self.converters.iter().map(|converter| &converter.name) {
            if find_converter(&name.text).is_none() {
                let known = nearest(&name.text, CONVERTERS.iter().map(|row| row.name));
                unknown.push(unknown_name("converter", name, known));
            }
        }
        unknown
    }
}

fn unknown_name(kind: &str, name: &Word, known: Option<&str>) -> SyntaxError {
    SyntaxError::new(format!("unknown {kind} '{}'", name.text), name.span)
        .help(known.map(|known| format!("did you mean `{known}`?")))
}

/// What follows `if` or `unless`: it holds when all terms of one of the lists hold. Without any list it never holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Lists of terms, divided by `or` or `||`; none is empty.
    pub any: Vec<Vec<Term>>,
}

/// One ACL in a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// An odd number of `!` stands before it.
    pub negated: bool,
    /// Which one.
    pub acl: AclRef,
    /// All of it, `!` and braces included.
    pub span: Span,
}

/// A declared ACL, or one written in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AclRef {
    /// Its name.
    Named(Word),
    /// What stands between the braces: criterion, flags and values.
    Anonymous(Vec<Word>),
}

/// Reads a condition, to the end of the words.
pub fn condition(words: &mut Words<'_>) -> Result<Condition, SyntaxError> {
    let mut any = vec![Vec::new()];
    // The `!` that wait for their term.
    let mut negated: Option<(bool, Span)> = None;
    while let Some(word) = words.next() {
        let name = word.text.trim_start_matches('!');
        let signs = word.text.len() - name.len();
        if signs == 0 && negated.is_none() && (word.text.eq_ignore_ascii_case("or") || &*word.text == "||") {
            any.push(Vec::new());
            continue;
        }
        let (before, start) = negated.take().unwrap_or((false, word.span));
        let negation = before != (signs % 2 == 1);
        if name.is_empty() {
            negated = Some((negation, start.to(word.span)));
            continue;
        }
        let (acl, end) = if name == "{" { anonymous(words, word)? } else { named(word, signs) };
        let term = Term { negated: negation, acl, span: start.to(end) };
        if let Some(last) = any.last_mut() {
            last.push(term);
        }
    }
    if let Some((_, span)) = negated {
        return Err(SyntaxError::new("missing ACL name after '!'", span));
    }
    any.retain(|terms| !terms.is_empty());
    Ok(Condition { any })
}

fn named(word: &Word, signs: usize) -> (AclRef, Span) {
    (AclRef::Named(word.part(signs..word.text.len())), word.span)
}

/// The words up to the closing brace.
fn anonymous(words: &mut Words<'_>, opening: &Word) -> Result<(AclRef, Span), SyntaxError> {
    let mut inside = Vec::new();
    for word in words.by_ref() {
        if &*word.text == "}" {
            return Ok((AclRef::Anonymous(inside), word.span));
        }
        inside.push(word.clone());
    }
    let glued = inside.iter().find(|word| word.text.ends_with('}'));
    let help = glued.map(|word| format!("put a space before the brace in '{}'", word.text));
    Err(SyntaxError::new("missing closing '}' in condition", opening.span).help(help))
}

#[cfg(test)]
mod tests;
