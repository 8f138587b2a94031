//! Mail, to a server as it is installed: exim with STARTTLS and AUTH.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use crate::conf::conf;
use integration_tests::host::Host;
use integration_tests::lab::Lab;
use integration_tests::process::Process;
use integration_tests::speaker::{Node, SLACK, Speaker};
use integration_tests::wait;
use nix::sys::signal::Signal;
use std::io::Write as _;
use std::path::Path;

const EXIM: &str = "/usr/sbin/exim4";
/// The host's own `/run`, where the server keeps everything.
const FOLDER: &str = "/run/mail";

/// Takes mail only from those who encrypt and say the password, and puts it into one file.
const SERVER: &str = "\
primary_hostname = mail.example
spool_directory = /run/mail/spool
log_file_path = /run/mail/%slog
pid_file_path = /run/mail/pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = 2525
keep_environment =
tls_advertise_hosts = *
tls_certificate = /run/mail/localhost.pem
tls_privatekey = /run/mail/localhost.key
auth_advertise_hosts = ${if eq{$tls_in_cipher}{}{}{*}}
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  require encrypted = *
          authenticated = *
  accept
begin routers
all:
  driver = accept
  transport = file
begin transports
file:
  driver = appendfile
  file = /run/mail/box
  user = Debian-exim
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${if and{{eq{$auth2}{vrrp}}{eq{$auth3}{secret}}}}
  server_set_id = $auth2
";

fn installed() -> bool {
    let there = Path::new(EXIM).is_file();
    assert!(there || std::env::var_os("CI").is_none(), "in CI a skip is an error: {EXIM}");
    if !there {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no mail server here: apt-get install exim4-daemon-light");
    }
    there
}

fn server(host: &Host) -> Process {
    // exim forgets its privileges with any other file than its usual one.
    host.sh("mount -t tmpfs -o mode=755 tmpfs /etc/exim4").unwrap();
    host.sh(&format!("cat >/etc/exim4/exim4.conf <<'END'\n{SERVER}END")).unwrap();
    let certificates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vrrpd/tests/smtp");
    let certificates = certificates.display();
    host.sh(&format!("mkdir {FOLDER}; cp {certificates}/*.pem {certificates}/*.key {FOLDER}")).unwrap();
    host.sh(&format!("chown -R Debian-exim:Debian-exim {FOLDER}; ip link set lo up")).unwrap();
    let server = host.spawn("exim", Path::new(EXIM), &["-bdf", "-q1h"]).unwrap();
    wait::until("the mail server listens", SLACK, || {
        host.sh("cat /run/mail/mainlog").ok().filter(|log| log.contains("daemon started"))
    })
    .unwrap();
    server
}

#[test]
fn a_mail_server_takes_what_vrrpd_has_to_say() {
    if !installed() {
        return;
    }
    let Some(lab) = Lab::or_skip() else { return };
    let mut node = Node::new(&lab, "h11", Speaker::Vrrpd, 11).unwrap();
    let server = server(&node.host);
    let words = [
        "notification_email { ops@example.org }",
        "notification_email_from vrrp@example.org",
        "smtp_server localhost 2525",
        "smtp_tls starttls ca /run/mail/ca.pem",
        "smtp_auth vrrp secret",
        "router_id r1",
        "smtp_alert",
    ];
    node.configure(&words.iter().fold(conf(150), |conf, word| conf.global(word)).to_string()).unwrap();
    node.start().unwrap();
    node.logs("(VI_1) Entering MASTER STATE").unwrap();
    // A stop waits for what is still to be sent.
    node.signal(Signal::SIGTERM).unwrap();
    node.ends().unwrap();
    let mails = wait::until("three mails", SLACK, || {
        node.host.sh("cat /run/mail/box").ok().filter(|text| text.matches("\nSubject: ").count() == 3)
    })
    .unwrap();
    let log = node.host.sh("cat /run/mail/mainlog").unwrap();
    let mut subjects: Vec<&str> = mails.lines().filter_map(|line| line.strip_prefix("Subject: ")).collect();
    // Each is delivered by a process of its own.
    subjects.sort_unstable();
    let expected = ["Entering BACKUP state", "Entering MASTER state", "Stopping"];
    assert_eq!(subjects, expected.map(|state| format!("[r1] VRRP Instance VI_1 - {state}")), "{log}");
    assert!(mails.contains("\nTo: ops@example.org\n"), "{mails}");
    assert_eq!(log.matches("<= vrrp@example.org").count(), 3, "{log}");
    assert_eq!(log.matches("P=esmtpsa X=TLS1.3:").count(), 3, "each encrypted and with the password:\n{log}");
    assert_eq!(node.log().matches("SMTP alert successfully sent.").count(), 3, "{}", node.log());
    server.signal(Signal::SIGTERM).unwrap();
}
