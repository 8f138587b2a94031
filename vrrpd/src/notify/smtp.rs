//! The dialogue with a mail server (RFC 5321), without its connection: replies in, commands out.
//!
//! Without `smtp_tls` and `smtp_auth` it says what keepalived says, HELO included.

use super::mail::{Login, Mail, Security, Settings, address};
use std::collections::VecDeque;

/// Longest line of a reply; longer ones are not SMTP.
const LINE_MAX: usize = 2048;
/// Most lines of a reply.
const LINES_MAX: usize = 100;

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// The lines without code and line end.
    pub lines: Vec<String>,
}

/// Collects octets until a reply is complete.
#[derive(Debug, Default)]
pub struct Reader {
    waiting: Vec<u8>,
    lines: Vec<String>,
}

/// Why the other side is not a mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSmtp {
    /// A line does not begin with a code.
    #[error("a reply without a code")]
    NoCode,
    /// A line or a reply is too long.
    #[error("a reply that does not end")]
    TooLong,
}

impl Reader {
    /// Takes what has arrived.
    pub fn push(&mut self, octets: &[u8]) {
        self.waiting.extend_from_slice(octets);
    }

    /// Whether something has arrived that no command asked for. Before TLS begins nothing may: it could be forged.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.lines.is_empty()
    }

    /// The next reply, once it is complete.
    pub fn reply(&mut self) -> Result<Option<Reply>, NotSmtp> {
        loop {
            let Some(end) = self.waiting.iter().position(|octet| *octet == b'\n') else {
                return if self.waiting.len() > LINE_MAX { Err(NotSmtp::TooLong) } else { Ok(None) };
            };
            if end > LINE_MAX || self.lines.len() >= LINES_MAX {
                return Err(NotSmtp::TooLong);
            }
            let line: Vec<u8> = self.waiting.drain(..=end).collect();
            let line = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
            let code = line.get(..3).and_then(|code| code.parse().ok()).filter(|code| (200..=599).contains(code));
            let code = code.ok_or(NotSmtp::NoCode)?;
            let more = line.get(3..4) == Some("-");
            self.lines.push(line.get(4..).unwrap_or_default().to_owned());
            if !more {
                return Ok(Some(Reply { code, lines: std::mem::take(&mut self.lines) }));
            }
        }
    }
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send this and wait for a reply.
    Send(String),
    /// Begin TLS, then call [`Dialogue::secured`].
    StartTls,
    /// The mail is delivered and the server has said goodbye.
    Done,
    /// It will not take the mail.
    Failed(Failure),
}

/// Which command failed and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Answered with a code that means no.
    #[error("Error processing {command} cmd on SMTP server {{server}}. SMTP status code = {code} ({text})")]
    Refused {
        /// The command, as keepalived names it.
        command: &'static str,
        /// The code.
        code: u16,
        /// What else the server said.
        text: String,
    },
    /// It cannot do what the configuration asks for.
    #[error("SMTP server {{server}} offers no {0}, which smtp_tls or smtp_auth asks for")]
    Missing(&'static str),
}

impl Failure {
    /// The line for the log. `server` is `[address]:port`.
    pub fn line(&self, server: &str) -> String {
        self.to_string().replace("{server}", server)
    }
}

/// What a reply is awaited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Greeting,
    Hello,
    StartTls,
    Plain,
    LoginUser,
    LoginPassword,
    LoginEnd,
    From,
    To,
    Data,
    Text,
    Quit,
}

/// One mail on its way.
pub struct Dialogue {
    helo_name: String,
    /// EHLO, because something of its answer is needed.
    extended: bool,
    start_tls: bool,
    login: Option<Login>,
    from: String,
    to: VecDeque<String>,
    text: String,
    awaited: Awaited,
}

impl Dialogue {
    /// Begins once the connection is there. `date` is that of RFC 5322.
    pub fn new(settings: &Settings, mail: &Mail, date: &str) -> Self {
        Self {
            helo_name: settings.helo_name.clone(),
            extended: settings.security != Security::None || settings.login.is_some(),
            start_tls: matches!(settings.security, Security::StartTls(_)),
            login: settings.login.clone(),
            from: address(&settings.from),
            to: settings.to.iter().map(|to| address(to)).collect(),
            text: mail.text(settings, date),
            awaited: Awaited::Greeting,
        }
    }

