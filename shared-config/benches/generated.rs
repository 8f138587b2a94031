//! A large haproxy.cfg, as generators write them: many backends, ACLs and servers, some comments and quotes.

use std::fmt::Write as _;

/// This many lines, or a few more to end the last section.
pub(crate) fn haproxy_cfg(lines: usize) -> String {
    let mut text = String::from(
        "global\n    daemon\n    maxconn 100000\n    log /dev/log local0\n\n\
         defaults\n    mode http\n    timeout connect 5s\n    timeout client 30s\n    timeout server 30s\n",
    );
    let mut count = 10;
    let mut number = 0;
    while count < lines {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "
# application {number}, owned by team {}
frontend web_{number}
    bind 192.0.2.1:{} ssl crt /etc/haproxy/certs/app_{number}.pem alpn h2,http/1.1
    acl host_{number} hdr(host) -i app{number}.example.com www.app{number}.example.com
    acl static_{number} path_beg -i /static /images \"/my files\"
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-path '%[path,regsub(\"^/(here)(/|$)\",\"my/\\1\",g)]' if !static_{number}
    log-format \"%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %{{+Q}}r\"
    use_backend app_{number} if host_{number} or static_{number}
    default_backend app_{number}

backend app_{number}
    balance leastconn
    option httpchk GET /health HTTP/1.1\\r\\nHost:\\ app{number}.example.com
    cookie SRV insert indirect nocache
    server a 192.0.2.10:8080 check inter 2s fall 3 rise 2 maxconn 100 cookie a weight 10
    server b 192.0.2.11:8080 check inter 2s fall 3 rise 2 maxconn 100 cookie b weight 10
    server c 192.0.2.12:8080 check inter 2s fall 3 rise 2 maxconn 100 cookie c backup
",
            number % 40,
            10_000 + number % 50_000,
        );
        count += 19;
        number += 1;
    }
    text
}
