//! `virtual_server` and its checkers. vrrpd reads them and applies none; the rows of the outer blocks say so.

use super::{Context, Keyword, block, command, line};

pub(super) const SSL: &[Keyword] = &[line("password", 1), line("ca", 1), line("certificate", 1), line("key", 1)];

pub(super) const VIRTUAL_SERVER: &[Keyword] = &[
    line("ip_family", 1),
    line("retry", 1),
    line("delay_before_retry", 1),
    line("warmup", 1),
    line("connect_timeout", 1),
    line("delay_loop", 1),
    line("inhibit_on_failure", 0),
    line("lb_algo", 1),
    line("lvs_sched", 1),
    line("hashed", 0),
    line("ops", 0),
    line("flag-1", 0),
    line("flag-2", 0),
    line("flag-3", 0),
    line("sh-port", 0),
    line("sh-fallback", 0),
    line("mh-port", 0),
    line("mh-fallback", 0),
    line("lb_kind", 1),
    line("lvs_method", 1),
    line("persistence_engine", 1),
    line("persistence_timeout", 0),
    line("persistence_granularity", 1),
    line("protocol", 1),
    line("ha_suspend", 0),
    line("smtp_alert", 0),
    line("virtualhost", 1),
    line("snmp_name", 1),
    line("alpha", 0),
    line("omega", 0),
    command("quorum_up", 1),
    command("quorum_down", 1),
    line("quorum", 1),
    line("hysteresis", 1),
    line("weight", 1),
    line("sorry_server", 1),
    line("sorry_server_inhibit", 0),
    line("sorry_server_lvs_method", 1),
    block("real_server", Context::RealServer),
];

pub(super) const REAL_SERVER: &[Keyword] = &[
    line("weight", 1),
    line("lvs_method", 1),
    line("uthreshold", 1),
    line("lthreshold", 1),
    line("inhibit_on_failure", 0),
    command("notify_up", 1),
    command("notify_down", 1),
    line("alpha", 0),
    line("retry", 1),
    line("delay_before_retry", 1),
    line("warmup", 1),
    line("connect_timeout", 1),
    line("delay_loop", 1),
    line("smtp_alert", 0),
    line("virtualhost", 1),
    line("snmp_name", 1),
    line("log_all_failures", 0),
    block("HTTP_GET", Context::HttpGet),
    block("SSL_GET", Context::HttpGet),
    block("TCP_CHECK", Context::TcpCheck),
    block("SMTP_CHECK", Context::SmtpCheck),
    block("DNS_CHECK", Context::DnsCheck),
    block("MISC_CHECK", Context::MiscCheck),
    block("BFD_CHECK", Context::BfdCheck),
    block("PING_CHECK", Context::PingCheck),
    block("UDP_CHECK", Context::UdpCheck),
    block("FILE_CHECK", Context::FileCheck),
];

/// What most checkers share.
pub(super) const COMMON: &[Keyword] = &[
    line("connect_ip", 1),
    line("connect_port", 1),
    line("bindto", 1),
    line("bind_port", 1),
    line("bind_if", 1),
    line("connect_timeout", 1),
    line("fwmark", 1),
    line("retry", 1),
    line("delay_before_retry", 1),
    line("warmup", 1),
    line("delay_loop", 1),
    line("alpha", 0),
    line("log_all_failures", 0),
];

pub(super) const HTTP_GET: &[Keyword] = &[
    line("nb_get_retry", 1),
    line("virtualhost", 1),
    line("http_protocol", 1),
    line("enable_sni", 0),
    line("sni_name", 1),
    line("fast_recovery", 0),
    line("tls_compliant", 0),
    block("url", Context::Url),
];

pub(super) const URL: &[Keyword] = &[
    line("path", 1),
    line("digest", 1),
    line("status_code", 1),
    line("virtualhost", 1),
    line("enable_sni", 0),
    line("sni_name", 1),
    line("regex", 1),
    line("regex_no_match", 0),
    line("regex_options", 1),
    line("regex_min_offset", 1),
    line("regex_max_offset", 1),
    line("regex_stack", 1),
    line("tls_compliant", 0),
];

pub(super) const SMTP_CHECK: &[Keyword] = &[line("helo_name", 1), block("host", Context::SmtpHost)];

pub(super) const SMTP_HOST: &[Keyword] = &[];

pub(super) const DNS_CHECK: &[Keyword] = &[line("type", 1), line("name", 1)];

pub(super) const MISC_CHECK: &[Keyword] =
    &[command("misc_path", 1), line("misc_timeout", 1), line("misc_dynamic", 0), line("user", 1)];

pub(super) const BFD_CHECK: &[Keyword] = &[line("name", 1), line("alpha", 0)];

pub(super) const UDP_CHECK: &[Keyword] =
    &[line("payload", 1), line("require_reply", 0), line("min_reply_length", 1), line("max_reply_length", 1)];

pub(super) const FILE_CHECK: &[Keyword] = &[line("track_file", 1), line("weight", 1), line("dynamic", 0)];
