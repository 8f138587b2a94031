//! One of the two programs, with a front and a server of its own for every place where a case can run.

use crate::lines::{self, Receiver};
use anyhow::{Context, Result, bail};
use integration_tests::wait;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Nothing takes longer, unless it is broken.
const BOUND: Duration = Duration::from_secs(20);
/// Where fronts and servers begin, unless `PORT` says so; each program has an address of 127.0.0.0/8 of its own. The lab's other tests, of
/// which some listen on all addresses, have ports from 20,000 on.
pub(crate) const FIRST_PORT: u16 = 12_000;

/// A way to configure the proxy.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    front: &'static str,
    back: &'static str,
}

/// The configurations that cases are run under.
pub(crate) const VARIANTS: &[Variant] = &[
    Variant { name: "keep-alive", front: "option forwardfor", back: "" },
    Variant { name: "http-server-close", front: "option http-server-close", back: "option http-server-close" },
    Variant { name: "httpclose", front: "option httpclose", back: "option httpclose" },
    Variant { name: "http-buffer-request", front: "option http-buffer-request", back: "" },
    Variant {
        name: "rules",
        front: "http-request set-header x-seen %[path],%[req.hdr_cnt(host)],%[req.hdr(host)]\n    \
                http-request deny deny_status 403 if { path_beg /deny }\n    \
                http-request return status 200 content-type text/plain string hello if { path_beg /return }\n    \
                http-request redirect location /there if { path_beg /redirect }\n    \
                http-response set-header x-was %[status]\n    \
                http-after-response set-header x-after yes",
        back: "cookie SRV insert indirect",
    },
    Variant {
        name: "violations",
        front: "option accept-invalid-http-request",
        back: "option accept-invalid-http-response",
    },
    Variant {
        name: "names",
        front: "option http-restrict-req-hdr-names delete",
        back: "option http-restrict-req-hdr-names reject\n    http-request set-header x_new 1 if { path_beg /q }",
    },
    Variant { name: "front closes", front: "option httpclose\n    option http-use-proxy-header", back: "" },
    Variant { name: "back closes", front: "option http-use-proxy-header", back: "option http-server-close" },
    Variant { name: "abortonclose", front: "", back: "option abortonclose" },
    Variant { name: "retries", front: "", back: "retries 2\n    retry-on all-retryable-errors\n    option redispatch" },
    Variant {
        name: "waits for bodies",
        front: "http-request wait-for-body time 200ms",
        back: "http-request set-header x-body %[req.body,bytes(0,9),hex]",
    },
    Variant {
        name: "changes",
        front: "http-request set-path /b%[path] if { path_beg /a }\n    \
                http-request set-query y=%[query] if { query -m found }\n    \
                http-request del-header x-foo\n    \
                http-request replace-header cookie a=(.*) z=\\1\n    \
                http-request add-header x-foo new\n    \
                http-response replace-value cache-control no-cache no-store\n    \
                http-response del-header x-empty",
        back: "http-request set-header host new if { hdr(host) -m beg h: }\n    \
               http-response set-status 299 if { status 206 }\n    \
               http-response deny if { status 205 }",
    },
    Variant {
        name: "letters",
        front: "option h1-case-adjust-bogus-client\n    http-error status 400 content-type text/plain string bad",
        back: "option h1-case-adjust-bogus-server\n    http-error status 502 content-type text/plain string gone",
    },
];

/// The variant of a place: half of them are of the first.
pub(crate) fn variant_of(place: usize) -> usize {
    if place.is_multiple_of(2) { 0 } else { place / 2 % VARIANTS.len() }
}

const GLOBAL: &str = "
global
    nbthread 1
    maxconn 4000
    h1-case-adjust x-foo X-Foo
    h1-case-adjust content-length Content-Length
    h1-case-adjust transfer-encoding Transfer-Encoding
";

/// Every timeout is short: most of what is not complete ends by one. The server's is longer than the client's, so that not both
/// come to an end at once.
const DEFAULTS: &str = "
defaults
    mode http
    no option abortonclose
    http-reuse never
    retries 0
    timeout connect 4s
    timeout queue 4s
    timeout client 600ms
    timeout http-request 600ms
    timeout http-keep-alive 600ms
    timeout tunnel 600ms
    timeout server 900ms
";

/// What lines say of messages.
const CAPTURES: &str = "capture request header host len 12
    capture request header x-foo len 40
    capture response header x-foo len 40
    capture response header content-length len 40
    capture cookie a len 40";

/// Fronts and servers of one place.
pub(crate) struct Place {
    pub(crate) front: SocketAddr,
    pub(crate) server: TcpListener,
}

/// A running program, which ends with this value.
pub(crate) struct Side {
    child: Child,
    folder: PathBuf,
    pub(crate) places: Vec<Place>,
    pub(crate) lines: Receiver,
}

impl Side {
    /// `network` are the middle bytes of its addresses; there is a port from `first` on for each of the `places`.
    pub(crate) fn start(program: &Path, network: [u8; 2], (first, places): (u16, u16)) -> Result<Self> {
        let address = |last| Ipv4Addr::new(127, network[0], network[1], last);
        let mut config = String::from(GLOBAL);
        config.push_str(DEFAULTS);
        let lines = Receiver::new(address(2))?;
        let (target, length, format) = (lines.address()?, lines::LENGTH, lines::format());
        let _ = write!(config, "    log {target} len {length} format raw local0\n    log-format \"{format}\"\n");
        let mut made = Vec::new();
        for number in 0..places {
            let variant = &VARIANTS[variant_of(number.into())];
            let port = first + number;
            let front = SocketAddr::from((address(1), port));
            let server = TcpListener::bind((address(2), port)).context("a server's port")?;
            server.set_nonblocking(true)?;
            let (fe, be) = (variant.front, variant.back);
            let _ = write!(
                config,
                "frontend f{number}\n    bind {front}\n    {CAPTURES}\n    {fe}\n    default_backend b{number}\n\
                 backend b{number}\n    {be}\n    server s {} cookie A\n",
                server.local_addr()?
            );
            made.push(Place { front, server });
        }
        let folder = std::env::temp_dir().join(format!("proxy-differ-{}-{}", network[0], network[1]));
        std::fs::create_dir_all(&folder)?;
        let file = folder.join("haproxy.cfg");
        std::fs::write(&file, config)?;
        let output = std::fs::File::create(folder.join("output"))?;
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(&file).stdout(Stdio::null()).stderr(output);
        let child = command.spawn().with_context(|| program.display().to_string())?;
        let mut side = Self { child, folder, places: made, lines };
        let last = side.places.last().context("no places")?.front;
        wait::until("the last front listens", BOUND, || {
            let ended = side.child.try_wait().ok().flatten().is_some();
            (ended || TcpStream::connect(last).is_ok()).then_some(())
        })?;
        if !side.is_running() {
            bail!("{} does not start: {}", program.display(), side.told());
        }
        Ok(side)
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it has written to its standard error.
    pub(crate) fn told(&self) -> String {
        std::fs::read_to_string(self.folder.join("output")).unwrap_or_default()
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
