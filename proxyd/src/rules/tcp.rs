//! `tcp-request` and `tcp-response`.

use super::Silence;
use super::effect::Effect;
use super::resolve::{Question, Resolve};
use crate::ids::ProfileId;
use crate::sample::Context;
use crate::sample::content::Content;

/// What a rule on a connection does.
#[derive(Clone, Debug, PartialEq)]
pub enum TcpAction {
    /// `accept`: no further rule of the set is looked at.
    Accept,
    /// `reject`: the connection is closed.
    Reject,
    /// `close`, of responses: the server's connection is closed.
    Close,
    /// `silent-drop`: the connection is forgotten without telling the client.
    SilentDrop(Silence),
    /// `expect-proxy`, `expect-netscaler-cip`, of connections: a header comes first.
    Expect(Preface),
    /// `switch-mode http`, of requests' contents: what follows is requests.
    SwitchToHttp,
    /// `do-log`, by the profile it names.
    Log(Option<ProfileId>),
    /// `do-resolve`, of requests' contents.
    Resolve(Resolve),
    /// What is kept for later; the next rule is looked at.
    Effect(Effect),
}

/// What comes before a client's first byte and says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Preface {
    /// A PROXY header.
    Proxy,
    /// `NetScaler`'s client IP insertion.
    NetScaler,
}

/// What the data path does with a connection after a set of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpVerdict {
    /// It goes on.
    Continue,
    /// A rule cannot tell before more bytes have come.
    Wait,
    /// The rules go on; then such a header has to come.
    Expect(Preface),
    /// What comes are requests; no further rule of the set is looked at.
    SwitchToHttp,
    /// The rules go on once a line was logged, by this profile where there is one.
    Log(Option<ProfileId>),
    /// The rules go on once name servers have answered, or have failed to.
    Resolve(Question),
    /// It is closed.
    Reject,
    /// The server's connection is closed.
    Close,
    /// It is forgotten without telling the client.
    SilentDrop(Silence),
}

impl TcpAction {
    /// Does it; the verdict, if it is one. What captures or tracks bytes that have not come waits for them.
    pub(super) fn perform(&self, context: &Context<'_>) -> Option<TcpVerdict> {
        match self {
            Self::Accept => Some(TcpVerdict::Continue),
            Self::Reject => Some(TcpVerdict::Reject),
            Self::Close => Some(TcpVerdict::Close),
            Self::SilentDrop(silence) => Some(TcpVerdict::SilentDrop(*silence)),
            Self::SwitchToHttp => Some(TcpVerdict::SwitchToHttp),
            Self::Log(profile) => Some(TcpVerdict::Log(*profile)),
            Self::Expect(preface) => Some(TcpVerdict::Expect(*preface)),
            // A name that has not come is not waited for, as with haproxy: a rule before this one has to.
            Self::Resolve(resolve) => resolve.question(context).map(TcpVerdict::Resolve),
            Self::Effect(effect) => {
                let lacks = |context: &Context<'_>| context.stream.content.is_some_and(Content::take_missing);
                lacks(context);
                let waits = !effect.perform(context) && effect.waits() && lacks(context);
                waits.then_some(TcpVerdict::Wait)
            }
        }
    }
}
