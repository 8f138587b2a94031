//! The configurations under which the programs are compared. haproxy and proxyd read the same file, byte for byte.

use crate::load::{CHECK_PORT, LOG_PORT, PROXY_PORT, SERVER_PORT, STATS_PORT};
use std::fmt::Write;
use std::net::Ipv4Addr;

/// Which rules choose the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    None,
    /// Ten ACLs and `use_backend` rules of different kinds, and a cookie that is inserted.
    Ten,
    /// So many `path_beg` rules.
    Paths(usize),
    /// So many rules on the value of a header.
    Tenants(usize),
}

/// Everything in which configurations differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    pub(crate) tcp: bool,
    pub(crate) log: bool,
    pub(crate) rules: Rules,
    pub(crate) balance: &'static str,
    pub(crate) servers: usize,
    /// `maxconn` of every server; 0: none.
    pub(crate) maxconn: u32,
    /// Milliseconds between two health checks of a server; 0: no checks.
    pub(crate) check_every: u32,
    pub(crate) workers: usize,
    pub(crate) splice_auto: bool,
    /// Any client's request may use any idle server connection.
    pub(crate) reuse_always: bool,
    /// On how many addresses the proxy listens.
    pub(crate) addresses: u8,
}

/// One worker, HTTP, one server, no rules, no log.
pub(crate) const PLAIN: Site = Site {
    tcp: false,
    log: false,
    rules: Rules::None,
    balance: "roundrobin",
    servers: 1,
    maxconn: 0,
    check_every: 0,
    workers: 1,
    splice_auto: false,
    reuse_always: false,
    addresses: 1,
};

/// Backends that many rules share.
const BACKENDS: usize = 10;

/// The addresses on which the proxy listens: with one alone, connections per second would be limited by the ports left.
pub(crate) fn addresses(count: u8) -> Vec<Ipv4Addr> {
    (1..=count).map(|last| Ipv4Addr::new(127, 0, 0, last)).collect()
}

/// The address of a server; all of them are the one listening program.
fn server(number: usize) -> Ipv4Addr {
    let number = u32::try_from(number).unwrap_or(u32::MAX) & 0xffff;
    Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 1)) + number)
}

/// haproxy.cfg, for haproxy and for proxyd.
pub(crate) fn haproxy(site: &Site) -> String {
    // haproxy wants two descriptors for each connection, more for checks and pipes, of the twenty thousand there are.
    let maxconn = if site.check_every > 0 || site.splice_auto { 4000 } else { 9500 };
    let mut text = format!("global\n    maxconn {maxconn}\n    nbthread {}\n", site.workers);
    if site.log {
        let _ = writeln!(text, "    log 127.0.0.1:{LOG_PORT} local0");
    }
    text +=
        "\ndefaults\n    timeout connect 10s\n    timeout client 60s\n    timeout server 60s\n    timeout queue 60s\n";
    if site.tcp {
        text += "    mode tcp\n";
    } else {
        text += "    mode http\n    option forwardfor\n";
    }
    if site.log {
        text += if site.tcp { "    log global\n    option tcplog\n" } else { "    log global\n    option httplog\n" };
    }
    if site.reuse_always {
        text += "    http-reuse always\n";
    }
    if site.splice_auto {
        text += "    option splice-auto\n";
    }
    text += "\nfrontend site\n";
    for address in addresses(site.addresses) {
        let _ = writeln!(text, "    bind {address}:{PROXY_PORT}");
    }
    frontend_rules(&mut text, site.rules);
    text += "    default_backend pool\n";
    backends(&mut text, site);
    let _ = write!(
        text,
        "\nlisten statistics\n    mode http\n    bind 127.0.0.1:{STATS_PORT}\n    stats enable\n    stats uri /\n"
    );
    text
}

fn frontend_rules(text: &mut String, rules: Rules) {
    match rules {
        Rules::None => {}
        Rules::Ten => {
            *text += "    acl api path_beg /api/
    acl static path_end .css .js .png .svg .woff2
    acl upload method POST PUT
    acl shop hdr(host) -i shop.example.com
    acl blog hdr(host) -i blog.example.com www.blog.example.com
    acl socket hdr(upgrade) -i websocket
    acl inside src 10.0.0.0/8 192.168.0.0/16
    acl admin path_beg /admin /manage
    acl beta hdr_sub(cookie) beta=1
    acl search path /search
    use_backend pool0 if socket
    use_backend pool1 if admin inside
    use_backend pool2 if api upload
    use_backend pool3 if api
    use_backend pool4 if static
    use_backend pool5 if shop beta
    use_backend pool6 if shop
    use_backend pool7 if blog
    use_backend pool8 if search
    use_backend pool9 if beta
";
        }
        Rules::Paths(count) => {
            for number in 0..count {
                let _ = writeln!(text, "    use_backend pool{} if {{ path_beg {} }}", number % BACKENDS, path(number));
            }
        }
        Rules::Tenants(count) => {
            for number in 0..count {
                let (backend, tenant) = (number % BACKENDS, tenant(number));
                let _ = writeln!(text, "    use_backend pool{backend} if {{ hdr(x-tenant) {tenant} }}");
            }
        }
    }
}

