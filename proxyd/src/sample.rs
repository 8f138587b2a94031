//! Samples: what rules look at. An expression is a fetch and its converters; it is compiled once, and evaluating it
//! borrows from the message wherever nothing new is made.
//!
//! - [`value`] types and conversions between them
//! - [`context`] what samples are taken from, [`content`] bytes that are no message yet among it
//! - [`variable`] values kept under a name, [`variable_limits`] how many, [`transaction`] what else rules keep for an exchange
//! - [`fetch`] taking them, [`convert`] changing them
//! - [`pattern_file`] patterns and maps in files, which change while the process runs; [`regex`] regular expressions
//! - [`pattern`] comparing them, [`prefix_map`] the look-up below it
//! - [`text`] text with samples in it
//!
//! haproxy's manual, sections 7.1 and 7.3. A fetch that has nothing to say (no such header) gives no sample, and then a
//! comparison is false whatever it is.

pub mod content;
pub mod context;
pub mod convert;
pub mod fetch;
pub mod pattern;
pub mod pattern_file;
pub mod prefix_map;
pub mod regex;
pub mod text;
pub mod transaction;
pub mod value;
pub mod variable;
pub mod variable_limits;

pub use context::{Context, Groups, Live, Stream};
pub use convert::Converter;
pub use fetch::Fetch;
pub use pattern::Patterns;
pub use value::Value;

use std::ops::ControlFlow;

/// A fetch and what is done with its sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Expression {
    /// Where the sample comes from.
    pub fetch: Fetch,
    /// Applied in order.
    pub converters: Box<[Converter]>,
}

impl Expression {
    /// The sample, of several the one that counts outside ACLs (the last of a header's values).
    pub fn value<'a>(&'a self, context: &Context<'a>) -> Option<Value<'a>> {
        self.convert(context, self.fetch.value(context)?)
    }

    /// Whether any of the samples satisfies `wanted`: all values of a header are tried, as in ACLs.
    pub fn any(&self, context: &Context<'_>, mut wanted: impl FnMut(&Value<'_>) -> bool) -> bool {
        self.each(context, |value| if wanted(value) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            .is_break()
    }

    /// All samples in order, until told to stop.
    pub fn each(
        &self,
        context: &Context<'_>,
        mut wants_more: impl FnMut(&Value<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.fetch.each(context, &mut |value| match self.convert(context, value) {
            Some(value) => wants_more(&value),
            None => ControlFlow::Continue(()),
        })
    }

    fn convert<'a>(&'a self, context: &Context<'_>, value: Value<'a>) -> Option<Value<'a>> {
        self.converters.iter().try_fold(value, |value, converter| converter.apply(context, value))
    }
}
