//! A browser through the proxy: Chromium loads a page with what belongs to it and sends a form, with persistence by cookie.

use super::rig::{BOUND, Rig};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

const CONFIG: &str = "
global
    log {log} local0
defaults
    mode http
    log global
    option httplog
    timeout client 20s
    timeout server 20s
    timeout connect 5s
frontend fe
    bind {front}
    default_backend be
backend be
    cookie SRV insert indirect nocache
    server one SERVER cookie first
    server two SERVER cookie second
";

/// What is at a path: its type and its content.
const PAGES: &[(&str, &str, &str)] = &[
    (
        "/",
        "text/html",
        "<!doctype html><title>page</title><link rel=icon href=data:,><link rel=stylesheet href=/style.css>\
         <body><img src=/image.svg><p id=told>nothing yet</p><script src=/script.js></script></body>",
    ),
    ("/style.css", "text/css", "p { color: rgb(1, 2, 3) }"),
    ("/image.svg", "image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg' width='7' height='5'></svg>"),
    (
        "/script.js",
        "text/javascript",
        "addEventListener('load', async () => {\
           const image = document.querySelector('img').naturalWidth;\
           const color = getComputedStyle(document.querySelector('p')).color;\
           const answer = await fetch('/form', { method: 'POST', body: new URLSearchParams({ a: '1 2', b: 'x'.repeat(50000) }) });\
           document.querySelector('#told').textContent = [image, color, answer.status, await answer.text()].join(' | ');\
         });",
    ),
];

/// A server of these pages, which tells of a form how long it was.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || while answer(&mut connection).is_some() {});
        }
    });
    address
}

fn answer(connection: &mut TcpStream) -> Option<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?;
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    connection.read_exact(&mut body).ok()?;
    let form = format!("{} bytes from {}", body.len(), String::from_utf8_lossy(body.get(..5).unwrap_or_default()));
    let found = PAGES.iter().find(|(known, ..)| *known == path).map(|&(_, kind, text)| ("200 OK", kind, text));
    let page = if path == "/form" { Some(("201 Created", "text/plain", &*form)) } else { found };
    let (status, kind, text) = page.unwrap_or(("404 Not Found", "text/plain", "none"));
    let length = text.len();
    write!(connection, "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{text}").ok()
}

/// The document as it is once its scripts have run.
fn document(url: &str, profile: &Path) -> String {
    let plain = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"];
    let quiet = ["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"];
    let output = Command::new("chromium")
        .args(plain)
        .args(quiet)
        .arg(format!("--user-data-dir={}", profile.display()))
        // As much time as its scripts take, as it counts it.
        .args(["--virtual-time-budget=10000", "--dump-dom", url])
        .stdin(Stdio::null())
        .output()
        .expect("chromium is installed (deploy/setup --peers)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_browser_loads_a_page_and_sends_a_form() {
    let rig = Rig::start("browser", &CONFIG.replace("SERVER", &serve().to_string()), Vec::new());
    let profile = std::env::temp_dir().join(format!("proxy-browser-{}", rig.front.port()));
    let _ = std::fs::remove_dir_all(&profile);
    std::fs::create_dir_all(&profile).unwrap();
    let document = document(&format!("http://{}/", rig.front), &profile);
    let _ = std::fs::remove_dir_all(&profile);
    assert!(document.contains("7 | rgb(1, 2, 3) | 201 | 50008 bytes from a=1+2"), "{document}");
    let mut logged = BTreeSet::new();
    let mut servers = BTreeSet::new();
    while logged.len() < 5 {
        let line = rig.next_log_line(BOUND).unwrap_or_else(|| panic!("no more lines after {logged:#?}"));
        let words: Vec<&str> = line.split(' ').collect();
        servers.insert(words[1].to_owned());
        // The status, how it ended and what its cookie was, and the request.
        logged.insert(format!("{} {} {}", words[3], words[7], line.split('"').nth(1).unwrap_or_default()));
    }
    let expected = [
        "200 --NI GET / HTTP/1.1",
        "200 --VN GET /image.svg HTTP/1.1",
        "200 --VN GET /script.js HTTP/1.1",
        "200 --VN GET /style.css HTTP/1.1",
        "201 --VN POST /form HTTP/1.1",
    ];
    assert_eq!(logged.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    assert_eq!(servers.len(), 1, "the cookie keeps it at one server: {servers:?}");
}
