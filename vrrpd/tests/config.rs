//! Golden files of the lowering: what the files in `tests/config` mean, and what is said about them, is written beside
//! them. `BLESS=1 cargo test -p vrrpd --test config` writes them anew; review the difference.

use proptest::prelude::*;
use shared_config::keepalived::preprocess::NoFiles;
use shared_config::render::keepalived_line;
use shared_config::source::Sources;
use std::fmt::{Debug, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::{env, fs};
use vrrpd::config::model::{Model, User};
use vrrpd::config::{self, Host, Loaded, RoutingNames};

/// A host that is the same everywhere.
struct TestHost;

impl Host for TestHost {
    fn name(&self) -> String {
        "node1.example".to_owned()
    }

    fn user(&self, name: &str) -> Option<User> {
        match name {
            "root" => Some(User::ROOT),
            "checker" => Some(User { uid: 100, gid: 101 }),
            _ => None,
        }
    }

    fn group(&self, name: &str) -> Option<u32> {
        (name == "staff").then_some(50)
    }

    fn has_interface(&self, name: &str) -> bool {
        matches!(name, "lo" | "eth0" | "eth1")
    }

    fn mtu(&self, name: &str) -> Option<usize> {
        (name == "eth1").then_some(94)
    }

    fn routing_name(&self, kind: RoutingNames, name: &str) -> Option<u32> {
        (kind == RoutingNames::Tables && name == "blue").then_some(77)
    }

    fn random(&mut self, range: std::ops::RangeInclusive<u32>) -> u32 {
        *range.end()
    }
}

fn load(name: &str, text: &[u8]) -> (Loaded, Sources) {
    let mut sources = Sources::new();
    let root = sources.add(name, text);
    let loaded = config::load_text(root, &NoFiles, "node1", &mut TestHost, &mut sources);
    (loaded, sources)
}

/// The messages, the verdict, and what is in the model.
fn render(name: &str, text: &[u8]) -> String {
    let (loaded, sources) = load(name, text);
    let mut out = String::new();
    for diagnostic in loaded.diagnostics.iter() {
        let line = keepalived_line(diagnostic, &sources);
        let label = if diagnostic.label.is_empty() { String::new() } else { format!(" | {}", diagnostic.label) };
        let _ = writeln!(out, "{:?} {}: {line}{label}", diagnostic.severity, diagnostic.code);
    }
    let _ = writeln!(out, "check exits {}, may start: {}", loaded.check_status(), loaded.may_start());
    if let Some(model) = &loaded.model {
        write_model(&mut out, model, text);
        // What the daemon is told must not depend on luck either: every reference holds.
        vrrpd::running::plan(Arc::new(model.clone()));
    }
    out
}

fn write_model(out: &mut String, model: &Model, text: &[u8]) {
    fn list<T: Debug>(out: &mut String, items: &[T]) {
        for item in items {
            let _ = writeln!(out, "{item:#?}");
        }
    }
    if text.windows(11).any(|window| window == b"global_defs") {
        let _ = writeln!(out, "{:#?}", model.global);
    }
    list(out, &model.instances);
    list(out, &model.sync_groups);
    list(out, &model.scripts);
    list(out, &model.files);
    list(out, &model.processes);
    list(out, &model.bfd);
    list(out, &model.static_addresses);
    list(out, &model.static_routes);
    list(out, &model.static_rules);
    list(out, &model.garp_groups);
    list(out, &model.interface_delays);
    list(out, &model.virtual_servers);
}

#[test]
fn golden_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let bless = env::var_os("BLESS").is_some();
    let mut seen = 0;
    for entry in fs::read_dir(&folder).expect("the folder") {
        let path = entry.expect("a readable folder").path();
        if path.extension().is_none_or(|extension| extension != "conf") {
            continue;
        }
        seen += 1;
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let rendered = render(&name, &fs::read(&path).expect("a readable file"));
        let output = path.with_extension("out");
        if bless {
            fs::write(&output, &rendered).expect("a writable file");
            continue;
        }
        let expected = fs::read_to_string(&output).unwrap_or_default();
        for (number, (expected, rendered)) in expected.lines().zip(rendered.lines()).enumerate() {
            assert_eq!(expected, rendered, "{name}, line {} of the expectation", number + 1);
        }
        assert_eq!(expected.lines().count(), rendered.lines().count(), "{name}");
    }
    assert!(seen > 0);
}

/// Configurations of known words with odd arguments.
fn configuration() -> impl Strategy<Value = String> {
    use shared_config::keepalived::keyword::{Context, Shape};
    let argument = prop::sample::select(vec![
        "",
        "0",
        "1",
        "-1",
        "255",
        "256",
        "99999999999",
        "0.5",
        "on",
        "off",
        "MASTER",
        "eth0",
        "nosuch",
        "VI_1",
        "VI_2",
        "10.0.0.1",
        "10.0.0.1/24",
        "fe80::1",
        "fe80::1/64",
        "weight",
        "reverse",
        "dev",
        "via",
        "nexthop",
        "table",
        "from",
        "to",
        "\"/bin/true 'a b'\"",
        "\"</dev/null\"",
        "root",
        "{",
        "}",
        "PASS",
        "AH",
        "x",
        "10.0.0.1 80",
        "fwmark",
        "min_ttl",
    ]);
    let words: Vec<(Context, &'static str, bool)> = Context::ALL
        .into_iter()
        .flat_map(|context| {
            context.keywords().map(move |row| (context, row.name, matches!(row.shape, Shape::Line | Shape::Command)))
        })
        .collect();
    let line = (prop::sample::select(words), prop::collection::vec(argument, 0..4));
    prop::collection::vec(line, 0..30).prop_map(|lines| {
        let mut text = String::new();
        for ((context, name, is_line), arguments) in lines {
            let block = match context {
                Context::Root => "",
                Context::Global => "global_defs {\n",
                Context::Instance => "vrrp_instance VI_1 {\n interface eth0\n virtual_router_id 7\n",
                Context::Authentication => "vrrp_instance VI_2 {\n authentication {\n",
                Context::SyncGroup => "vrrp_sync_group G {\n group {\n VI_1\n VI_2\n }\n",
                Context::Script => "vrrp_script S {\n script /bin/true\n",
                Context::TrackFile => "track_file F {\n file /tmp/f\n",
                Context::TrackProcess => "vrrp_track_process P {\n process haproxy\n",
                Context::Bfd => "bfd_instance B {\n neighbor_ip 10.0.0.1\n",
                _ => "virtual_server 10.0.0.1 80 {\n real_server 10.0.0.2 80 {\n",
            };
            let braces = "}\n".repeat(block.matches('{').count() - block.matches('}').count());
            let arguments = arguments.join(" ");
            let body = if is_line { format!("{name} {arguments}\n") } else { format!("{name} {{\n{arguments}\n}}\n") };
            let _ = write!(text, "{block}{body}{braces}");
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing that a file can say makes the lowering or the plan fail, and a model that comes out has valid values.
    #[test]
    fn any_known_words(text in configuration()) {
        let (loaded, _) = load("p.conf", text.as_bytes());
        if let Some(model) = &loaded.model {
            for instance in &model.instances {
                prop_assert!(instance.vrid > 0 && instance.priority > 0);
                prop_assert!(!instance.advert_int.is_zero());
            }
            vrrpd::running::plan(Arc::new(model.clone()));
        }
    }

    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        load("p.conf", &bytes);
    }
}
