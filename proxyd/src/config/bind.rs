//! `bind` lines and the parameters they share with `stats socket`.

use super::address::{Accept, Address, Host, Port, Resolver, abstract_name};
use super::guid::{self, Guid};
use super::line::{Line, code};
use super::mux::{self, Named};
use super::support::Support;
use super::value::{self, Unit};
use super::{threads, users};
use crate::config::model::{SeverityOutput, StatsLevel};
use crate::limits::SIGNATURE_KEY_BYTES_MAX;
use crate::proxy::listen::{Bind, ListenAddress, SocketOwner, Threads};
use crate::proxy::settings::TcpOptions;
use shared_config::diagnostic::{Diagnostic, Place};
use shared_config::haproxy::keyword::{self, BIND_PARAMS};
use shared_config::source::Span;
use shared_config::suggest;
use shared_config::words::Word;
use std::net::SocketAddr;
use std::time::Duration;

/// What `dgram-bind` takes.
pub(super) const DATAGRAM: Accept = Accept { datagram: true, stream: false, ..Accept::BIND };

/// What the parameters of a line say, for all its addresses.
#[derive(Clone, Debug, Default)]
pub(super) struct BindSettings {
    pub name: Option<String>,
    pub id: Option<(u32, Span)>,
    pub accept_proxy: bool,
    pub netscaler_magic: Option<u32>,
    pub interface: Option<String>,
    pub namespace: Option<String>,
    pub threads: Option<Threads>,
    pub transparent: bool,
    pub v6only: Option<bool>,
    pub defer_accept: bool,
    pub tfo: bool,
    pub mss: Option<i32>,
    pub saved_syn: Option<u8>,
    pub tcp_user_timeout: Option<Duration>,
    pub tcp: TcpOptions,
    pub maxconn: Option<u32>,
    pub backlog: Option<u32>,
    pub owner: SocketOwner,
    pub level: StatsLevel,
    pub severity: SeverityOutput,
    pub expose_fd_listeners: bool,
    pub guid_prefix: Option<Guid>,
    pub mux: Option<Named>,
    pub ssl: bool,
    pub has_certificate: bool,
}

/// A listener, and what is checked once the section is complete.
#[derive(Clone, Debug)]
pub(super) struct BindDraft {
    /// The listener; its id is 0 where none was given.
    pub bind: Bind,
    /// The addresses on the line.
    pub span: Span,
    /// `guid-prefix`, and which listener of the line it is.
    pub guid: Option<Guid>,
    /// `proto`
    pub mux: Option<Named>,
    /// Where TLS is asked for, a certificate is named.
    pub has_certificate: bool,
}

/// A `bind` statement: one listener per address and port.
pub(super) fn bind(line: &mut Line<'_, '_>, resolver: &mut Resolver, support: &mut Support) -> Vec<BindDraft> {
    let missing = "'bind' expects {<path>|[addr1]:port1[-end1]}{,[addr]:port[-end]}... as arguments.";
    let Some(word) = line.expect(missing) else { return Vec::new() };
    let addresses = addresses(line, word, "'bind' : ", Accept::BIND, resolver);
    let prefix = format!("'bind {}' in section '{}'", word.text, line.section.name());
    let settings = params(line, &prefix, support);
    addresses
        .into_iter()
        .zip(1..)
        .map(|(address, number): (_, u32)| BindDraft {
            guid: settings.guid_prefix.as_ref().map(|prefix| prefix.numbered(number)),
            bind: listener(&settings, address, &word.text),
            span: word.span,
            mux: settings.mux,
            has_certificate: settings.has_certificate,
        })
        .collect()
}

/// Whether there is a network namespace of that name.
pub(super) fn namespace_exists(name: &str) -> bool {
    !name.contains('/') && std::path::Path::new("/var/run/netns").join(name).exists()
}

