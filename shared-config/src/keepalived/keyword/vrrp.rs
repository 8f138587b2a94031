//! Instances, groups, trackers and BFD.

use super::{Context, Keyword, block, command, line, list};

pub(super) const INSTANCE: &[Keyword] = &[
    line("state", 1),
    line("interface", 1),
    line("virtual_router_id", 1),
    line("priority", 1),
    line("advert_int", 1),
    line("version", 1),
    block("authentication", Context::Authentication),
    block("auth_hmac", Context::AuthHmac),
    list("virtual_ipaddress"),
    list("virtual_ipaddress_excluded"),
    line("no_virtual_ipaddress", 0),
    list("virtual_routes"),
    list("virtual_rules"),
    line("promote_secondaries", 0),
    list("unicast_peer"),
    line("unicast_src_ip", 1),
    line("unicast_ttl", 1),
    line("unicast_fault_no_peer", 0),
    line("check_unicast_src", 0),
    line("old_unicast_checksum", 0),
    line("v3_checksum_as_v2", 0),
    line("mcast_src_ip", 1),
    line("mcast_dst_ip", 1),
    line("track_src_ip", 0),
    line("native_ipv6", 0),
    line("use_vmac", 0),
    line("use_vmac_addr", 0),
    line("vmac_xmit_base", 0),
    line("use_ipvlan", 0).refused(),
    line("vrf", 1).refused(),
    line("dont_track_primary", 0),
    list("track_interface"),
    list("track_script"),
    list("track_file"),
    list("track_process"),
    list("track_bfd").idle(),
    line("linkbeat_use_polling", 0).idle(),
    line("accept", 0),
    line("no_accept", 0),
    line("skip_check_adv_addr", 0),
    line("strict_mode", 0),
    line("preempt", 0),
    line("nopreempt", 0),
    line("preempt_delay", 1),
    line("debug", 1),
    command("notify_deleted", 0),
    command("notify_master_rx_lower_pri", 1),
    line("lvs_sync_daemon_interface", 1).idle(),
    line("garp_master_delay", 1),
    line("garp_master_refresh", 1),
    line("garp_master_repeat", 1),
    line("garp_master_refresh_repeat", 1),
    line("garp_lower_prio_delay", 1),
    line("garp_lower_prio_repeat", 1),
    line("garp_extra_if", 0),
    line("vmac_garp_intvl", 0),
    line("down_timer_adverts", 1),
    line("timer_expired_backup", 0),
    line("thread_timer_expired", 0),
    line("lower_prio_no_advert", 0),
    line("higher_prio_send_advert", 0),
    line("owner_ignore_adverts", 0),
    line("kernel_rx_buf_size", 0).idle(),
];

/// What instances and groups share.
pub(super) const NOTIFY: &[Keyword] = &[
    command("notify_backup", 1),
    command("notify_master", 1),
    command("notify_fault", 1),
    command("notify_stop", 1),
    command("notify", 1),
    line("smtp_alert", 0),
    line("notify_priority_changes", 0),
];

pub(super) const AUTHENTICATION: &[Keyword] = &[line("auth_type", 1), line("auth_pass", 1)];

pub(super) const AUTH_HMAC: &[Keyword] =
    &[line("key", 1), line("active_key", 1), line("time_window", 1), line("anti_replay", 0), line("mode", 1)];

pub(super) const SYNC_GROUP: &[Keyword] = &[
    list("group"),
    list("track_interface"),
    list("track_script"),
    list("track_file"),
    list("track_process"),
    list("track_bfd").idle(),
    line("global_tracking", 0),
    line("sync_group_tracking_weight", 0),
];

pub(super) const SCRIPT: &[Keyword] = &[
    command("script", 0),
    line("interval", 1),
    line("timeout", 1),
    line("weight", 1),
    line("rise", 1),
    line("fall", 1),
    line("user", 1),
    line("init_fail", 0),
];

pub(super) const TRACK_FILE: &[Keyword] = &[line("file", 0), line("weight", 0), line("init_file", 0)];

pub(super) const TRACK_PROCESS: &[Keyword] = &[
    line("process", 1),
    line("param_match", 0),
    line("weight", 0),
    line("quorum", 1),
    line("quorum_max", 1),
    line("delay", 1),
    line("terminate_delay", 1),
    line("fork_delay", 1),
    line("full_command", 0),
];

pub(super) const TRACK_GROUP: &[Keyword] = &[list("group")];

pub(super) const GARP_GROUP: &[Keyword] =
    &[line("garp_interval", 1), line("gna_interval", 1), line("interface", 1), list("interfaces")];

pub(super) const BFD: &[Keyword] = &[
    line("source_ip", 1),
    line("neighbor_ip", 1),
    line("neighbour_ip", 1),
    line("min_rx", 1),
    line("min_tx", 1),
    line("idle_tx", 1),
    line("multiplier", 1),
    line("passive", 0),
    line("ttl", 1),
    line("hoplimit", 1),
    line("max_hops", 1),
    line("multihop", 0),
    line("weight", 1),
    line("vrrp", 0),
    line("checker", 0),
];
