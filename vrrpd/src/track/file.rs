//! `track_file`: a number that somebody else writes into a file. `io::track_file` reads it.

use super::Share;
use std::path::PathBuf;

/// One `track_file`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of the block.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// `init_file`.
    pub init: Option<Init>,
}

/// `init_file`: what to write at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Init {
    /// The number.
    pub value: i64,
    /// Also when the file exists.
    pub overwrite: bool,
}

/// What reading the file gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A number. Text that does not begin with one counts as zero, and so does a file that is not there.
    Value(i32),
    /// A number that is too large; the last value stays.
    TooLarge(String),
    /// The file is there and cannot be read: the system's reason. The last value stays.
    Unreadable(String),
}

/// One file and what is known about it.
#[derive(Clone, Debug)]
pub struct File {
    settings: Settings,
    value: i32,
    trouble: Option<String>,
}

/// Products below this are a fault. The greatest amount a priority can lose is 253.
const FAULT_BELOW: i64 = -253;

impl File {
    /// A file that has not been read yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, value: 0, trouble: None }
    }

    /// What it was told to do.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The last good value.
    pub fn value(&self) -> i32 {
        self.value
    }

    /// Why the value is not to be trusted, while it is not.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Takes over new settings and keeps what is known.
    pub fn reload(&mut self, settings: Settings) {
        if settings.path != self.settings.path {
            (self.value, self.trouble) = (0, None);
        }
        self.settings = settings;
    }

    /// The file was read. A line for the log when that is news.
    pub fn read(&mut self, reading: Reading) -> Option<String> {
        let path = self.settings.path.display();
        let trouble = match reading {
            Reading::Value(value) => {
                self.value = value;
                self.trouble = None;
                return None;
            }
            Reading::TooLarge(text) => format!("Invalid number {text} read from {path} - ignoring"),
            Reading::Unreadable(reason) => {
                let Settings { name, .. } = &self.settings;
                format!("Track file {name} cannot be read, its last value {} stays: {path}: {reason}", self.value)
            }
        };
        let news = self.trouble.as_ref() != Some(&trouble);
        self.trouble = Some(trouble.clone());
        news.then_some(trouble)
    }
}

/// The number at the beginning of a text, as strtol(3) finds it; zero when there is none.
pub fn parse(text: &[u8]) -> Reading {
    let text = text.trim_ascii_start();
    let signed = usize::from(matches!(text.first(), Some(b'-' | b'+')));
    let digits = text.iter().skip(signed).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return Reading::Value(0);
    }
    let number = String::from_utf8_lossy(text.get(..signed + digits).unwrap_or_default());
    match number.parse() {
        Ok(value) => Reading::Value(value),
        Err(_) => Reading::TooLarge(number.into_owned()),
    }
}

/// What `value` means for a reference of this weight. Weight 0: any number but zero is a fault (zero, when reversed).
/// Otherwise the product is added, and one that no priority can bear is a fault.
pub fn share(weight: i16, reverse: bool, value: i32) -> Share {
    if weight == 0 {
        return if (value != 0) == reverse { Share::Priority(0) } else { Share::Fault };
    }
    let product = i64::from(value) * i64::from(weight) * if reverse { -1 } else { 1 };
    if product < FAULT_BELOW {
        return Share::Fault;
    }
    Share::Priority(i32::try_from(product).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_keepalived_reads_them() {
        for (text, expected) in [
            ("5\n", Reading::Value(5)),
            (" -300", Reading::Value(-300)),
            ("+7", Reading::Value(7)),
            ("12abc", Reading::Value(12)),
            ("abc", Reading::Value(0)),
            ("-", Reading::Value(0)),
            ("", Reading::Value(0)),
            ("9999999999\n", Reading::TooLarge("9999999999".to_owned())),
        ] {
            assert_eq!(parse(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn values_are_multiplied_with_the_weight() {
        for (weight, reverse, value, expected) in [
            (0, false, 0, Share::Priority(0)),
            (0, false, -1, Share::Fault),
            (0, true, 0, Share::Fault),
            (0, true, 1, Share::Priority(0)),
            (1, false, 5, Share::Priority(5)),
            (1, false, 300, Share::Priority(300)),
            (1, false, -253, Share::Priority(-253)),
            (1, false, -254, Share::Fault),
            (1, true, 254, Share::Fault),
            (-2, false, 10, Share::Priority(-20)),
            (254, false, i32::MAX, Share::Priority(i32::MAX)),
            (254, false, i32::MIN, Share::Fault),
        ] {
            assert_eq!(share(weight, reverse, value), expected, "weight {weight} reverse {reverse} value {value}");
        }
    }

    #[test]
    fn a_bad_reading_is_said_once_and_the_value_stays() {
        let mut file = File::new(Settings { name: "tf".to_owned(), path: "/run/tf".into(), init: None });
        assert_eq!(file.read(Reading::Value(7)), None);
        let line = file.read(Reading::TooLarge("9999999999".to_owned()));
        assert_eq!(line.as_deref(), Some("Invalid number 9999999999 read from /run/tf - ignoring"));
        assert_eq!(file.read(Reading::TooLarge("9999999999".to_owned())), None);
        assert!(file.trouble().is_some());
        assert!(file.read(Reading::Unreadable("Permission denied".to_owned())).is_some());
        assert_eq!(file.value(), 7);
        assert_eq!(file.read(Reading::Value(0)), None);
        assert_eq!(file.trouble(), None);
    }
}
