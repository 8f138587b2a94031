//! What a frontend writes by a format: its log line, the ids of its requests.

use super::super::draft::{FormatDraft, Section};
use super::super::model::{LogFormat, Mode};
use super::super::rules::{self, Names};
use super::Completion;
use crate::ids::FrontendId;
use crate::log::format::Program;
use crate::sample::Expression;
use crate::sample::text::Text;
use shared_config::diagnostic::Diagnostics;
use shared_config::words::Word;

/// Compiles the format in a word.
type Compile<T> = fn(&rules::Section<'_>, &Word, &Names, &mut Diagnostics) -> Option<T>;

impl Completion<'_> {
    /// haproxy logs an HTTP line of a TCP section as a TCP line.
    pub(super) fn log_format(&mut self, section: &Section, own: FrontendId) -> LogFormat {
        let Some(format) = &section.settings.log_format else { return LogFormat::Connect };
        let is_http = section.mode() == Mode::Http;
        match &format.value {
            FormatDraft::Http if is_http => LogFormat::Http,
            FormatDraft::HttpClf if is_http => LogFormat::HttpClf,
            FormatDraft::Https if is_http => LogFormat::Https,
            FormatDraft::TcpClf => LogFormat::TcpClf,
            FormatDraft::Tcp | FormatDraft::Http | FormatDraft::HttpClf | FormatDraft::Https => LogFormat::Tcp,
            FormatDraft::Custom(word) => {
                let program = self.format(section, own, word, |at, word, names, out| {
                    rules::log_format(at, "log-format", word, names, out)
                });
                // Where it is wrong, the model is not run.
                program.map_or(LogFormat::Connect, LogFormat::Custom)
            }
        }
    }

    /// `log-format-sd`
    pub(super) fn log_structured(&mut self, section: &Section, own: FrontendId) -> Option<Program<Expression>> {
        let word = section.settings.log_structured.as_ref()?;
        self.format(section, own, word, |at, word, names, out| rules::log_format(at, "log-format-sd", word, names, out))
    }

    /// `error-log-format`
    pub(super) fn error_log_format(&mut self, section: &Section, own: FrontendId) -> Option<Program<Expression>> {
        let word = section.settings.error_log_format.as_ref()?;
        self.format(section, own, word, |at, word, names, out| {
            rules::log_format(at, "error-log-format", word, names, out)
        })
    }

    /// A format of a frontend, compiled; what is wrong with one that `defaults` gives to several is said once.
    fn format<T>(&mut self, section: &Section, own: FrontendId, word: &Word, compile: Compile<T>) -> Option<T> {
        let place = rules::Section {
            kind: section.kind,
            name: &section.name,
            mode: section.mode(),
            frontend: Some(own),
            backend: None,
            request_captures: section.capture_request.len(),
            response_captures: section.capture_response.len(),
        };
        let mut found = Diagnostics::new();
        let compiled = compile(&place, word, self.names, &mut found);
        if self.formats.insert(word.span) {
            self.out.extend(found);
        }
        compiled
    }

    /// `unique-id-format`
    pub(super) fn unique_id_format(&mut self, section: &Section, own: FrontendId) -> Option<Text> {
        let word = section.settings.unique_id_format.as_ref()?;
        self.format(section, own, word, rules::unique_id_format)
    }
}
