//! The mail of `smtp_alert`: keepalived's subjects and texts, since filters and people know them.

use super::{Event, Notice, Subject};
use std::path::PathBuf;
use std::time::Duration;

/// Where mail goes, and from whom.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// `smtp_server`: name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// `smtp_helo_name`.
    pub helo_name: String,
    /// `smtp_connect_timeout`: for the connection, and then for each reply.
    pub timeout: Duration,
    /// `notification_email_from`.
    pub from: String,
    /// `notification_email`; not empty.
    pub to: Vec<String>,
    /// `router_id`.
    pub router_id: String,
    /// False with `no_email_faults`.
    pub faults: bool,
    /// `smtp_tls`.
    pub security: Security,
    /// `smtp_auth`.
    pub login: Option<Login>,
}

/// Whether and how the connection is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// Not at all, as keepalived.
    #[default]
    None,
    /// By the STARTTLS command; a server that does not offer it gets no mail.
    StartTls(Trust),
    /// From the first octet, usually on port 465.
    Tls(Trust),
}

/// Which certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Those of the host's own store.
    System,
    /// Those of this file of PEM certificates.
    File(PathBuf),
    /// All.
    Any,
}

/// Name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// Secrets are not for logs.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({}, ..)", self.user)
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{} {:?} {:?} -> {:?}", self.host, self.port, self.security, self.from, self.to)
    }
}

impl Security {
    /// Which certificates are believed, if it is encrypted at all.
    pub fn trust(&self) -> Option<&Trust> {
        match self {
            Security::None => None,
            Security::StartTls(trust) | Security::Tls(trust) => Some(trust),
        }
    }
}

#[cfg(test)]
pub(super) use tests::settings as test_settings;

/// A mail without its date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// What follows `Subject: `.
    pub subject: String,
    /// One line.
    pub body: &'static str,
}

impl Mail {
    /// The mail about this notice, if there is one.
    pub fn about(notice: &Notice, settings: &Settings) -> Option<Self> {
        if !notice.mail || (notice.event == Event::Fault && !settings.faults) {
            return None;
        }
        let group = notice.subject == Subject::Group;
        let (what, body) = match (notice.event, group) {
            (Event::Master, false) => ("Entering MASTER state", "=> VRRP Instance is now owning VRRP VIPs <="),
            (Event::Backup, false) => ("Entering BACKUP state", "=> VRRP Instance is no longer owning VRRP VIPs <="),
            (Event::Fault, false) => ("Entering FAULT state", "=> VRRP Instance is no longer owning VRRP VIPs <="),
            (Event::Stop, false) => ("Stopping", "=> VRRP Instance stopping <="),
            (Event::Deleted, _) => ("Deleted", "=> VRRP Deleted at reload <="),
            (Event::Master, true) => {
                ("Entering MASTER state", "=> All VRRP group instances are now in MASTER state <=")
            }
            (Event::Backup, true) => {
                ("Entering BACKUP state", "=> All VRRP group instances are now in BACKUP state <=")
            }
            (Event::Fault, true) => ("Entering FAULT state", "=> All VRRP group instances are now in FAULT state <="),
            (Event::Stop, true) => ("Stopping", "=> All VRRP group instances are now stopping <="),
            (Event::MasterRxLowerPri | Event::MasterPriority | Event::BackupPriority, _) => return None,
        };
        let kind = if group { "Group" } else { "Instance" };
        Some(Self { subject: format!("[{}] VRRP {kind} {} - {what}", settings.router_id, notice.name), body })
    }

    /// The whole text as it goes over the wire, with the final dot. `date` is that of RFC 5322.
    pub fn text(&self, settings: &Settings, date: &str) -> String {
        let (from, to, subject) =
            (one_line(&settings.from), one_line(&settings.to.join(", ")), one_line(&self.subject));
        format!(
            "Date: {date}\r\nFrom: {from}\r\nSubject: {subject}\r\nX-Mailer: Keepalived\r\nTo: {to}\r\n\r\n{}\r\n\r\n.\r\n",
            self.body
        )
    }
}

/// A header must not become two.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The address for the envelope: of `Name <a@b>` that between the brackets.
pub fn address(text: &str) -> String {
    let inner = text.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(text, |(inner, _)| inner);
    inner.chars().filter(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>')).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Settings as Notify;
    use super::*;

    pub(in super::super) fn settings() -> Settings {
        Settings {
            host: "127.0.0.1".to_owned(),
            port: 25,
            helo_name: "helo.example".to_owned(),
            timeout: Duration::from_secs(30),
            from: "from@example.com".to_owned(),
            to: vec!["admin@example.com".to_owned(), "Some One <b@example.com>".to_owned()],
            router_id: "my_router".to_owned(),
            faults: true,
            security: Security::None,
            login: None,
        }
    }

    fn mail(event: Event, subject: Subject) -> Option<Mail> {
        let notify = Notify { mail: true, ..Notify::default() };
        Mail::about(&notify.notice(event, subject, "VI_1", 100), &settings())
    }

    /// Taken from the wire of keepalived 2.2.7, but for the two addresses, which it runs together with the names.
    #[test]
    fn a_mail_is_that_of_keepalived() {
        let text = mail(Event::Master, Subject::Instance).unwrap().text(&settings(), "Sat, 28 Nov 2026 16:35:17 +0000");
        let expected = "Date: Sat, 28 Nov 2026 16:35:17 +0000\r\nFrom: from@example.com\r\n\
            Subject: [my_router] VRRP Instance VI_1 - Entering MASTER state\r\nX-Mailer: Keepalived\r\n\
            To: admin@example.com, Some One <b@example.com>\r\n\r\n=> VRRP Instance is now owning VRRP VIPs <=\r\n\r\n.\r\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn every_event_has_its_words_or_no_mail() {
        let subject = |event, subject| mail(event, subject).map(|mail| mail.subject);
        assert_eq!(
            subject(Event::Fault, Subject::Group).as_deref(),
            Some("[my_router] VRRP Group VI_1 - Entering FAULT state")
        );
        assert_eq!(
            subject(Event::Deleted, Subject::Instance).as_deref(),
            Some("[my_router] VRRP Instance VI_1 - Deleted")
        );
        assert_eq!(subject(Event::MasterRxLowerPri, Subject::Instance), None);
        let no_faults = Settings { faults: false, ..settings() };
        let notify = Notify { mail: true, ..Notify::default() };
        assert_eq!(Mail::about(&notify.notice(Event::Fault, Subject::Instance, "VI_1", 100), &no_faults), None);
        let silent = Notify::default().notice(Event::Master, Subject::Instance, "VI_1", 100);
        assert_eq!(Mail::about(&silent, &settings()), None);
    }

    #[test]
    fn an_envelope_has_bare_addresses_and_a_header_is_one_line() {
        for (text, expected) in [
            ("a@b", "a@b"),
            ("Some One <b@example.com>", "b@example.com"),
            ("<c@d>", "c@d"),
            ("a@b>\r\nRCPT TO:<x@y", "a@bRCPTTO:x@y"),
            ("a b", "ab"),
        ] {
            assert_eq!(address(text), expected, "{text:?}");
        }
        assert_eq!(one_line("a\r\nBcc: x"), "a  Bcc: x");
    }
}
