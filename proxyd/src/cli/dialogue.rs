//! One connection of the runtime socket: how commands come, and what is agreed on for the rest of it.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};

use super::server::Answer;
use super::{DENIED, Settings, severity};
use crate::proxy::settings::{RuntimeAccess, SeverityOutput, StatsLevel};

/// Bytes of one line of commands; haproxy's limit is its buffer.
const LINE_MAX: usize = 16_384;
/// Bytes of a payload where `tune.cli.max-payload-size` does not say how many.
pub const PAYLOAD_MAX: usize = 1 << 20;

/// What is agreed on with a client.
#[derive(Debug)]
pub(super) struct Dialogue {
    level: StatsLevel,
    /// `severity-output`
    severity: SeverityOutput,
    /// `prompt`
    prompts: bool,
    /// `experimental-mode`
    experimental: bool,
    /// `expert-mode`
    expert: bool,
    /// `stats timeout` or `set timeout cli`
    patience: Duration,
    /// `tune.cli.max-payload-size`
    payload_max: usize,
}

/// A command.
#[derive(Debug)]
pub(super) struct Command {
    /// As it came.
    pub text: String,
    /// Its words, without what announces a payload.
    pub words: Vec<String>,
    /// The lines up to an empty one, where `<<` ends the command.
    pub payload: Option<String>,
    /// It is the last of its line.
    last: bool,
}

impl Dialogue {
    /// Nothing is agreed on yet.
    pub(super) fn new(access: RuntimeAccess, patience: Duration, payload_max: usize) -> Self {
        let RuntimeAccess { level, severity } = access;
        Self { level, severity, prompts: false, experimental: false, expert: false, patience, payload_max }
    }

    /// What the client may do.
    pub(super) fn level(&self) -> StatsLevel {
        self.level
    }

    /// Whether answers say what kind they are.
    pub(super) fn severity(&self) -> SeverityOutput {
        self.severity
    }

