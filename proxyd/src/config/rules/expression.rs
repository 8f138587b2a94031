//! Sample expressions: a fetch and its converters, checked and compiled.

use super::arguments::{Arguments, Inside, Problem, problem};
use super::report::{self, code};
use super::{Lowering, converter, fetch, table};
use crate::log::ring::BUILT_IN;
use crate::proxy::settings::Mode;
use crate::sample;
use crate::sample::convert::Made;
use crate::sample::convert::condition::{Debug, Fact, When};
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::haproxy::expr::{Call, Expression};
use shared_config::haproxy::keyword::{
    CONVERTERS, ConverterRow, FETCHES, FetchPlaces, FetchRow, SampleType, Support, find_converter, find_fetch,
};
use shared_config::words::Word;

/// A checked expression.
pub(super) struct Lowered {
    /// The compiled form; `None` where a part does not work yet, which has been reported.
    pub expression: Option<sample::Expression>,
    /// The type of the sample at the end.
    pub output: SampleType,
    /// Where the fetch can be taken.
    pub places: FetchPlaces,
}

/// The fetches that look at the raw bytes of a connection, which a proxy in `mode http` does not show.
pub(super) const LAYER_6: [&str; 30] = [
    "payload",
    "payload_lv",
    "rdp_cookie",
    "rdp_cookie_cnt",
    "rep_ssl_hello_type",
    "req.len",
    "req.payload",
    "req.payload_lv",
    "req.rdp_cookie",
    "req.rdp_cookie_cnt",
    "req.ssl_alpn",
    "req.ssl_ec_ext",
    "req.ssl_hello_type",
    "req.ssl_sni",
    "req.ssl_st_ext",
    "req.ssl_ver",
    "req_len",
    "req_rdp_cookie",
    "req_rdp_cookie_cnt",
    "req_ssl_hello_type",
    "req_ssl_sni",
    "req_ssl_ver",
    "res.len",
    "res.payload",
    "res.payload_lv",
    "res.ssl_hello_type",
    "req.ssl_cipherlist",
    "req.ssl_keyshare_groups",
    "req.ssl_sigalgs",
    "req.ssl_supported_groups",
];

/// How messages name the parts of an expression.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    /// Inside an ACL.
    Acl,
    /// Anywhere else.
    Sample,
}