fn listener(settings: &BindSettings, address: ListenAddress, text: &str) -> Bind {
    Bind {
        address,
        name: settings.name.clone(),
        id: settings.id.map_or(0, |(id, _)| id),
        text: text.to_owned(),
        // Filled in with the rest of what needs all sections.
        place: String::new(),
        accept_proxy: settings.accept_proxy,
        netscaler_magic: settings.netscaler_magic,
        interface: settings.interface.clone(),
        namespace: settings.namespace.clone(),
        threads: settings.threads,
        transparent: settings.transparent,
        v6only: settings.v6only,
        defer_accept: settings.defer_accept,
        tfo: settings.tfo,
        mss: settings.mss,
        saved_syn: settings.saved_syn,
        tcp_user_timeout: settings.tcp_user_timeout,
        tcp: settings.tcp.shared(),
        maxconn: settings.maxconn,
        kernel_buffers: crate::proxy::settings::SocketBuffers::default(),
        smart_accept: false,
        exclusive: false,
        backlog: settings.backlog,
        owner: settings.owner.clone(),
        ssl: settings.ssl,
    }
}

/// The addresses of a comma-separated list.
pub(super) fn addresses(
    line: &mut Line<'_, '_>,
    word: &Word,
    prefix: &str,
    accept: Accept,
    resolver: &mut Resolver,
) -> Vec<ListenAddress> {
    let mut found = Vec::new();
    let mut start = 0;
    for part in word.text.split(',') {
        let range = start..start + part.len();
        start = range.end + 1;
        let result = resolver.parse(part, accept).and_then(|address| expand(&address, part, resolver, &mut found));
        if let Err(message) = result {
            line.error(code::BAD_VALUE, word.span_of(range), format!("{prefix}{message}"));
        }
    }
    found
}

/// One address with a range of ports as listeners.
fn expand(
    address: &Address,
    text: &str,
    resolver: &mut Resolver,
    found: &mut Vec<ListenAddress>,
) -> Result<(), String> {
    match &address.host {
        Host::Unix(path) => found.push(ListenAddress::Unix(path.into())),
        Host::Abstract(_) | Host::AbstractZero(_) => {
            found.extend(abstract_name(&address.host).map(ListenAddress::Abstract));
        }
        Host::Fd(fd) | Host::SocketPair(fd) => {
            check_descriptor(*fd)?;
            found.push(ListenAddress::Fd(*fd));
        }
        Host::ReverseHttp(_) => return Err(format!("reverse HTTP is not supported in '{text}'")),
        Host::Any | Host::Ip(_) | Host::Name(_) => {
            let ip = resolver.ip(address, text)?;
            let ports = match address.port {
                Port::One(port) => port..=port,
                Port::Range(low, high) => low..=high,
                Port::None | Port::Offset(_) => return Err(format!("missing port specification in '{text}'")),
            };
            found.extend(ports.map(|port| ListenAddress::Tcp(SocketAddr::new(ip, port))));
        }
    }
    Ok(())
}

/// An inherited descriptor must be an open socket.
fn check_descriptor(fd: i32) -> Result<(), String> {
    let link = std::fs::read_link(format!("/proc/self/fd/{fd}"));
    match link {
        Ok(target) if target.to_string_lossy().starts_with("socket:") => Ok(()),
        Ok(_) => Err(format!("cannot use file descriptor '{fd}' : Socket operation on non-socket.")),
        Err(_) => Err(format!("cannot use file descriptor '{fd}' : Bad file descriptor.")),
    }
}

/// Reads the parameters up to the end of the line.
pub(super) fn params(line: &mut Line<'_, '_>, prefix: &str, support: &mut Support) -> BindSettings {
    let mut settings = BindSettings::default();
    while let Some(word) = line.words.next() {
        let Some(row) = keyword::find_bind_param(&word.text) else {
            let space = if line.name == "stats socket" { " " } else { "" };
            let mut message = format!("{prefix}{space}: unknown keyword '{}'", word.text);
            let nearest = suggest::nearest(&word.text, BIND_PARAMS.iter().map(|row| row.name));
            message += &nearest.map_or_else(|| ".".to_owned(), |name| format!("; did you mean '{name}' maybe ?"));
            let mut diagnostic =
                Diagnostic::error(code::UNKNOWN_KEYWORD, word.span, message).label("not a parameter of a listener");
            if let Some(nearest) = nearest {
                diagnostic = diagnostic.help(format!("write `{nearest}`"));
            }
            line.out.push(diagnostic);
            continue;
        };
        // Without TLS its parameters have nothing to act on.
        if !row.ssl || row.name == "ssl" || settings.ssl {
            support.param(line.name, row, word, line.out);
        }
        let mut reader = Reader { line, prefix, word };
        reader.read(row.arity.min, &mut settings);
        if row.name == "proto"
            && let Some((shown, at)) = mux::missing(settings.mux, line.name, row.name)
        {
            support.unsupported(&shown, at, line.out);
        }
    }
    settings
}

