//! `show table`, `clear table` and `set table` of the runtime API, worded as haproxy words them.
//!
//! A habit of haproxy is not copied: what is no address counts as one of that type there (`set table t key x` makes an entry for
//! 0.0.0.0), and what begins with a number as a number. Here both are refused.

use super::data::{DataType, Form};
use super::entry::Entry;
use super::key::{Key, KeyType};
use super::table::Table;
use std::fmt::Write as _;
use std::sync::Arc;

/// Filters of one command at most.
const FILTERS_MAX: usize = 4;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `show table`
    Show,
    /// `clear table`
    Clear,
    /// `set table`
    Set,
}

impl Verb {
    fn required(self) -> &'static str {
        match self {
            Self::Show => "Optional argument only supports \"data.<store_data_type>\" <operator> <value> and key <key>",
            Self::Clear => {
                "Required arguments: <table> \"data.<store_data_type>\" <operator> <value> or <table> key <key>"
            }
            Self::Set => "Required arguments: <table> key <key> [data.<store_data_type> <value>]*",
        }
    }

    fn of_bytes(self) -> &'static str {
        match self {
            Self::Show => "Showing keys from",
            Self::Clear => "Removing keys from",
            Self::Set => "Inserting keys into",
        }
    }
}

/// A command on tables: its verb and the words behind it, from whom, and when.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    /// What is done.
    pub verb: Verb,
    /// The words after `table`.
    pub words: &'a [&'a str],
    /// The connection may see and change entries (level operator).
    pub operator: bool,
    /// Milliseconds on the workers' clock.
    pub now_ms: u64,
}

