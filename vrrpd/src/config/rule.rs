//! Lines of `virtual_rules` and `static_rules`, in the words of ip-rule(8).

use super::route::Line;
use super::value::{address_and_prefix, full_prefix};
use super::{Lowering, RoutingNames};
use crate::packet::Family;
use crate::route::{Rule, RuleAction};
use shared_config::diagnostic::Diagnostic;
use shared_config::keepalived::ast::Statement;
use shared_config::words::Word;

/// The preference of the first rule without one; keepalived counts down from here.
const RULE_PREFERENCE: u32 = 16_384;

/// Options that take a value and are not an action or a preference.
const MATCHES: &[&str] = &[
    "from",
    "to",
    "iif",
    "dev",
    "oif",
    "tos",
    "dsfield",
    "fwmark",
    "realms",
    "uidrange",
    "protocol",
    "ip_proto",
    "ipproto",
    "sport",
    "dport",
    "tun_id",
    "suppress_prefixlength",
    "suppress_ifgroup",
];

/// Options that take a value and say what happens, or when.
const OTHERS: &[&str] = &["table", "lookup", "goto", "priority", "preference", "order"];

/// What an option of a rule was.
enum RuleOption {
    Match,
    Action(RuleAction),
    Preference(u32),
}

impl Lowering<'_> {
    /// A rule; `None` where keepalived leaves it out.
    pub(super) fn rule_line<'a>(&mut self, line: &'a Statement, is_static: bool) -> Option<Line<'a, Rule>> {
        let mut words = line.words();
        let mut rule = Rule::new(Family::Inet, 0, RuleAction::Nop);
        let mut track_group = None;
        let mut action = None;
        let mut preference = None;
        while let Some(word) = words.next() {
            match word.as_str() {
                "not" => rule.not = true,
                "inet6" => rule.family = Family::Inet6,
                "no_track" => rule.track = false,
                "l3mdev" => {
                    rule.l3mdev = true;
                    // The table is the one of the vrf that the packet came through.
                    action = Some(RuleAction::Table(0));
                }
                "blackhole" => action = Some(RuleAction::Blackhole),
                "prohibit" => action = Some(RuleAction::Prohibit),
                "unreachable" => action = Some(RuleAction::Unreachable),
                "nop" => action = Some(RuleAction::Nop),
                "type" => {}
                "track_group" if is_static => track_group = Some(self.value(word, line, &mut words)?),
                text if is_rule_option(text) => {
                    let value = self.value(word, line, &mut words)?;
                    match self.rule_option(word, value, &mut rule)? {
                        RuleOption::Match => {}
                        RuleOption::Action(found) => action = Some(found),
                        RuleOption::Preference(found) => preference = Some(found),
                    }
                }
                other => {
                    self.warn("unknown-option", word.span, format!("Unknown rule option {other}"));
                    return None;
                }
            }
        }
        let Some(action) = action else {
            self.warn("missing-value", line.span, "No action specified for rule - ignoring");
            return None;
        };
        let preference = preference.unwrap_or_else(|| {
            let assigned = RULE_PREFERENCE.saturating_sub(self.rules_without_preference);
            self.rules_without_preference += 1;
            let message = format!(
                "Rule has no preference specified - setting to {assigned}. This is probably not what you want."
            );
            self.warn("rule-preference", line.span, message);
            assigned
        });
        Some(Line { item: Rule { preference, action, ..rule }, track_group })
    }

    fn rule_option(&mut self, option: &Word, value: &Word, rule: &mut Rule) -> Option<RuleOption> {
        let text = value.as_str();
        match option.as_str() {
            name @ ("from" | "to") => {
                let Some((address, prefix)) = address_and_prefix(text).filter(|_| !matches!(text, "all" | "default"))
                else {
                    if matches!(text, "all" | "default") {
                        return Some(RuleOption::Match);
                    }
                    self.invalid_ip(value, format!("Invalid rule {name} address {text}"));
                    return None;
                };
                let full = full_prefix(address);
                let length = prefix.map_or(full, |prefix| prefix.parse().unwrap_or(full).min(full));
                if address.is_ipv6() {
                    rule.family = Family::Inet6;
                }
                *(if name == "from" { &mut rule.from } else { &mut rule.to }) = Some((address, length));
            }
            "table" | "lookup" => {
                let table = self.routing_number(RoutingNames::Tables, value, "Routing table", "rule")?;
                return Some(RuleOption::Action(RuleAction::Table(table)));
            }
            "goto" => {
                let consequence = format!("Invalid goto target {text} specified for rule");
                let target = self.integer(value, 1..=i64::from(u32::MAX), &consequence)?;
                return Some(RuleOption::Action(RuleAction::Goto(u32::try_from(target).ok()?)));
            }
            "priority" | "preference" | "order" => {
                let consequence = format!("Invalid rule preference {text} specified");
                let number = self.integer(value, 0..=i64::from(u32::MAX), &consequence)?;
                return Some(RuleOption::Preference(u32::try_from(number).ok()?));
            }
            "iif" | "dev" => rule.incoming = Some(text.to_owned()),
            "oif" => rule.outgoing = Some(text.to_owned()),
            "tos" | "dsfield" => {
                let number = self.routing_number(RoutingNames::TypesOfService, value, "TOS value", "rule")?;
                rule.tos = u8::try_from(number).ok();
            }
            "fwmark" => {
                let (mark, mask) = text.split_once('/').unwrap_or((text, "0xffffffff"));
                let number = |text| super::value::integer(text, &(0..=i64::from(u32::MAX)));
                match (number(mark), number(mask)) {
                    (Ok(mark), Ok(mask)) => rule.fwmark = Some((u32::try_from(mark).ok()?, u32::try_from(mask).ok()?)),
                    (Err(problem), _) | (_, Err(problem)) => {
                        let consequence = format!("Invalid fwmark {text} specified for rule");
                        self.report(Diagnostic::warning("invalid-number", value.span, problem).label(consequence));
                        return None;
                    }
                }
            }
            _ => return self.rule_match(option, value, rule),
        }
        Some(RuleOption::Match)
    }

    /// Options that narrow the match further.
    fn rule_match(&mut self, option: &Word, value: &Word, rule: &mut Rule) -> Option<RuleOption> {
        let text = value.as_str();
        match option.as_str() {
            "realms" => {
                rule.realms = self.realms(text);
                if rule.realms.is_none() {
                    self.warn("not-found", value.span, format!("invalid realms {text} for rule"));
                    return None;
                }
            }
            "uidrange" => {
                rule.uids = range(text);
                if rule.uids.is_none() {
                    self.warn("invalid-value", value.span, format!("Invalid uidrange {text} specified"));
                    return None;
                }
            }
            "protocol" => {
                let number = self.routing_number(RoutingNames::Protocols, value, "protocol", "rule")?;
                rule.protocol = u8::try_from(number).ok();
            }
            "ip_proto" | "ipproto" => {
                rule.ip_protocol = self.ip_protocol(text);
                if rule.ip_protocol.is_none() {
                    self.warn("invalid-value", value.span, format!("Invalid ipproto {text}"));
                    return None;
                }
            }
            name @ ("sport" | "dport") => {
                let ports = range(text);
                if ports.is_none() {
                    self.warn("invalid-value", value.span, format!("invalid {name} range {text}"));
                }
                *(if name == "sport" { &mut rule.source_ports } else { &mut rule.destination_ports }) = ports;
            }
            "tun_id" => {
                let consequence = format!("Invalid tun_id {text}");
                rule.tunnel = u64::try_from(self.integer(value, 0..=i64::MAX, &consequence)?).ok();
            }
            "suppress_prefixlength" => {
                let consequence = format!("suppress_prefixlength {text} is invalid");
                let length = self.integer(value, 0..=i64::from(i32::MAX), &consequence)?;
                rule.suppress_prefix_length = u32::try_from(length).ok();
            }
            _ => {
                let number = text.parse().ok().or_else(|| self.host.routing_name(RoutingNames::Groups, text));
                rule.suppress_group = number;
                if number.is_none() {
                    self.warn("not-found", value.span, format!("suppress_group {text} is invalid"));
                    return None;
                }
            }
        }
        Some(RuleOption::Match)
    }

    fn ip_protocol(&self, text: &str) -> Option<u8> {
        let number = text.parse().ok();
        number.or_else(|| u8::try_from(self.host.routing_name(RoutingNames::IpProtocols, text)?).ok())
    }
}

/// `FIRST-LAST`
fn range<T: std::str::FromStr + PartialOrd>(text: &str) -> Option<(T, T)> {
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

fn is_rule_option(text: &str) -> bool {
    MATCHES.contains(&text) || OTHERS.contains(&text)
}
