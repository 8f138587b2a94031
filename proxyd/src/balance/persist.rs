//! Cookie persistence and redispatch: which server a returning client goes to, and what is written back.
//!
//! [`read`] is called with the request's `Cookie` lines before a server is chosen, [`write`] with the response's
//! `Set-Cookie` lines once one has answered. Both return what is to be changed and change nothing themselves.
//! [`crumbs`] cuts and mends the lines, [`date`] knows the dates inside of dated cookies, [`dynamic`] computes values,
//! [`rdp`] reads those of Remote Desktop, [`values`] knows whom each value means.

mod crumbs;
mod date;
pub mod dynamic;
pub mod rdp;
pub mod values;

use std::time::Duration;

use super::farm::Farm;
use crumbs::Crumb;
use date::{FUTURE_MAX, decode, encode};

/// The `cookie` line of a backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CookieSettings {
    /// The cookie's name.
    pub name: String,
    /// What is done to the cookie on its way to the client.
    pub mode: CookieMode,
    /// The server never sees the inserted cookie, and the client is not sent one it already has.
    pub indirect: bool,
    /// A response that carries a new cookie is marked as private when a cache could keep it.
    pub nocache: bool,
    /// Only responses to POST get the cookie.
    pub postonly: bool,
    /// A cookie of this name set by the server itself is left alone.
    pub preserve: bool,
    /// The attribute `HttpOnly` is added.
    pub httponly: bool,
    /// The attribute `Secure` is added.
    pub secure: bool,
    /// Values are computed from the server's address instead of its `cookie` word.
    pub dynamic: bool,
    /// The `domain` attributes, in the order given.
    pub domains: Vec<String>,
    /// Further attributes (`attr`), in the order given.
    pub attributes: Vec<String>,
    /// A cookie unused for longer is ignored.
    pub max_idle: Option<Duration>,
    /// A cookie first set longer ago is ignored.
    pub max_life: Option<Duration>,
}

/// What is done to a persistence cookie on its way to the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CookieMode {
    /// The client's cookie is read, nothing is ever written.
    #[default]
    Passive,
    /// A cookie of our own is added.
    Insert,
    /// The server's cookie gets the server's value and a tilde in front.
    Prefix,
    /// The value of the server's cookie is replaced.
    Rewrite,
}

/// `option redispatch [N]`: after which failed connection attempts another server may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redispatch {
    /// Positive: at every N-th retry. Negative: counted from the last one, which is -1. Zero: never.
    pub interval: i32,
}

/// What became of the client's cookie; a letter of the log's termination state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Found {
    /// There was none (`N`).
    #[default]
    None,
    /// No server has this value (`I`).
    Invalid,
    /// It means a server that is down (`D`).
    Down,
    /// It means a server that can be reached (`V`).
    Valid,
    /// It was not used for too long (`E`).
    Expired,
    /// It was set too long ago (`O`).
    Old,
    /// It does not count for this request (`U`).
    Unused,
}

/// What became of the server's cookie; a letter of the log's termination state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Written {
    /// Nothing was sent and nothing done (`N`).
    #[default]
    None,
    /// A cookie was inserted (`I`).
    Inserted,
    /// The client's valid cookie was dated anew (`U`).
    Updated,
    /// The server sent one and it was left as it was (`P`).
    Preserved,
    /// The server's was rewritten (`R`).
    Rewritten,
    /// The server's was deleted (`D`).
    Deleted,
}

impl CookieSettings {
    /// A cookie that is only read leaves no letter in the log.
    fn only_read(&self) -> bool {
        self.mode == CookieMode::Passive && !self.indirect
    }
}

impl Found {
    /// The letter in the log; a cookie that is only read leaves none.
    pub fn letter(self, settings: &CookieSettings) -> char {
        match (settings.only_read(), self) {
            (true, _) => '-',
            (_, Self::None) => 'N',
            (_, Self::Invalid) => 'I',
            (_, Self::Down) => 'D',
            (_, Self::Valid) => 'V',
            (_, Self::Expired) => 'E',
            (_, Self::Old) => 'O',
            (_, Self::Unused) => 'U',
        }
    }
}

