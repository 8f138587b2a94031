//! `use_backend`: many rules in one look-up.
//!
//! Configurations made by platforms have hundreds of rules of one shape: `use_backend B if { path_beg /x }`, or the same with a
//! host. Neighbouring rules that compare the same sample in the same way become one run: a single look-up tells the first rule of the
//! run that holds. The first match still wins, as runs are tried in the order of the file and the look-up gives the least
//! rule number over all values of the sample.

use super::Rule;
use super::acl::{Acl, Condition};
use crate::ids::BackendId;
use crate::sample::pattern::{Index, Patterns};
use crate::sample::text::Text;
use crate::sample::{Context, Expression};
use std::ops::ControlFlow;

/// The backend a rule names.
#[derive(Clone, Debug, PartialEq)]
pub enum BackendName {
    /// Known when the configuration was read.
    Fixed(BackendId),
    /// Made for each request: `%[…]`.
    Dynamic(Text),
}

/// A run shorter than this is walked: a look-up would not be faster.
const RUN_MIN: usize = 3;

/// The rules of a section.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Switch {
    rules: Vec<Rule<BackendName>>,
    /// In order; together they cover all rules.
    blocks: Vec<Block>,
}

#[derive(Clone, Debug, PartialEq)]
enum Block {
    /// Rules from one number to before another, tried one by one.
    Each(usize, usize),
    /// Rules that one look-up decides.
    Run { expression: Expression, index: Index },
}

impl Switch {
    /// Compiles the rules.
    pub fn new(rules: Vec<Rule<BackendName>>, acls: &[Acl]) -> Self {
        let mut blocks = Vec::new();
        let mut at = 0;
        while at < rules.len() {
            let end = at + run_length(&rules[at..], acls);
            match run(&rules[at..end], at, acls) {
                Some(run) if end - at >= RUN_MIN => blocks.push(run),
                _ => match blocks.last_mut() {
                    Some(Block::Each(_, last)) => *last = end,
                    _ => blocks.push(Block::Each(at, end)),
                },
            }
            at = end;
        }
        Self { rules, blocks }
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules in order, for those who review them.
    pub fn rules(&self) -> &[Rule<BackendName>] {
        &self.rules
    }

    /// The backend of the first rule that holds and whose backend `takes` the request; one that does not is passed over. A name
    /// made at run time that no backend has ends the search.
    pub(super) fn choose(
        &self,
        acls: &[Acl],
        context: &Context<'_>,
        takes: impl Fn(BackendId) -> bool,
    ) -> Option<BackendId> {
        let first = self.first(acls, context)?;
        let backend = named(self.rules.get(first)?, context)?;
        if takes(backend) {
            return Some(backend);
        }
        // It happens to few requests that a backend is not there for them.
        for rule in self.rules.get(first + 1..)?.iter().filter(|rule| rule.holds(acls, context)) {
            let backend = named(rule, context)?;
            if takes(backend) {
                return Some(backend);
            }
        }
        None
    }

    /// The number of the first rule that holds.
    fn first(&self, acls: &[Acl], context: &Context<'_>) -> Option<usize> {
        self.blocks.iter().find_map(|block| match block {
            Block::Each(start, end) => (*start..*end).find(|&rule| self.rules[rule].holds(acls, context)),
            Block::Run { expression, index } => {
                let mut least: Option<u32> = None;
                let _ = expression.each(context, |value| {
                    least = [least, index.least(value)].into_iter().flatten().min();
                    ControlFlow::Continue(())
                });
                least.map(|rule| rule as usize)
            }
        })
    }
}

/// The backend that a rule names.
fn named(rule: &Rule<BackendName>, context: &Context<'_>) -> Option<BackendId> {
    match &rule.action {
        BackendName::Fixed(id) => Some(*id),
        BackendName::Dynamic(name) => {
            let mut text = Vec::new();
            name.write(context, &mut text);
            context.stream.live.backend_named(&text)
        }
    }
}

/// How a rule can be part of a run: the sample it looks at and its texts.
fn shape<'a>(rule: &Rule<BackendName>, acls: &'a [Acl]) -> Option<(&'a Expression, Vec<&'a Patterns>)> {
    let acl = rule.condition.as_ref().and_then(|condition: &Condition| condition.only_acl(acls))?;
    let expression = &acl.tests.first()?.expression;
    let same = acl.tests.iter().all(|test| test.expression == *expression);
    let patterns: Vec<&Patterns> = acl.tests.iter().flat_map(|test| &test.patterns).collect();
    (same && patterns.iter().all(|patterns| patterns.is_text_map())).then_some((expression, patterns))
}

/// How many of the first rules look at the same sample in the same way; at least 1.
fn run_length(rules: &[Rule<BackendName>], acls: &[Acl]) -> usize {
    let Some((expression, patterns)) = rules.first().and_then(|rule| shape(rule, acls)) else { return 1 };
    let Some(kind) = patterns.first().copied() else { return 1 };
    let fits = |rule: &&Rule<BackendName>| {
        shape(rule, acls).is_some_and(|(other, patterns)| {
            other == expression && patterns.iter().all(|patterns| patterns.same_kind(kind))
        })
    };
    rules.iter().take_while(fits).count().max(1)
}

/// The look-up of a run whose first rule has this number.
fn run(rules: &[Rule<BackendName>], first: usize, acls: &[Acl]) -> Option<Block> {
    let (expression, patterns) = shape(rules.first()?, acls)?;
    let kind = *patterns.first()?;
    let mut texts = Vec::new();
    for (rule, number) in rules.iter().zip(first..) {
        let number = u32::try_from(number).ok()?;
        for patterns in shape(rule, acls)?.1 {
            texts.extend(patterns.map_texts()?.map(|text| (text.to_vec(), number)));
        }
    }
    Some(Block::Run { expression: expression.clone(), index: Index::new(kind, texts)? })
}
