//! `MariaDB`, `PostgreSQL`, redis and exim as Debian installs them, under every check: what both say of them.

use crate::side::{BOUND, Programs, Side, free_address, wait_for};
use anyhow::{Context, Result, bail};
use integration_tests::wait;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The checks, each asked of every server: most do not fit.
const CHECKS: &[(&str, &str)] = &[
    ("tcp", ""),
    ("mysql", "option mysql-check"),
    ("mysql, user", "option mysql-check user haproxy"),
    ("mysql, user, pre-41", "option mysql-check user haproxy pre-41"),
    ("mysql, unknown user", "option mysql-check user nobody"),
    ("mysql, user with a password", "option mysql-check user locked"),
    ("pgsql", "option pgsql-check user postgres"),
    ("pgsql, unknown user", "option pgsql-check user nobody"),
    ("redis", "option redis-check"),
    ("smtp", "option smtpchk"),
    ("smtp, EHLO", "option smtpchk EHLO proxy.example"),
    ("ldap", "option ldap-check"),
    ("ssl-hello", "option ssl-hello-chk"),
    ("http", "option httpchk GET /"),
    (
        "redis, by steps",
        "option tcp-check\n    tcp-check send INFO\\ replication\\r\\n\n    tcp-check expect string role:master\n    \
         tcp-check send QUIT\\r\\n\n    tcp-check expect string +OK",
    ),
    (
        "smtp, by steps",
        "option tcp-check\n    tcp-check expect rstring ^220\n    tcp-check send QUIT\\r\\n\n    tcp-check expect rstring ^221",
    ),
];

