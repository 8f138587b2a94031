//! The shape of the rows of sample fetches and converters: types, arguments, places.

use super::Support;

/// The type of a sample, as `-dK` and the manual name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are the words of the manual")]
pub enum SampleType {
    /// Known only when the sample is there (`var`), or accepted whatever it is.
    Any,
    /// A converter that gives back the type it got.
    Same,
    Bool,
    /// A signed integer of 64 bits.
    Sint,
    /// IPv4 or IPv6.
    Addr,
    Ipv4,
    Ipv6,
    Str,
    Bin,
    /// An HTTP method.
    Meth,
}

impl SampleType {
    /// The word of the manual and of `-dK`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Same => "same",
            Self::Bool => "bool",
            Self::Sint => "sint",
            Self::Addr => "addr",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Str => "str",
            Self::Bin => "bin",
            Self::Meth => "meth",
        }
    }

    /// Whether a sample of this type can be given where `wanted` is asked for, converted if need be.
    pub const fn casts_to(self, wanted: Self) -> bool {
        use SampleType::{Addr, Any, Bin, Bool, Ipv4, Ipv6, Meth, Same, Sint, Str};
        match wanted {
            Any | Same | Str | Bin => true,
            Bool => matches!(self, Any | Same | Bool | Sint | Str),
            Sint => matches!(self, Any | Same | Bool | Sint | Addr | Ipv4 | Str),
            Addr | Ipv4 | Ipv6 => matches!(self, Any | Same | Sint | Addr | Ipv4 | Ipv6 | Str),
            Meth => matches!(self, Any | Same | Str | Bin | Meth),
        }
    }
}

/// What an argument in parentheses must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are the words of the manual")]
pub enum ArgKind {
    Str,
    Integer,
    Ipv4Address,
    Ipv6Address,
    Ipv4Mask,
    Ipv6Mask,
    Regex,
    Frontend,
    Backend,
    Server,
    Table,
    Userlist,
    ProtobufField,
    /// Whatever the place takes without saying.
    Unspecified,
}

impl ArgKind {
    /// The words of `-dK`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Str => "string",
            Self::Integer => "integer",
            Self::Ipv4Address => "IPv4 address",
            Self::Ipv6Address => "IPv6 address",
            Self::Ipv4Mask => "IPv4 mask",
            Self::Ipv6Mask => "IPv6 mask",
            Self::Regex => "regex",
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Server => "server",
            Self::Table => "table",
            Self::Userlist => "user list",
            Self::ProtobufField => "Protocol buffers field number",
            Self::Unspecified => "unset",
        }
    }
}

/// One argument in parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Arg {
    /// What it must be.
    pub kind: ArgKind,
    /// Whether it may be left out.
    pub required: bool,
}

/// Where a sample can be asked for: the columns of `-dKsmp` from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the variants are the words of the manual")]
#[repr(u8)]
pub enum FetchPlace {
    FrontendTcpRequestConnection,
    FrontendTcpRequestSession,
    FrontendTcpRequestContent,
    FrontendHttpRequestHeader,
    FrontendHttpRequestBody,
    FrontendUseBackend,
    BackendTcpRequestContent,
    BackendHttpRequestHeader,
    BackendHttpRequestBody,
    BackendUseServer,
    ServerSourceSelection,
    BackendTcpResponseContent,
    BackendHttpResponseHeader,
    BackendHttpResponseBody,
    BackendStickStore,
    FrontendTcpResponseContent,
    FrontendHttpResponseHeader,
    FrontendHttpResponseBody,
    Logs,
    BackendTcpCheck,
    ConfigurationParser,
    CliParser,
}

impl FetchPlace {
    /// All places, in the order of the columns.
    pub const ALL: [Self; 22] = [
        Self::FrontendTcpRequestConnection,
        Self::FrontendTcpRequestSession,
        Self::FrontendTcpRequestContent,
        Self::FrontendHttpRequestHeader,
        Self::FrontendHttpRequestBody,
        Self::FrontendUseBackend,
        Self::BackendTcpRequestContent,
        Self::BackendHttpRequestHeader,
        Self::BackendHttpRequestBody,
        Self::BackendUseServer,
        Self::ServerSourceSelection,
        Self::BackendTcpResponseContent,
        Self::BackendHttpResponseHeader,
        Self::BackendHttpResponseBody,
        Self::BackendStickStore,
        Self::FrontendTcpResponseContent,
        Self::FrontendHttpResponseHeader,
        Self::FrontendHttpResponseBody,
        Self::Logs,
        Self::BackendTcpCheck,
        Self::ConfigurationParser,
        Self::CliParser,
    ];

