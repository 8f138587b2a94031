//! The sockets on which the status is asked for. Each connection is one request; how many there can be, how long they
//! may take and how much they may send is limited, and the loop sees none of that: it gets whole requests.

use super::Answer;
use super::request::{self, HEAD_MAX, Head, Request};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

/// Connections at the same time; more have to wait for a place.
const CONNECTIONS_MAX: usize = 16;
/// How long a client may take to send its request.
const REQUEST_TIME: Duration = Duration::from_secs(5);
/// How long a client may take to read the answer.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Query {
    /// What is asked.
    pub request: Request,
    answer: oneshot::Sender<Answer>,
}

impl Query {
    /// Answers. A client that is gone needs none.
    pub fn answer(self, answer: Answer) {
        let _gone = self.answer.send(answer);
    }
}

/// The sockets.
#[derive(Debug)]
pub struct Server {
    queries: mpsc::Receiver<Query>,
    /// The queue stays open without any socket.
    _sender: mpsc::Sender<Query>,
    path: Option<PathBuf>,
}

impl Server {
    /// Listens; what cannot be listened on is said in the log, and the daemon does without.
    pub fn listen(socket: Option<&Path>, address: Option<SocketAddr>) -> Self {
        // One at a time: a connection hands its request over when the one before was answered.
        let (sender, queries) = mpsc::channel(1);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut path = None;
        if let Some(socket) = socket {
            match bind(socket) {
                Ok(listener) => {
                    tokio::spawn(serve_local(listener, sender.clone(), Arc::clone(&places)));
                    path = Some(socket.to_owned());
                }
                Err(error) => tracing::warn!("cannot listen for `status` on {}: {error}", socket.display()),
            }
        }
        if let Some(address) = address {
            let (sender, places) = (sender.clone(), Arc::clone(&places));
            match std::net::TcpListener::bind(address).and_then(|listener| {
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener)
            }) {
                Ok(listener) => drop(tokio::spawn(serve_remote(listener, sender, places))),
                Err(error) => tracing::warn!("cannot serve metrics on {address}: {error}"),
            }
        }
        Self { queries, _sender: sender, path }
    }

    /// The next request. Cancel safe.
    pub async fn next(&mut self) -> Query {
        match self.queries.recv().await {
            Some(query) => query,
            // We hold a sender, so the queue does not end.
            None => std::future::pending().await,
        }
    }

    /// A request that is there already.
    pub fn try_next(&mut self) -> Option<Query> {
        self.queries.try_recv().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is lost when somebody else removed it.
        let _removed = self.path.as_ref().map(std::fs::remove_file);
    }
}

/// Takes the place of a socket that nobody listens on any more. The umask keeps others out.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another daemon answers there")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
        Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(listener)
}

async fn serve_local(listener: UnixListener, sender: mpsc::Sender<Query>, places: Arc<Semaphore>) {
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => attend(stream, sender.clone(), true, place),
            Err(error) => pause("the status socket", &error).await,
        }
    }
}

async fn serve_remote(listener: TcpListener, sender: mpsc::Sender<Query>, places: Arc<Semaphore>) {
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => attend(stream, sender.clone(), false, place),
            Err(error) => pause("the metrics address", &error).await,
        }
    }
}

async fn pause(what: &str, error: &io::Error) {
    tracing::debug!("cannot accept a connection on {what}: {error}");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// Serves a connection beside the others; its place is free when it ends.
fn attend<S>(stream: S, sender: mpsc::Sender<Query>, local: bool, place: OwnedSemaphorePermit)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        converse(stream, sender, local).await;
        drop(place);
    });
}

/// One request and its answer. Whatever the client does wrong is the client's loss.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, sender: mpsc::Sender<Query>, local: bool) {
    let answer = match timeout(REQUEST_TIME, read(&mut stream)).await {
        Err(_) => refusal(408),
        Ok(Err(_)) => return,
        Ok(Ok(Head::Complete(Request::Reload))) if !local => refusal(403),
        Ok(Ok(Head::Complete(request))) => ask(request, &sender).await,
        Ok(Ok(Head::Refused(status))) => refusal(status),
        Ok(Ok(Head::Incomplete)) => refusal(400),
    };
    let _lost = timeout(ANSWER_TIME, write(&mut stream, &answer)).await;
}

async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Head> {
    let mut text = Vec::new();
    let mut chunk = [0; 512];
    loop {
        let length = stream.read(&mut chunk).await?;
        text.extend_from_slice(chunk.get(..length).unwrap_or_default());
        match request::parse(&text) {
            Head::Incomplete if length > 0 && text.len() < HEAD_MAX => {}
            head => return Ok(head),
        }
    }
}

async fn ask(request: Request, sender: &mpsc::Sender<Query>) -> Answer {
    let (answer, answered) = oneshot::channel();
    if sender.send(Query { request, answer }).await.is_err() {
        return refusal(503);
    }
    answered.await.unwrap_or_else(|_| refusal(503))
}

async fn write<S: AsyncWrite + Unpin>(stream: &mut S, answer: &Answer) -> io::Result<()> {
    let Answer { status, kind, body } = answer;
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        request::reason(*status),
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

fn refusal(status: u16) -> Answer {
    Answer::plain(status, format!("{status} {}\n", request::reason(status)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::duplex;

    async fn exchange(text: &[u8], local: bool) -> String {
        let (sender, mut queries) = mpsc::channel::<Query>(1);
        let (mut client, ours) = duplex(64 * 1024);
        let served = tokio::spawn(converse(ours, sender, local));
        client.write_all(text).await.unwrap();
        client.shutdown().await.unwrap();
        let mut answered = String::new();
        tokio::join!(
            async {
                if let Some(query) = queries.recv().await {
                    let shown = format!("{:?}", query.request);
                    query.answer(Answer::plain(200, shown));
                }
            },
            async {
                client.read_to_string(&mut answered).await.unwrap();
            }
        );
        served.await.unwrap();
        answered
    }

    #[test]
    fn a_request_is_answered_once_and_a_reload_only_locally() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let answer = exchange(b"GET /metrics HTTP/1.1\r\n\r\n", false).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nMetrics"), "{answer}");
            let reload = b"POST /reload HTTP/1.1\r\n\r\n";
            assert!(exchange(reload, true).await.ends_with("Reload"));
            assert!(exchange(reload, false).await.starts_with("HTTP/1.1 403 "));
            assert!(exchange(b"x", true).await.starts_with("HTTP/1.1 400 "), "ends too early");
            assert!(exchange(&[b'x'; 2 * HEAD_MAX], true).await.starts_with("HTTP/1.1 431 "));
        });
    }
}
