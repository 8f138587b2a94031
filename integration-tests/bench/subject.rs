//! The programs that are compared, each started on its own core and asked for its own processor time.

use crate::load::PROXY_PORT;
use anyhow::{Context, Result, bail};
use integration_tests::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fmt;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long a program may take until it listens: ten thousand servers under valgrind are slow.
const START_BOUND: Duration = Duration::from_mins(2);
const END_BOUND: Duration = Duration::from_secs(20);

/// A program under measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Subject {
    Haproxy,
    Proxyd,
    Nginx,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Haproxy => "haproxy",
            Self::Proxyd => "proxyd",
            Self::Nginx => "nginx",
        })
    }
}

/// Where the programs are and which processors they run on.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) haproxy: PathBuf,
    pub(crate) proxyd: PathBuf,
    pub(crate) nginx: Option<PathBuf>,
    /// Files of this run.
    pub(crate) folder: PathBuf,
}

impl Programs {
    pub(crate) fn find(proxyd: Option<PathBuf>, folder: PathBuf) -> Result<Self> {
        let proxyd = match proxyd {
            Some(path) => path,
            None => integration_tests::subject::Subject::Ours.proxy()?,
        };
        let haproxy = integration_tests::subject::Subject::Theirs.proxy()?;
        let nginx = Some(PathBuf::from("/usr/sbin/nginx")).filter(|path| path.is_file());
        Ok(Self { haproxy, proxyd, nginx, folder })
    }

    pub(crate) fn path(&self, subject: Subject) -> Result<&Path> {
        match subject {
            Subject::Haproxy => Ok(&self.haproxy),
            Subject::Proxyd => Ok(&self.proxyd),
            Subject::Nginx => self.nginx.as_deref().context("nginx is not installed: apt-get install nginx-light"),
        }
    }

    /// What a program says of its version, in one line.
    pub(crate) fn version(&self, subject: Subject) -> String {
        let read = || -> Result<String> {
            let output = Command::new(self.path(subject)?).arg("-v").output()?;
            let text = [output.stdout, output.stderr].concat();
            Ok(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
        };
        read().unwrap_or_else(|error| format!("{error:#}"))
    }

    /// What a program finds wrong with a configuration, warnings too: with any, the work that is measured would not be
    /// the work that is asked for.
    pub(crate) fn complaints(&self, subject: Subject, config: &Path) -> Result<String> {
        if subject == Subject::Nginx {
            return Ok(String::new());
        }
        let output = Command::new(self.path(subject)?).arg("-c").arg("-f").arg(config).output()?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let said: Vec<&str> = text.lines().filter(|line| !line.contains("is valid") && !line.is_empty()).collect();
        if !output.status.success() && said.is_empty() {
            bail!("{subject} -c ends with {}", output.status);
        }
        Ok(said.join("\n"))
    }
}

/// How a program is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Under<'a> {
    /// By itself.
    Nothing,
    /// Counted by strace into a file.
    Strace(&'a Path),
    /// Counted by callgrind into a file.
    Callgrind(&'a Path),
    /// With a master that reloads on SIGUSR2.
    Master,
}

/// A running program; killed when dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    subject: Subject,
    child: Child,
    log: PathBuf,
}

impl Proxy {
    /// Starts a program on the given cores ("0" or "0,1") and waits until it listens.
    pub(crate) fn start(
        programs: &Programs,
        subject: Subject,
        config: &Path,
        cores: &str,
        under: Under<'_>,
    ) -> Result<Self> {
        let log = programs.folder.join(format!("{subject}.out"));
        let output = std::fs::File::create(&log)?;
        // It ends with the bench, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "taskset", "-c", cores]);
        match under {
            Under::Nothing | Under::Master => {}
            // -D: strace is the grandchild, so that the child is the program itself.
            Under::Strace(file) => {
                command.args(["strace", "-D", "-c", "-f", "-o"]).arg(file);
            }
            Under::Callgrind(file) => {
                let name = format!("--callgrind-out-file={}", file.display());
                command.args(["valgrind", "-q", "--tool=callgrind", &name]);
            }
        }
        command.arg(programs.path(subject)?);
        match subject {
            Subject::Nginx => {
                command.arg("-p").arg(&programs.folder).arg("-e").arg(&log).arg("-c").arg(config);
            }
            Subject::Haproxy | Subject::Proxyd if under == Under::Master => {
                command.arg("-W").arg("-f").arg(config);
            }
            Subject::Haproxy | Subject::Proxyd => {
                command.arg("-db").arg("-f").arg(config);
            }
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {subject}"))?;
        let mut proxy = Self { subject, child, log };
        proxy.wait_for_port()?;
        Ok(proxy)
    }

    fn wait_for_port(&mut self) -> Result<()> {
        let Self { subject, child, log } = self;
        let mut ended = None;
        let there = wait::until(&format!("{subject} listens"), START_BOUND, || {
            ended = child.try_wait().ok().flatten();
            (ended.is_some() || TcpStream::connect((Ipv4Addr::LOCALHOST, PROXY_PORT)).is_ok()).then_some(())
        });
        let output = std::fs::read_to_string(log).unwrap_or_default();
        if let Some(status) = ended {
            bail!("{subject} ended with {status} instead of listening:\n{output}");
        }
        there.with_context(|| format!("it said:\n{output}"))
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or(0)
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.pid()), signal).with_context(|| format!("{signal} to {}", self.subject))
    }

    /// Asks it to end, and waits for that, so that what counts it can write its file.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        let Self { subject, child, .. } = &mut self;
        wait::until(&format!("{subject} ends"), END_BOUND, || child.try_wait().ok().flatten())?;
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
