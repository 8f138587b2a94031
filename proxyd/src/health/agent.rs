//! What an agent says of its server: one line of words (configuration.txt, `agent-check`).
//!
//! The words may come in any order and any case; of two that contradict each other the later one counts. The texts in the
//! statistics are haproxy's.

use super::{CheckResult, CheckStatus};
use crate::balance::server_state::{AdminState, WEIGHT_MAX};

/// What an agent asks for. What it does not mention stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentReply {
    /// `75%`: the weight as a percentage of the configured one.
    pub percent: Option<u32>,
    /// `maxconn:30`; 0 means no limit.
    pub maxconn: Option<u32>,
    /// `ready`, `drain` or `maint`.
    pub admin: Option<AdminState>,
    /// Whether the server is well, and the word that says so as it was written.
    verdict: Option<(bool, String)>,
    /// What follows `#`.
    description: Option<String>,
    /// The first word that makes no sense.
    unknown: Option<String>,
    /// Why a weight or a limit is no number.
    malformed: Option<&'static str>,
}

/// Why a weight or a limit is only taken as far as it is a number.
const TRAILING_GARBAGE: &str = "Trailing garbage in weight string";
const NO_MAXCONN: &str = "Require <maxconn>.";
const BAD_MAXCONN: &str = "maxconn string empty or preceded by garbage";
/// What is said of a line that has no end.
const INCOMPLETE: &str = "Ignoring incomplete line from agent";

impl AgentReply {
    /// Reads the line, which ends at the first CR or LF.
    pub fn read(received: &[u8]) -> Result<Self, CheckResult> {
        let end = received.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0));
        let Some(end) = end.filter(|&end| received.get(end) != Some(&0)) else {
            return Err(neutral(INCOMPLETE.to_owned()));
        };
        let line = String::from_utf8_lossy(received.get(..end).unwrap_or_default());
        let mut reply = Self::default();
        let mut rest = &*line;
        loop {
            rest = rest.trim_start_matches(is_delimiter);
            if rest.is_empty() {
                return Ok(reply);
            }
            if let Some(description) = rest.strip_prefix('#') {
                let description = description.trim_start_matches([' ', '\t']);
                reply.description = Some(description.to_owned()).filter(|text| !text.is_empty());
                return Ok(reply);
            }
            let (word, after) = rest.split_at(rest.find(is_delimiter).unwrap_or(rest.len()));
            reply.take(word);
            rest = after;
        }
    }

    fn take(&mut self, word: &str) {
        match word.to_ascii_lowercase().as_str() {
            "up" => self.verdict = Some((true, word.to_owned())),
            "down" | "fail" | "stopped" => self.verdict = Some((false, word.to_owned())),
            "ready" => self.admin = Some(AdminState::Ready),
            "drain" => self.admin = Some(AdminState::Drain),
            "maint" => self.admin = Some(AdminState::Maint),
            lower => {
                if let Some(limit) = lower.strip_prefix("maxconn:") {
                    match limit.parse() {
                        Ok(limit) => self.maxconn = Some(limit),
                        Err(_) => self.malformed = Some(if limit.is_empty() { NO_MAXCONN } else { BAD_MAXCONN }),
                    }
                } else if lower.starts_with(|first: char| first.is_ascii_digit()) && lower.contains('%') {
                    match lower.strip_suffix('%').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit())) {
                        // What does not fit is far above the ceiling.
                        Some(digits) => self.percent = Some(digits.parse().unwrap_or(u32::MAX)),
                        None => self.malformed = Some(TRAILING_GARBAGE),
                    }
                } else {
                    self.unknown.get_or_insert_with(|| word.to_owned());
                }
            }
        }
    }

    /// The weight that is asked for, of a server with this configured weight.
    pub fn weight(&self, configured: u32) -> Option<u32> {
        let weight = u64::from(self.percent?) * u64::from(configured) / 100;
        Some(u32::try_from(weight).unwrap_or(WEIGHT_MAX).min(WEIGHT_MAX))
    }

    /// The check's result as the statistics and the log tell it.
    pub fn result(&self) -> CheckResult {
        let complaint = self.unknown.as_deref().or(self.malformed);
        let Some((well, word)) = &self.verdict else {
            return neutral(match (&self.unknown, self.malformed) {
                (Some(word), _) => format!("agent reports an error : {word}"),
                (None, Some(reason)) => format!("agent warns : {reason}"),
                (None, None) => String::new(),
            });
        };
        let mut info = format!("via agent : {word}");
        if let Some(more) = complaint.or(self.description.as_deref()) {
            info = format!("{info} ({more})");
        }
        let status = if *well { CheckStatus::L7Ok } else { CheckStatus::L7Status };
        CheckResult { status, code: Some(0), info, ..CheckResult::default() }
    }
}

