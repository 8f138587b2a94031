//! What stick tables are asked and told: `sc_*` and `src_*`, `table_*`, `track-sc*`, `sc-inc-gpc*` and their kin.

use super::arguments::{Arguments, Inside, Problem, problem};
use super::expression::Voice;
use super::http_action::RuleAt;
use super::names::Names;
use super::report::code;
use super::{Lowering, is_condition};
use crate::rules::effect::{Amount, Effect};
use crate::sample::Fetch;
use crate::sample::convert::Made;
use crate::sample::convert::table::Wanted;
use crate::sample::fetch::counter::CounterFetch;
use crate::stick::DataType;
use crate::stick::ask::{Ask, Gpc, Gpt};
use crate::stick::data::ARRAY_MAX;
use shared_config::diagnostic::Diagnostic;
use shared_config::haproxy::expr;
use shared_config::haproxy::keyword::ConverterRow;
use shared_config::source::Span;
use shared_config::words::{Word, Words};

/// The fetch of that name; `None` where it is none of these.
pub(super) fn fetch(
    name: &str,
    arguments: &Arguments<'_>,
    names: &Names,
    inside: &Inside<'_>,
) -> Result<Option<Fetch>, Problem> {
    match name {
        "table_cnt" => return Ok(Some(Fetch::Counter(CounterFetch::Used(arguments.table(0, names, inside)?)))),
        "table_avl" => return Ok(Some(Fetch::Counter(CounterFetch::Available(arguments.table(0, names, inside)?)))),
        _ => {}
    }
    let Some((prefix, what)) = name.split_once('_') else { return Ok(None) };
    let number = match prefix {
        "src" => None,
        "sc" => Some(None),
        "sc0" => Some(Some(0)),
        "sc1" => Some(Some(1)),
        "sc2" => Some(Some(2)),
        _ => return Ok(None),
    };
    // An array's element stands first, then the counter's number where the name does not have it, then the table.
    let element = matches!(what, "get_gpc" | "get_gpt" | "gpc_rate" | "inc_gpc" | "clr_gpc");
    let index = u8::try_from(arguments.integer(0).unwrap_or(0)).unwrap_or(u8::MAX);
    let mut at = usize::from(element);
    let Some(number) = number else {
        let Some(ask) = ask(what, index) else { return Ok(None) };
        let table = arguments.table(at, names, inside)?;
        return Ok(Some(Fetch::Counter(CounterFetch::Source { table, ask })));
    };
    let number = number.unwrap_or_else(|| {
        at += 1;
        // A number beyond those that are there tracks nothing.
        u8::try_from(arguments.integer(at - 1).unwrap_or(0)).unwrap_or(u8::MAX)
    });
    let table = arguments.word(at).map(|_| arguments.table(at, names, inside)).transpose()?;
    Ok(Some(Fetch::Counter(match what {
        "tracked" => CounterFetch::IsTracked(number),
        "trackers" => CounterFetch::Trackers(number, table),
        "key" => CounterFetch::Key(number),
        _ => match ask(what, index) {
            Some(ask) => CounterFetch::Tracked { number, table, ask },
            None => return Ok(None),
        },
    })))
}

/// What is asked, by the name without `sc_`, `src_` or `table_`.
fn ask(name: &str, index: u8) -> Option<Ask> {
    Some(match name {
        "get_gpc0" | "gpc0" => Ask::Count(Gpc::Zero),
        "get_gpc1" | "gpc1" => Ask::Count(Gpc::One),
        "get_gpc" | "gpc" => Ask::Count(Gpc::Element(index)),
        "gpc0_rate" => Ask::CountRate(Gpc::Zero),
        "gpc1_rate" => Ask::CountRate(Gpc::One),
        "gpc_rate" => Ask::CountRate(Gpc::Element(index)),
        "inc_gpc0" => Ask::Increment(Gpc::Zero),
        "inc_gpc1" => Ask::Increment(Gpc::One),
        "inc_gpc" => Ask::Increment(Gpc::Element(index)),
        "clr_gpc0" => Ask::Clear(Gpc::Zero),
        "clr_gpc1" => Ask::Clear(Gpc::One),
        "clr_gpc" => Ask::Clear(Gpc::Element(index)),
        "get_gpt0" | "gpt0" => Ask::Tag(Gpt::Zero),
        "get_gpt" | "gpt" => Ask::Tag(Gpt::Element(index)),
        "kbytes_in" => Ask::Kilobytes(DataType::BytesInCnt),
        "kbytes_out" => Ask::Kilobytes(DataType::BytesOutCnt),
        "updt_conn_cnt" => Ask::CountConnection,
        "bytes_in_rate" | "bytes_out_rate" | "conn_cnt" | "conn_cur" | "conn_rate" | "glitch_cnt" | "glitch_rate"
        | "http_err_cnt" | "http_err_rate" | "http_fail_cnt" | "http_fail_rate" | "http_req_cnt" | "http_req_rate"
        | "server_id" | "sess_cnt" | "sess_rate" => Ask::Value(DataType::from_name(name)?),
        _ => return None,
    })
}