    /// How long the client may be silent, or take to read.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Answers the commands of a line, or with `prompt` those of all lines.
    pub(super) async fn lead<S>(mut self, stream: &mut S, settings: &Settings) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut input = Input::default();
        // Who has talked so once is answered all that has come by then.
        let mut prompted = false;
        loop {
            loop {
                let Some(command) = self.command(&mut input, stream).await? else { return Ok(()) };
                match command.words.first().map(String::as_str) {
                    Some("quit") => return Ok(()),
                    Some(_) => super::answer(&command, &mut self, settings, stream).await?,
                    None => {}
                }
                if self.prompts {
                    prompted = true;
                    self.write(stream, b"> ").await?;
                }
                if command.last {
                    break;
                }
            }
            if !self.prompts && (!prompted || input.0.is_empty()) {
                return Ok(());
            }
        }
    }

    /// The next command with its payload. Nothing where the client has left, is silent for too long, or says too much.
    async fn command<S>(&self, input: &mut Input, stream: &mut S) -> io::Result<Option<Command>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let read = timeout(self.patience, input.take(stream, end_of_command)).await;
        let Some((text, end)) = read.unwrap_or_default() else { return Ok(None) };
        let mut last = end != Some(b';');
        let mut words = super::words(&text);
        let announced = text.trim_end_matches('\r').ends_with("<<") && words.last().is_some_and(|word| word == "<<");
        let mut payload = None;
        if announced {
            words.pop();
            let Some(lines) = self.payload(input, stream).await? else { return Ok(None) };
            payload = Some(lines);
            last = true;
        }
        Ok(Some(Command { text, words, payload, last }))
    }

    /// Lines up to an empty one.
    async fn payload<S>(&self, input: &mut Input, stream: &mut S) -> io::Result<Option<String>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut lines = String::new();
        loop {
            if self.prompts {
                self.write(stream, b"+ ").await?;
            }
            let read = timeout(self.patience, input.take(stream, |bytes| bytes.iter().position(|&b| b == b'\n'))).await;
            let Some((line, end)) = read.unwrap_or_default() else { return Ok(None) };
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                return Ok(Some(lines));
            }
            // One that is not finished is not obeyed.
            if end.is_none() || lines.len() + line.len() > self.payload_max {
                return Ok(None);
            }
            lines.push_str(line);
            lines.push('\n');
        }
    }

    async fn write(&self, stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
        timeout(self.patience, stream.write_all(bytes)).await?
    }

    /// The answer, if the command is about the conversation itself.
    pub(super) fn own(&mut self, words: &[&str]) -> Option<Answer> {
        Some(match words {
            ["prompt", ..] => {
                self.prompts = !self.prompts;
                Ok(String::new())
            }
            ["user", ..] => Ok(self.lower(StatsLevel::User)),
            ["operator", ..] if self.level < StatsLevel::Operator => Err(DENIED.to_owned()),
            ["operator", ..] => Ok(self.lower(StatsLevel::Operator)),
            [mode @ ("experimental-mode" | "expert-mode"), rest @ ..] => {
                let on = if *mode == "expert-mode" { &mut self.expert } else { &mut self.experimental };
                if let Some(word) = rest.first() {
                    *on = *word == "on";
                    Ok(String::new())
                } else {
                    Ok(format!("{mode} is {}\n", if *on { "ON" } else { "OFF" }))
                }
            }
            ["echo", rest @ ..] => Ok(format!("{}\n", rest.join(" "))),
            ["set", "severity-output", rest @ ..] => severity::set(rest, &mut self.severity),
            ["set", "timeout", "cli", rest @ ..] => self.set_timeout(rest.first().copied()),
            ["set", "timeout", ..] => Err("'set timeout' only supports 'cli'.\n".to_owned()),
            ["set", "var", ..] if !self.experimental => {
                Err("This command is restricted to experimental mode only.\n".to_owned())
            }
            _ => return None,
        })
    }

    /// There is no way back.
    fn lower(&mut self, level: StatsLevel) -> String {
        (self.level, self.experimental, self.expert) = (level, false, false);
        String::new()
    }

    fn set_timeout(&mut self, word: Option<&str>) -> Answer {
        let word = word.ok_or("Expects an integer value.\n")?;
        let wanted = delay(word, 1_000_000).filter(|delay| delay.as_millis() <= u32::MAX.into());
        self.patience = wanted.ok_or("Invalid timeout value.\n")?;
        Ok(String::new())
    }
}

/// `wait DELAY`, of 3.x.
pub(super) async fn wait(words: &[&str]) -> Answer {
    match words {
        [] => Err("Expects a duration in milliseconds.\n".to_owned()),
        [delay] => {
            sleep(self::delay(delay, 1_000).ok_or("Invalid duration.\n")?).await;
            Ok(String::new())
        }
        [_, condition, ..] => Err(format!("Unknown condition '{condition}'.\n")),
    }
}

/// A time that is longer than none, with its unit or in these, which are told in microseconds. What follows the unit does not
/// count.
fn delay(word: &str, unit: u64) -> Option<Duration> {
    let digits = word.find(|character: char| !character.is_ascii_digit()).unwrap_or(word.len());
    let (number, rest) = word.split_at(digits);
    let unit = match rest.as_bytes() {
        [] => unit,
        [b'u', b's', ..] => 1,
        [b'm', b's', ..] => 1_000,
        [b's', ..] => 1_000_000,
        [b'm', ..] => 60_000_000,
        [b'h', ..] => 3_600_000_000,
        [b'd', ..] => 86_400_000_000,
        _ => return None,
    };
    let time = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (time > 0).then(|| Duration::from_micros(time))
}

/// What is read of a connection and not used yet.
#[derive(Debug, Default)]
struct Input(Vec<u8>);