    /// The server replied.
    pub fn reply(&mut self, reply: &Reply) -> Step {
        let good = match self.awaited {
            Awaited::Data => reply.code == 354,
            Awaited::LoginUser | Awaited::LoginPassword => reply.code == 334,
            Awaited::Plain | Awaited::LoginEnd => reply.code == 235,
            // Whatever it says to our goodbye, the mail is delivered.
            Awaited::Quit => true,
            Awaited::Greeting | Awaited::Hello | Awaited::StartTls | Awaited::From | Awaited::To | Awaited::Text => {
                (200..300).contains(&reply.code)
            }
        };
        if !good {
            let text = reply.lines.join(" ");
            return Step::Failed(Failure::Refused { command: self.awaited.command(), code: reply.code, text });
        }
        match self.awaited {
            Awaited::Greeting => self.hello(),
            Awaited::Hello => self.after_hello(reply),
            Awaited::StartTls => Step::StartTls,
            Awaited::LoginUser => {
                let user = self.login.as_ref().map(|login| base64(login.user.as_bytes())).unwrap_or_default();
                self.send(Awaited::LoginPassword, user)
            }
            Awaited::LoginPassword => {
                let password = self.login.as_ref().map(|login| base64(login.password.as_bytes())).unwrap_or_default();
                self.send(Awaited::LoginEnd, password)
            }
            Awaited::Plain | Awaited::LoginEnd => self.mail_from(),
            Awaited::From | Awaited::To => match self.to.pop_front() {
                Some(to) => self.send(Awaited::To, format!("RCPT TO:<{to}>")),
                None => self.send(Awaited::Data, "DATA".to_owned()),
            },
            Awaited::Data => {
                self.awaited = Awaited::Text;
                Step::Send(std::mem::take(&mut self.text))
            }
            Awaited::Text => self.send(Awaited::Quit, "QUIT".to_owned()),
            Awaited::Quit => Step::Done,
        }
    }

    /// TLS has begun after [`Step::StartTls`]: everything said before is forgotten.
    pub fn secured(&mut self) -> Step {
        self.start_tls = false;
        self.hello()
    }

    fn hello(&mut self) -> Step {
        let verb = if self.extended { "EHLO" } else { "HELO" };
        self.send(Awaited::Hello, format!("{verb} {}", self.helo_name))
    }

    fn after_hello(&mut self, reply: &Reply) -> Step {
        let words = |line: &str| line.to_ascii_uppercase().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let offers: Vec<Vec<String>> = reply.lines.iter().map(|line| words(line)).collect();
        let offered = |name: &str| offers.iter().find(|words| words.first().is_some_and(|word| word == name));
        if self.start_tls {
            return match offered("STARTTLS") {
                Some(_) => self.send(Awaited::StartTls, "STARTTLS".to_owned()),
                None => Step::Failed(Failure::Missing("STARTTLS")),
            };
        }
        let Some(login) = &self.login else { return self.mail_from() };
        let ways = offered("AUTH").map(Vec::as_slice).unwrap_or_default();
        if ways.iter().any(|way| way == "PLAIN") {
            let secret = base64(format!("\0{}\0{}", login.user, login.password).as_bytes());
            self.send(Awaited::Plain, format!("AUTH PLAIN {secret}"))
        } else if ways.iter().any(|way| way == "LOGIN") {
            self.send(Awaited::LoginUser, "AUTH LOGIN".to_owned())
        } else {
            Step::Failed(Failure::Missing("AUTH PLAIN or AUTH LOGIN"))
        }
    }

    fn mail_from(&mut self) -> Step {
        self.send(Awaited::From, format!("MAIL FROM:<{}>", self.from))
    }

    fn send(&mut self, awaited: Awaited, mut line: String) -> Step {
        self.awaited = awaited;
        line.push_str("\r\n");
        Step::Send(line)
    }
}

impl Awaited {
    fn command(self) -> &'static str {
        match self {
            Awaited::Greeting => "connect",
            Awaited::Hello => "HELO",
            Awaited::StartTls => "STARTTLS",
            Awaited::Plain | Awaited::LoginUser | Awaited::LoginPassword | Awaited::LoginEnd => "AUTH",
            Awaited::From => "MAIL",
            Awaited::To => "RCPT",
            Awaited::Data => "DATA",
            Awaited::Text => "BODY",
            Awaited::Quit => "QUIT",
        }
    }
}

