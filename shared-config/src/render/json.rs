//! One JSON object per diagnostic, on one line. Absent values are absent members.

use super::readable;
use crate::diagnostic::{Diagnostic, Severity};
use crate::source::{Sources, Span};
use std::fmt::Write as _;

/// `{"severity":"error","code":…,"message":…,"file":…,"line":…,"column":…,"end_line":…,"end_column":…,"label":…,
/// "related":[{"file":…,"line":…,"column":…,"end_line":…,"end_column":…,"label":…}],"help":…}`; lines and columns count
/// from 1, columns in characters, the end is the place after the last character.
pub fn json(diagnostic: &Diagnostic, sources: &Sources) -> String {
    let severity = match diagnostic.severity {
        Severity::Diag => "diag",
        Severity::Notice => "notice",
        Severity::Warning => "warning",
        Severity::Unsupported => "unsupported",
        Severity::Error => "error",
    };
    let mut out = format!("{{\"severity\":\"{severity}\",\"code\":\"{}\",\"message\":", diagnostic.code);
    string(&mut out, &diagnostic.message);
    if let Some(span) = diagnostic.span {
        out.push(',');
        place(&mut out, span, sources);
    }
    if !diagnostic.label.is_empty() {
        out.push_str(",\"label\":");
        string(&mut out, &diagnostic.label);
    }
    out.push_str(",\"related\":[");
    for (index, label) in diagnostic.related.iter().enumerate() {
        out.push_str(if index == 0 { "{" } else { ",{" });
        place(&mut out, label.span, sources);
        out.push_str(",\"label\":");
        string(&mut out, &label.text);
        out.push('}');
    }
    out.push(']');
    if let Some(help) = &diagnostic.help {
        out.push_str(",\"help\":");
        string(&mut out, help);
    }
    out.push('}');
    out
}

fn place(out: &mut String, span: Span, sources: &Sources) {
    let source = sources.get(span.source);
    let (start, end) = (source.position(span.start), source.position(span.end));
    out.push_str("\"file\":");
    string(out, &source.path().to_string_lossy());
    // Writing to a String cannot fail.
    let _ = write!(out, ",\"line\":{},\"column\":{}", start.line, start.column);
    let _ = write!(out, ",\"end_line\":{},\"end_column\":{}", end.line, end.column);
}

fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in readable(text).chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