fn neutral(info: String) -> CheckResult {
    CheckResult { status: CheckStatus::Checked, info, ..CheckResult::default() }
}

fn is_delimiter(character: char) -> bool {
    matches!(character, ' ' | '\t' | ',')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line, and what haproxy 2.6 shows after it: `agent_status`, `last_agt`, weight of ten, limit, administrative state.
    type Case = (&'static str, &'static str, &'static str, Option<u32>, Option<u32>, Option<AdminState>);

    #[test]
    fn lines_mean_what_they_mean_to_haproxy() {
        let table: &[Case] = &[
            ("up\n", "L7OK", "via agent : up", None, None, None),
            ("UP\r\nmore", "L7OK", "via agent : UP", None, None, None),
            ("75%,up\n", "L7OK", "via agent : up", Some(7), None, None),
            ("up garbage other\n", "L7OK", "via agent : up (garbage)", None, None, None),
            ("up garbage #desc\n", "L7OK", "via agent : up (garbage)", None, None, None),
            ("up 5x% garbage\n", "L7OK", "via agent : up (garbage)", None, None, None),
            ("up 5x% #d\n", "L7OK", "via agent : up (Trailing garbage in weight string)", None, None, None),
            ("up -5%\n", "L7OK", "via agent : up (-5%)", None, None, None),
            ("up #x\ty  \n", "L7OK", "via agent : up (x\ty  )", None, None, None),
            ("up #\n", "L7OK", "via agent : up", None, None, None),
            ("up ##x\n", "L7OK", "via agent : up (#x)", None, None, None),
            ("fail\n", "L7STS", "via agent : fail", None, None, None),
            ("fail,down\n", "L7STS", "via agent : down", None, None, None),
            ("stopped # why\n", "L7STS", "via agent : stopped (why)", None, None, None),
            ("down\t#\t # x,y\r\nmore", "L7STS", "via agent : down (# x,y)", None, None, None),
            ("down,maint#x\n", "L7STS", "via agent : down (maint#x)", None, None, None),
            ("down nothing to say\n", "L7STS", "via agent : down (nothing)", None, None, None),
            ("failed #x\n", "CHECKED", "agent reports an error : failed", None, None, None),
            ("down#foo bar\n", "CHECKED", "agent reports an error : down#foo", None, None, None),
            ("weight:30%\n", "CHECKED", "agent reports an error : weight:30%", None, None, None),
            ("50% garbage\n", "CHECKED", "agent reports an error : garbage", Some(5), None, None),
            ("50% #desc\n", "CHECKED", "", Some(5), None, None),
            ("5.5%\n", "CHECKED", "agent warns : Trailing garbage in weight string", None, None, None),
            ("5% 7%\n", "CHECKED", "", Some(0), None, None),
            ("257%\n", "CHECKED", "", Some(25), None, None),
            ("1000000%\n", "CHECKED", "", Some(256), None, None),
            ("99999999999999999999%\n", "CHECKED", "", Some(256), None, None),
            ("maxconn:30\n", "CHECKED", "", None, Some(30), None),
            ("maxconn:\n", "CHECKED", "agent warns : Require <maxconn>.", None, None, None),
            ("maxconn:abc\n", "CHECKED", "agent warns : maxconn string empty or preceded by garbage", None, None, None),
            ("Drain UP\n", "L7OK", "via agent : UP", None, None, Some(AdminState::Drain)),
            ("ready maint\n", "CHECKED", "", None, None, Some(AdminState::Maint)),
            ("maint ready\n", "CHECKED", "", None, None, Some(AdminState::Ready)),
            ("\rfoo", "CHECKED", "", None, None, None),
            (" \n", "CHECKED", "", None, None, None),
            ("up", "CHECKED", "Ignoring incomplete line from agent", None, None, None),
            ("up\0x\n", "CHECKED", "Ignoring incomplete line from agent", None, None, None),
        ];
        for (line, status, info, weight, maxconn, admin) in table {
            let reply = AgentReply::read(line.as_bytes());
            let result = reply.as_ref().map_or_else(Clone::clone, AgentReply::result);
            assert_eq!((result.status.code(), &*result.info), (*status, *info), "{line:?}");
            let reply = reply.unwrap_or_default();
            assert_eq!((reply.weight(10), reply.maxconn, reply.admin), (*weight, *maxconn, *admin), "{line:?}");
        }
    }
}
