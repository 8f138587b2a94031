//! The table of keepalived's keywords up to 2.4: where each is legal, what it opens, how many arguments it cannot do
//! without, and what vrrpd does with it. One const per family of blocks in `keyword/*.rs`.

mod check;
mod global;
mod vrrp;

use crate::keyword::Support;

/// Where a keyword may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    /// Outside all braces.
    Root,
    /// `global_defs`
    Global,
    /// `vrrp_instance`
    Instance,
    /// `authentication` of an instance
    Authentication,
    /// `auth_hmac` of an instance
    AuthHmac,
    /// `vrrp_sync_group`
    SyncGroup,
    /// `vrrp_script`
    Script,
    /// `track_file` outside all braces
    TrackFile,
    /// `vrrp_track_process`
    TrackProcess,
    /// `track_group`
    TrackGroup,
    /// `garp_group`
    GarpGroup,
    /// `bfd_instance`
    Bfd,
    /// `SSL`
    Ssl,
    /// `virtual_server`
    VirtualServer,
    /// `real_server`
    RealServer,
    /// `HTTP_GET` and `SSL_GET`
    HttpGet,
    /// `url` of `HTTP_GET`
    Url,
    /// `TCP_CHECK`
    TcpCheck,
    /// `SMTP_CHECK`
    SmtpCheck,
    /// `host` of `SMTP_CHECK`
    SmtpHost,
    /// `DNS_CHECK`
    DnsCheck,
    /// `MISC_CHECK`
    MiscCheck,
    /// `BFD_CHECK`
    BfdCheck,
    /// `PING_CHECK`
    PingCheck,
    /// `UDP_CHECK`
    UdpCheck,
    /// `FILE_CHECK`
    FileCheck,
}

/// What follows a keyword.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Words up to the end of the line.
    Line,
    /// A command with quotes and escapes as in a shell, then perhaps a user and a group.
    Command,
    /// Statements with keywords of this context, in braces.
    Block(Context),
    /// Lines without keywords, in braces: addresses, names, routes.
    List,
    /// The same after a name.
    NamedList,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Keyword {
    /// As written.
    pub name: &'static str,
    /// What follows it.
    pub shape: Shape,
    /// How many arguments keepalived cannot do without: with fewer it stops reading. Where it only complains about a
    /// missing argument this is 0.
    pub needs: u8,
    /// What vrrpd does with it.
    pub support: Support,
}

/// A keyword that works, with words up to the end of the line.
const fn line(name: &'static str, needs: u8) -> Keyword {
    Keyword { name, shape: Shape::Line, needs, support: Support::Works }
}

/// A keyword that works, with a command.
const fn command(name: &'static str, needs: u8) -> Keyword {
    Keyword { name, shape: Shape::Command, needs, support: Support::Works }
}

/// A keyword that works and opens a block.
const fn block(name: &'static str, context: Context) -> Keyword {
    Keyword { name, shape: Shape::Block(context), needs: 0, support: Support::Works }
}

/// A keyword that works and opens a list after a name.
const fn named_list(name: &'static str) -> Keyword {
    Keyword { name, shape: Shape::NamedList, needs: 0, support: Support::Works }
}

/// A keyword that works and opens a list.
const fn list(name: &'static str) -> Keyword {
    Keyword { name, shape: Shape::List, needs: 0, support: Support::Works }
}

impl Keyword {
    /// Accepted, without effect yet.
    const fn idle(self) -> Keyword {
        Keyword { support: Support::NoEffect, ..self }
    }

    /// Accepted; a start refuses it.
    const fn refused(self) -> Keyword {
        Keyword { support: Support::Unsupported, ..self }
    }
}

impl Context {
    /// Every context.
    pub const ALL: [Context; 26] = [
        Context::Root,
        Context::Global,
        Context::Instance,
        Context::Authentication,
        Context::AuthHmac,
        Context::SyncGroup,
        Context::Script,
        Context::TrackFile,
        Context::TrackProcess,
        Context::TrackGroup,
        Context::GarpGroup,
        Context::Bfd,
        Context::Ssl,
        Context::VirtualServer,
        Context::RealServer,
        Context::HttpGet,
        Context::Url,
        Context::TcpCheck,
        Context::SmtpCheck,
        Context::SmtpHost,
        Context::DnsCheck,
        Context::MiscCheck,
        Context::BfdCheck,
        Context::PingCheck,
        Context::UdpCheck,
        Context::FileCheck,
    ];

