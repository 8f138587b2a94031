//! The statistics as CSV, as `stats uri` with `;csv` and `show stat` print it (management.txt 9.1).

use super::row::{Cell, NAMES, Row};

/// The heading line and one line per row. Like haproxy's, every line ends in a comma, and a column `-` closes the columns
/// whose place is fixed.
pub fn render<'a>(rows: impl IntoIterator<Item = &'a Row>) -> String {
    let mut out = String::from("# ");
    for name in NAMES {
        out.push_str(name);
        out.push(',');
    }
    out.push_str("-,\n");
    for row in rows {
        for cell in row.cells() {
            match cell {
                Cell::Empty => {}
                Cell::Number(value) => out.push_str(&value.to_string()),
                Cell::Signed(value) => out.push_str(&value.to_string()),
                Cell::Text(text) => push_text(&mut out, text),
            }
            out.push(',');
        }
        out.push_str("-,\n");
    }
    out
}

/// Quotes a text only where it would be ambiguous; a line break could not be told from the end of the row and becomes a blank.
fn push_text(out: &mut String, text: &str) {
    if !text.contains([',', '"', '\n', '\r']) {
        return out.push_str(text);
    }
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\"\""),
            '\n' | '\r' => out.push(' '),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::row::{Column, Kind};

    #[test]
    fn the_heading_is_haproxys() {
        let text = render([]);
        assert!(text.starts_with("# pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,"));
        assert!(text.ends_with(",uweight,agg_server_status,agg_server_check_status,agg_check_status,-,\n"));
    }

    #[test]
    fn ambiguous_texts_are_quoted_and_others_are_not() {
        let mut row = Row::new(Kind::Server, "be", "s1");
        row.set(Column::LastChk, "say \"no\", please\nnow".to_owned());
        row.set(Column::Scur, 7_u64);
        row.set(Column::Lastsess, -1_i64);
        let text = render([&row]);
        let line = text.lines().nth(1).unwrap();
        assert!(line.starts_with("be,s1,,,7,,"), "{line}");
        assert!(line.contains(r#","say ""no"", please now","#), "{line}");
        assert!(line.contains(",-1,"), "{line}");
        assert!(line.ends_with(",-,"), "{line}");
    }

    #[test]
    fn every_line_has_as_many_columns_as_the_heading() {
        let row = Row::new(Kind::Frontend, "fe", "FRONTEND");
        let text = render([&row]);
        let counts: Vec<_> = text.lines().map(|line| line.matches(',').count()).collect();
        assert_eq!(counts, [NAMES.len() + 1; 2]);
    }
}
