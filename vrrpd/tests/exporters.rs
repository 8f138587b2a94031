//! The dump files, read as the two exporters for keepalived read them: `mehdy/keepalived-exporter` the texts of SIGUSR1
//! and SIGUSR2, `gen2brain/keepalived_exporter` the JSON. What they do not find, their users' dashboards do not show.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use shared_config::keepalived::preprocess::NoFiles;
use shared_config::source::Sources;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use vrrpd::config::model::Model;
use vrrpd::config::{ThisHost, load_text};
use vrrpd::dump::View;
use vrrpd::dump::data::Data;
use vrrpd::dump::json::Json;
use vrrpd::dump::statistics::Statistics;
use vrrpd::packet::Datagram;
use vrrpd::router::interface::Interface;
use vrrpd::router::{Input, Outputs, Router};
use vrrpd::track::script::Outcome;

/// Two masters after a while and one without its interface; the script is good, and a peer was heard.
fn played() -> (Arc<Model>, Router, std::time::Instant) {
    let mut sources = Sources::new();
    let root = sources.add("test.conf", include_str!("dump/example.conf").as_bytes());
    let loaded = load_text(root, &NoFiles, "test", &mut ThisHost::new(1), &mut sources);
    let plan = vrrpd::running::plan(Arc::new(loaded.model.unwrap()));
    let mut router = Router::new(plan.router);
    let mut now = vrrpd::clock::now();
    let feed = |router: &mut Router, now, input: Input<'_>| router.handle(now, input, &mut Outputs::new());
    let eth0 = Interface { name: "eth0".into(), index: 2, running: true, addresses: vec![[192, 0, 2, 11].into()] };
    feed(&mut router, now, Input::Interface(eth0));
    feed(&mut router, now, Input::Start);
    for _ in 0..2 {
        feed(&mut router, now, Input::ScriptFinished { script: "chk".into(), outcome: Outcome::Exited(0) });
    }
    let message = [0x21, 52, 10, 1, 0, 1, 0, 0, 192, 0, 2, 60];
    let (source, destination) = (IpAddr::from([192, 0, 2, 12]), IpAddr::from([192, 0, 2, 11]));
    let datagram = Datagram { source, destination, ttl: 255, header_len: 20, message: &message };
    feed(&mut router, now, Input::Packet { interface: 2, datagram });
    let end = now + Duration::from_secs(30);
    while let Some(due) = router.next_deadline().filter(|due| *due <= end) {
        now = due;
        feed(&mut router, now, Input::Time);
    }
    (plan.model, router, now)
}

type Fields = BTreeMap<String, String>;

/// Instances and scripts as the first exporter has them: their keys begin after three blanks, their addresses after
/// five, and a line that is not indented ends them.
#[derive(Default, Debug)]
struct Found {
    instances: Vec<(Fields, Vec<Vec<String>>)>,
    scripts: Vec<Fields>,
}

fn read_data(text: &str) -> Found {
    enum In {
        Nothing,
        Instance { addresses: bool },
        Script,
    }
    let (mut found, mut place) = (Found::default(), In::Nothing);
    for line in text.lines() {
        if !line.starts_with(' ') {
            place = In::Nothing;
        } else if let Some(name) = line.strip_prefix(" VRRP Instance = ") {
            found.instances.push(([("Name".to_owned(), name.to_owned())].into(), Vec::new()));
            place = In::Instance { addresses: false };
        } else if let Some(name) = line.strip_prefix(" VRRP Script = ") {
            found.scripts.push([("Name".to_owned(), name.to_owned())].into());
            place = In::Script;
        } else if let Some(address) = line.strip_prefix("     ") {
            if let (In::Instance { addresses: true }, Some((_, list))) = (&place, found.instances.last_mut()) {
                list.push(address.split_whitespace().map(str::to_owned).collect());
            }
        } else if let Some(line) = line.strip_prefix("   ") {
            let fields = match &mut place {
                In::Instance { addresses } => {
                    *addresses = line.starts_with("Virtual IP (");
                    found.instances.last_mut().map(|(fields, _)| fields)
                }
                In::Script => found.scripts.last_mut(),
                In::Nothing => None,
            };
            if let (Some(fields), Some((key, value))) = (fields, line.split_once(" = ")) {
                fields.entry(key.to_owned()).or_insert_with(|| value.to_owned());
            }
        }
    }
    found
}

