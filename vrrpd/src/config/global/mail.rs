//! The words about mail, and two of our own: `smtp_tls` and `smtp_auth`.

use super::super::Lowering;
use super::super::model::Smtp;
use crate::notify::mail::{Login, Security, Trust};
use shared_config::diagnostic::Diagnostic;
use shared_config::keepalived::ast::Statement;
use std::path::PathBuf;

impl Lowering<'_> {
    /// Takes a word about mail; false if it is none.
    pub(super) fn mail_word(&mut self, statement: &Statement, smtp: &mut Smtp) -> bool {
        match statement.name() {
            "notification_email" => {
                let words = statement.statements().iter().flat_map(|line| &line.words);
                smtp.to.extend(words.map(|word| word.as_str().to_owned()));
                if smtp.to.is_empty() {
                    self.warn("empty-group", statement.span, "Warning - empty notification_email block");
                }
            }
            "smtp_server" => {
                let Some(host) = statement.argument(1) else { return true };
                let port = statement.argument(2).map_or(Some(25), |port| {
                    let consequence = format!("Invalid smtp server {} {}", host.text, port.text);
                    self.integer(port, 1..=65_535, &consequence).and_then(|n| u16::try_from(n).ok())
                });
                smtp.server = port.map(|port| (host.as_str().to_owned(), port));
            }
            "smtp_tls" => {
                if let Some(security) = self.smtp_tls(statement) {
                    smtp.security = security;
                }
            }
            "smtp_auth" => {
                if let (Some(user), Some(password)) = (statement.argument(1), statement.argument(2)) {
                    let [user, password] = [user, password].map(|word| word.as_str().to_owned());
                    smtp.login = Some(Login { user, password });
                }
            }
            _ => return false,
        }
        true
    }

    /// `smtp_tls off|starttls|on [ca FILE] [no_verify]`, a word of ours.
    fn smtp_tls(&mut self, statement: &Statement) -> Option<Security> {
        let mode = statement.argument(1)?;
        let mut trust = Trust::System;
        let mut words = statement.words.get(2..).unwrap_or_default().iter();
        while let Some(word) = words.next() {
            match (word.as_str(), words.as_slice().first()) {
                ("ca", Some(file)) => {
                    trust = Trust::File(PathBuf::from(file.as_str()));
                    words.next();
                }
                ("no_verify", _) => trust = Trust::Any,
                (_, _) => {
                    let message = format!("unknown smtp_tls option {} - ignoring", word.text);
                    let help = "known are `ca FILE` and `no_verify`";
                    self.report(Diagnostic::warning("unknown-option", word.span, message).help(help));
                }
            }
        }
        match mode.as_str() {
            "off" => Some(Security::None),
            "starttls" => Some(Security::StartTls(trust)),
            "on" => Some(Security::Tls(trust)),
            other => {
                let message = format!("unknown smtp_tls mode {other}, mail is not sent in the clear instead");
                let help = "write `smtp_tls starttls`, `smtp_tls on` or `smtp_tls off`";
                self.report(Diagnostic::error("unknown-option", mode.span, message).help(help));
                None
            }
        }
    }

    /// A password is sent to whom it is meant for, or not at all.
    pub(super) fn check_mail(&mut self, blocks: &[&Statement], smtp: &mut Smtp) {
        if smtp.login.is_some() && smtp.security == Security::None {
            smtp.login = None;
            let mut statements = blocks.iter().flat_map(|block| block.statements());
            if let Some(statement) = statements.find(|statement| statement.name() == "smtp_auth") {
                let message = "smtp_auth without smtp_tls would send the password in the clear - ignoring";
                let help = "add `smtp_tls starttls` or `smtp_tls on`";
                self.report(Diagnostic::warning("insecure", statement.span, message).help(help));
            }
        }
    }
}