/// A server that runs, in a folder of its own.
struct Server {
    name: &'static str,
    address: SocketAddr,
    children: Vec<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn run(programs: &Programs) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("proxy-beside-servers-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755))?;
    let result = compare(programs, &folder);
    std::fs::remove_dir_all(&folder)?;
    result
}

fn compare(programs: &Programs, folder: &Path) -> Result<()> {
    let servers =
        [mariadb(folder)?, postgresql(folder)?, redis(folder, None)?, redis(folder, Some("secret"))?, exim(folder)?];
    let mut config = "
global
    stats socket {runtime} level admin
defaults
    mode tcp
    timeout connect 1s
    timeout client 5s
    timeout server 5s
    timeout check 3s
listen l
    bind {front}
    server s 127.0.0.1:9 disabled
"
    .to_owned();
    let mut names = Vec::new();
    for server in &servers {
        for (check, lines) in CHECKS {
            let _ = writeln!(config, "backend c-{}\n    {lines}", names.len());
            let _ = writeln!(config, "    server s {} check inter 4s fall 1 rise 1", server.address);
            names.push(format!("{}: {check}", server.name));
        }
    }
    let [ours, theirs] = programs.each(|_, program| results(program, &config, names.len()))?;
    let (mut differences, mut up) = (0, 0);
    for (number, name) in names.iter().enumerate() {
        let (got, expected) = (&ours[&number], &theirs[&number]);
        up += usize::from(expected.starts_with("UP"));
        if got == expected {
            writeln!(stdout().lock(), "{name}: {got}")?;
        } else {
            differences += 1;
            writeln!(stdout().lock(), "{name}: {got}   BUT HAPROXY SAYS   {expected}")?;
        }
    }
    writeln!(
        stdout().lock(),
        "{} checks, {up} of them passed, {differences} told otherwise than by haproxy",
        names.len()
    )?;
    anyhow::ensure!(differences == 0, "{differences} differ");
    anyhow::ensure!(up >= 15, "the servers are not what they should be");
    Ok(())
}

fn results(program: &PathBuf, config: &str, count: usize) -> Result<BTreeMap<usize, String>> {
    let side = Side::start(program, config)?;
    let mut found = BTreeMap::new();
    wait::until("all are checked", BOUND, || {
        for row in side.statistics().ok()? {
            let column = |name: &str| row.get(name).map_or("", String::as_str);
            let Some(number) = column("pxname").strip_prefix("c-").and_then(|number| number.parse().ok()) else {
                continue;
            };
            let status = column("check_status");
            if column("svname") == "s" && !status.is_empty() && !status.starts_with('*') && status != "INI" {
                let words = [column("status"), status, column("check_code"), column("last_chk")];
                found.insert(number, words.join("|"));
            }
        }
        (found.len() == count).then_some(())
    })?;
    Ok(found)
}

/// A program, which must be installed.
fn program(paths: &[&str], package: &str) -> Result<PathBuf> {
    let found = paths.iter().map(PathBuf::from).find(|path| path.is_file());
    found.with_context(|| format!("apt-get install {package}: none of {paths:?} is here"))
}

fn started(name: &'static str, address: SocketAddr, command: &mut Command, folder: &Path) -> Result<Server> {
    let log = std::fs::File::create(folder.join(format!("{}.log", name.replace(' ', "-"))))?;
    let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn().context(name)?;
    let server = Server { name, address, children: vec![child] };
    wait_for(name, address)?;
    Ok(server)
}

fn done(command: &mut Command, what: &str) -> Result<()> {
    let output = command.output().with_context(|| what.to_owned())?;
    if !output.status.success() {
        bail!("{what}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn mariadb(folder: &Path) -> Result<Server> {
    let install = program(&["/usr/bin/mariadb-install-db"], "mariadb-server")?;
    let daemon = program(&["/usr/sbin/mariadbd"], "mariadb-server")?;
    let (address, data) = (free_address()?, folder.join("mariadb"));
    let mut command = Command::new(install);
    command.args(["--no-defaults", "--user=root", "--auth-root-authentication-method=normal", "--skip-test-db"]);
    done(command.arg(format!("--datadir={}", data.display())), "mariadb-install-db")?;
    let users = folder.join("users.sql");
    std::fs::write(
        &users,
        "CREATE USER 'haproxy'@'127.0.0.1';\nCREATE USER 'locked'@'127.0.0.1' IDENTIFIED BY 'secret';\n\
         DROP USER IF EXISTS ''@'localhost';\n",
    )?;
    let mut command = Command::new(daemon);
    command.args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1", "--skip-name-resolve"]);
    command.args(["--max-connect-errors=1000000".to_owned(), format!("--port={}", address.port())]);
    command.arg(format!("--datadir={}", data.display()));
    command.arg(format!("--init-file={}", users.display()));
    command.arg(format!("--socket={}", folder.join("mariadb.sock").display()));
    started("MariaDB", address, &mut command, folder)
}

/// The program of a command, run by somebody who is not root: `PostgreSQL` insists.
fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

fn postgresql(folder: &Path) -> Result<Server> {
    let versions = ["15", "16", "17"].map(|version| format!("/usr/lib/postgresql/{version}/bin/postgres"));
    let daemon = program(&versions.each_ref().map(String::as_str), "postgresql")?;
    let (address, data) = (free_address()?, folder.join("postgresql"));
    std::fs::create_dir(&data)?;
    done(Command::new("chown").arg("postgres:postgres").arg(&data), "chown")?;
    let mut command = unprivileged(&daemon.with_file_name("initdb"));
    done(command.arg("-D").arg(&data).args(["--auth=trust", "-U", "postgres"]).current_dir("/"), "initdb")?;
    let mut command = unprivileged(&daemon);
    command.arg("-D").arg(&data).args(["-h", "127.0.0.1", "-p", &address.port().to_string()]);
    command.args(["-c", &format!("unix_socket_directories={}", data.display())]).current_dir("/");
    started("PostgreSQL", address, &mut command, folder)
}

fn redis(folder: &Path, password: Option<&str>) -> Result<Server> {
    let daemon = program(&["/usr/bin/redis-server"], "redis-server")?;
    let address = free_address()?;
    let mut command = Command::new(daemon);
    command.args(["--bind", "127.0.0.1", "--save", "", "--port", &address.port().to_string()]);
    command.arg("--dir").arg(folder);
    if let Some(password) = password {
        command.args(["--requirepass", password]);
    }
    let name = if password.is_some() { "redis with a password" } else { "redis" };
    started(name, address, &mut command, folder)
}

fn exim(folder: &Path) -> Result<Server> {
    let daemon = program(&["/usr/sbin/exim4"], "exim4-daemon-light")?;
    let address = free_address()?;
    let spool = folder.join("exim");
    std::fs::create_dir(&spool)?;
    done(Command::new("chown").arg("-R").arg("Debian-exim:Debian-exim").arg(&spool), "chown")?;
    let file = folder.join("exim.conf");
    std::fs::write(
        &file,
        format!(
            "primary_hostname = mail.example\nspool_directory = {0}\nlog_file_path = {0}/%slog\npid_file_path = {0}/pid\n\
             local_interfaces = 127.0.0.1\ndaemon_smtp_ports = {1}\nacl_smtp_rcpt = no\nhost_lookup =\n\
             rfc1413_query_timeout = 0s\nsmtp_accept_max = 0\nbegin acl\nno:\n  deny\n",
            spool.display(),
            address.port()
        ),
    )?;
    let mut command = Command::new(daemon);
    command.arg("-C").arg(&file).args(["-bdf", "-q1h"]);
    started("exim", address, &mut command, folder)
}
