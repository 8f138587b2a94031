//! `log-profile` sections: what a `log` line writes in the place of its frontend's formats (configuration.txt of 3.4, 8.3.5).

use super::format::Program;
use super::step::Step;
use crate::sample::Expression;

/// A section.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// `log-tag`
    pub tag: Option<String>,
    /// `on`: of which step, and what then. `None`: of all that have no line of their own (`any`). The last one of a step counts.
    pub steps: Vec<(Option<Step>, Instead)>,
}

/// What is written in the place of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Instead {
    /// `drop`: nothing.
    Nothing,
    /// These. `None`: what the frontend says.
    Line {
        /// `format`
        line: Option<Program<Expression>>,
        /// `sd`: the structured data of an RFC 5424 line.
        structured: Option<Program<Expression>>,
    },
}

impl Profile {
    /// What is written at a step. `None`: what the frontend says.
    pub fn at(&self, step: Step) -> Option<&Instead> {
        let step = if step == Step::Killed { Step::Error } else { step };
        let of = |wanted| self.steps.iter().rev().find(|(known, _)| *known == wanted).map(|(_, instead)| instead);
        of(Some(step)).or_else(|| of(None))
    }

    /// All formats it has.
    pub fn programs(&self) -> impl Iterator<Item = &Program<Expression>> {
        self.steps
            .iter()
            .flat_map(|(_, instead)| match instead {
                Instead::Nothing => [None, None],
                Instead::Line { line, structured } => [line.as_ref(), structured.as_ref()],
            })
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_its_own_comes_before_any() {
        let nothing = Instead::Line { line: None, structured: None };
        let steps = vec![(None, nothing.clone()), (Some(Step::Error), Instead::Nothing)];
        let profile = Profile { name: "p".to_owned(), tag: None, steps };
        assert_eq!(profile.at(Step::Close), Some(&nothing));
        assert_eq!(profile.at(Step::HttpRequest), Some(&nothing));
        assert_eq!(profile.at(Step::Error), Some(&Instead::Nothing));
        assert_eq!(profile.at(Step::Killed), Some(&Instead::Nothing));
        assert_eq!(Profile { steps: Vec::new(), ..profile }.at(Step::Close), None);
    }
}