/// The converter of a row that is one of these.
pub(super) fn converter(
    row: &ConverterRow,
    arguments: &Arguments<'_>,
    names: &Names,
    inside: &Inside<'_>,
) -> Result<Option<Made>, Problem> {
    let what = row.name.strip_prefix("table_").unwrap_or(row.name);
    let element = matches!(what, "gpc" | "gpt" | "gpc_rate" | "inc_gpc" | "clr_gpc");
    let index = u8::try_from(arguments.integer(0).unwrap_or(0)).unwrap_or(u8::MAX);
    let wanted = match what {
        "in_table" => Wanted::Presence,
        "trackers" => Wanted::Trackers,
        "expire" => Wanted::Expires(arguments.integer(1)),
        "idle" => Wanted::Idle(arguments.integer(1)),
        what => match ask(what, index) {
            Some(ask) => Wanted::Answer(ask),
            None => return Ok(None),
        },
    };
    Ok(Some(Made::Table(arguments.table(element.into(), names, inside)?, wanted)))
}

/// `Ok(None)`: it does not work, which has been reported.
type Parsed<A> = Result<Option<A>, Problem>;

impl Lowering<'_> {
    /// `track-sc0 KEY [table TABLE]`
    pub(super) fn track(&mut self, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<Effect> {
        let digits = at.word.text.strip_prefix("track-sc").unwrap_or_default();
        let most = self.last_counter(at.word)?;
        let number = match digits.parse::<u64>().map(u8::try_from) {
            Ok(Ok(number)) if number <= most => number,
            Ok(_) => {
                let message = format!("{digits} track-sc number exceeding {most} (MAX_SESS_STKCTR-1) value");
                return Err(problem(message, at.word.span));
            }
            Err(_) => return Err(problem(format!("Wrong track-sc number '{digits}'"), at.word.span)),
        };
        let written = expr::parse(words)?;
        let lowered = self.expression(&written, &written.fetch.name.text, Voice::Sample)?;
        if !lowered.places.intersects(at.places) {
            let message = format!(
                "fetch method '{}' extracts information from '{}', none of which is available here",
                super::text::word_of(&written),
                super::text::needs(lowered.places)
            );
            return Err(problem(message, written.span));
        }
        let named = match words.take("table") {
            None => None,
            Some(_) => match words.next() {
                Some(name) => Some(name),
                None => return Err(problem("missing table name", words.here())),
            },
        };
        let (name, span) = named.map_or((self.section.name, at.word.span), |name| (name.as_str(), name.span));
        let Some(table) = self.names.tables.get(name).copied() else {
            let message = format!("unable to find table '{name}' referenced by {}.", at.word.text);
            self.whole_file(code::UNKNOWN_NAME, span, &message);
            return Ok(None);
        };
        if !table.takes(lowered.output) {
            let message = format!("stick-table '{name}' uses a type incompatible with the '{}' rule.", at.word.text);
            self.whole_file(code::BAD_EXPRESSION, written.span, &message);
            return Ok(None);
        }
        Ok(lowered.expression.map(|key| Effect::Track { number, table: table.id, key }))
    }

    fn whole_file(&mut self, code: &'static str, at: Span, message: &str) {
        let message = format!("Proxy '{}': {message}", self.section.name);
        self.out.push(Diagnostic::error(code, at, message).whole_file());
    }

    /// `sc-inc-gpc0(COUNTER)`, `sc-inc-gpc(ELEMENT,COUNTER)`, `sc-add-gpc(ELEMENT,COUNTER) AMOUNT`
    pub(super) fn count_up(&mut self, name: &str, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<Effect> {
        let (gpc, number) = match name {
            "sc-inc-gpc0" => (Gpc::Zero, self.counter(name, at.word)?),
            "sc-inc-gpc1" => (Gpc::One, self.counter(name, at.word)?),
            _ => {
                let (element, number) = self.element(name, "GPC", at.word)?;
                (Gpc::Element(element), number)
            }
        };
        let amount = if name == "sc-add-gpc" { self.amount(at, words)? } else { Some(Amount::Fixed(1)) };
        Ok(amount.map(|amount| Effect::CountUp { number, gpc, amount }))
    }

    /// `sc-set-gpt0(COUNTER) VALUE`, `sc-set-gpt(ELEMENT,COUNTER) VALUE`
    pub(super) fn set_tag(&mut self, name: &str, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<Effect> {
        let (gpt, number) = if name == "sc-set-gpt0" {
            (Gpt::Zero, self.counter(name, at.word)?)
        } else {
            let (element, number) = self.element(name, "GPT", at.word)?;
            (Gpt::Element(element), number)
        };
        Ok(self.amount(at, words)?.map(|value| Effect::SetTag { number, gpt, value }))
    }

    /// The counter in parentheses; the first where there are none.
    fn counter(&self, name: &str, word: &Word) -> Result<u8, Problem> {
        let Some((_, rest)) = word.text.split_once('(') else { return Ok(0) };
        let digits = rest.strip_suffix(')').unwrap_or(rest);
        if digits.is_empty() {
            return Ok(0);
        }
        let Ok(number) = digits.parse::<u64>() else {
            return Err(problem(format!("invalid stick table track ID. Expects {name}(<Track ID>)"), word.span));
        };
        let shown = if name.starts_with("sc-set") { format!(" '{}'", word.text) } else { String::new() };
        self.number(number, word, &shown)
    }

    /// The array's element and the counter in parentheses.
    fn element(&self, name: &str, array: &str, word: &Word) -> Result<(u8, u8), Problem> {
        let expects = format!("Expects {name}(<{array} ID>,<Track ID>)");
        let wrong = |what: String| Err(problem(what, word.span));
        let inside = word.text.split_once('(').map_or("", |(_, rest)| rest);
        let (element, counter) = inside.split_once(',').unwrap_or(("", ""));
        if element.is_empty() {
            return wrong(format!("Missing {} ID '{}'. {expects}", array.to_lowercase(), word.text));
        }
        let Ok(element) = element.parse::<u64>() else {
            return wrong(format!("invalid {} ID '{}'. {expects}", array.to_lowercase(), word.text));
        };
        let Some(Ok(counter)) = counter.strip_suffix(')').map(str::parse::<u64>) else {
            return wrong(format!("invalid stick table track ID '{}'. {expects}", word.text));
        };
        let counter = self.number(counter, word, &format!(" '{}'", word.text))?;
        // An element that no array has is never there.
        Ok((u8::try_from(element).unwrap_or(ARRAY_MAX), counter))
    }

    /// The number of the last counter.
    fn last_counter(&self, word: &Word) -> Result<u8, Problem> {
        self.names.last_counter().ok_or_else(|| problem("there are no counters ('tune.stick-counters 0')", word.span))
    }

    fn number(&self, number: u64, word: &Word, shown: &str) -> Result<u8, Problem> {
        let most = self.last_counter(word)?;
        u8::try_from(number).ok().filter(|number| *number <= most).ok_or_else(|| {
            problem(format!("invalid stick table track ID{shown}. The max allowed ID is {most}"), word.span)
        })
    }

    /// A number as it is written, or a sample.
    fn amount(&mut self, at: &RuleAt<'_>, words: &mut Words<'_>) -> Parsed<Amount> {
        let Some(word) = words.peek().filter(|word| !is_condition(word)) else {
            return Ok(Some(Amount::Fixed(0)));
        };
        if let Ok(number) = word.text.parse() {
            words.next();
            return Ok(Some(Amount::Fixed(number)));
        }
        Ok(self.rule_expression(at, words)?.map(Amount::Sample))
    }
}