    /// The words of messages and of the head of `-dKsmp`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FrontendTcpRequestConnection => "frontend tcp-request connection rule",
            Self::FrontendTcpRequestSession => "frontend tcp-request session rule",
            Self::FrontendTcpRequestContent => "frontend tcp-request content rule",
            Self::FrontendHttpRequestHeader => "frontend http-request header rule",
            Self::FrontendHttpRequestBody => "frontend http-request body rule",
            Self::FrontendUseBackend => "frontend use-backend rule",
            Self::BackendTcpRequestContent => "backend tcp-request content rule",
            Self::BackendHttpRequestHeader => "backend http-request header rule",
            Self::BackendHttpRequestBody => "backend http-request body rule",
            Self::BackendUseServer => "backend use-server, balance or stick-match rule",
            Self::ServerSourceSelection => "server source selection",
            Self::BackendTcpResponseContent => "backend tcp-response content rule",
            Self::BackendHttpResponseHeader => "backend http-response header rule",
            Self::BackendHttpResponseBody => "backend http-response body rule",
            Self::BackendStickStore => "backend stick-store rule",
            Self::FrontendTcpResponseContent => "frontend tcp-response content rule",
            Self::FrontendHttpResponseHeader => "frontend http-response header rule",
            Self::FrontendHttpResponseBody => "frontend http-response body rule",
            Self::Logs => "logs",
            Self::BackendTcpCheck => "backend tcp-check rule",
            Self::ConfigurationParser => "configuration parser",
            Self::CliParser => "CLI parser",
        }
    }
}

/// A set of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FetchPlaces(u32);

impl FetchPlaces {
    /// From the columns of `-dKsmp`, `Y` or `.`, without spaces.
    pub(super) const fn columns(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut bits = 0;
        let mut i = 0;
        while i < bytes.len() {
            if bytes[i] == b'Y' {
                bits |= 1 << i;
            }
            i += 1;
        }
        Self(bits)
    }

    /// Whether the place is one of them.
    pub const fn contains(self, place: FetchPlace) -> bool {
        self.0 & (1 << place as u8) != 0
    }

    /// Whether the two have a place in common.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Every place.
    pub const fn all() -> Self {
        Self((1 << FetchPlace::ALL.len()) - 1)
    }

    /// A set of one.
    pub const fn of(place: FetchPlace) -> Self {
        Self(1 << place as u8)
    }

    /// Both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A sample fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchRow {
    /// The word before the parentheses.
    pub name: &'static str,
    /// What stands in the parentheses, required arguments first.
    pub args: &'static [Arg],
    /// Where it can be asked for.
    pub places: FetchPlaces,
    /// What comes out.
    pub output: SampleType,
    /// What this version does with it.
    pub support: Support,
}

/// A converter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConverterRow {
    /// The word before the parentheses.
    pub name: &'static str,
    /// What stands in the parentheses, required arguments first.
    pub args: &'static [Arg],
    /// What goes in, converted from what came out before.
    pub input: SampleType,
    /// What comes out.
    pub output: SampleType,
    /// What this version does with it.
    pub support: Support,
}

const fn required(kind: ArgKind) -> Arg {
    Arg { kind, required: true }
}

const fn optional(kind: ArgKind) -> Arg {
    Arg { kind, required: false }
}

/// The lists of arguments that occur. Named after what they hold; `O` starts the optional ones.
pub(super) mod args {
    use super::{Arg, ArgKind, optional, required};
    use ArgKind::{
        Backend, Frontend, Integer, Ipv4Address, Ipv4Mask, Ipv6Address, Ipv6Mask, ProtobufField, Regex, Server, Str,
        Table, Userlist,
    };

