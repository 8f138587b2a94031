//! One of the two programs, running with a configuration.

use anyhow::{Context, Result, bail};
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Nothing takes longer, unless it is broken.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// The two programs.
pub(crate) struct Programs {
    pub(crate) both: [(&'static str, PathBuf); 2],
}

impl Programs {
    pub(crate) fn find(ours: Option<PathBuf>) -> Result<Self> {
        let ours = match ours {
            Some(path) => path,
            None => Subject::Ours.proxy()?,
        };
        Ok(Self { both: [("proxyd", ours), ("haproxy", Subject::Theirs.proxy()?)] })
    }

    /// The same with each of them, ours first.
    pub(crate) fn each<T>(&self, mut measure: impl FnMut(&str, &PathBuf) -> Result<T>) -> Result<[T; 2]> {
        let [(ours, our_path), (theirs, their_path)] = &self.both;
        Ok([measure(ours, our_path)?, measure(theirs, their_path)?])
    }
}

/// A running one, which ends with this value.
pub(crate) struct Side {
    child: Child,
    folder: PathBuf,
    /// Where clients connect to: `{front}` in the configuration.
    pub(crate) front: SocketAddr,
}

impl Side {
    /// `{front}` and `{runtime}` are filled in.
    pub(crate) fn start(program: &PathBuf, config: &str) -> Result<Self> {
        let front = free_address()?;
        let folder = std::env::temp_dir().join(format!("proxy-beside-{}", front.port()));
        std::fs::create_dir_all(&folder)?;
        let runtime = folder.join("runtime");
        let text = config.replace("{front}", &front.to_string()).replace("{runtime}", &runtime.display().to_string());
        let file = folder.join("haproxy.cfg");
        std::fs::write(&file, text)?;
        let output = std::fs::File::create(folder.join("output"))?;
        let mut command = Command::new(program);
        command.arg("-db").arg("-f").arg(&file).stdout(Stdio::null()).stderr(output);
        let child = command.spawn().with_context(|| program.display().to_string())?;
        let mut side = Self { child, folder, front };
        wait::until("the runtime socket", BOUND, || {
            let ended = side.child.try_wait().ok().flatten().is_some();
            (ended || UnixStream::connect(&runtime).is_ok()).then_some(())
        })?;
        if side.child.try_wait()?.is_some() {
            let told = std::fs::read_to_string(side.folder.join("output")).unwrap_or_default();
            bail!("{} does not start: {told}", program.display());
        }
        Ok(side)
    }

    /// The answer to a runtime command.
    pub(crate) fn command(&self, line: &str) -> Result<String> {
        let mut socket = UnixStream::connect(self.folder.join("runtime"))?;
        socket.write_all(format!("{line}\n").as_bytes())?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// The rows of the statistics, by the names of the columns.
    pub(crate) fn statistics(&self) -> Result<Vec<HashMap<String, String>>> {
        let csv = self.command("show stat")?;
        let mut lines = csv.lines();
        let names: Vec<&str> = lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
        let row = |line: &str| {
            let line = line.replace('"', "");
            names.iter().map(|name| (*name).to_owned()).zip(line.split(',').map(str::to_owned)).collect()
        };
        Ok(lines.filter(|line| !line.is_empty()).map(row).collect())
    }

    /// Processor time used so far.
    pub(crate) fn processor_time(&self) -> Result<Duration> {
        let mut nanos = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            nanos += text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanos))
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// An address that is free now.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// Waits until somebody listens there.
pub(crate) fn wait_for(what: &str, address: SocketAddr) -> Result<()> {
    wait::until(what, BOUND, || TcpStream::connect(address).ok()).map(drop)
}
