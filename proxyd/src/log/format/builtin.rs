//! The formats that have a name of their own (configuration.txt, 8.2).

use super::{Alias, Encoding, Flags, Item, Program};

const PLAIN: Flags =
    Flags { quoted: false, hexadecimal: false, escaped: false, binary: false, encoding: Encoding::Line };
const QUOTED: Flags = Flags { quoted: true, ..PLAIN };

/// Builds a list: a name is a variable with these flags, one blank a separator, everything else text.
fn items<E>(pieces: &[&str], flags: Flags) -> Vec<Item<E>> {
    let item = |&piece: &&str| match (piece, piece.strip_prefix('%').and_then(Alias::from_name)) {
        (_, Some(alias)) => Item::Alias(alias, flags),
        (" ", None) => Item::Separator,
        (text, None) => Item::Text(text.to_owned()),
    };
    pieces.iter().map(item).collect()
}

const HTTP: &[&str] = &[
    "%ci", ":", "%cp", " ", "[", "%tr", "]", " ", "%ft", " ", "%b", "/", "%s", " ", "%TR", "/", "%Tw", "/", "%Tc", "/",
    "%Tr", "/", "%Ta", " ", "%ST", " ", "%B", " ", "%CC", " ", "%CS", " ", "%tsc", " ", "%ac", "/", "%fc", "/", "%bc",
    "/", "%sc", "/", "%rc", " ", "%sq", "/", "%bq", " ", "%hr", " ", "%hs", " ",
];

const TCP: &[&str] = &[
    "%ci", ":", "%cp", " ", "[", "%t", "]", " ", "%ft", " ", "%b", "/", "%s", " ", "%Tw", "/", "%Tc", "/", "%Tt", " ",
    "%B", " ", "%ts", " ", "%ac", "/", "%fc", "/", "%bc", "/", "%sc", "/", "%rc", " ", "%sq", "/", "%bq",
];

const TCP_CLF: &[&str] = &[
    " ", "%B", " ", "\"\"", " ", "\"\"", " ", "%cp", " ", "%ms", " ", "%ft", " ", "%b", " ", "%s", " ", "%Th", " ",
    "%Tw", " ", "%Tc", " ", "%Tt", " ", "%U", " ", "%ts", "--", " ", "%ac", " ", "%fc", " ", "%bc", " ", "%sc", " ",
    "%rc", " ", "%sq", " ", "%bq", " ", "\"\"", " ", "\"\"", " ",
];

const CLF: &[&str] = &[
    " ", "%r", " ", "%ST", " ", "%B", " ", "\"\"", " ", "\"\"", " ", "%cp", " ", "%ms", " ", "%ft", " ", "%b", " ",
    "%s", " ", "%TR", " ", "%Tw", " ", "%Tc", " ", "%Tr", " ", "%Ta", " ", "%tsc", " ", "%ac", " ", "%fc", " ", "%bc",
    " ", "%sc", " ", "%rc", " ", "%sq", " ", "%bq", " ", "%CC", " ", "%CS", " ", "%hrl", " ", "%hsl",
];

fn http<E>() -> Vec<Item<E>> {
    let mut list = items(HTTP, PLAIN);
    list.push(Item::Alias(Alias::Request, QUOTED));
    list
}

impl<E> Program<E> {
    /// No option at all: a line when the connection is accepted; the last word says the frontend's mode.
    pub fn connect(http: bool) -> Self {
        let mode = if http { "/HTTP)" } else { "/TCP)" };
        Self::new(items(&["Connect from ", "%ci", ":", "%cp", " to ", "%fi", ":", "%fp", " (", "%f", mode], PLAIN))
    }

    /// `option tcplog`.
    pub fn tcp() -> Self {
        Self::new(items(TCP, PLAIN))
    }

    /// `option tcplog clf`.
    pub fn tcp_clf() -> Self {
        let mut list = items(&["%ci", " ", "-", " ", "-", " ", "[", "%T", "]", " ", "\"TCP ", "\"", " ", "000"], PLAIN);
        list.extend(items(TCP_CLF, QUOTED));
        Self::new(list)
    }

    /// `option httplog`.
    pub fn http() -> Self {
        Self::new(http())
    }

    /// `option httplog clf`.
    pub fn http_clf() -> Self {
        let mut list = items(&["%ci", " ", "-", " ", "-", " ", "[", "%trg", "]"], PLAIN);
        list.extend(items(CLF, QUOTED));
        Self::new(list)
    }

    /// `option httpslog`: nothing terminates TLS yet, so what it adds about TLS is what haproxy writes of a plain connection.
    pub fn https() -> Self {
        let mut list = http();
        list.extend(items(&[" ", "0/-/-/-/0", " ", "-/", "%sslv", "/", "%sslc"], PLAIN));
        Self::new(list)
    }

    /// The line for a connection that failed before there was a session (configuration.txt, 8.2.5).
    pub fn connection_error(listener: &str, message: &str) -> Self {
        let end = format!("/{listener}: {message}");
        Self::new(items(&["%ci", ":", "%cp", " ", "[", "%t", "]", " ", "%f", &end], PLAIN))
    }
}