#[test]
fn the_data_file_has_what_the_first_exporter_looks_for() {
    let (model, router, now) = played();
    let view = View { model: &model, router: &router, now, since_epoch: Duration::from_secs(1_700_000_000) };
    let text = Data(&view).to_string();
    let Found { instances, scripts } = read_data(&text);
    let states: Vec<[&str; 5]> = instances
        .iter()
        .map(|(fields, _)| {
            ["Name", "State", "Wantstate", "Interface", "Virtual Router ID"]
                .map(|key| fields.get(key).unwrap_or_else(|| panic!("{key}\n{text}")).as_str())
        })
        .collect();
    let expected = [
        ["VI_1", "MASTER", "MASTER", "eth0", "51"],
        ["VI_2", "MASTER", "MASTER", "eth0", "52"],
        ["VI_6", "FAULT", "FAULT", "eth1", "53"],
    ];
    assert_eq!(states, expected, "{text}");
    for (fields, addresses) in &instances {
        assert!(fields["Gratuitous ARP delay"].parse::<u64>().is_ok());
        for address in addresses {
            assert!(address.len() >= 3 && address[1] == "dev" && address[2] == fields["Interface"], "{address:?}");
            assert!(address[0].split('/').next().unwrap().parse::<IpAddr>().is_ok());
        }
    }
    let counts: Vec<usize> = instances.iter().map(|(_, addresses)| addresses.len()).collect();
    assert_eq!(counts, [2, 1, 2]);
    assert_eq!(scripts.len(), 1);
    assert_eq!(scripts[0]["Name"], "chk");
    assert_eq!(scripts[0]["Status"], "GOOD");
    let states = ["idle", "running", "requested termination", "forcing termination"];
    assert!(states.contains(&scripts[0]["State"].as_str()), "{scripts:?}");
}

/// `Section: Key` to number, of each instance.
fn read_statistics(text: &str) -> Vec<(String, BTreeMap<String, u64>)> {
    let (mut instances, mut section) = (Vec::<(String, BTreeMap<String, u64>)>::new(), String::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("VRRP Instance: ") {
            instances.push((name.to_owned(), BTreeMap::new()));
            continue;
        }
        let depth = line.len() - line.trim_start().len();
        let (key, value) = line.trim().split_once(':').unwrap();
        match (depth, value.trim()) {
            (2, "") => key.clone_into(&mut section),
            (2, value) => {
                instances.last_mut().unwrap().1.insert(key.to_owned(), value.parse().unwrap());
            }
            (4, value) => {
                instances.last_mut().unwrap().1.insert(format!("{section}: {key}"), value.parse().unwrap());
            }
            _ => panic!("{line}"),
        }
    }
    instances
}

#[test]
fn the_statistics_have_every_number_and_as_many_instances() {
    let (model, router, now) = played();
    let text = Statistics(&router).to_string();
    let instances = read_statistics(&text);
    for (name, numbers) in &instances {
        for key in [
            "Advertisements: Received",
            "Advertisements: Sent",
            "Became master",
            "Released master",
            "Packet Errors: Length",
            "Packet Errors: TTL",
            "Packet Errors: Invalid Type",
            "Packet Errors: Advertisement Interval",
            "Packet Errors: Address List",
            "Authentication Errors: Invalid Type",
            "Authentication Errors: Type Mismatch",
            "Authentication Errors: Failure",
            "Priority Zero: Received",
            "Priority Zero: Sent",
        ] {
            assert!(numbers.contains_key(key), "{key} of {name}\n{text}");
        }
    }
    let first = &instances[0].1;
    assert_eq!((first["Became master"], first["Advertisements: Received"]), (1, 0));
    assert!((24..=29).contains(&first["Advertisements: Sent"]), "{first:?}");
    let view = View { model: &model, router: &router, now, since_epoch: Duration::from_secs(1_700_000_000) };
    let data = read_data(&Data(&view).to_string());
    let names = data.instances.iter().map(|(fields, _)| fields["Name"].as_str());
    assert!(names.eq(instances.iter().map(|(name, _)| name.as_str())), "both files in one order");
}