impl Written {
    /// The letter in the log; a cookie that is only read leaves none.
    pub fn letter(self, settings: &CookieSettings) -> char {
        match (settings.only_read(), self) {
            (true, _) => '-',
            (_, Self::None) => 'N',
            (_, Self::Inserted) => 'I',
            (_, Self::Updated) => 'U',
            (_, Self::Preserved) => 'P',
            (_, Self::Rewritten) => 'R',
            (_, Self::Deleted) => 'D',
        }
    }
}

/// One header line to be replaced, or removed when there is no new value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The line's rank among those that were given.
    pub line: usize,
    /// What it becomes.
    pub value: Option<Vec<u8>>,
}

/// What the request's cookies say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CookieRead {
    /// The server to go to, by its rank in the backend.
    pub server: Option<usize>,
    /// For the log.
    pub found: Found,
    /// What the server is to see instead.
    pub edits: Vec<Edit>,
    /// `ignore-persist`: it does not count, and none is written.
    ignored: bool,
    /// When the client got its cookie, in seconds since 1970; 0 if unknown.
    first_date: u64,
    /// The client's cookie is valid but its dates are not what the configuration wants.
    stale: bool,
}

impl CookieRead {
    /// Another server is tried than the one that the client's cookie means.
    pub fn redispatch(&mut self) {
        self.server = None;
        if self.found == Found::Valid {
            self.found = Found::Down;
        }
    }

    /// `ignore-persist`: what the client brought does not count, and it is given nothing.
    pub fn ignore(&mut self) {
        self.ignored = true;
        self.server = None;
        if self.found != Found::None {
            self.found = Found::Unused;
        }
    }
}

/// The name and the value of a cookie, without blanks around them.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// The cookies of a line, the first `count` of what stands between its separators: one, where what follows are attributes.
pub fn pairs(line: &[u8], count: usize) -> impl Iterator<Item = Pair<'_>> {
    crumbs::split(line).into_iter().take(count).filter_map(|crumb| Some((crumb.name, crumb.value?)))
}

/// Reads the cookies of a request. `now` is in seconds since 1970; with `forced` a server counts in any state.
pub fn read<'a>(farm: &Farm, lines: impl IntoIterator<Item = &'a [u8]>, now: u64, forced: bool) -> CookieRead {
    let mut read = CookieRead::default();
    let Some(settings) = &farm.settings().cookie else { return read };
    for (line, bytes) in lines.into_iter().enumerate() {
        let mut crumbs = crumbs::split(bytes);
        if crumbs.is_empty() {
            continue;
        }
        for crumb in &mut crumbs {
            if crumb.name == settings.name.as_bytes() && crumb.value.is_some() {
                read_ours((farm, settings), crumb, now, forced, &mut read);
            }
        }
        let joined = crumbs::join(bytes, &crumbs);
        if joined.as_deref() != Some(bytes) {
            read.edits.push(Edit { line, value: joined });
        }
    }
    read
}