    /// The rows that are legal here. Some are shared by several contexts, so there are two lists.
    fn tables(self) -> [&'static [Keyword]; 2] {
        match self {
            Context::Root => [global::ROOT, &[]],
            Context::Global => [global::GLOBAL, &[]],
            Context::Instance => [vrrp::INSTANCE, vrrp::NOTIFY],
            Context::Authentication => [vrrp::AUTHENTICATION, &[]],
            Context::AuthHmac => [vrrp::AUTH_HMAC, &[]],
            Context::SyncGroup => [vrrp::SYNC_GROUP, vrrp::NOTIFY],
            Context::Script => [vrrp::SCRIPT, &[]],
            Context::TrackFile => [vrrp::TRACK_FILE, &[]],
            Context::TrackProcess => [vrrp::TRACK_PROCESS, &[]],
            Context::TrackGroup => [vrrp::TRACK_GROUP, &[]],
            Context::GarpGroup => [vrrp::GARP_GROUP, &[]],
            Context::Bfd => [vrrp::BFD, &[]],
            Context::Ssl => [check::SSL, &[]],
            Context::VirtualServer => [check::VIRTUAL_SERVER, &[]],
            Context::RealServer => [check::REAL_SERVER, &[]],
            Context::HttpGet => [check::HTTP_GET, check::COMMON],
            Context::Url => [check::URL, &[]],
            Context::TcpCheck | Context::PingCheck => [check::COMMON, &[]],
            Context::SmtpCheck => [check::SMTP_CHECK, check::COMMON],
            Context::SmtpHost => [check::SMTP_HOST, check::COMMON],
            Context::DnsCheck => [check::DNS_CHECK, check::COMMON],
            Context::MiscCheck => [check::MISC_CHECK, check::COMMON],
            Context::BfdCheck => [check::BFD_CHECK, &[]],
            Context::UdpCheck => [check::UDP_CHECK, check::COMMON],
            Context::FileCheck => [check::FILE_CHECK, &[]],
        }
    }

    /// The rows that are legal here.
    pub fn keywords(self) -> impl Iterator<Item = &'static Keyword> {
        self.tables().into_iter().flatten()
    }

    /// The row of a word, if it is legal here.
    pub fn find(self, name: &str) -> Option<&'static Keyword> {
        self.keywords().find(|keyword| keyword.name == name)
    }

    /// The name of the block, as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Context::Root => "the root level",
            Context::Global => "global_defs",
            Context::Instance => "vrrp_instance",
            Context::Authentication => "authentication",
            Context::AuthHmac => "auth_hmac",
            Context::SyncGroup => "vrrp_sync_group",
            Context::Script => "vrrp_script",
            Context::TrackFile => "track_file",
            Context::TrackProcess => "vrrp_track_process",
            Context::TrackGroup => "track_group",
            Context::GarpGroup => "garp_group",
            Context::Bfd => "bfd_instance",
            Context::Ssl => "SSL",
            Context::VirtualServer => "virtual_server",
            Context::RealServer => "real_server",
            Context::HttpGet => "HTTP_GET",
            Context::Url => "url",
            Context::TcpCheck => "TCP_CHECK",
            Context::SmtpCheck => "SMTP_CHECK",
            Context::SmtpHost => "host",
            Context::DnsCheck => "DNS_CHECK",
            Context::MiscCheck => "MISC_CHECK",
            Context::BfdCheck => "BFD_CHECK",
            Context::PingCheck => "PING_CHECK",
            Context::UdpCheck => "UDP_CHECK",
            Context::FileCheck => "FILE_CHECK",
        }
    }
}

/// Where else a word is legal.
pub fn homes(name: &str) -> impl Iterator<Item = Context> {
    Context::ALL.into_iter().filter(move |context| context.find(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_word_once_per_context() {
        for context in Context::ALL {
            let mut seen = HashSet::new();
            for keyword in context.keywords() {
                assert!(seen.insert(keyword.name), "{} twice in {context:?}", keyword.name);
            }
        }
    }
}
