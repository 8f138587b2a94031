//! `vrrp_script`.

use super::model::{Script, User};
use super::{Draft, Lowering, block_end, global::Globals};
use shared_config::keepalived::ast::Statement;
use std::time::Duration;

/// The greatest interval and timeout, in microseconds.
const SECONDS_MAX: u64 = 4_294_000_000;

/// The least interval, in microseconds.
const INTERVAL_MIN: u64 = 1_000;

impl Lowering<'_> {
    pub(super) fn script<'a>(&mut self, block: &'a Statement, globals: &Globals, draft: &mut Draft<'a>) {
        let Some(name) = self.block_name(block, "vrrp_script must have a name") else { return };
        let name = name.as_str();
        if draft.trackers.scripts.place(name).is_some() {
            self.warn("duplicate", block.span, format!("Script {name} already defined"));
            return;
        }
        let mut command = None;
        let mut user = None;
        let mut refused = false;
        let mut script = Settings::default();
        for statement in block.statements() {
            let Some(argument) = statement.argument(1) else {
                script.init_fail |= statement.name() == "init_fail";
                continue;
            };
            match statement.name() {
                "script" => command = Some(statement),
                "user" => {
                    user = self.user(argument, statement.argument(2));
                    if user.is_none() {
                        let shown = command.and_then(|c: &Statement| c.argument(1)).map_or("", |word| word.as_str());
                        let shown = if shown.is_empty() { String::new() } else { format!("'{shown}'") };
                        self.warn("unknown-user", argument.span, format!("Unable to set uid/gid for script {shown}"));
                        refused = true;
                    }
                }
                other => self.script_setting(name, other, statement, &mut script),
            }
        }
        let Some(statement) = command else {
            self.warn("missing-script", block_end(block), format!("No script set for vrrp_script {name} - removing"));
            return;
        };
        if refused {
            return;
        }
        let default: Option<User> = user.or(globals.script_user);
        let Some(command) = self.command(statement, default, "script") else {
            self.warn("missing-script", block_end(block), format!("No script set for vrrp_script {name} - removing"));
            return;
        };
        let Settings { interval, timeout, weight, reverse, rise, fall, init_fail } = script;
        let timeout = timeout.unwrap_or(interval);
        let name = name.to_owned();
        draft.scripts.push(block.span);
        draft.trackers.scripts.add(Script { name, command, interval, timeout, weight, reverse, rise, fall, init_fail });
    }

    fn script_setting(&mut self, name: &str, keyword: &str, statement: &Statement, script: &mut Settings) {
        let Some(word) = statement.argument(1) else { return };
        let text = word.as_str();
        match keyword {
            "interval" => {
                let consequence =
                    format!("({name}): vrrp script interval '{text}' must be between 1 and 4294 - ignoring");
                if let Some(interval) = self.seconds(word, 0..=SECONDS_MAX, &consequence) {
                    script.interval = interval;
                    if interval.is_zero() {
                        let message = format!("({name}): vrrp script interval must be greater than 0, setting to 1");
                        self.warn("invalid-number", word.span, message);
                        script.interval = Duration::from_secs(1);
                    }
                    script.interval = script.interval.max(Duration::from_micros(INTERVAL_MIN));
                }
            }
            "timeout" => {
                let consequence = format!("({name}): vrrp script timeout '{text}' invalid - ignoring");
                if let Some(timeout) = self.seconds(word, 0..=SECONDS_MAX, &consequence) {
                    script.timeout = Some(timeout);
                    if timeout.is_zero() {
                        let message = format!("({name}): vrrp script timeout must be greater than 0, setting to 1");
                        self.warn("invalid-number", word.span, message);
                        script.timeout = Some(Duration::from_secs(1));
                    }
                }
            }
            "weight" => {
                let consequence = format!("vrrp_script {name} weight {text} must be in [-253, 253]");
                // keepalived complains about a greater weight and uses it; the priority it makes ends at 1 or 254 anyway.
                self.integer(word, -253..=253, &consequence);
                let weight = super::value::integer(text, &(i64::MIN..=i64::MAX)).unwrap_or(0);
                script.weight = i32::try_from(weight.clamp(-253, 253)).unwrap_or(0);
                if let Some(option) = statement.argument(2) {
                    script.reverse = option.as_str() == "reverse";
                    if !script.reverse {
                        let message = format!("vrrp_script {name} unknown weight option {}", option.text);
                        self.warn("unknown-option", option.span, message);
                    }
                }
            }
            "rise" | "fall" => {
                let consequence = format!("({name}): vrrp script {keyword} value '{text}' invalid, defaulting to 1");
                let value = self.integer(word, 1..=i64::from(i32::MAX), &consequence);
                let value = value.and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
                if keyword == "rise" { script.rise = value } else { script.fall = value }
            }
            "init_fail" => script.init_fail = true,
            _ => {}
        }
    }
}

/// What a script has unless the file says otherwise.
struct Settings {
    interval: Duration,
    timeout: Option<Duration>,
    weight: i32,
    reverse: bool,
    rise: u32,
    fall: u32,
    init_fail: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let interval = Duration::from_secs(1);
        Self { interval, timeout: None, weight: 0, reverse: false, rise: 1, fall: 1, init_fail: false }
    }
}