fn read_ours(
    (farm, settings): (&Farm, &CookieSettings),
    crumb: &mut Crumb<'_>,
    now: u64,
    forced: bool,
    read: &mut CookieRead,
) {
    let value = crumb.value.unwrap_or_default();
    let delimiter = if settings.mode == CookieMode::Prefix { b'~' } else { b'|' };
    let (id, rest) = match value.iter().position(|&byte| byte == delimiter) {
        Some(at) => (&value[..at], value.get(at + 1..)),
        None => (value, None),
    };
    match (settings.mode, rest) {
        (CookieMode::Prefix, Some(rest)) => crumb.value = Some(rest),
        (CookieMode::Insert, _) if settings.indirect => crumb.removed = true,
        (CookieMode::Passive | CookieMode::Insert | CookieMode::Prefix | CookieMode::Rewrite, _) => {}
    }
    if read.found == Found::Valid {
        return;
    }
    let dates = rest.filter(|_| settings.mode != CookieMode::Prefix).unwrap_or_default();
    let mut dates = dates.split(|&byte| byte == b'|').map(decode);
    let (last, first) = (dates.next().unwrap_or(0), dates.next().unwrap_or(0));
    let beyond = |date: u64, limit: Option<Duration>| {
        limit.is_some_and(|limit| date != 0 && (date + limit.as_secs() < now || date > now + FUTURE_MAX))
    };
    if beyond(first, settings.max_life) {
        read.found = Found::Old;
        return;
    }
    if beyond(last, settings.max_idle) {
        read.found = Found::Expired;
        return;
    }
    let (server, found) = server_of(farm, id, forced);
    if server.is_some() || read.found != Found::Down {
        read.found = found;
    }
    if found != Found::Invalid {
        read.first_date = first;
    }
    if server.is_some() {
        read.server = server;
        read.stale = now > last && last != 0
            || (settings.max_idle.is_some() && last == 0)
            || (settings.max_life.is_some() == (first == 0));
    }
}

/// The first server with this cookie that can be reached; with `option persist` and `force-persist` the first one in any state.
fn server_of(farm: &Farm, id: &[u8], forced: bool) -> (Option<usize>, Found) {
    let mut found = Found::Invalid;
    let values = farm.cookie_values();
    for &index in values.servers(id) {
        let Some(server) = farm.servers().get(index) else { continue };
        if server.reachable() {
            return (Some(index), Found::Valid);
        }
        found = Found::Down;
        if forced || farm.settings().persist {
            return (Some(index), Found::Down);
        }
    }
    (None, found)
}

/// What the response's cookies become.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CookieWrite {
    /// For the log.
    pub written: Written,
    /// What the client is to see instead of the server's lines.
    pub edits: Vec<Edit>,
    /// The value of a `Set-Cookie` line to be appended.
    pub add: Option<Vec<u8>>,
    /// `Cache-Control: private` is to be appended if the response is [`cacheable`].
    pub private: bool,
}

/// Decides on the cookies of a response that came from `server`. `now` is in seconds since 1970.
pub fn write<'a>(
    farm: &Farm,
    read: &CookieRead,
    server: usize,
    set_cookies: impl IntoIterator<Item = &'a [u8]>,
    is_post: bool,
    now: u64,
) -> CookieWrite {
    let mut write = CookieWrite::default();
    let Some(settings) = &farm.settings().cookie else { return write };
    let values = farm.cookie_values();
    let id = values.of(server);
    for (line, bytes) in set_cookies.into_iter().enumerate() {
        let mut crumb = crumbs::set_cookie(bytes);
        if crumb.name == settings.name.as_bytes() && crumb.value.is_some() {
            write.written = write_ours(settings, id, read.server == Some(server), &mut crumb);
        }
        let mended = crumb.mend(bytes);
        if mended.as_deref() != Some(bytes) {
            write.edits.push(Edit { line, value: mended });
        }
    }
    // Whom its cookie led here needs no other, whatever state the server is in.
    let unknown = read.server != Some(server);
    let wanted = settings.mode == CookieMode::Insert
        && (!settings.postonly || is_post)
        && write.written != Written::Preserved
        && !read.ignored
        && (unknown || read.stale);
    if wanted {
        write.add = Some(new_cookie(settings, id, if read.found == Found::None { 0 } else { read.first_date }, now));
        write.written = if unknown { Written::Inserted } else { Written::Updated };
        write.private = settings.nocache;
    }
    write
}

