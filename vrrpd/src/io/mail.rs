//! Sends the mails of `smtp_alert`, one after another, in a task of its own: a mail server that is slow or gone holds up
//! nothing but the mails behind it.

use crate::clock;
use crate::limits::MAIL_QUEUE_MAX;
use crate::notify::Notice;
use crate::notify::mail::{Mail, Security, Settings, Trust};
use crate::notify::smtp::{Dialogue, Reader, Reply, Step};
use crate::sys;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{self, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// The queue of mails and who empties it.
#[derive(Debug, Default)]
pub struct Mailer {
    settings: Option<Arc<Settings>>,
    queue: Option<Queue>,
    /// A mail has been dropped, and none could be queued since.
    full: bool,
}

#[derive(Debug)]
struct Queue {
    jobs: mpsc::Sender<Job>,
    worker: JoinHandle<()>,
}

/// A mail with what was in force when its reason arose.
#[derive(Debug)]
struct Job {
    settings: Arc<Settings>,
    mail: Mail,
    date: String,
}

impl Mailer {
    /// Where mail goes from now on.
    pub fn set(&mut self, settings: Option<Arc<Settings>>) {
        self.settings = settings;
    }

    /// Queues the mail about a notice, if there is one.
    pub fn notify(&mut self, notice: &Notice) {
        let Some(settings) = &self.settings else { return };
        let Some(mail) = Mail::about(notice, settings) else { return };
        let date = sys::format_time(clock::since_epoch(), c"%a, %d %b %Y %H:%M:%S %z");
        let job = Job { settings: Arc::clone(settings), mail, date };
        let queue = self.queue.get_or_insert_with(Queue::start);
        match queue.jobs.try_send(job) {
            Ok(()) => self.full = false,
            Err(_) if self.full => {}
            Err(_) => {
                self.full = true;
                tracing::error!("mails are dropped, {MAIL_QUEUE_MAX} are waiting for the SMTP server");
            }
        }
    }

    /// Lets the queue run empty.
    pub async fn finish(self) {
        if let Some(queue) = self.queue {
            drop(queue.jobs);
            // A worker that panicked has nothing left to wait for.
            let _ended = queue.worker.await;
        }
    }
}

impl Queue {
    fn start() -> Self {
        let (jobs, mut waiting) = mpsc::channel::<Job>(MAIL_QUEUE_MAX);
        let worker = tokio::spawn(async move {
            while let Some(job) = waiting.recv().await {
                match send(&job).await {
                    Ok(()) => tracing::info!("SMTP alert successfully sent."),
                    Err(line) => tracing::error!("{line} - not sent: {}", job.mail.subject),
                }
            }
        });
        Self { jobs, worker }
    }
}

/// Delivers one mail; else a line for the log.
async fn send(job: &Job) -> Result<(), String> {
    let Settings { host, port, timeout, .. } = &*job.settings;
    let addresses = within(*timeout, tokio::net::lookup_host((host.as_str(), *port)));
    let addresses: Vec<SocketAddr> =
        addresses.await.map_err(|error| format!("Invalid smtp server {host} {port}: {error}"))?.collect();
    let mut failure = format!("Invalid smtp server {host} {port}: it has no address");
    for address in addresses {
        let server = format!("[{}]:{}", address.ip(), address.port());
        match within(*timeout, TcpStream::connect(address)).await {
            Ok(stream) => {
                tracing::info!("Remote SMTP server {server} connected.");
                return deliver(stream, job, &server).await;
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                failure = format!("Timeout connecting SMTP server {server}.");
            }
            Err(error) => failure = format!("SMTP connection ERROR to {server}. ({error})"),
        }
    }
    Err(failure)
}

async fn within<T>(limit: Duration, act: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, act).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn deliver(stream: TcpStream, job: &Job, server: &str) -> Result<(), String> {
    let mut dialogue = Dialogue::new(&job.settings, &job.mail, &job.date);
    match &job.settings.security {
        Security::None => converse(stream, &mut dialogue, None, job, server).await.map(drop),
        Security::Tls(trust) => {
            let stream = encrypt(stream, trust, job, server).await?;
            converse(stream, &mut dialogue, None, job, server).await.map(drop)
        }
        Security::StartTls(trust) => {
            let Some(stream) = converse(stream, &mut dialogue, None, job, server).await? else { return Ok(()) };
            let stream = encrypt(stream, trust, job, server).await?;
            let first = dialogue.secured();
            converse(stream, &mut dialogue, Some(first), job, server).await.map(drop)
        }
    }
}

/// Speaks until the mail is delivered, or until TLS is to begin: then the stream comes back. `first` is what to do
/// before the server says anything.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    dialogue: &mut Dialogue,
    first: Option<Step>,
    job: &Job,
    server: &str,
) -> Result<Option<S>, String> {
    let timeout = job.settings.timeout;
    let mut reader = Reader::default();
    let mut next = first;
    loop {
        let step = if let Some(step) = next.take() {
            step
        } else {
            let reply = receive(&mut stream, &mut reader, timeout).await;
            dialogue.reply(&reply.map_err(|failure| failure.replace("{server}", server))?)
        };
        match step {
            Step::Send(line) => within(timeout, stream.write_all(line.as_bytes()))
                .await
                .map_err(|error| format!("Cannot send data to remote SMTP server {server}. ({error})"))?,
            Step::StartTls if reader.is_empty() => return Ok(Some(stream)),
            Step::StartTls => return Err(format!("SMTP server {server} speaks before TLS begins")),
            Step::Done => return Ok(None),
            Step::Failed(failure) => return Err(failure.line(server)),
        }
    }
}

/// The next reply. The error is a line for the log in which the server is left open.
async fn receive<S: AsyncRead + Unpin>(
    stream: &mut S,
    reader: &mut Reader,
    timeout: Duration,
) -> Result<Reply, String> {
    loop {
        if let Some(reply) = reader.reply().map_err(|error| format!("SMTP server {{server}} sends {error}"))? {
            return Ok(reply);
        }
        let mut octets = [0; 1024];
        match within(timeout, stream.read(&mut octets)).await {
            Ok(0) => return Err("Remote SMTP server {server} has closed the connection.".to_owned()),
            Ok(length) => reader.push(octets.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Err("Timeout reading data to remote SMTP server {server}.".to_owned());
            }
            Err(error) => return Err(format!("Error reading data from remote SMTP server {{server}}. ({error})")),
        }
    }
}

async fn encrypt(
    stream: TcpStream,
    trust: &Trust,
    job: &Job,
    server: &str,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("no TLS with SMTP server {server}: {error}");
    let trust = trust.clone();
    // Certificates are files.
    let config = tokio::task::spawn_blocking(move || client_config(&trust));
    let config = config.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
    let name = ServerName::try_from(job.settings.host.clone()).map_err(|error| failed(&error))?;
    let connector = TlsConnector::from(Arc::new(config));
    within(job.settings.timeout, connector.connect(name, stream)).await.map_err(|error| failed(&error))
}

fn client_config(trust: &Trust) -> io::Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    let mut roots = RootCertStore::empty();
    match trust {
        Trust::Any => {
            let verifier = Arc::new(NoVerifier(provider));
            return Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
        }
        Trust::System => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
        Trust::File(path) => {
            let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let certificates =
                certificates.map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
            roots.add_parsable_certificates(certificates);
        }
    }
    if roots.is_empty() {
        return Err(io::Error::other("there is no certificate to trust"));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// `smtp_tls … no_verify`: any certificate will do, though the server must own it.
#[derive(Debug)]
struct NoVerifier(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerifier {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