/// RFC 4648, section 4.
fn base64(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(octets.len().div_ceil(3) * 4);
    for chunk in octets.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let letter = usize::try_from(word >> (18 - 6 * place) & 0x3f).unwrap_or_default();
            let letter = ALPHABET.get(letter).copied().unwrap_or(b'=');
            text.push(if place > chunk.len() { '=' } else { char::from(letter) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::mail::{Trust, test_settings};
    use super::*;
    use proptest::prelude::*;

    fn mail() -> Mail {
        Mail { subject: "S".to_owned(), body: "=> B <=" }
    }

    /// Plays the server; `None` begins TLS. Answers with what was sent, and how it ended.
    fn play(settings: &Settings, replies: &[Option<&str>]) -> (Vec<String>, Option<Step>) {
        let mut dialogue = Dialogue::new(settings, &mail(), "D");
        let mut sent = Vec::new();
        for reply in replies {
            let step = match reply {
                None => dialogue.secured(),
                Some(text) => {
                    let mut reader = Reader::default();
                    reader.push(text.as_bytes());
                    dialogue.reply(&reader.reply().unwrap().unwrap())
                }
            };
            match step {
                Step::Send(line) => sent.push(line.lines().next().unwrap_or_default().to_owned()),
                Step::StartTls => sent.push("(TLS)".to_owned()),
                Step::Done | Step::Failed(_) => return (sent, Some(step)),
            }
        }
        (sent, None)
    }

    #[test]
    fn without_words_of_ours_it_says_what_keepalived_says() {
        let replies = [
            "220 test\r\n",
            "250 ok\r\n",
            "250 ok\r\n",
            "250 ok\r\n",
            "251 ok\r\n",
            "354 go\r\n",
            "250 ok\n",
            "221 bye\n",
        ];
        let (sent, end) = play(&test_settings(), &replies.map(Some));
        let expected = [
            "HELO helo.example",
            "MAIL FROM:<from@example.com>",
            "RCPT TO:<admin@example.com>",
            "RCPT TO:<b@example.com>",
            "DATA",
            "Date: D",
            "QUIT",
        ];
        assert_eq!(sent, expected);
        assert_eq!(end, Some(Step::Done));
    }

    #[test]
    fn a_refusal_is_told_with_keepalived_s_words() {
        let (_, end) = play(&test_settings(), &[Some("220 a\n"), Some("250 a\n"), Some("550-no\r\n550 relay\r\n")]);
        let Some(Step::Failed(failure)) = end else { panic!("{end:?}") };
        let expected = "Error processing MAIL cmd on SMTP server [192.0.2.1]:25. SMTP status code = 550 (no relay)";
        assert_eq!(failure.line("[192.0.2.1]:25"), expected);
    }

    #[test]
    fn tls_comes_before_the_password() {
        let login = Some(Login { user: "user".to_owned(), password: "secret".to_owned() });
        let settings = Settings { security: Security::StartTls(Trust::System), login, ..test_settings() };
        let ehlo = "250-mail.example\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n";
        let replies = [Some("220 a\n"), Some(ehlo), Some("220 go\n"), None, Some(ehlo), Some("235 ok\n")];
        let (sent, _) = play(&settings, &replies);
        let expected = [
            "EHLO helo.example",
            "STARTTLS",
            "(TLS)",
            "EHLO helo.example",
            "AUTH PLAIN AHVzZXIAc2VjcmV0",
            "MAIL FROM:<from@example.com>",
        ];
        assert_eq!(sent, expected);
        let (_, end) = play(&settings, &[Some("220 a\n"), Some("250 mail.example\r\n")]);
        assert_eq!(end, Some(Step::Failed(Failure::Missing("STARTTLS"))));
        let by_login = "250-x\n250 AUTH LOGIN\n";
        let replies = [
            Some("220 a\n"),
            Some(ehlo),
            Some("220 go\n"),
            None,
            Some(by_login),
            Some("334 VXNlcm5hbWU6\n"),
            Some("334 UGFzc3dvcmQ6\n"),
            Some("535 no\n"),
        ];
        let (sent, end) = play(&settings, &replies);
        assert_eq!(sent[4..], ["AUTH LOGIN", "dXNlcg==", "c2VjcmV0"]);
        assert!(matches!(end, Some(Step::Failed(Failure::Refused { command: "AUTH", code: 535, .. }))), "{end:?}");
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }

    #[test]
    fn replies_may_come_in_pieces_and_not_without_end() {
        let mut reader = Reader::default();
        for piece in ["25", "0-a\r", "\n250", " b"] {
            reader.push(piece.as_bytes());
            assert_eq!(reader.reply(), Ok(None));
        }
        reader.push(b"\r\n");
        let reply = Reply { code: 250, lines: vec!["a".to_owned(), "b".to_owned()] };
        assert_eq!(reader.reply(), Ok(Some(reply)));
        assert!(reader.is_empty());
        reader.push(&[b'2'; LINE_MAX + 1]);
        assert_eq!(reader.reply(), Err(NotSmtp::TooLong));
        let mut reader = Reader::default();
        reader.push(&b"250-x\n".repeat(LINES_MAX + 1));
        assert_eq!(reader.reply(), Err(NotSmtp::TooLong));
        let mut reader = Reader::default();
        reader.push(b"SSH-2.0-x\r\n");
        assert_eq!(reader.reply(), Err(NotSmtp::NoCode));
    }

    proptest! {
        #[test]
        fn no_reply_is_a_problem(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..8)) {
            let mut reader = Reader::default();
            let mut dialogue = Dialogue::new(&test_settings(), &mail(), "D");
            for piece in pieces {
                reader.push(&piece);
                match reader.reply() {
                    Ok(Some(reply)) => drop(dialogue.reply(&reply)),
                    Ok(None) => {}
                    Err(_) => break,
                }
            }
        }
    }
}
