//! What a worker's sessions are asked by the runtime API (`show sess`, `shutdown session`).
//!
//! Nobody keeps a list of sessions, and nothing is noted while requests are served: a session that waits has a timer, so all of
//! them are woken, each with the question at its timer, and each answers for itself when it comes to wait again. A survey is
//! over when nobody holds it any more.

use std::cell::RefCell;

use tokio::sync::oneshot;

use crate::session::report::Report;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// What all sessions are doing.
    All,
    /// What the one of this number is doing.
    One(u64),
    /// The one of this number is to end.
    End(u64),
}

/// A question on its way to all sessions of a worker, and what those that it concerns have answered. The answers leave when the
/// last one lets go of it.
#[derive(Debug)]
pub struct Survey {
    question: Question,
    reports: RefCell<Vec<Report>>,
    asker: Option<oneshot::Sender<Vec<Report>>>,
}

impl Survey {
    /// A question that nobody has heard yet.
    pub fn new(question: Question, asker: oneshot::Sender<Vec<Report>>) -> Self {
        Self { question, reports: RefCell::default(), asker: Some(asker) }
    }

    /// Takes a session's answer. True: it is to end.
    pub fn answer(&self, report: Report) -> bool {
        let (concerns, ends) = match self.question {
            Question::All => (true, false),
            Question::One(number) => (number == report.number, false),
            Question::End(number) => (number == report.number, number == report.number),
        };
        if concerns {
            self.reports.borrow_mut().push(report);
        }
        ends
    }
}

impl Drop for Survey {
    fn drop(&mut self) {
        if let Some(asker) = self.asker.take() {
            // An operator who has left needs no answer.
            let _ = asker.send(self.reports.take());
        }
    }
}
