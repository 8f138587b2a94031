//! The keepalived.conf of one host of a scenario: a usual one at 100 ms, changed word by word.

use std::fmt;

/// A file under construction.
#[derive(Clone, Debug)]
pub(crate) struct Conf {
    globals: Vec<String>,
    blocks: String,
    instances: Vec<Instance>,
}

#[derive(Clone, Debug)]
struct Instance {
    name: String,
    lines: Vec<String>,
    addresses: Vec<String>,
}

/// One instance of version 3 at 100 ms. Sets of gratuitous ARP are not repeated after five seconds, so that a
/// scenario is over when its last event is.
pub(crate) fn conf(priority: u8) -> Conf {
    let globals = ["script_user root", "enable_script_security", "vrrp_garp_master_delay 0"];
    Conf {
        globals: globals.map(str::to_owned).to_vec(),
        blocks: String::new(),
        instances: vec![Instance::new("VI_1", 51, priority, "192.0.2.50/24")],
    }
}

impl Instance {
    fn new(name: &str, vrid: u8, priority: u8, address: &str) -> Self {
        let lines = [
            "state BACKUP".to_owned(),
            "interface eth0".to_owned(),
            format!("virtual_router_id {vrid}"),
            "version 3".to_owned(),
            "advert_int 0.1".to_owned(),
            format!("priority {priority}"),
        ];
        Self { name: name.to_owned(), lines: lines.to_vec(), addresses: vec![address.to_owned()] }
    }
}

impl Conf {
    /// Replaces the line that begins with the same word in the last instance, or adds one.
    pub(crate) fn set(mut self, line: &str) -> Self {
        let first = |line: &str| line.split_ascii_whitespace().next().unwrap_or_default().to_owned();
        let lines = &mut self.last().lines;
        match lines.iter_mut().find(|old| first(old) == first(line)) {
            Some(old) => line.clone_into(old),
            None => lines.push(line.to_owned()),
        }
        self
    }

    /// Version 2 at one second, the shortest that it has.
    pub(crate) fn version2(self) -> Self {
        self.set("version 2").set("advert_int 1")
    }

    /// Other virtual addresses.
    pub(crate) fn addresses(mut self, addresses: &[&str]) -> Self {
        self.last().addresses = addresses.iter().map(|&address| address.to_owned()).collect();
        self
    }

    /// A line of `global_defs`.
    pub(crate) fn global(mut self, line: &str) -> Self {
        self.globals.push(line.to_owned());
        self
    }

    /// A line of `global_defs` that the others have and this one does not.
    pub(crate) fn without_global(mut self, line: &str) -> Self {
        self.globals.retain(|global| global != line);
        self
    }

    /// A block in front of the instances.
    pub(crate) fn block(mut self, text: &str) -> Self {
        self.blocks.push_str(text);
        self
    }

    /// One more instance, to which the following calls apply.
    pub(crate) fn instance(mut self, name: &str, vrid: u8, priority: u8, address: &str) -> Self {
        self.instances.push(Instance::new(name, vrid, priority, address));
        self
    }

    fn last(&mut self) -> &mut Instance {
        self.instances.last_mut().expect("a file begins with an instance")
    }
}

impl fmt::Display for Conf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "global_defs {{\n  {}\n}}\n{}", self.globals.join("\n  "), self.blocks)?;
        for Instance { name, lines, addresses } in &self.instances {
            let (lines, addresses) = (lines.join("\n  "), addresses.join("\n    "));
            writeln!(f, "vrrp_instance {name} {{\n  {lines}\n  virtual_ipaddress {{\n    {addresses}\n  }}\n}}")?;
        }
        Ok(())
    }
}
