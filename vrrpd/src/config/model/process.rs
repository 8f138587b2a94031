//! How the daemon itself is set up: names, priorities, files, and how it is told to read its files again.

use std::path::PathBuf;
use std::time::Duration;

/// How the daemon's process is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSettings {
    /// `net_namespace`, or `-s`: where the daemon runs.
    pub net_namespace: Option<String>,
    /// `net_namespace_ipvs`: where the tables of IPVS would be.
    pub net_namespace_ipvs: Option<String>,
    /// `instance`: part of the names of the pid files.
    pub instance_name: Option<String>,
    /// `use_pid_dir`: pid files are in a directory of their own.
    pub use_pid_dir: bool,
    /// `child_wait_time`
    pub child_wait_time: Duration,
    /// `process_name` or `process_names`
    pub process_name: Option<String>,
    /// `vrrp_process_name`
    pub vrrp_process_name: Option<String>,
    /// `vrrp_priority`, a nice value.
    pub nice: Option<i8>,
    /// `vrrp_no_swap`: lock the memory.
    pub no_swap: bool,
    /// `vrrp_rt_priority`
    pub realtime_priority: Option<u8>,
    /// `vrrp_rlimit_rttime`, in microseconds.
    pub realtime_limit: Option<u64>,
    /// `vrrp_cpu_affinity`
    pub cpu_affinity: Vec<u32>,
    /// `vrrp_rx_bufs_policy`
    pub receive_buffers: ReceiveBuffers,
    /// `vrrp_rx_bufs_multiplier`
    pub receive_multiplier: u32,
    /// `data_use_instance`
    pub data_use_instance: bool,
    /// `state_dump_file`, `stats_dump_file`, `json_dump_file`
    pub state_dump_file: PathBuf,
    /// `stats_dump_file`: what SIGUSR2 writes.
    pub stats_dump_file: PathBuf,
    /// `json_dump_file`: what the JSON signal writes.
    pub json_dump_file: PathBuf,
    /// `json_version`, 1 or 2
    pub json_version: u8,
}

impl ProcessSettings {
    /// Network namespace and instance, as they appear in names of files (behind a dot) and in those of the log
    /// (behind another `_`).
    pub fn place(&self) -> Option<String> {
        let names: Vec<&str> =
            [&self.net_namespace, &self.instance_name].into_iter().flatten().map(String::as_str).collect();
        (!names.is_empty()).then(|| names.join("_"))
    }
}

/// `vrrp_rx_bufs_policy`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiveBuffers {
    /// What the kernel gives.
    Default,
    /// Enough for so many packets of the interface's MTU.
    Mtu,
    /// Enough for so many adverts.
    Advert,
    /// So many bytes.
    Bytes(u32),
}

/// How a reload is guarded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reload {
    /// `reload_check_config`, and where its messages go.
    pub check_config: Option<PathBuf>,
    /// `reload_time_file`: says when to reload.
    pub time_file: Option<PathBuf>,
    /// `reload_repeat`: and again every day.
    pub repeat: bool,
    /// `reload_file`: exists while files are read.
    pub file: Option<PathBuf>,
}

/// What holds for a file that says nothing.
impl Default for ProcessSettings {
    fn default() -> Self {
        Self {
            net_namespace: None,
            net_namespace_ipvs: None,
            instance_name: None,
            use_pid_dir: false,
            child_wait_time: Duration::from_secs(5),
            process_name: None,
            vrrp_process_name: None,
            nice: None,
            no_swap: false,
            realtime_priority: None,
            realtime_limit: None,
            cpu_affinity: Vec::new(),
            receive_buffers: ReceiveBuffers::Default,
            receive_multiplier: 3,
            data_use_instance: false,
            state_dump_file: PathBuf::from("/tmp/keepalived.data"),
            stats_dump_file: PathBuf::from("/tmp/keepalived.stats"),
            json_dump_file: PathBuf::from("/tmp/keepalived.json"),
            json_version: 1,
        }
    }
}
