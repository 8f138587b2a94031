//! The form for people, drawn by annotate-snippets: the source line, carets, labels, help.

use super::{Colour, readable};
use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{Source, SourceId, Sources, Span};
use annotate_snippets::{Annotation, AnnotationKind, Element, Level, Origin, Renderer, Snippet};
use std::ops::Range;

/// Lines longer than this, in bytes, are cut around the place that is shown.
const LINE_SHOWN_MAX: usize = 400;
/// How many bytes of a cut line are shown before the place.
const BEFORE_PLACE: usize = 60;
/// How many bytes of a cut line are shown in all.
const CUT_LINE_SHOWN: usize = 160;
/// Places that are at most this many lines apart are drawn in one picture.
const LINES_TOGETHER: u32 = 12;

/// ```text
/// error[unknown-keyword]: unknown keyword 'maxcon' in 'global' section
///  --> haproxy.cfg:2:5
///   |
/// 2 |     maxcon 100
///   |     ^^^^^^ did you mean `maxconn`?
/// ```
pub fn human(diagnostic: &Diagnostic, sources: &Sources, colour: Colour) -> String {
    let level = match diagnostic.severity {
        Severity::Diag => Level::NOTE.with_name("diag"),
        Severity::Notice => Level::INFO.with_name("notice"),
        Severity::Warning => Level::WARNING,
        Severity::Unsupported => Level::WARNING.with_name("unsupported"),
        Severity::Error => Level::ERROR,
    };
    let title = level.primary_title(readable(&diagnostic.message)).id(diagnostic.code);
    let pictures = pictures(diagnostic, sources);
    let mut elements: Vec<Element<'_>> = Vec::new();
    for picture in &pictures {
        let source = sources.get(picture.source);
        let path = source.path().to_string_lossy();
        let window = picture.window(source);
        let at = source.position(picture.marks[0].span.start);
        let whole = source.line_range(at.line).is_none_or(|line| window.start <= line.start);
        let snippet = picture.snippet(source, &window);
        if whole {
            elements.push(snippet.path(path).into());
        } else {
            // The renderer counts columns in the text it is given, so that of a cut line is said beforehand.
            elements.push(Origin::path(path).line(at.line as usize).char_column(at.column as usize).into());
            elements.push(snippet.into());
        }
    }
    if let Some(help) = &diagnostic.help {
        elements.push(Level::HELP.message(readable(help)).into());
    }
    let renderer = match colour {
        Colour::Never => Renderer::plain(),
        Colour::Always => Renderer::styled(),
    };
    renderer.render(&[title.elements(elements)])
}

/// One marked place.
struct Mark {
    span: Span,
    text: String,
    primary: bool,
}

/// Places near to each other, with the lines around them.
struct Picture {
    source: SourceId,
    /// First and last line, from 1.
    lines: (u32, u32),
    marks: Vec<Mark>,
}

fn pictures(diagnostic: &Diagnostic, sources: &Sources) -> Vec<Picture> {
    let primary = diagnostic.span.map(|span| Mark { span, text: diagnostic.label.clone(), primary: true });
    let related = diagnostic.related.iter().map(|l| Mark { span: l.span, text: l.text.clone(), primary: false });
    let mut pictures: Vec<Picture> = Vec::new();
    for mark in primary.into_iter().chain(related) {
        let line = sources.position(mark.span).line;
        let source = sources.get(mark.span.source);
        match pictures.iter_mut().find(|picture| picture.accepts(&mark, line, source)) {
            Some(picture) => {
                picture.lines = (picture.lines.0.min(line), picture.lines.1.max(line));
                picture.marks.push(mark);
            }
            None => pictures.push(Picture { source: mark.span.source, lines: (line, line), marks: vec![mark] }),
        }
    }
    pictures
}

impl Picture {
    fn accepts(&self, mark: &Mark, line: u32, source: &Source) -> bool {
        let (first, last) = (self.lines.0.min(line), self.lines.1.max(line));
        self.source == mark.span.source
            && last - first <= LINES_TOGETHER
            && (first..=last).all(|line| source.line_range(line).is_none_or(|range| range.len() <= LINE_SHOWN_MAX))
    }

    fn snippet(&self, source: &Source, window: &Range<usize>) -> Snippet<'static, Annotation<'static>> {
        let text = source.text().get(window.clone()).unwrap_or_default();
        // What is shown instead of a byte may be shorter or longer than what is kept: offsets follow.
        let shown_at = |offset: usize| {
            let offset = offset.clamp(window.start, window.end) - window.start;
            readable(text.get(..offset).unwrap_or(text)).len()
        };
        let annotations: Vec<_> = self
            .marks
            .iter()
            .map(|mark| {
                let kind = if mark.primary { AnnotationKind::Primary } else { AnnotationKind::Context };
                let line = source.line_range(source.position(mark.span.start).line).unwrap_or_else(|| window.clone());
                // A span over several lines is marked where it starts.
                let range = shown_at(mark.span.start as usize)..shown_at((mark.span.end as usize).min(line.end));
                let annotation = kind.span(range.start..range.end.max(range.start));
                if mark.text.is_empty() { annotation } else { annotation.label(readable(&mark.text)) }
            })
            .collect();
        Snippet::source(readable(text)).line_start(self.lines.0 as usize).annotations(annotations)
    }

    /// The bytes that are shown: whole lines, or a part of one long line.
    fn window(&self, source: &Source) -> Range<usize> {
        let start = source.line_range(self.lines.0).map_or(source.text().len(), |range| range.start);
        let end = source.line_range(self.lines.1).map_or(source.text().len(), |range| range.end);
        if end - start <= LINE_SHOWN_MAX || self.lines.0 != self.lines.1 {
            return start..end;
        }
        let place = self.marks[0].span.start as usize;
        let from = place.saturating_sub(BEFORE_PLACE).max(start);
        let text = source.text();
        text.floor_char_boundary(from)..text.floor_char_boundary((from + CUT_LINE_SHOWN).min(end))
    }
}
