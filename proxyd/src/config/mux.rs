//! `proto`, `check-proto` and `ws`: what is spoken over the connections of a `bind` or `server` line. haproxy calls it a MUX protocol.

use super::model::Mode;
use shared_config::source::Span;
use shared_config::words::Word;

/// A protocol that a line may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mux {
    /// HTTP/1.
    H1,
    /// HTTP/2.
    H2,
    /// `FastCGI`, to servers.
    Fcgi,
    /// HTTP/3, from clients.
    Quic,
    /// What SPOE agents speak.
    Spop,
    /// Bytes as they come.
    Plain,
}

/// One that stands on a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub mux: Mux,
    pub at: Span,
}

impl Mux {
    /// All of them.
    const ALL: [Self; 6] = [Self::H1, Self::H2, Self::Fcgi, Self::Quic, Self::Spop, Self::Plain];

    /// Its name in configurations.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::H1 => "h1",
            Self::H2 => "h2",
            Self::Fcgi => "fcgi",
            Self::Quic => "quic",
            Self::Spop => "spop",
            Self::Plain => "none",
        }
    }

    /// Whether this program speaks it.
    pub(super) const fn works(self) -> bool {
        matches!(self, Self::H1 | Self::Plain)
    }

    /// Whether clients may speak it in a section of that mode.
    pub(super) fn is_for_clients(self, mode: Mode) -> bool {
        match self {
            Self::H1 | Self::H2 | Self::Quic => mode == Mode::Http,
            Self::Plain => mode != Mode::Http,
            Self::Fcgi | Self::Spop => false,
        }
    }

    /// Whether servers may speak it in a section of that mode.
    pub(super) fn is_for_servers(self, mode: Mode) -> bool {
        match self {
            Self::H1 | Self::H2 | Self::Quic | Self::Fcgi => mode == Mode::Http,
            Self::Plain | Self::Spop => mode != Mode::Http,
        }
    }

    /// Whether a check may speak it: one of HTTP, or any other.
    pub(super) fn is_for_checks(self, http: bool) -> bool {
        self.is_for_servers(if http { Mode::Http } else { Mode::Tcp })
    }
}

/// The protocol of that name.
pub(super) fn named(word: &Word) -> Option<Named> {
    let mux = Mux::ALL.into_iter().find(|mux| mux.name() == word.as_str())?;
    Some(Named { mux, at: word.span })
}

/// Names a protocol that does not work yet, for who reads `WORD` of such a line.
pub(super) fn missing(named: Option<Named>, line: &str, word: &str) -> Option<(String, Span)> {
    let named = named.filter(|named| !named.mux.works())?;
    Some((format!("{line} … {word} {}", named.mux.name()), named.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_has_its_protocols() {
        for (mux, clients, servers) in [
            (Mux::H1, [true, false], [true, false]),
            (Mux::H2, [true, false], [true, false]),
            (Mux::Quic, [true, false], [true, false]),
            (Mux::Fcgi, [false, false], [true, false]),
            (Mux::Plain, [false, true], [false, true]),
            (Mux::Spop, [false, false], [false, true]),
        ] {
            assert_eq!([Mode::Http, Mode::Tcp].map(|mode| mux.is_for_clients(mode)), clients, "{mux:?}");
            assert_eq!([Mode::Http, Mode::Tcp].map(|mode| mux.is_for_servers(mode)), servers, "{mux:?}");
            assert_eq!([true, false].map(|http| mux.is_for_checks(http)), servers, "{mux:?}");
        }
    }
}
