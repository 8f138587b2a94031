//! `send-proxy` and its kin: which PROXY header a server line asks for.

use super::draft::Section;
use super::model::SendProxy;
use super::rules::{self, Names};
use super::server::ServerDraft;
use crate::proxy::address::ProxyVersion;
use crate::proxy_protocol::{self, Additions, kind};
use shared_config::diagnostic::Diagnostics;
use shared_config::words::Word;

/// What the words of a line have asked for. As with haproxy each word sets or takes back what it names, and a header is sent for
/// as long as anything is left: an option alone makes one of version 1, in which it says nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    version_1: bool,
    version_2: bool,
    checksum: bool,
    authority: bool,
    unique_id: bool,
    tls: bool,
    common_name: bool,
    certificate: bool,
    /// `set-proxy-v2-tlv-fmt`
    tlvs: Vec<(u8, Word)>,
}

impl Asked {
    /// Additions that are made when a server is connected to.
    pub(super) fn has_texts(&self) -> bool {
        !self.tlvs.is_empty()
    }

    /// Whether a header is sent at all.
    pub(super) fn is_some(&self) -> bool {
        self.version_1 || self.version_2 || self.checksum || self.authority || self.unique_id || self.has_tls()
    }

    fn has_tls(&self) -> bool {
        self.tls || self.common_name || self.certificate
    }

    /// `send-proxy…` and `no-send-proxy…`.
    pub(super) fn word(&mut self, name: &str) {
        let on = !name.starts_with("no-");
        match name.trim_start_matches("no-") {
            "send-proxy" => self.version_1 = on,
            "send-proxy-v2" => self.version_2 = on,
            "send-proxy-v2-ssl" => (self.version_2, self.tls) = (on, on),
            _ => (self.version_2, self.tls, self.common_name) = (on, on, on),
        }
    }

    /// An option of `proxy-v2-options`; false where there is none of that name.
    pub(super) fn option(&mut self, name: &str) -> bool {
        match name {
            "crc32c" => self.checksum = true,
            "authority" => self.authority = true,
            "unique-id" => self.unique_id = true,
            "ssl" => self.tls = true,
            "cert-cn" => self.common_name = true,
            "cert-key" | "cert-sig" | "ssl-cipher" => self.certificate = true,
            _ => return false,
        }
        true
    }

    /// `set-proxy-v2-tlv-fmt(ID) FORMAT`; the last format of a kind counts.
    pub(super) fn addition(&mut self, kind: u8, format: Word) {
        self.tlvs.retain(|(known, _)| *known != kind);
        self.tlvs.push((kind, format));
    }
}

/// The kind of an addition, as `set-proxy-v2-tlv-fmt(0x20)` or `(32)` names it.
pub(super) fn kind(text: &str) -> Option<u8> {
    let inside = text.split_once('(')?.1.strip_suffix(')')?;
    match inside.strip_prefix("0x").or_else(|| inside.strip_prefix("0X")) {
        Some(hexadecimal) => u8::from_str_radix(hexadecimal, 16).ok(),
        None => inside.parse().ok(),
    }
}

/// The header of a connection that is nobody's but ours.
pub(super) fn of_nobody(asked: &Asked) -> Vec<u8> {
    let mut header = Vec::new();
    if !asked.is_some() {
        return header;
    }
    if !asked.version_2 {
        proxy_protocol::write_v1(None, &mut header);
        return header;
    }
    let mut additions = Additions::new(asked.checksum);
    if asked.unique_id {
        additions.push(kind::UNIQUE_ID, b"");
    }
    if asked.has_tls() {
        additions.push(kind::SSL, &proxy_protocol::NO_TLS);
    }
    proxy_protocol::write_v2(None, &additions, &mut header);
    header
}

/// The header that a server is sent, its formats compiled.
pub(super) fn compile(
    section: &Section,
    draft: &ServerDraft,
    names: &Names,
    out: &mut Diagnostics,
) -> Option<SendProxy> {
    let asked = &draft.settings.send_proxy;
    if !asked.is_some() {
        return None;
    }
    let place = rules::Section::unnumbered(section);
    let before = format!("'server {}/{}' : 'set-proxy-v2-tlv-fmt' : ", section.name, draft.name);
    let compiled = |(kind, word): &(u8, Word)| Some((*kind, rules::server_text(&place, word, &before, names, out)?));
    Some(SendProxy {
        version: if asked.version_2 { ProxyVersion::V2 } else { ProxyVersion::V1 },
        checksum: asked.checksum,
        authority: asked.authority,
        unique_id: asked.unique_id,
        tls: asked.has_tls(),
        tlvs: asked.tlvs.iter().filter_map(compiled).collect(),
    })
}
