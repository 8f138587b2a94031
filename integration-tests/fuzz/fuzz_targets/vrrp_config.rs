//! Any bytes as a keepalived.conf, through the lowering to the model, from there to a router that is started.
//!
//! Bytes alone rarely make a block that the lowering looks into. So of every two inputs one is a recipe: each pair of
//! octets chooses a keyword that is legal where it stands, or an argument.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared_config::keepalived::keyword::{Context, Keyword, Shape};
use shared_config::keepalived::preprocess::NoFiles;
use shared_config::source::Sources;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};
use vrrpd::config::model::User;
use vrrpd::config::{Host, RoutingNames, load_text};
use vrrpd::router::interface::Interface;
use vrrpd::router::{Input, Outputs, Router};

/// A host that knows one of everything.
struct SmallHost;

impl Host for SmallHost {
    fn name(&self) -> String {
        "host".to_owned()
    }

    fn user(&self, name: &str) -> Option<User> {
        (name == "root").then(|| User { uid: 0, gid: 0 })
    }

    fn group(&self, name: &str) -> Option<u32> {
        (name == "root").then_some(0)
    }

    fn has_interface(&self, name: &str) -> bool {
        name == "eth0"
    }

    fn mtu(&self, _: &str) -> Option<usize> {
        Some(128)
    }

    fn routing_name(&self, _: RoutingNames, name: &str) -> Option<u32> {
        (name == "main").then_some(254)
    }

    fn random(&mut self, range: RangeInclusive<u32>) -> u32 {
        *range.start()
    }
}

const ARGUMENTS: [&str; 64] = [
    "0",
    "1",
    "2",
    "3",
    "-1",
    "100",
    "254",
    "255",
    "256",
    "1.5",
    "0.01",
    "4294967296",
    "-2147483648",
    "99999999999",
    "eth0",
    "eth1",
    "VI_1",
    "VI_2",
    "G1",
    "chk",
    "MASTER",
    "BACKUP",
    "PASS",
    "AH",
    "on",
    "off",
    "weight",
    "reverse",
    "init_fail",
    "10.0.0.1",
    "10.0.0.99/24",
    "10.0.0.0/33",
    "fe80::1",
    "fe80::99/64",
    "::",
    "ff02::12",
    "224.0.0.18",
    "dev",
    "via",
    "brd",
    "+",
    "label",
    "eth0:1",
    "scope",
    "link",
    "table",
    "main",
    "src",
    "metric",
    "from",
    "to",
    "priority",
    "nexthop",
    "{",
    "}",
    "/bin/true",
    "\"a b\"",
    "root",
    "min_ttl",
    "max_ttl",
    "no_track",
    "peer",
    "default",
    "1s",
];

/// The keywords of each context, in the order of [`Context::ALL`].
fn keywords(context: Context) -> &'static [&'static Keyword] {
    static TABLE: OnceLock<Vec<Vec<&'static Keyword>>> = OnceLock::new();
    let table = TABLE.get_or_init(|| Context::ALL.into_iter().map(|context| context.keywords().collect()).collect());
    let place = Context::ALL.into_iter().position(|known| known == context);
    place.and_then(|place| table.get(place)).map_or(&[], Vec::as_slice)
}

/// Where a recipe stands: a block with keywords, or a list.
#[derive(Clone, Copy)]
enum Level {
    Keywords(Context),
    List,
}

fn cook(recipe: &[u8]) -> String {
    let mut text = String::new();
    let mut levels = vec![Level::Keywords(Context::Root)];
    for pair in recipe.chunks_exact(2) {
        let (what, which) = (pair[0], usize::from(pair[1]));
        match (what % 8, levels.last().copied()) {
            (0, _) if levels.len() > 1 => {
                levels.pop();
                text.push_str("\n}\n");
            }
            (1 | 2, Some(Level::Keywords(context))) => {
                let known = keywords(context);
                let Some(keyword) = known.get((which + usize::from(what / 8) * 8) % known.len().max(1)) else {
                    continue;
                };
                text.push('\n');
                text.push_str(keyword.name);
                let level = match keyword.shape {
                    Shape::Line | Shape::Command => continue,
                    Shape::Block(context) => Level::Keywords(context),
                    Shape::List | Shape::NamedList => Level::List,
                };
                levels.push(level);
                text.push(' ');
                text.push_str(ARGUMENTS[14 + usize::from(what / 8) % 6]);
                text.push_str(" {\n");
            }
            (1 | 2, Some(Level::List)) => text.push('\n'),
            _ => {
                text.push(' ');
                text.push_str(ARGUMENTS[which % ARGUMENTS.len()]);
            }
        }
    }
    text
}

fn check(text: &[u8]) {
    let mut sources = Sources::new();
    let root = sources.add("/keepalived.conf", text);
    let loaded = load_text(root, &NoFiles, "host", &mut SmallHost, &mut sources);
    loaded.check_status();
    loaded.may_start();
    let Some(model) = loaded.model else { return };
    let plan = vrrpd::running::plan(Arc::new(model));
    let mut router = Router::new(plan.router.clone());
    let now = vrrpd::clock::now();
    let addresses = vec![IpAddr::from([10, 0, 0, 1]), "fe80::1".parse().expect("an address")];
    let interface = Interface { name: "eth0".to_owned(), index: 2, running: true, addresses };
    let mut out = Outputs::new();
    router.handle(now, Input::Interface(interface), &mut out);
    router.handle(now, Input::Start, &mut out);
    for _ in 0..8 {
        let Some(due) = router.next_deadline() else { break };
        router.handle(due, Input::Time, &mut out);
    }
    router.handle(now, Input::Reload(plan.router), &mut out);
    router.handle(now, Input::Stop, &mut out);
}

fuzz_target!(|bytes: &[u8]| {
    match bytes {
        [first, recipe @ ..] if first % 2 == 0 => check(cook(recipe).as_bytes()),
        [_, text @ ..] => check(text),
        [] => {}
    }
});
