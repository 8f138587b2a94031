//! The listeners of a frontend.

use super::super::bind::BindDraft;
use super::super::draft::{Flag, Section};
use super::super::line::code;
use super::super::model::{Bind, ListenAddress, Mode};
use super::{Completion, place};
use shared_config::diagnostic::Diagnostic;
use std::collections::{HashMap, HashSet};

impl Completion<'_> {
    /// The listeners, numbered, with what `unix-bind` says for sockets that say nothing themselves.
    pub(super) fn binds(&mut self, section: &Section) -> Vec<Bind> {
        self.check_binds(section);
        let taken: HashSet<u32> = section.binds.iter().map(|draft| draft.bind.id).collect();
        let mut given = HashSet::new();
        let mut next = 1;
        let mut binds = Vec::with_capacity(section.binds.len());
        for draft in &section.binds {
            let mut bind = draft.bind.clone();
            bind.place = place(self.sources, draft.span);
            bind.kernel_buffers = self.global.tune.kernel_buffers.client;
            bind.exclusive = self.global.no_reuse_port;
            bind.smart_accept = section.settings.flags.get(Flag::TcpSmartAccept, section.mode() == Mode::Http);
            bind.backlog = self.backlog(section, &bind);
            // Of several addresses on one line only the first one keeps the line's number.
            if bind.id == 0 || !given.insert(bind.id) {
                while taken.contains(&next) {
                    next += 1;
                }
                bind.id = next;
                next += 1;
            }
            if let ListenAddress::Unix(path) = &mut bind.address {
                if !self.extra.unix_prefix.is_empty() {
                    *path = format!("{}{}", self.extra.unix_prefix, path.display()).into();
                }
                let inherited = &self.extra.unix_bind.owner;
                bind.owner.mode = bind.owner.mode.or(inherited.mode);
                bind.owner.uid = bind.owner.uid.or(inherited.uid);
                bind.owner.gid = bind.owner.gid.or(inherited.gid);
            }
            binds.push(bind);
        }
        binds
    }

    /// What a listener holds until it is accepted: `backlog`, or as many as it may ever have.
    fn backlog(&self, section: &Section, bind: &Bind) -> Option<u32> {
        let settings = &section.settings;
        let said = bind.backlog.or(settings.backlog.filter(|&backlog| backlog > 0));
        said.or(bind.maxconn).or(settings.maxconn).or(self.proxy_maxconn).or(self.global.maxconn)
    }

    fn check_binds(&mut self, section: &Section) {
        let mut ids: HashMap<u32, &BindDraft> = HashMap::new();
        let mut last = None;
        for draft in &section.binds {
            // The addresses of one line share its parameters.
            if last.replace(draft.span) == Some(draft.span) {
                continue;
            }
            let at = place(self.sources, draft.span);
            if draft.bind.ssl && !draft.has_certificate {
                let message = format!(
                    "Proxy '{}': no SSL certificate specified for bind '{}' at [{at}] (use 'crt').",
                    section.name, draft.bind.text
                );
                self.out.push(
                    Diagnostic::error(code::MISSING_ARGUMENT, draft.span, message)
                        .whole_file()
                        .help("name the certificate: `crt /path/to/file.pem`"),
                );
            }
            if let Some(named) = draft.mux.filter(|named| !named.mux.is_for_clients(section.mode())) {
                let message = format!(
                    "proxy '{}' : MUX protocol '{}' is not usable for 'bind {}' at [{at}].",
                    section.name,
                    named.mux.name(),
                    draft.bind.text
                );
                self.out.push(
                    Diagnostic::error(code::CONFLICT, named.at, message)
                        .whole_file()
                        .label("of another mode than the section"),
                );
            }
            if draft.bind.id == 0 {
                continue;
            }
            if let Some(other) = ids.insert(draft.bind.id, draft) {
                let message = format!(
                    "'bind {}' in section '{}' : 'id' : custom id {} already used at {} ('bind {}')",
                    draft.bind.text,
                    section.kind.name(),
                    draft.bind.id,
                    place(self.sources, other.span),
                    other.bind.text
                );
                let error = Diagnostic::error(code::DUPLICATE, draft.span, message);
                self.out.push(error.related(other.span, "used here first"));
            }
        }
    }
}