impl Command<'_> {
    /// Does it, and writes the answer; false if that is a complaint.
    pub fn run(&self, tables: &[Arc<Table>], out: &mut String) -> bool {
        let named = |name: &&str| tables.iter().find(|table| table.settings().name == **name);
        let said = match self.words.first() {
            None => self.without_table(tables, out),
            Some(name) => match named(name) {
                Some(table) => self.on_table(table, out),
                None => Err("No such table".to_owned()),
            },
        };
        match said {
            Ok(()) => true,
            Err(message) => {
                out.push_str(&message);
                out.push('\n');
                false
            }
        }
    }

    fn without_table(&self, tables: &[Arc<Table>], out: &mut String) -> Result<(), String> {
        if self.verb != Verb::Show {
            return Err(self.verb.required().to_owned());
        }
        // haproxy lists the youngest first.
        tables.iter().rev().for_each(|table| self.head(table, out));
        Ok(())
    }

    fn on_table(&self, table: &Table, out: &mut String) -> Result<(), String> {
        match (self.words.get(1).copied(), self.verb) {
            (Some("key"), _) => self.on_key(table, out),
            (Some(word), Verb::Set) if word.starts_with("data.") => {
                Err("content-based lookup is only supported with the \"show\" and \"clear\" actions".to_owned())
            }
            (Some(word), _) if word.starts_with("data.") => {
                let filters = self.filters(table)?;
                self.on_entries(table, &filters, out);
                Ok(())
            }
            (Some(_), _) => Err(self.verb.required().to_owned()),
            // Without a key, haproxy takes all three to mean every entry; `set` removes as `clear` does.
            (None, Verb::Show | Verb::Clear | Verb::Set) => {
                self.on_entries(table, &[], out);
                Ok(())
            }
        }
    }

    fn on_entries(&self, table: &Table, filters: &[Filter], out: &mut String) {
        let shows = self.verb == Verb::Show;
        if shows {
            self.head(table, out);
        }
        if !self.operator {
            if shows {
                out.push_str("# contents not dumped due to insufficient privileges\n");
            }
            return;
        }
        for entry in table.entries(self.now_ms) {
            let data = entry.data(table.layout());
            let passes = filters.iter().all(|filter| {
                data.read(filter.kind, 0, self.now_ms).is_some_and(|value| filter.operator.holds(value, filter.value))
            });
            drop(data);
            match passes {
                true if shows => self.entry(table, &entry, out),
                // Whoever tracks it keeps it.
                true => drop(table.remove(entry.key())),
                false => {}
            }
        }
    }

    fn on_key(&self, table: &Table, out: &mut String) -> Result<(), String> {
        let Some(text) = self.words.get(2) else { return Err("Key value expected".to_owned()) };
        if matches!(table.settings().kind, KeyType::Bytes(_)) {
            let doing = self.verb.of_bytes();
            return Err(format!("{doing} tables of type other than ip, ipv6, string and integer is not supported"));
        }
        let key = Key::parse(table.settings().kind, text).ok_or("Invalid key")?;
        if !self.operator {
            return Err("Permission denied".to_owned());
        }
        match self.verb {
            Verb::Show => {
                if let Some(entry) = table.lookup(&key, self.now_ms) {
                    self.head(table, out);
                    self.entry(table, &entry, out);
                }
                Ok(())
            }
            Verb::Clear if table.remove(&key) => Ok(()),
            Verb::Clear => Err("Entry currently in use, cannot remove".to_owned()),
            Verb::Set => self.set(table, &key),
        }
    }

    /// What stands before something wrong is done.
    fn set(&self, table: &Table, key: &Key) -> Result<(), String> {
        let entry = table.obtain(key, self.now_ms).ok_or("Unable to allocate a new entry")?;
        let mut data = entry.data(table.layout());
        for pair in self.words.get(3..).unwrap_or_default().chunks(2) {
            let Some(name) = pair.first().and_then(|word| word.strip_prefix("data.")) else {
                return Err("\"data.<type>\" followed by a value expected".to_owned());
            };
            let kind = DataType::from_name(name).ok_or("Unknown data type")?;
            if table.layout().column(kind).is_none() {
                return Err("Data type not stored in this table".to_owned());
            }
            let value = pair.get(1).and_then(|word| word.parse::<i64>().ok());
            let value = value.ok_or("Require a valid integer value to store")?;
            if kind.form() != Form::Name {
                data.set(kind, 0, value.cast_unsigned(), self.now_ms);
            }
        }
        Ok(())
    }

    fn filters(&self, table: &Table) -> Result<Vec<Filter>, String> {
        let words = self.words.get(1..).unwrap_or_default();
        let mut filters = Vec::new();
        for (words, number) in words.chunks(3).zip(1..) {
            if number > FILTERS_MAX {
                // Counted with the two words of the command and the table's name.
                let place = FILTERS_MAX * 3 + 4;
                let before = self.words.get(FILTERS_MAX * 3).copied().unwrap_or_default();
                return Err(format!("Detected extra data in filter, {place}th word of input, after '{before}'"));
            }
            let wrong = |what: &str| format!("Filter entry #{number}: {what}");
            let name = words.first().and_then(|word| word.strip_prefix("data."));
            let kind = name.and_then(DataType::from_name).ok_or_else(|| wrong("Unknown data type"))?;
            if table.layout().column(kind).is_none() {
                return Err(wrong("Data type not stored in this table"));
            }
            let operator = words
                .get(1)
                .and_then(|word| Operator::from_name(word))
                .ok_or_else(|| wrong("Require and operator among \"eq\", \"ne\", \"le\", \"ge\", \"lt\", \"gt\""))?;
            let value = words.get(2).and_then(|word| word.parse().ok());
            let value = value.ok_or_else(|| wrong("Require a valid integer value to compare against"))?;
            filters.push(Filter { kind, operator, value });
        }
        Ok(filters)
    }

    fn head(&self, table: &Table, out: &mut String) {
        let settings = table.settings();
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "# table: {}, type: {}, size:{}, used:{}",
            settings.name,
            settings.kind.name(),
            settings.size,
            table.used(self.now_ms)
        );
    }

    fn entry(&self, table: &Table, entry: &Arc<Entry>, out: &mut String) {
        let (at, key) = (Arc::as_ptr(entry), entry.key());
        let (trackers, expires) = (entry.trackers(), table.expires_in(entry, self.now_ms));
        let _ = write!(out, "{at:p}: key={key} use={trackers} exp={expires}");
        let data = entry.data(table.layout());
        for (column, _) in table.layout().columns() {
            let kind = column.kind;
            for element in 0..column.elements {
                let name = kind.element(element);
                let value = data.read(kind, element, self.now_ms).unwrap_or_default();
                let _ = match kind.form() {
                    Form::Number | Form::Long => write!(out, " {name}={value}"),
                    Form::Rate => write!(out, " {name}({})={value}", column.period_ms),
                    Form::Name => {
                        let server = data.server_key();
                        write!(out, " {name}={}", server.as_ref().map_or("-", |server| server.as_str()))
                    }
                };
            }
        }
        out.push('\n');
    }
}

/// `data.TYPE OPERATOR VALUE`
struct Filter {
    kind: DataType,
    operator: Operator,
    value: i64,
}

#[derive(Clone, Copy)]
enum Operator {
    Equal,
    NotEqual,
    AtMost,
    AtLeast,
    Less,
    Greater,
}