fn backends(text: &mut String, site: &Site) {
    if site.rules != Rules::None {
        for backend in 0..BACKENDS {
            let _ = write!(text, "\nbackend pool{backend}\n    balance {}\n", site.balance);
            let cookie = site.rules == Rules::Ten;
            if cookie {
                *text += "    cookie SRV insert indirect nocache\n";
            }
            for number in [2 * backend + 1, 2 * backend + 2] {
                let cookie = if cookie { format!(" cookie s{number}") } else { String::new() };
                let _ = writeln!(text, "    server s{number} {}:{SERVER_PORT}{cookie}", server(number));
            }
        }
    }
    let _ = write!(text, "\nbackend pool\n    balance {}\n", site.balance);
    let mut parameters = String::new();
    if site.maxconn > 0 {
        let _ = write!(parameters, " maxconn {}", site.maxconn);
    }
    if site.check_every > 0 {
        *text += "    option httpchk GET /health\n";
        let _ = write!(parameters, " check port {CHECK_PORT} inter {}ms", site.check_every);
    }
    for number in 0..site.servers {
        let _ = writeln!(text, "    server s{number} {}:{SERVER_PORT}{parameters}", server(number));
    }
}

/// nginx.conf that does the same work, for configurations without rules and with one server.
pub(crate) fn nginx(site: &Site) -> String {
    let log = if site.log { format!("syslog:server=127.0.0.1:{LOG_PORT} combined") } else { "off".to_owned() };
    let mut listen = String::new();
    for address in addresses(site.addresses) {
        let _ = write!(listen, "listen {address}:{PROXY_PORT} backlog=16384; ");
    }
    format!(
        "user root root; daemon off; master_process off; worker_rlimit_nofile 20000; pid nginx.pid;
events {{ worker_connections 20000; }}
http {{
    access_log {log};
    client_body_temp_path nginx-body; proxy_temp_path nginx-proxy; fastcgi_temp_path nginx-fastcgi;
    uwsgi_temp_path nginx-uwsgi; scgi_temp_path nginx-scgi;
    keepalive_requests 1000000000; keepalive_timeout 60s;
    upstream pool {{ server {}:{SERVER_PORT}; keepalive 10000; keepalive_requests 1000000000; }}
    server {{
        {listen}
        location / {{
            proxy_pass http://pool; proxy_http_version 1.1; proxy_max_temp_file_size 0;
            proxy_set_header Connection \"\"; proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $remote_addr;
        }}
    }}
}}
",
        server(0)
    )
}

fn path(number: usize) -> String {
    format!("/service-{number:04}/")
}

fn tenant(number: usize) -> String {
    format!("tenant-{number:04}.example")
}

/// What a browser sends besides request line and host.
const BROWSER: &str = "\
Connection: keep-alive\r\n\
sec-ch-ua: \"Chromium\";v=\"124\", \"Google Chrome\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\n\
sec-ch-ua-mobile: ?0\r\n\
sec-ch-ua-platform: \"Linux\"\r\n\
Upgrade-Insecure-Requests: 1\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
Sec-Fetch-Site: same-origin\r\n\
Sec-Fetch-Mode: navigate\r\n\
Sec-Fetch-User: ?1\r\n\
Sec-Fetch-Dest: document\r\n\
Referer: https://shop.example.com/products/list?page=3&sort=price\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n";

/// The requests that fit a configuration: spread evenly over its rules.
pub(crate) fn requests(rules: Rules, browser: bool) -> Vec<Vec<u8>> {
    let get = |host: &str, path: &str, more: &str| {
        let browser = if browser { BROWSER } else { "" };
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{browser}{more}\r\n").into_bytes()
    };
    match rules {
        Rules::None => vec![get("www.example.com", "/index.html", "")],
        Rules::Ten => vec![
            get("shop.example.com", "/products/list?page=4&sort=price", "Cookie: session=5f2c9a; SRV=s13\r\n"),
            get("shop.example.com", "/assets/site.css", "Cookie: session=5f2c9a; SRV=s9\r\n"),
            get("shop.example.com", "/api/cart", "Cookie: session=5f2c9a\r\n"),
            get("www.example.com", "/", "Cookie: session=5f2c9a\r\n"),
            get("blog.example.com", "/2024/05/a-post", ""),
            get("shop.example.com", "/products/17", "Cookie: session=5f2c9a; beta=1\r\n"),
            get("www.example.com", "/search?q=proxy", ""),
            get("shop.example.com", "/products/18", "Cookie: session=5f2c9a; SRV=s14\r\n"),
        ],
        Rules::Paths(count) => {
            let page = |number| get("www.example.com", &format!("{}index.html", path(number)), "");
            spread(count).map(page).collect()
        }
        Rules::Tenants(count) => {
            let page = |number| get("www.example.com", "/", &format!("X-Tenant: {}\r\n", tenant(number)));
            spread(count).map(page).collect()
        }
    }
}

/// All numbers below `count`, in an order without neighbours.
fn spread(count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |at| at * 389 % count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_gets_its_request_once() {
        let mut numbers: Vec<usize> = spread(1000).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
        assert_eq!(requests(Rules::Paths(1000), false).len(), 1000);
    }

    #[test]
    fn servers_have_addresses_of_their_own() {
        let text = haproxy(&Site { servers: 10_000, ..PLAIN });
        let mut addresses: Vec<&str> =
            text.lines().filter_map(|line| line.trim().strip_prefix("server ")?.split(' ').nth(1)).collect();
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses.len(), 10_000);
    }

    #[test]
    fn requests_are_whole() {
        for rules in [Rules::None, Rules::Ten, Rules::Tenants(10)] {
            for request in requests(rules, true) {
                assert!(request.ends_with(b"\r\n\r\n"));
                assert_eq!(request.windows(4).filter(|window| window == b"\r\n\r\n").count(), 1);
            }
        }
    }
}
