//! Tests, ACLs and conditions.

use crate::sample::{Context, Expression, Patterns};

/// One comparison: the sample of an expression with patterns.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// What is looked at. All its values are tried.
    pub expression: Expression,
    /// Any of them is enough. Several where some ignore case and some do not.
    pub patterns: Box<[Patterns]>,
}

impl Test {
    /// Whether the comparison is true. Without a sample it is not.
    pub fn holds(&self, context: &Context<'_>) -> bool {
        self.expression.any(context, |value| self.patterns.iter().any(|patterns| patterns.matches(value)))
    }
}

/// Tests under one name; any of them is enough.
#[derive(Clone, Debug, PartialEq)]
pub struct Acl {
    /// The name; empty for one written in braces.
    pub name: String,
    /// In the order of the file.
    pub tests: Vec<Test>,
}

/// A place in a section's list of ACLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AclIndex(pub usize);

/// An ACL, or that it does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Term {
    /// Which.
    pub acl: AclIndex,
    /// `!`
    pub negated: bool,
}

/// `if` or `unless` and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `unless`
    pub unless: bool,
    /// Any of these groups is enough; of a group, all terms.
    pub any: Box<[Box<[Term]>]>,
}

impl Condition {
    /// Whether the condition holds.
    pub fn holds(&self, acls: &[Acl], context: &Context<'_>) -> bool {
        let term = |term: &Term| {
            let acl = acls.get(term.acl.0);
            acl.is_some_and(|acl| acl.tests.iter().any(|test| test.holds(context))) != term.negated
        };
        self.any.iter().any(|group| group.iter().all(term)) != self.unless
    }

    /// The same where bytes may be missing: `None` if it cannot be told before more have come. What is false or true
    /// whatever comes is told at once.
    pub(super) fn judge(&self, acls: &[Acl], context: &Context<'_>) -> Option<bool> {
        let Some(content) = context.stream.content.filter(|content| !content.complete) else {
            return Some(self.holds(acls, context));
        };
        let term = |term: &Term| {
            let acl = acls.get(term.acl.0);
            let _earlier = content.take_missing();
            let holds = acl.is_some_and(|acl| acl.tests.iter().any(|test| test.holds(context)));
            let known = holds || !content.take_missing();
            known.then_some(holds != term.negated)
        };
        // Of a group one false term is enough, of the groups a true one.
        let group = |group: &[Term]| {
            group.iter().map(term).try_fold(Some(true), |all, term| match term {
                Some(false) => Err(()),
                _ => Ok(all.and(term)),
            })
        };
        let any = self.any.iter().try_fold(Some(false), |any, terms| match group(terms) {
            Ok(Some(true)) => Err(()),
            Ok(unknown) => Ok(any.and(unknown)),
            Err(()) => Ok(any),
        });
        match any {
            Err(()) => Some(!self.unless),
            Ok(any) => any.map(|any| any != self.unless),
        }
    }

    /// The one ACL the condition consists of, if it is that simple.
    pub(super) fn only_acl<'a>(&self, acls: &'a [Acl]) -> Option<&'a Acl> {
        match (self.unless, &*self.any) {
            (false, [group]) => match **group {
                [Term { acl, negated: false }] => acls.get(acl.0),
                _ => None,
            },
            _ => None,
        }
    }
}