impl Operator {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "eq" => Self::Equal,
            "ne" => Self::NotEqual,
            "le" => Self::AtMost,
            "ge" => Self::AtLeast,
            "lt" => Self::Less,
            "gt" => Self::Greater,
            _ => return None,
        })
    }

    fn holds(self, value: u64, limit: i64) -> bool {
        let (value, limit) = (i128::from(value), i128::from(limit));
        match self {
            Self::Equal => value == limit,
            Self::NotEqual => value != limit,
            Self::AtMost => value <= limit,
            Self::AtLeast => value >= limit,
            Self::Less => value < limit,
            Self::Greater => value > limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stick::data::Column;
    use crate::stick::table::{ServerKey, Settings};
    use crate::stick::tracked::Tracked;

    fn table(name: &str, kind: KeyType, columns: &[Column]) -> Arc<Table> {
        Table::new(Settings {
            name: name.to_owned(),
            kind,
            size: 3,
            expire_ms: Some(60_000),
            nopurge: true,
            server_key: ServerKey::Name,
            columns: columns.to_vec(),
        })
    }

    fn rate(kind: DataType, elements: u8) -> Column {
        Column { kind, elements, period_ms: 5_000 }
    }

    fn tables() -> Vec<Arc<Table>> {
        let arrays = [Column { elements: 2, ..Column::plain(DataType::Gpt) }, rate(DataType::GpcRate, 2)];
        let server = [Column::plain(DataType::ServerKey), Column::plain(DataType::ServerId)];
        let ip = [rate(DataType::Gpc0Rate, 1), Column::plain(DataType::ConnCur), Column::plain(DataType::Gpc0)];
        vec![
            table("fe", KeyType::Ip, &ip),
            table("s", KeyType::Text(8), &[arrays, server].concat()),
            table("b", KeyType::Bytes(4), &[]),
            table("i", KeyType::Integer, &[]),
        ]
    }

    fn answer(tables: &[Arc<Table>], line: &str, operator: bool) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let verb = match words[0] {
            "show" => Verb::Show,
            "clear" => Verb::Clear,
            _ => Verb::Set,
        };
        let mut out = String::new();
        Command { verb, words: &words[2..], operator, now_ms: 10_000 }.run(tables, &mut out);
        // Where an entry is in memory is nothing to compare.
        let without = |line: &str| match line.split_once(": key=") {
            Some((_, rest)) => format!("0x: key={rest}\n"),
            None => format!("{line}\n"),
        };
        out.lines().map(without).collect()
    }

    const HEAD: &str = "# table: fe, type: ip, size:3, used:";

    #[test]
    fn entries_are_set_shown_and_cleared() {
        let tables = tables();
        let answers = |line: &str| answer(&tables, line, true);
        assert_eq!(answers("set table fe key 10.0.0.2 data.gpc0 5 data.gpc0_rate 7"), "");
        assert_eq!(answers("set table fe key 9.0.0.1 data.gpc0 -1"), "");
        let (one, two) = (
            "0x: key=9.0.0.1 use=0 exp=60000 gpc0=4294967295 gpc0_rate(5000)=0 conn_cur=0\n",
            "0x: key=10.0.0.2 use=0 exp=60000 gpc0=5 gpc0_rate(5000)=7 conn_cur=0\n",
        );
        assert_eq!(answers("show table fe"), format!("{HEAD}2\n{one}{two}"));
        assert_eq!(answers("show table fe key 9.0.0.1"), format!("{HEAD}2\n{one}"));
        assert_eq!(answers("show table fe key 9.0.0.2"), "");
        assert_eq!(answers("show table fe data.gpc0 gt 4 data.gpc0_rate lt 7"), format!("{HEAD}2\n{one}"));
        assert_eq!(answers("show table fe data.gpc0 gt 99999999999"), format!("{HEAD}2\n"));
        assert_eq!(answers("set table fe key 9.0.0.3"), "");
        assert_eq!(answers("set table fe key 9.0.0.4"), "Unable to allocate a new entry\n");
        assert_eq!(answers("clear table fe data.gpc0 eq 5"), "");
        assert_eq!(answers("clear table fe key 9.0.0.3"), "");
        assert_eq!(answers("show table fe"), format!("{HEAD}1\n{one}"));
        assert_eq!(answers("clear table fe"), "");
        assert_eq!(answers("show table fe"), format!("{HEAD}0\n"));
        assert_eq!(answers("set table fe key 9.0.0.3"), "");
        assert_eq!(answers("set table fe"), "", "it is emptied");
        assert_eq!(answers("show table fe"), format!("{HEAD}0\n"));
    }

    #[test]
    fn all_forms_of_data() {
        let tables = tables();
        answer(&tables, "set table s key a=b data.gpt 4 data.gpc_rate 3 data.server_id 2", true);
        let expected = "# table: s, type: string, size:3, used:1\n0x: key=a\\=b use=0 exp=60000 server_id=2 server_key=- \
                        gpt0=4 gpt1=0 gpc0_rate(5000)=3 gpc1_rate(5000)=0\n";
        assert_eq!(answer(&tables, "show table s", true), expected);
        let list = "# table: i, type: integer, size:3, used:0\n# table: b, type: binary, size:3, used:0\n\
                    # table: s, type: string, size:3, used:1\n# table: fe, type: ip, size:3, used:0\n";
        assert_eq!(answer(&tables, "show table", false), list);
    }

    #[test]
    fn what_is_tracked_stays() {
        let tables = tables();
        let key = Key::Ip([1, 2, 3, 4].into());
        let tracked = Tracked::begin(&tables[0], &key, 10_000);
        assert_eq!(answer(&tables, "clear table fe key 1.2.3.4", true), "Entry currently in use, cannot remove\n");
        assert_eq!(answer(&tables, "clear table fe", true), "");
        let line = "0x: key=1.2.3.4 use=1 exp=60000 gpc0=0 gpc0_rate(5000)=0 conn_cur=1\n";
        assert_eq!(answer(&tables, "show table fe", true), format!("{HEAD}1\n{line}"));
        drop(tracked);
        assert_eq!(answer(&tables, "clear table fe key 1.2.3.4", true), "");
        assert_eq!(answer(&tables, "show table fe", true), format!("{HEAD}0\n"));
    }

    #[test]
    fn mistakes_are_answered_as_haproxy_answers_them() {
        let tables = tables();
        for (line, expected) in [
            ("show table x", "No such table"),
            (
                "show table fe x",
                "Optional argument only supports \"data.<store_data_type>\" <operator> <value> and key <key>",
            ),
            ("show table fe key", "Key value expected"),
            ("show table fe key x", "Invalid key"),
            ("show table i key 5x", "Invalid key"),
            (
                "show table b key x",
                "Showing keys from tables of type other than ip, ipv6, string and integer is not supported",
            ),
            ("show table fe data.x gt 0", "Filter entry #1: Unknown data type"),
            ("show table fe data.gpc1 gt 0", "Filter entry #1: Data type not stored in this table"),
            (
                "show table fe data.gpc0 xx 0",
                "Filter entry #1: Require and operator among \"eq\", \"ne\", \"le\", \"ge\", \"lt\", \"gt\"",
            ),
            ("show table fe data.gpc0 gt", "Filter entry #1: Require a valid integer value to compare against"),
            ("show table fe data.gpc0 gt 3x", "Filter entry #1: Require a valid integer value to compare against"),
            ("show table fe data.gpc0 gt 3 x", "Filter entry #2: Unknown data type"),
            (
                "show table fe data.gpc0 gt 1 data.gpc0 lt 5 data.gpc0 ne 3 data.gpc0 ne 2 data.gpc0 ne 9",
                "Detected extra data in filter, 16th word of input, after '2'",
            ),
            (
                "clear table",
                "Required arguments: <table> \"data.<store_data_type>\" <operator> <value> or <table> key <key>",
            ),
            (
                "clear table fe x",
                "Required arguments: <table> \"data.<store_data_type>\" <operator> <value> or <table> key <key>",
            ),
            (
                "clear table b key x",
                "Removing keys from tables of type other than ip, ipv6, string and integer is not supported",
            ),
            ("set table", "Required arguments: <table> key <key> [data.<store_data_type> <value>]*"),
            ("set table fe key", "Key value expected"),
            ("set table fe key 1.1.1.1 gpc0 5", "\"data.<type>\" followed by a value expected"),
            ("set table fe key 1.1.1.1 data.gpc0 7 key", "\"data.<type>\" followed by a value expected"),
            ("set table fe key 1.1.1.1 data.x 7", "Unknown data type"),
            ("set table fe key 1.1.1.1 data.gpc1 7", "Data type not stored in this table"),
            ("set table fe key 1.1.1.1 data.gpc0", "Require a valid integer value to store"),
            (
                "set table fe data.gpc0 5",
                "content-based lookup is only supported with the \"show\" and \"clear\" actions",
            ),
        ] {
            assert_eq!(answer(&tables, line, true), format!("{expected}\n"), "{line}");
        }
    }

    #[test]
    fn users_see_no_entries_and_change_none() {
        let tables = tables();
        answer(&tables, "set table fe key 1.1.1.1", true);
        for (line, expected) in [
            (
                "show table fe",
                "# table: fe, type: ip, size:3, used:1\n# contents not dumped due to insufficient privileges\n",
            ),
            ("show table fe key 1.1.1.1", "Permission denied\n"),
            ("clear table fe", ""),
            ("clear table fe key 1.1.1.1", "Permission denied\n"),
            ("set table fe key 1.1.1.1 data.gpc0 3", "Permission denied\n"),
            ("set table fe key", "Key value expected\n"),
            ("set table i key x", "Invalid key\n"),
            ("set table fe", ""),
        ] {
            assert_eq!(answer(&tables, line, false), expected, "{line}");
        }
        assert_eq!(tables[0].used(10_000), 1);
    }
}