/// One parameter being read.
struct Reader<'l, 'a, 'd> {
    line: &'l mut Line<'a, 'd>,
    prefix: &'l str,
    word: &'a Word,
}

impl<'a> Reader<'_, 'a, '_> {
    fn error(&mut self, at: Span, message: &str) {
        self.line.error(code::BAD_VALUE, at, format!("{} : '{}' : {message}", self.prefix, self.word.text));
    }

    fn argument(&mut self, missing: &str) -> Option<&'a Word> {
        let word = self.line.words.next();
        if word.is_none() {
            let here = self.line.words.here();
            self.error(here, missing);
        }
        word
    }

    /// A number that haproxy takes leniently, refused only below zero.
    fn count(&mut self) -> Option<u32> {
        let word = self.argument("missing value")?;
        let number = self.line.lenient_named(word, &self.word.text, Place::Parsing);
        if number < 0 {
            self.error(word.span, &format!("invalid value {number}, must be >= 0"));
        }
        u32::try_from(number).ok().filter(|&n| n > 0)
    }

    /// A number of 32 bits, of which haproxy also takes negative ones.
    fn magic(&mut self) -> Option<u32> {
        let word = self.argument("missing value")?;
        let number = self.line.lenient_named(word, &self.word.text, Place::Parsing);
        if number == 0 {
            self.error(word.span, "invalid value 0, must be >= 0");
        }
        u32::try_from(number & i64::from(u32::MAX)).ok().filter(|&number| number != 0)
    }

    fn read(&mut self, arguments: u8, s: &mut BindSettings) {
        match &*self.word.text {
            "accept-proxy" => s.accept_proxy = true,
            "accept-netscaler-cip" => s.netscaler_magic = self.magic(),
            "transparent" => s.transparent = true,
            "v4v6" => s.v6only = Some(false),
            "v6only" => s.v6only = Some(true),
            "defer-accept" => s.defer_accept = true,
            "tfo" => s.tfo = true,
            "name" => s.name = self.argument("missing name").map(|word| word.text.to_string()).or(s.name.take()),
            "id" => self.id(s),
            "interface" => {
                s.interface = self.argument("missing interface name").map(|word| word.text.to_string());
            }
            "namespace" => s.namespace = self.namespace(),
            "maxconn" => s.maxconn = self.count(),
            "cc" => s.tcp.congestion_control = self.argument("missing algorithm").map(|word| word.text.to_string()),
            "tcp-md5sig" => s.tcp.signature_key = self.signature_key(),
            // Only HTTP/2 has such pings, as the manual says.
            "idle-ping" => {
                if let Some(word) = self.argument("missing delay")
                    && value::time(&word.text, Unit::Milliseconds).is_err()
                {
                    self.error(word.span, "expects a positive delay in milliseconds");
                }
            }
            "backlog" => s.backlog = self.count(),
            "mss" | "nice" | "tcp-ss" | "tcp-ut" => self.numbers(s),
            "thread" | "process" | "shards" => self.threads(s),
            "mode" | "user" | "uid" | "group" | "gid" => self.owner(s),
            "level" => {
                s.level = match self.line.words.next() {
                    Some(word) if &*word.text == "user" => StatsLevel::User,
                    Some(word) if &*word.text == "operator" => StatsLevel::Operator,
                    Some(word) if &*word.text == "admin" => StatsLevel::Admin,
                    other => {
                        let (at, text) = other.map_or((self.word.span, ""), |word| (word.span, &*word.text));
                        let message = format!(
                            "{} : ''level' only supports 'user', 'operator', and 'admin' (got '{text}')'",
                            self.prefix
                        );
                        self.line.error(code::BAD_VALUE, at, message);
                        s.level
                    }
                }
            }
            "severity-output" => self.severity(s),
            // Of addresses that begin with `rhttp@`, which are refused.
            "nbconn" => {
                let _number = self.count();
            }
            "guid-prefix" => {
                if let Some(word) = self.argument("missing prefix") {
                    match guid::read(word) {
                        Ok(guid) => s.guid_prefix = Some(guid),
                        Err(problem) => self.error(word.span, &problem),
                    }
                }
            }
            "expose-fd" => {
                let word = self.argument("expects 'listeners' or 'process'");
                s.expose_fd_listeners = word.is_some_and(|word| &*word.text == "listeners");
            }
            "proto" => {
                if let Some(word) = self.argument("missing value") {
                    s.mux = mux::named(word);
                    if s.mux.is_none() {
                        self.error(word.span, &format!(" unknown MUX protocol '{}'", word.text));
                    }
                }
            }
            _ => self.tls(arguments, s),
        }
    }

    /// `severity-output`, which only the runtime socket heeds.
    fn severity(&mut self, s: &mut BindSettings) {
        let word = self.line.words.next();
        let problem = match word {
            None => "'severity-output' : missing severity format".to_owned(),
            Some(word) => match SeverityOutput::named(&word.text) {
                Some(severity) => return s.severity = severity,
                None => {
                    format!("'severity-output' only supports 'none', 'number', and 'string' (got '{}')", word.text)
                }
            },
        };
        let at = word.map_or(self.line.words.here(), |word| word.span);
        let problem = if self.line.name == "stats socket" { format!("'{problem}'") } else { problem };
        self.line.error(code::BAD_VALUE, at, format!("{} : {problem}", self.prefix));
    }

    /// `tcp-md5sig`
    fn signature_key(&mut self) -> Option<String> {
        let word = self.argument("missing password")?;
        if word.text.len() > SIGNATURE_KEY_BYTES_MAX {
            self.error(word.span, &format!("the password has more than {SIGNATURE_KEY_BYTES_MAX} bytes"));
        }
        Some(word.text.to_string())
    }

    fn namespace(&mut self) -> Option<String> {
        let word = self.argument("missing namespace id")?;
        if !namespace_exists(&word.text) {
            let message = format!("{} : error encountered while processing 'namespace'.", self.prefix);
            self.line.error(code::FILE, word.span, message);
        }
        Some(word.text.to_string())
    }

    fn tls(&mut self, arguments: u8, s: &mut BindSettings) {
        match &*self.word.text {
            "ssl" => s.ssl = true,
            "crt" | "default-crt" | "crt-list" | "ca-file" => {
                s.has_certificate |= &*self.word.text != "ca-file";
                if let Some(word) = self.argument("missing certificate location")
                    && !word.text.starts_with('@')
                    && let Err(error) = std::fs::metadata(&*word.text)
                {
                    let reason = super::files::reason(&error);
                    let message = format!(
                        "{} : unable to stat SSL certificate from file '{}' : {reason}.",
                        self.prefix, word.text
                    );
                    self.line.error(code::FILE, word.span, message);
                }
            }
            "generate-certificates" => s.has_certificate = true,
            // What has no effect yet is taken with its arguments; the table has said so already.
            _ => (0..arguments).for_each(|_| {
                let _argument = self.argument("missing value");
            }),
        }
    }

    fn id(&mut self, s: &mut BindSettings) {
        let Some(word) = self.argument("expects an integer argument") else { return };
        let (number, rest) = value::leading_integer(&word.text);
        if !rest.is_empty() || word.text.is_empty() {
            self.error(word.span, &format!("expects an integer argument, found '{}'", word.text));
            return;
        }
        match u32::try_from(number).ok().filter(|&id| id > 0) {
            Some(id) => s.id = Some((id, word.span)),
            None => self.error(word.span, "custom id has to be > 0"),
        }
    }

    fn numbers(&mut self, s: &mut BindSettings) {
        let Some(word) = self.argument("missing value") else { return };
        match &*self.word.text {
            "mss" => match value::leading_integer(&word.text).0 {
                n if n != 0 && n.abs() <= 65_535 => s.mss = i32::try_from(n).ok(),
                _ => self.error(word.span, "expects an MSS with and absolute value between 1 and 65535"),
            },
            "tcp-ss" => match &*word.text {
                "0" => s.saved_syn = None,
                "1" => s.saved_syn = Some(1),
                "2" => s.saved_syn = Some(2),
                _ => self.error(word.span, "expects a mode from 0 to 2"),
            },
            "tcp-ut" => match value::time(&word.text, Unit::Milliseconds) {
                Ok(time) => s.tcp_user_timeout = Some(time),
                Err(_) => self.error(word.span, "expects a positive delay in milliseconds"),
            },
            _ => {
                let number = self.line.lenient_named(word, &self.word.text, Place::Parsing);
                if !(-1024..=1024).contains(&number) {
                    self.error(word.span, &format!("invalid value {number}, allowed range is -1024..1024"));
                }
            }
        }
    }

    /// Which threads accept.
    fn threads(&mut self, s: &mut BindSettings) {
        let Some(word) = self.argument("missing value") else { return };
        let problem = match &*self.word.text {
            "thread" => match threads::of_listener(word, s.threads.as_ref()) {
                Ok(found) => return s.threads = Some(found),
                Err(problem) => format!("{} : {problem}", self.prefix),
            },
            "shards" => match threads::is_shards(&word.text) {
                Ok(()) => return,
                Err(problem) => format!("{} : 'shards' : {problem}", self.prefix),
            },
            _ => match threads::of_process(word, s.threads.as_ref()) {
                Ok((found, instead)) => {
                    s.threads = found;
                    return self.process_is_old(word, instead.as_deref());
                }
                Err(problem) => format!("{} : 'process' : {problem}", self.prefix),
            },
        };
        self.line.error(code::BAD_VALUE, word.span, problem);
    }

    fn process_is_old(&mut self, word: &Word, instead: Option<&str>) {
        let mut message = format!(
            "{} : 'process {}' on 'bind' lines is deprecated and will be removed in 2.7.",
            self.prefix, word.text
        );
        if let Some(instead) = instead {
            message.extend([" Please use '", instead, "' instead."]);
        }
        let help = instead.map_or_else(|| "leave it out".to_owned(), |instead| format!("write `{instead}`"));
        let at = self.word.span.to(word.span);
        self.line.out.push(Diagnostic::warning(code::LEGACY, at, message).help(help));
    }

    fn owner(&mut self, s: &mut BindSettings) {
        let word = self.line.words.next();
        if word.is_none() && self.line.name == "unix-bind" {
            return;
        }
        let (at, text) = word.map_or((self.line.words.here(), ""), |word| (word.span, &*word.text));
        let complaint = match &*self.word.text {
            "mode" => {
                s.owner.mode = u32::from_str_radix(text, 8).ok().filter(|&mode| mode <= 0o7777);
                (s.owner.mode.is_none()).then(|| format!("missing or invalid mode '{text}' (octal integer expected)"))
            }
            "user" => {
                s.owner.uid = users::uid(text);
                (s.owner.uid.is_none()).then(|| format!("unknown user name '{text}'"))
            }
            "group" => {
                s.owner.gid = users::gid(text);
                (s.owner.gid.is_none()).then(|| format!("unknown group name '{text}'"))
            }
            "uid" => {
                s.owner.uid =
                    Some(word.map_or(0, |word| self.line.lenient_named(word, &self.word.text, Place::Parsing)))
                        .and_then(|n| u32::try_from(n).ok());
                None
            }
            _ => {
                s.owner.gid =
                    Some(word.map_or(0, |word| self.line.lenient_named(word, &self.word.text, Place::Parsing)))
                        .and_then(|n| u32::try_from(n).ok());
                None
            }
        };
        if let Some(complaint) = complaint {
            let message = if self.line.name == "stats socket" {
                format!("{} : ''{}' : {complaint}'", self.prefix, self.word.text)
            } else {
                format!("{} : '{}' : {complaint}", self.prefix, self.word.text)
            };
            self.line.error(code::BAD_VALUE, at, message);
        }
    }
}
