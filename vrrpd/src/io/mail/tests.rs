//! A small mail server, as good or bad as each test wants it.

use super::*;
use crate::notify::mail::Login;
use crate::notify::{Event, Settings as Notify, Subject};
use std::path::PathBuf;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

fn data(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/smtp").join(name)
}

fn settings(port: u16, security: Security) -> Settings {
    Settings {
        host: "localhost".to_owned(),
        port,
        helo_name: "helo.example".to_owned(),
        timeout: Duration::from_secs(5),
        from: "from@example.com".to_owned(),
        to: vec!["admin@example.com".to_owned()],
        router_id: "r1".to_owned(),
        faults: true,
        login: (security != Security::None).then(|| Login { user: "user".to_owned(), password: "secret".to_owned() }),
        security,
    }
}

fn job(settings: Settings) -> Job {
    let notice = Notify { mail: true, ..Notify::default() }.notice(Event::Master, Subject::Instance, "VI_1", 100);
    let mail = Mail::about(&notice, &settings).unwrap();
    Job { settings: Arc::new(settings), mail, date: "Sat, 28 Nov 2026 16:35:17 +0000".to_owned() }
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Answers commands until QUIT; what was said. Stops before TLS when asked for it.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, greet: bool, heard: &mut Vec<String>) {
    if greet {
        stream.write_all(b"220 test ESMTP\r\n").await.unwrap();
    }
    let mut text = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap() == 0 {
            return;
        }
        let line = line.trim_end().to_owned();
        heard.push(line.clone());
        let reply: &[u8] = match line.split(' ').next().unwrap_or_default() {
            "." => {
                text = false;
                b"250 queued\r\n"
            }
            _ if text => continue,
            "EHLO" => b"250-test\r\n250-STARTTLS\r\n250 AUTH LOGIN PLAIN\r\n",
            "STARTTLS" => b"220 go ahead\r\n",
            "AUTH" => b"235 welcome\r\n",
            "DATA" => {
                text = true;
                b"354 go\r\n"
            }
            "QUIT" => b"221 bye\r\n",
            _ => b"250 ok\r\n",
        };
        stream.write_all(reply).await.unwrap();
        stream.flush().await.unwrap();
        if matches!(line.as_str(), "STARTTLS" | "QUIT") {
            return;
        }
    }
}

fn acceptor() -> TlsAcceptor {
    let chain: Vec<_> = CertificateDer::pem_file_iter(data("localhost.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(data("localhost.key")).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()))
}

#[tokio::test]
async fn a_mail_arrives() {
    let (listener, port) = listen().await;
    let server = tokio::spawn(async move {
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        let mut heard = Vec::new();
        serve(&mut stream, true, &mut heard).await;
        heard
    });
    assert_eq!(send(&job(settings(port, Security::None))).await, Ok(()));
    let expected = [
        "HELO helo.example",
        "MAIL FROM:<from@example.com>",
        "RCPT TO:<admin@example.com>",
        "DATA",
        "Date: Sat, 28 Nov 2026 16:35:17 +0000",
        "From: from@example.com",
        "Subject: [r1] VRRP Instance VI_1 - Entering MASTER state",
        "X-Mailer: Keepalived",
        "To: admin@example.com",
        "",
        "=> VRRP Instance is now owning VRRP VIPs <=",
        "",
        ".",
        "QUIT",
    ];
    assert_eq!(server.await.unwrap(), expected);
}

#[tokio::test]
async fn starttls_and_auth() {
    let (listener, port) = listen().await;
    let server = tokio::spawn(async move {
        let mut heard = Vec::new();
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        serve(&mut stream, true, &mut heard).await;
        let stream = acceptor().accept(stream.into_inner()).await.unwrap();
        heard.push("(TLS)".to_owned());
        serve(&mut BufReader::new(stream), false, &mut heard).await;
        heard
    });
    let trust = Trust::File(data("ca.pem"));
    assert_eq!(send(&job(settings(port, Security::StartTls(trust)))).await, Ok(()));
    let heard = server.await.unwrap();
    let expected = ["EHLO helo.example", "STARTTLS", "(TLS)", "EHLO helo.example", "AUTH PLAIN AHVzZXIAc2VjcmV0"];
    assert_eq!(heard[..5], expected);
    assert_eq!(heard.last().map(String::as_str), Some("QUIT"));
}

#[tokio::test]
async fn tls_from_the_first_octet_and_a_certificate_nobody_vouches_for() {
    for (trust, good) in [(Trust::Any, true), (Trust::System, false)] {
        let (listener, port) = listen().await;
        let server = tokio::spawn(async move {
            let stream = acceptor().accept(listener.accept().await.unwrap().0).await;
            let mut heard = Vec::new();
            if let Ok(stream) = stream {
                serve(&mut BufReader::new(stream), true, &mut heard).await;
            }
            heard
        });
        let sent = send(&job(settings(port, Security::Tls(trust)))).await;
        assert_eq!(sent.is_ok(), good, "{sent:?}");
        let heard = server.await.unwrap();
        assert_eq!(heard.iter().any(|line| line.starts_with("AUTH")), good, "{heard:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_silent_rude_or_gone_costs_one_line() {
    // Silent: connects and says nothing.
    let (listener, port) = listen().await;
    let impatient = Settings { timeout: Duration::from_millis(100), ..settings(port, Security::None) };
    assert_eq!(
        send(&job(impatient)).await.unwrap_err(),
        format!("Timeout reading data to remote SMTP server [127.0.0.1]:{port}.")
    );
    drop(listener);
    // Gone.
    let line = send(&job(settings(port, Security::None))).await.unwrap_err();
    assert!(line.starts_with(&format!("SMTP connection ERROR to [127.0.0.1]:{port}.")), "{line}");
    for (said, expected) in [
        (
            "421 busy\r\n",
            "Error processing connect cmd on SMTP server [127.0.0.1]:{port}. SMTP status code = 421 (busy)",
        ),
        ("SSH-2.0-x\r\n", "SMTP server [127.0.0.1]:{port} sends a reply without a code"),
        ("", "Remote SMTP server [127.0.0.1]:{port} has closed the connection."),
    ] {
        let (listener, port) = listen().await;
        let server = tokio::spawn(async move {
            let mut stream = listener.accept().await.unwrap().0;
            stream.write_all(said.as_bytes()).await.unwrap();
        });
        let line = send(&job(settings(port, Security::None))).await.unwrap_err();
        assert_eq!(line, expected.replace("{port}", &port.to_string()));
        server.await.unwrap();
    }
}

#[tokio::test]
async fn the_queue_is_bounded_and_nobody_waits_for_it() {
    let (_listener, port) = listen().await;
    let mut mailer = Mailer::default();
    mailer.set(Some(Arc::new(settings(port, Security::None))));
    let notice = Notify { mail: true, ..Notify::default() }.notice(Event::Master, Subject::Instance, "VI_1", 100);
    for _ in 0..MAIL_QUEUE_MAX * 3 {
        mailer.notify(&notice);
    }
    assert!(mailer.full);
}
