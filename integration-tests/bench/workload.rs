//! The workloads, as a table.

use crate::config::{self, PLAIN, Rules, Site};
use crate::load::{Answering, Reuse, Shape};
use crate::subject::Subject;
use anyhow::Result;
use std::time::Duration;

/// How long a server of the saturated queue takes for an answer.
pub(crate) const SERVICE: Duration = Duration::from_millis(2);

/// What is measured in rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) site: Site,
    pub(crate) connections: usize,
    /// Bytes of a body.
    pub(crate) body: usize,
    pub(crate) browser: bool,
    pub(crate) reuse: Reuse,
    pub(crate) answering: Answering,
    /// A fixed rate of requests per second; none: as many as possible.
    pub(crate) rate: Option<f64>,
    /// Whether nginx can do the same work.
    pub(crate) nginx: bool,
}

impl Workload {
    pub(crate) fn subjects(&self, nginx: bool) -> Vec<Subject> {
        let mut subjects = vec![Subject::Haproxy, Subject::Proxyd];
        if self.nginx && nginx {
            subjects.push(Subject::Nginx);
        }
        subjects
    }

    pub(crate) fn shape(&self) -> Result<Shape> {
        let requests = config::requests(self.site.rules, self.browser);
        let mut shape = Shape::new(self.connections, requests, self.body)?;
        shape.reuse = self.reuse;
        shape.answering = self.answering;
        shape.rate = self.rate;
        shape.destinations = config::addresses(self.site.addresses);
        Ok(shape)
    }
}

/// Keep-alive, plain, with nginx for comparison.
pub(crate) const BASE: Workload = Workload {
    name: "100B-64",
    about: "100 B keep-alive, 64 connections",
    site: PLAIN,
    connections: 64,
    body: 100,
    browser: false,
    reuse: Reuse::KeepAlive,
    answering: Answering::AtOnce,
    rate: None,
    nginx: true,
};

const LOGGED: Site = Site { log: true, ..PLAIN };
const TCP: Site = Site { tcp: true, ..PLAIN };
const SPLICE: Site = Site { splice_auto: true, ..TCP };
const KB: usize = 1024;

const fn ours_and_haproxy(name: &'static str, about: &'static str, site: Site) -> Workload {
    Workload { name, about, site, nginx: false, ..BASE }
}

const fn sized(name: &'static str, about: &'static str, body: usize, connections: usize, browser: bool) -> Workload {
    Workload { name, about, connections, body, browser, ..BASE }
}

const fn balanced(name: &'static str, about: &'static str, balance: &'static str, servers: usize) -> Workload {
    ours_and_haproxy(name, about, Site { balance, servers, ..PLAIN })
}

/// All workloads, the most wanted first.
pub(crate) const WORKLOADS: &[Workload] = &[
    BASE,
    Workload { name: "100B-64-httplog", about: "the same with httplog to UDP", site: LOGGED, ..BASE },
    Workload {
        browser: true,
        ..ours_and_haproxy(
            "rules-10",
            "browser headers, 10 ACL/use_backend rules, cookie insert, httplog",
            Site { rules: Rules::Ten, log: true, ..PLAIN },
        )
    },
    sized("100B-1000", "100 B, 1,000 connections", 100, 1000, false),
    sized("10KB-64", "10 KB, 64 connections", 10 * KB, 64, false),
    sized("10KB-1000", "10 KB, 1,000 connections", 10 * KB, 1000, false),
    sized("100KB-64", "100 KB, 64 connections", 100 * KB, 64, false),
    sized("1MB-64", "1 MB, 64 connections", KB * KB, 64, false),
    sized("100KB-1000", "100 KB, 1,000 connections", 100 * KB, 1000, false),
    sized("1MB-1000", "1 MB, 1,000 connections", KB * KB, 1000, false),
    sized("100B-64-browser", "100 B, browser headers, 64 connections", 100, 64, true),
    sized("100B-1000-browser", "100 B, browser headers, 1,000 connections", 100, 1000, true),
    sized("10KB-64-browser", "10 KB, browser headers, 64 connections", 10 * KB, 64, true),
    Workload {
        rate: Some(30_000.0),
        ..sized("100B-1000-paced", "100 B, 1,000 connections, 30,000 requests/s: latency", 100, 1000, false)
    },
    ours_and_haproxy(
        "paths-1000",
        "1,000 path_beg rules, all used evenly",
        Site { rules: Rules::Paths(1000), ..PLAIN },
    ),
    ours_and_haproxy(
        "tenants-1000",
        "1,000 header ACLs, all used evenly",
        Site { rules: Rules::Tenants(1000), ..PLAIN },
    ),
    balanced("roundrobin-10", "roundrobin over 10 servers", "roundrobin", 10),
    balanced("roundrobin-100", "roundrobin over 100 servers", "roundrobin", 100),
    balanced("roundrobin-1000", "roundrobin over 1,000 servers", "roundrobin", 1000),
    balanced("leastconn-10", "leastconn over 10 servers", "leastconn", 10),
    balanced("leastconn-100", "leastconn over 100 servers", "leastconn", 100),
    balanced("leastconn-1000", "leastconn over 1,000 servers", "leastconn", 1000),
    balanced("static-rr-1000", "static-rr over 1,000 servers", "static-rr", 1000),
    balanced("random-1000", "random over 1,000 servers", "random", 1000),
    balanced("source-1000", "source over 1,000 servers", "source", 1000),
    balanced("uri-1000", "uri over 1,000 servers", "uri", 1000),
    balanced("first-1000", "first over 1,000 servers", "first", 1000),
    Workload {
        connections: 500,
        answering: Answering::After(SERVICE),
        ..ours_and_haproxy(
            "queue",
            "saturated queue: 3 servers of maxconn 4, 2 ms each, 500 clients",
            Site { servers: 3, maxconn: 4, ..PLAIN },
        )
    },
    Workload {
        name: "close",
        about: "a connection per request, the client closes",
        site: Site { addresses: 16, servers: 8, ..PLAIN },
        reuse: Reuse::PerRequest,
        nginx: false,
        ..BASE
    },
    Workload { name: "tcp-64", about: "TCP mode, request/response, 64 connections", site: TCP, nginx: false, ..BASE },
    Workload {
        connections: 1000,
        ..ours_and_haproxy("tcp-1000", "TCP mode, request/response, 1,000 connections", TCP)
    },
    Workload { body: 100 * KB, ..ours_and_haproxy("tcp-100KB", "TCP mode, bulk of 100 KB", TCP) },
    Workload { body: KB * KB, ..ours_and_haproxy("tcp-1MB", "TCP mode, bulk of 1 MB", TCP) },
    Workload {
        body: 100 * KB,
        ..ours_and_haproxy("tcp-100KB-splice", "TCP mode, bulk of 100 KB, option splice-auto", SPLICE)
    },
    Workload {
        body: KB * KB,
        ..ours_and_haproxy("tcp-1MB-splice", "TCP mode, bulk of 1 MB, option splice-auto", SPLICE)
    },
    ours_and_haproxy(
        "checks-1000",
        "100 B, 1,000 servers, each checked over HTTP every second",
        Site { servers: 1000, check_every: 1000, ..PLAIN },
    ),
];