    pub(crate) const BE: &[Arg] = &[required(Backend)];
    pub(crate) const FE: &[Arg] = &[required(Frontend)];
    pub(crate) const INT: &[Arg] = &[required(Integer)];
    pub(crate) const INT_INT: &[Arg] = &[required(Integer), required(Integer)];
    pub(crate) const INT_INT_O_STR: &[Arg] = &[required(Integer), required(Integer), optional(Str)];
    pub(crate) const INT_INT_O_TAB: &[Arg] = &[required(Integer), required(Integer), optional(Table)];
    pub(crate) const INT_O_TAB: &[Arg] = &[required(Integer), optional(Table)];
    pub(crate) const INT_STR_O_INT: &[Arg] = &[required(Integer), required(Str), optional(Integer)];
    pub(crate) const INT_STR_STR_O_STR: &[Arg] = &[required(Integer), required(Str), required(Str), optional(Str)];
    pub(crate) const INT_STR_STR_STR_O_STR: &[Arg] =
        &[required(Integer), required(Str), required(Str), required(Str), optional(Str)];
    pub(crate) const INT_TAB: &[Arg] = &[required(Integer), required(Table)];
    pub(crate) const ADDRESS4: &[Arg] = &[required(Ipv4Address)];
    pub(crate) const ADDRESS6: &[Arg] = &[required(Ipv6Address)];
    pub(crate) const MASK4_O_MASK6: &[Arg] = &[required(Ipv4Mask), optional(Ipv6Mask)];
    pub(crate) const O_INT: &[Arg] = &[optional(Integer)];
    pub(crate) const O_INT_STR: &[Arg] = &[optional(Integer), optional(Str)];
    pub(crate) const O_STR: &[Arg] = &[optional(Str)];
    pub(crate) const O_STR_INT: &[Arg] = &[optional(Str), optional(Integer)];
    pub(crate) const O_STR_INT_INT: &[Arg] = &[optional(Str), optional(Integer), optional(Integer)];
    pub(crate) const O_STR_INT_STR: &[Arg] = &[optional(Str), optional(Integer), optional(Str)];
    pub(crate) const O_STR_STR: &[Arg] = &[optional(Str), optional(Str)];
    pub(crate) const O_STR_STR_STR: &[Arg] = &[optional(Str), optional(Str), optional(Str)];
    pub(crate) const O_TAB: &[Arg] = &[optional(Table)];
    pub(crate) const PB_O_STR: &[Arg] = &[required(ProtobufField), optional(Str)];
    pub(crate) const REG_STR_O_STR: &[Arg] = &[required(Regex), required(Str), optional(Str)];
    pub(crate) const SRV: &[Arg] = &[required(Server)];
    pub(crate) const STR: &[Arg] = &[required(Str)];
    pub(crate) const STR_O_INT: &[Arg] = &[required(Str), optional(Integer)];
    pub(crate) const STR_O_INT_INT: &[Arg] = &[required(Str), optional(Integer), optional(Integer)];
    pub(crate) const STR_O_STR: &[Arg] = &[required(Str), optional(Str)];
    pub(crate) const STR_O_STR_11: &[Arg] = &[
        required(Str),
        optional(Str),
        optional(Str),
        optional(Str),
        optional(Str),
        optional(Str),
        optional(Str),
        optional(Str),
        optional(Str),
        optional(Str),
        optional(Str),
        optional(Str),
    ];
    pub(crate) const STR_O_STR_STR: &[Arg] = &[required(Str), optional(Str), optional(Str)];
    pub(crate) const STR_O_STR_STR_STR_STR: &[Arg] =
        &[required(Str), optional(Str), optional(Str), optional(Str), optional(Str)];
    pub(crate) const STR_STR: &[Arg] = &[required(Str), required(Str)];
    pub(crate) const STR_STR_O_STR: &[Arg] = &[required(Str), required(Str), optional(Str)];
    pub(crate) const TAB: &[Arg] = &[required(Table)];
    pub(crate) const TAB_O_INT: &[Arg] = &[required(Table), optional(Integer)];
    pub(crate) const USERLIST: &[Arg] = &[required(Userlist)];
}
