//! The places in the life of a connection or request where a line may be written (configuration.txt of 3.2, `log-steps` and
//! `log-profile`).

/// Why a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// A connection was accepted.
    Accept,
    /// A request was received.
    Request,
    /// A server was connected to.
    Connect,
    /// A response's head came.
    Response,
    /// All is over.
    Close,
    /// A connection failed before it was one.
    Error,
    /// `tcp-request connection do-log`
    TcpRequestConnection,
    /// `tcp-request session do-log`
    TcpRequestSession,
    /// `tcp-request content do-log`
    TcpRequestContent,
    /// `tcp-response content do-log`
    TcpResponseContent,
    /// `http-request do-log`
    HttpRequest,
    /// `http-response do-log`
    HttpResponse,
    /// `http-after-response do-log`
    HttpAfterResponse,
}

/// The words of `on` and of `log-steps`, and what `%OG` says.
const NAMES: [(Step, &str, &str); 13] = [
    (Step::Accept, "accept", "txn_accept"),
    (Step::Request, "request", "txn_request"),
    (Step::Connect, "connect", "txn_connect"),
    (Step::Response, "response", "txn_response"),
    (Step::Close, "close", "txn_close"),
    (Step::Error, "error", "sess_error"),
    (Step::TcpRequestConnection, "tcp-req-conn", "tcp-req-conn"),
    (Step::TcpRequestSession, "tcp-req-sess", "tcp-req-sess"),
    (Step::TcpRequestContent, "tcp-req-cont", "tcp-req-cont"),
    (Step::TcpResponseContent, "tcp-res-cont", "tcp-res-cont"),
    (Step::HttpRequest, "http-req", "http-req"),
    (Step::HttpResponse, "http-res", "http-res"),
    (Step::HttpAfterResponse, "http-after-res", "http-after-res"),
];

impl Step {
    /// How many there are.
    pub const COUNT: usize = NAMES.len();

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|&(step, ..)| step)
    }

    /// The step of a word in the configuration.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().find(|(_, known, _)| *known == name).map(|&(step, ..)| step)
    }

    /// Its word in the configuration.
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// What `%OG` shows.
    pub fn origin(self) -> &'static str {
        NAMES[self as usize].2
    }

    /// Whether `log-steps` knows it; the others are asked for by an action or an error.
    pub fn is_regular(self) -> bool {
        matches!(self, Self::Accept | Self::Request | Self::Connect | Self::Response | Self::Close)
    }
}

/// Some steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Steps(u16);

impl Steps {
    /// Whether this one is among them.
    pub fn contains(self, step: Step) -> bool {
        self.0 & (1 << step as u16) != 0
    }

    /// These and one more.
    #[must_use]
    pub fn with(self, step: Step) -> Self {
        Self(self.0 | 1 << step as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_in_the_order_of_the_steps() {
        for (at, step) in Step::all().enumerate() {
            assert_eq!(step as usize, at);
            assert_eq!(Step::from_name(step.name()), Some(step));
        }
        assert_eq!(Step::from_name("any"), None);
    }

    #[test]
    fn a_set_has_what_was_put_into_it() {
        let steps = Steps::default().with(Step::Accept).with(Step::HttpAfterResponse);
        let found: Vec<_> = Step::all().filter(|step| steps.contains(*step)).collect();
        assert_eq!(found, [Step::Accept, Step::HttpAfterResponse]);
    }
}
