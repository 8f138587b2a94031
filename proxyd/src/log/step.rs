//! The places in the life of a connection or request where a line is written.

/// Why a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// A connection was accepted, or a request begins on one.
    Accept,
    /// A request was received.
    Request,
    /// A server was connected to.
    Connect,
    /// A response's head came.
    Response,
    /// All is over.
    Close,
    /// What came was no request.
    Error,
    /// A connection failed before it was one.
    Killed,
    /// `tcp-request connection do-log`
    TcpConnection,
    /// `tcp-request session do-log`
    TcpSession,
    /// `tcp-request content do-log`
    TcpContent,
    /// `tcp-response content do-log`
    TcpResponse,
    /// `http-request do-log`
    HttpRequest,
    /// `http-response do-log`
    HttpResponse,
    /// `http-after-response do-log`
    HttpAfterResponse,
}

/// How the steps are named after `on` (configuration.txt of 3.4, 8.3.5 and `do-log`). [`Step::Killed`] is an `error`, too.
const NAMES: [(&str, Step); 13] = [
    ("accept", Step::Accept),
    ("request", Step::Request),
    ("connect", Step::Connect),
    ("response", Step::Response),
    ("close", Step::Close),
    ("error", Step::Error),
    ("tcp-req-conn", Step::TcpConnection),
    ("tcp-req-sess", Step::TcpSession),
    ("tcp-req-cont", Step::TcpContent),
    ("tcp-res-cont", Step::TcpResponse),
    ("http-req", Step::HttpRequest),
    ("http-res", Step::HttpResponse),
    ("http-after-res", Step::HttpAfterResponse),
];

impl Step {
    /// The step that `on` names.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|&(_, step)| step)
    }

    /// All names after `on`, for suggestions.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// What `%OG` shows (configuration.txt of 3.4, 8.2.6).
    pub fn origin(self) -> &'static str {
        match self {
            Self::Accept => "txn_accept",
            Self::Request => "txn_request",
            Self::Connect => "txn_connect",
            Self::Response => "txn_response",
            Self::Close => "txn_close",
            Self::Error => "sess_error",
            Self::Killed => "sess_killed",
            Self::TcpConnection => "tcp-req-conn",
            Self::TcpSession => "tcp-req-sess",
            Self::TcpContent => "tcp-req-cont",
            Self::TcpResponse => "tcp-res-cont",
            Self::HttpRequest => "http-req",
            Self::HttpResponse => "http-res",
            Self::HttpAfterResponse => "http-after-res",
        }
    }
}

/// `log-steps`: the steps at which a frontend writes lines by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Steps(u8);

/// Those that `log-steps` can name; each is a bit of [`Steps`], in this order.
const CHOICE: [Step; 5] = [Step::Accept, Step::Request, Step::Connect, Step::Response, Step::Close];

impl Steps {
    /// `all`
    pub const ALL: Self = Self((1 << CHOICE.len()) - 1);

    /// Adds the step of a name. False: `log-steps` knows no such step.
    pub fn add(&mut self, name: &str) -> bool {
        let step = Step::from_name(name);
        let bit = CHOICE.iter().position(|known| Some(*known) == step);
        self.0 |= bit.map_or(0, |bit| 1 << bit);
        bit.is_some()
    }

    /// Whether a line is written at this step.
    pub fn has(self, step: Step) -> bool {
        CHOICE.iter().position(|known| *known == step).is_some_and(|bit| self.0 & 1 << bit != 0)
    }

    /// The names that `log-steps` knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().filter(|(_, step)| CHOICE.contains(step)).map(|(name, _)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_chosen_by_name() {
        let mut steps = Steps::default();
        assert!(steps.add("accept") && steps.add("close"));
        assert!(!steps.add("error") && !steps.add("http-req") && !steps.add(""));
        assert!(steps.has(Step::Accept) && steps.has(Step::Close));
        assert!(!steps.has(Step::Request) && !steps.has(Step::Error));
        assert!(Steps::names().count() == 5 && CHOICE.into_iter().all(|step| Steps::ALL.has(step)));
    }
}
