//! Redirects: where they lead and what they say besides.

use super::{Answer, Body, line_safe};
use crate::sample::Context;
use crate::sample::text::Text;

/// What the location is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// `location`: the whole of it.
    Location(Text),
    /// `prefix`: what stands before the path and query.
    Prefix(Text),
    /// `scheme`: what stands before `://`, the host, the path and query.
    Scheme(Text),
}

/// A redirect rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    /// Where it leads.
    pub target: Target,
    /// `drop-query`
    pub drop_query: bool,
    /// `append-slash`: where the location does not end with one.
    pub append_slash: bool,
    /// `ignore-empty`: an empty location makes no redirect.
    pub ignore_empty: bool,
    /// `set-cookie` or `clear-cookie`: the value of `set-cookie`.
    pub cookie: Option<Box<[u8]>>,
}

impl Redirect {
    /// The answer, or none where the location is empty and that is to be ignored.
    pub fn answer(&self, context: &Context<'_>) -> Option<Answer> {
        let mut location = Vec::new();
        match &self.target {
            Target::Location(text) => {
                text.write(context, &mut location);
                if location.is_empty() && self.ignore_empty {
                    return None;
                }
            }
            Target::Prefix(text) => {
                text.write(context, &mut location);
                // The prefix `/` alone would make `//path`, another host.
                if location == b"/" {
                    location.clear();
                }
                self.push_path(context, &mut location);
            }
            Target::Scheme(text) => {
                text.write(context, &mut location);
                location.extend_from_slice(b"://");
                let host = context.request.and_then(|request| request.value(b"host"));
                location.extend_from_slice(host.unwrap_or_default());
                self.push_path(context, &mut location);
            }
        }
        let mut fields = vec![(b"location".to_vec(), line_safe(location))];
        if matches!(self.status, 302 | 303 | 307) {
            fields.push((b"cache-control".to_vec(), b"no-cache".to_vec()));
        }
        if let Some(cookie) = &self.cookie {
            fields.push((b"set-cookie".to_vec(), cookie.to_vec()));
        }
        Some(Answer { status: self.status, fields, body: Body::Redirect })
    }

    fn push_path(&self, context: &Context<'_>, location: &mut Vec<u8>) {
        let Some(request) = context.request else { return };
        // A target without a path (`*`) is the root.
        let path = request.path();
        location.extend_from_slice(if path.is_empty() { b"/" } else { path });
        if let (Some(query), false) = (request.query(), self.drop_query) {
            location.push(b'?');
            location.extend_from_slice(query);
        }
        if self.append_slash && !location.ends_with(b"/") {
            location.push(b'/');
        }
    }
}
