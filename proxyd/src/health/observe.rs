//! `observe`: traffic as evidence of a server's health.

use super::Observe;

/// What an exchange with a server tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// A connection stands.
    Connected,
    /// A connection could not be made.
    NotConnected,
    /// A response of a server that is well.
    Answered,
    /// The status of a server that is not.
    WrongStatus,
    /// What came is no response.
    InvalidHead,
    /// No response came in time.
    ReadTimeout,
    /// The connection was closed before the response.
    Closed,
}

impl Evidence {
    /// What a response's status says: 100 to 499, 501 and 505 are good.
    pub fn of_status(status: u16) -> Self {
        if matches!(status, 100..=499 | 501 | 505) { Self::Answered } else { Self::WrongStatus }
    }

    /// Whether it speaks for the server or against it, where it counts at all.
    pub fn verdict(self, observe: Observe) -> Option<bool> {
        match (observe, self) {
            (Observe::Layer4, Self::Connected) | (Observe::Layer7, Self::Answered) => Some(true),
            (Observe::Layer4 | Observe::Layer7, Self::NotConnected)
            | (Observe::Layer7, Self::WrongStatus | Self::InvalidHead | Self::ReadTimeout | Self::Closed) => {
                Some(false)
            }
            (Observe::None, _)
            | (Observe::Layer7, Self::Connected)
            | (
                Observe::Layer4,
                Self::Answered | Self::WrongStatus | Self::InvalidHead | Self::ReadTimeout | Self::Closed,
            ) => None,
        }
    }

    /// In the words of the log.
    pub fn text(self) -> &'static str {
        match self {
            Self::Connected => "L4 successful connection",
            Self::NotConnected => "L4 unsuccessful connection",
            Self::Answered => "Correct http response",
            Self::WrongStatus => "Wrong http response",
            Self::InvalidHead => "Invalid http response (headers)",
            Self::ReadTimeout => "Read timeout (http)",
            Self::Closed => "Close from server (http)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As haproxy 2.6 counted them.
    #[test]
    fn statuses_that_speak_against_a_server() {
        for status in [101, 200, 399, 407, 499, 501, 505] {
            assert_eq!(Evidence::of_status(status), Evidence::Answered, "{status}");
        }
        for status in [500, 502, 503, 504, 506, 599, 600] {
            assert_eq!(Evidence::of_status(status), Evidence::WrongStatus, "{status}");
        }
    }

    #[test]
    fn a_connection_proves_nothing_of_the_layer_above() {
        assert_eq!(Evidence::Connected.verdict(Observe::Layer7), None);
        assert_eq!(Evidence::NotConnected.verdict(Observe::Layer7), Some(false));
        assert_eq!(Evidence::WrongStatus.verdict(Observe::Layer4), None);
        assert_eq!(Evidence::NotConnected.verdict(Observe::None), None);
    }
}