/// Does to the server's own cookie what the mode says. `led_here`: the client's own cookie is right.
fn write_ours(settings: &CookieSettings, id: Option<&str>, led_here: bool, crumb: &mut Crumb<'_>) -> Written {
    if settings.preserve {
        return Written::Preserved;
    }
    if settings.mode == CookieMode::Insert || settings.indirect && led_here {
        crumb.removed = true;
        return Written::Deleted;
    }
    match (settings.mode, id) {
        (CookieMode::Rewrite, Some(id)) => {
            crumb.prefix = Some(id.as_bytes().to_vec());
            crumb.value = Some(b"");
            Written::Rewritten
        }
        (CookieMode::Prefix, Some(id)) => {
            crumb.prefix = Some([id.as_bytes(), b"~"].concat());
            Written::Rewritten
        }
        (_, _) => Written::Preserved,
    }
}

/// The value of our own `Set-Cookie` line; a server without a cookie value takes the client's cookie away.
fn new_cookie(settings: &CookieSettings, id: Option<&str>, first_date: u64, now: u64) -> Vec<u8> {
    let mut cookie = format!("{}=", settings.name);
    match id {
        Some(id) => {
            cookie.push_str(id);
            if settings.max_idle.is_some() || settings.max_life.is_some() {
                cookie.push('|');
                cookie.push_str(&encode(now));
            }
            if settings.max_life.is_some() {
                cookie.push('|');
                cookie.push_str(&encode(if first_date == 0 { now } else { first_date }));
            }
        }
        None => cookie.push_str("; Expires=Thu, 01-Jan-1970 00:00:01 GMT"),
    }
    cookie.push_str("; path=/");
    for domain in &settings.domains {
        cookie.push_str("; domain=");
        cookie.push_str(domain);
    }
    if settings.httponly {
        cookie.push_str("; HttpOnly");
    }
    if settings.secure {
        cookie.push_str("; Secure");
    }
    for attribute in &settings.attributes {
        cookie.push_str("; ");
        cookie.push_str(attribute);
    }
    cookie.into_bytes()
}

/// Whether a shared cache could keep a response: it is fresh for some time or can be validated, and nothing forbids it. A time of 0
/// forbids it, too.
pub fn cacheable<'a>(
    cache_control: impl IntoIterator<Item = &'a [u8]>,
    has_expires: bool,
    has_validator: bool,
) -> bool {
    let mut fresh = has_expires || has_validator;
    for directive in cache_control.into_iter().flat_map(|value| value.split(|&byte| byte == b',')) {
        let directive = directive.trim_ascii().to_ascii_lowercase();
        // With fields behind it, `no-cache` is about those only.
        match &directive[..] {
            b"private" | b"no-cache" | b"no-store" | b"max-age=0" | b"s-maxage=0" => return false,
            directive => fresh |= directive.starts_with(b"max-age=") || directive.starts_with(b"s-maxage="),
        }
    }
    fresh
}

/// How a failed connection attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The server that was tried.
    pub server: usize,
    /// Retries so far, the one to come included.
    pub retry: u32,
    /// `retries`.
    pub retries: u32,
    /// The server was demanded by a cookie, a stick table or `use-server`.
    pub directed: bool,
    /// `force-persist` applies.
    pub forced: bool,
    /// The server was reached, and is asked once more (`retry-on`).
    pub sent: bool,
}

/// Whether the next attempt may go to another server.
pub fn may_redispatch(farm: &Farm, attempt: &Attempt) -> bool {
    let Some(Redispatch { interval }) = farm.settings().redispatch else { return false };
    if attempt.forced {
        return false;
    }
    let lost = farm.servers().get(attempt.server).is_none_or(|server| !server.reachable());
    let divisor = if interval < 0 { i64::from(attempt.retries) + 1 + i64::from(interval) } else { interval.into() };
    // What a server has got goes on to another one by turns only if persistence led it there.
    let its_turn =
        (attempt.directed || !attempt.sent) && interval != 0 && divisor > 0 && i64::from(attempt.retry) % divisor == 0;
    let free = !attempt.directed && farm.usable().active > 1 && !farm.settings().algorithm.is_hash();
    lost || its_turn || free
}

#[cfg(test)]
mod tests;