impl Lowering<'_> {
    /// Checks and compiles. The first problem is returned without haproxy's words in front of it; what is only not there
    /// yet is reported here. `fetch_name`: what is fetched, where the written name is an ACL derivative.
    pub(super) fn expression(
        &mut self,
        written: &Expression,
        fetch_name: &str,
        voice: Voice,
    ) -> Result<Lowered, Problem> {
        let call = &written.fetch;
        let Some(row) = find_fetch(fetch_name) else {
            if let Some(scripted) = self.scripted(call) {
                return Ok(scripted);
            }
            let known = shared_config::suggest::nearest(fetch_name, FETCHES.iter().map(|row| row.name));
            let mut unknown = problem(format!("unknown fetch method '{fetch_name}'"), call.name.span);
            unknown.help = known.map(|known| format!("did you mean `{known}`?"));
            return Err(unknown);
        };
        let fetch = self.fetch(call, row, voice)?;
        let mut output = row.output;
        let mut converters = Some(Vec::new());
        for call in &written.converters {
            let Some(row) = find_converter(&call.name.text) else {
                if self.scripted(call).is_some() {
                    (converters, output) = (None, SampleType::Any);
                    continue;
                }
                let known = shared_config::suggest::nearest(&call.name.text, CONVERTERS.iter().map(|row| row.name));
                let mut unknown = problem(format!("unknown converter '{}'", call.name.text), call.name.span);
                unknown.help = known.map(|known| format!("did you mean `{known}`?"));
                return Err(unknown);
            };
            if !output.casts_to(row.input) {
                return Err(problem(format!("converter '{}' cannot be applied", row.name), call.span));
            }
            let lowered = self.converter(call, row, voice, &written.fetch)?;
            converters = converters.zip(lowered).map(|(mut list, converter)| {
                list.push(converter);
                list
            });
            output = if row.output == SampleType::Same { output } else { row.output };
        }
        let expression = fetch
            .zip(converters)
            .map(|(fetch, converters)| sample::Expression { fetch, converters: converters.into() });
        Ok(Lowered { expression, output, places: row.places })
    }

    /// A converter of the samples of `fetched`; `None` where it does not work, which has been reported.
    fn converter(
        &mut self,
        call: &Call,
        row: &'static ConverterRow,
        voice: Voice,
        fetched: &Call,
    ) -> Result<Option<sample::Converter>, Problem> {
        let arguments = Arguments::check(call, row.args).map_err(|misfit| {
            let (position, inner) = (misfit.position, misfit.problem);
            let message = format!("invalid arg {position} in converter '{}' : {}", row.name, inner.message);
            Problem { message, ..inner }
        })?;
        let invalid = |inner| invalid_converter(call, inner);
        let lowered = match (row.support, row.name) {
            (Support::NoEffect | Support::Unsupported, _) => None,
            (Support::Works, "when") => return self.when(&arguments).map_err(invalid),
            (Support::Works, "debug") => Some(sample::Converter::Made(self.debug(&arguments).map_err(invalid)?)),
            (Support::Works, name) if name.starts_with("map") => {
                self.map(name, &arguments).map_err(invalid)?.map(sample::Converter::Made)
            }
            (Support::Works, name) if name == "in_table" || name.starts_with("table_") => {
                let inside = Inside {
                    call: format!("conversion keyword '{name}' for {}", kind_of(voice, fetched)),
                    section: self.section.name,
                };
                match table::converter(row, &arguments, self.names, &inside) {
                    Ok(made) => made.map(sample::Converter::Made),
                    Err(missing) => {
                        self.missing_name(missing);
                        return Ok(None);
                    }
                }
            }
            (Support::Works, _) => converter::lower(row, &arguments, self.names).map_err(invalid)?,
        };
        if lowered.is_none() {
            report::unsupported(self.out, &format!("converter {}", row.name), call.span);
        }
        Ok(lowered)
    }

    fn fetch(&mut self, call: &Call, row: &'static FetchRow, voice: Voice) -> Result<Option<sample::Fetch>, Problem> {
        let arguments = Arguments::check(call, row.args).map_err(|misfit| {
            let inner = misfit.problem;
            let message = format!("fetch method '{}' : {}", call.name.text, inner.message);
            Problem { message, ..inner }
        })?;
        let inside = Inside { call: kind_of(voice, call), section: self.section.name };
        if self.section.mode == Mode::Http && voice == Voice::Acl && LAYER_6.contains(&row.name) {
            let message = format!("Proxy '{}': L6 sample fetches ignored on HTTP proxies.", self.section.name);
            self.out.push(
                Diagnostic::warning(code::NEVER_MATCHES, call.span, message)
                    .whole_file()
                    .label("the raw bytes of a connection that carries HTTP are not looked at"),
            );
            return Ok(Some(sample::Fetch::Never));
        }
        if row.name == "acl" {
            return Ok(self.acls(call, &inside.call));
        }
        let fetch = match row.support {
            Support::Works => match fetch::lower(row, &arguments, self.names, &inside) {
                Ok(fetch) => fetch,
                Err(fetch::Failure::Arguments(inner)) => {
                    let message = format!("invalid args in fetch method '{}' : {}", call.name.text, inner.message);
                    return Err(Problem { message, ..inner });
                }
                Err(fetch::Failure::Name(missing)) => {
                    self.missing_name(missing);
                    return Ok(None);
                }
            },
            Support::NoEffect | Support::Unsupported => None,
        };
        if fetch.is_none() {
            report::unsupported(self.out, &format!("sample fetch {}", row.name), call.span);
        }
        Ok(fetch)
    }

    /// `acl(NAME[,NAME…])`: the tests as they are known by now.
    fn acls(&mut self, call: &Call, what: &str) -> Option<sample::Fetch> {
        let mut all = Vec::new();
        for word in call.arguments.iter().flatten() {
            let name = word.text.trim_start_matches('!');
            let negated = (word.text.len() - name.len()) % 2 == 1;
            let named = Word::plain(name.to_owned(), word.span);
            let declared = self.named_acl(&named, &format!("{what}: "))?;
            let acl = self.rules.acls.get(declared.index?.0)?;
            all.push((negated, acl.tests.clone().into()));
        }
        Some(sample::Fetch::Acls(all.into()))
    }

    /// `when([!]CONDITION[,ACL])`
    fn when(&mut self, arguments: &Arguments<'_>) -> Result<Option<sample::Converter>, Problem> {
        let condition = arguments.word(0).map_or("", |word| word.as_str());
        let name = condition.strip_prefix('!').unwrap_or(condition);
        let mut negated = name.len() < condition.len();
        let fact = if name == "acl" {
            let Some(word) = arguments.word(1) else {
                return Err(problem("'acl' expects the name of an ACL", arguments.span()));
            };
            let acl = word.text.trim_start_matches('!');
            negated ^= (word.text.len() - acl.len()) % 2 == 1;
            let named = Word::plain(acl.to_owned(), word.span);
            // One that does not exist has been told.
            let declared = self.named_acl(&named, "converter 'when': ").and_then(|declared| declared.index);
            let Some(known) = declared.and_then(|index| self.rules.acls.get(index.0)) else { return Ok(None) };
            Fact::Acl(known.tests.clone().into())
        } else {
            let unknown = || {
                let known = "'error', 'forwarded', 'normal', 'processed', 'stopping', 'toapplet' or 'acl'";
                problem(format!("unknown condition '{name}', expects {known}"), arguments.span())
            };
            Fact::named(name).ok_or_else(unknown)?
        };
        Ok(Some(sample::Converter::Made(Made::When(Box::new(When { negated, fact })))))
    }

    /// `debug([PREFIX][,SINK])`
    fn debug(&self, arguments: &Arguments<'_>) -> Result<Made, Problem> {
        let sink = arguments.word(1).map_or(BUILT_IN, |word| word.as_str());
        if !self.names.sinks.contains(sink) {
            return Err(problem(format!("No such sink '{sink}'"), arguments.span()));
        }
        let prefix = arguments.bytes(0).unwrap_or_default();
        Ok(Made::Debug(Box::new(Debug { prefix, sink: sink.into() })))
    }

    fn missing_name(&mut self, missing: Problem) {
        let error = Diagnostic::error(code::UNKNOWN_NAME, missing.span, missing.message);
        self.out.push(error.place(Place::ParsingLine));
    }

    /// `lua.NAME`: known only to the script.
    fn scripted(&mut self, call: &Call) -> Option<Lowered> {
        if !call.name.text.starts_with("lua.") {
            return None;
        }
        report::unsupported(self.out, &call.name.text, call.span);
        Some(Lowered { expression: None, output: SampleType::Any, places: FetchPlaces::all() })
    }
}

/// How messages about names name the fetch.
fn kind_of(voice: Voice, call: &Call) -> String {
    let kind = match voice {
        Voice::Acl => "ACL keyword",
        Voice::Sample => "sample fetch keyword",
    };
    format!("{kind} '{}'", call.name.text)
}

fn invalid_converter(call: &Call, inner: Problem) -> Problem {
    Problem { message: format!("invalid args in converter '{}' : {}", call.name.text, inner.message), ..inner }
}