impl Input {
    /// What comes before an end, and which one that is; at the client's end, what there is. Nothing where there is none, or too
    /// much.
    async fn take(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        end: impl Fn(&[u8]) -> Option<usize>,
    ) -> Option<(String, Option<u8>)> {
        loop {
            let ended = end(&self.0);
            if let Some(at) = ended {
                let mut taken: Vec<u8> = self.0.drain(..=at).collect();
                let end = taken.pop();
                return Some((String::from_utf8_lossy(&taken).into_owned(), end));
            }
            if self.0.len() >= LINE_MAX {
                return None;
            }
            if stream.read_buf(&mut self.0).await.ok()? == 0 {
                let rest = std::mem::take(&mut self.0);
                return (!rest.is_empty()).then(|| (String::from_utf8_lossy(&rest).into_owned(), None));
            }
        }
    }
}

/// Where a command ends: at a line feed, or a `;` that stands behind no backslash.
fn end_of_command(bytes: &[u8]) -> Option<usize> {
    let mut escaped = false;
    bytes.iter().position(|&byte| {
        let ends = byte == b'\n' || byte == b';' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_end_at_separators() {
        for (text, end) in [
            ("show info", None),
            ("show info\n", Some(9)),
            ("a;b\n", Some(1)),
            ("a\\;b;c\n", Some(4)),
            ("a\\\\;b\n", Some(3)),
            ("a\\\nb", Some(2)),
        ] {
            assert_eq!(end_of_command(text.as_bytes()), end, "{text:?}");
        }
    }

    #[test]
    fn delays() {
        for (word, expected) in [
            ("5", Some(5_000)),
            ("5s", Some(5_000)),
            ("5ms", Some(5)),
            ("5sx", Some(5_000)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("1d", Some(86_400_000)),
            ("5x", None),
            ("0", None),
            ("-1", None),
            ("", None),
            ("99999999999999999999", None),
            ("9999999999999999999d", None),
        ] {
            assert_eq!(delay(word, 1_000_000).map(|delay| delay.as_millis()), expected, "{word}");
        }
    }

    #[test]
    fn nobody_gets_a_level_back() {
        let mut dialogue = Dialogue::new(
            RuntimeAccess { level: StatsLevel::Admin, ..RuntimeAccess::default() },
            Duration::from_secs(10),
            PAYLOAD_MAX,
        );
        let mut ask = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let answer = dialogue.own(&words).map(|answer| answer.unwrap_or_else(|message| message));
            (answer.unwrap_or_else(|| "?".to_owned()), dialogue.level)
        };
        let restricted = "This command is restricted to experimental mode only.\n";
        for (line, expected, level) in [
            ("experimental-mode", "experimental-mode is OFF\n", StatsLevel::Admin),
            ("set var proc.x int(1)", restricted, StatsLevel::Admin),
            ("experimental-mode on", "", StatsLevel::Admin),
            ("experimental-mode", "experimental-mode is ON\n", StatsLevel::Admin),
            ("expert-mode", "expert-mode is OFF\n", StatsLevel::Admin),
            ("set var proc.x int(1)", "?", StatsLevel::Admin),
            ("operator", "", StatsLevel::Operator),
            ("set var proc.x int(1)", restricted, StatsLevel::Operator),
            ("user", "", StatsLevel::User),
            ("operator", DENIED, StatsLevel::User),
            ("set timeout cli 0", "Invalid timeout value.\n", StatsLevel::User),
            ("set timeout cli 100000d", "Invalid timeout value.\n", StatsLevel::User),
            ("set timeout cli", "Expects an integer value.\n", StatsLevel::User),
            ("set timeout server 5", "'set timeout' only supports 'cli'.\n", StatsLevel::User),
            ("set timeout cli 5", "", StatsLevel::User),
            ("echo a b", "a b\n", StatsLevel::User),
        ] {
            assert_eq!(ask(line), (expected.to_owned(), level), "{line}");
        }
        assert_eq!(dialogue.patience, Duration::from_secs(5));
    }
}