/// A value of JSON, as far as the second exporter's types go.
#[derive(Debug, PartialEq)]
enum Value {
    Truth(bool),
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

/// Reads one value and leaves the rest.
fn value(text: &mut &str) -> Value {
    *text = text.trim_start();
    match text.chars().next().unwrap() {
        '{' => {
            let mut object = BTreeMap::new();
            items(text, '}', |text| {
                let Value::Text(key) = value(text) else { panic!("a key is a text: {text}") };
                *text = text.trim_start().strip_prefix(':').unwrap();
                assert!(object.insert(key, value(text)).is_none(), "a key twice");
            });
            Value::Object(object)
        }
        '[' => {
            let mut list = Vec::new();
            items(text, ']', |text| list.push(value(text)));
            Value::List(list)
        }
        '"' => {
            let (inside, rest) = text[1..].split_once('"').unwrap();
            assert!(!inside.contains('\\'), "nothing in the example is to be escaped");
            *text = rest;
            Value::Text(inside.to_owned())
        }
        _ => {
            let end = text.find([',', '}', ']', '\n']).unwrap_or(text.len());
            let word = text[..end].trim();
            *text = &text[end..];
            word.parse().map_or_else(|_| Value::Number(word.parse().unwrap()), Value::Truth)
        }
    }
}

fn items(text: &mut &str, end: char, mut item: impl FnMut(&mut &str)) {
    *text = text[1..].trim_start();
    while !text.starts_with(end) {
        item(text);
        *text = text.trim_start();
        *text = text.strip_prefix(',').unwrap_or(text).trim_start();
    }
    *text = &text[1..];
}

#[test]
fn the_json_has_the_types_of_the_second_exporter() {
    let (model, router, now) = played();
    let view = View { model: &model, router: &router, now, since_epoch: Duration::from_secs(1_700_000_000) };
    let text = Json(&view).to_string();
    let mut rest = text.as_str();
    let Value::List(instances) = value(&mut rest) else { panic!("{text}") };
    assert_eq!(rest.trim(), "");
    let mut states = Vec::new();
    for instance in &instances {
        let Value::Object(instance) = instance else { panic!("{instance:?}") };
        let (Value::Object(data), Value::Object(stats)) = (&instance["data"], &instance["stats"]) else { panic!() };
        for key in ["last_transition", "vrid", "state", "wantstate"] {
            assert!(matches!(data[key], Value::Number(_)), "{key}: {:?}", data[key]);
        }
        for key in [
            "advert_rcvd",
            "advert_sent",
            "become_master",
            "release_master",
            "packet_len_err",
            "advert_interval_err",
            "ip_ttl_err",
            "invalid_type_rcvd",
            "addr_list_err",
            "invalid_authtype",
            "authtype_mismatch",
            "auth_failure",
            "pri_zero_rcvd",
            "pri_zero_sent",
        ] {
            // These are unsigned there.
            assert!(matches!(stats[key], Value::Number(number) if number >= 0.0 && number.fract() == 0.0), "{key}");
        }
        let (Value::Text(name), Value::Text(interface)) = (&data["iname"], &data["ifp_ifname"]) else { panic!() };
        let Value::Number(state) = data["state"] else { panic!() };
        states.push(format!("{name} {interface} {state}"));
    }
    // INIT 0, BACKUP 1, MASTER 2, FAULT 3
    assert_eq!(states, ["VI_1 eth0 2", "VI_2 eth0 2", "VI_6 eth1 3"]);
}
