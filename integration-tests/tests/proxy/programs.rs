//! Programs as people use them, through the proxy: clients and load generators of HTTP, `WebSocket`s, databases and a broker over TCP;
//! bodies larger than any buffer; ten thousand clients that take their time. `LARGE_BODY=4096` makes the bodies so many MiB.

use super::rig::{BOUND, Rig, free_address};
use integration_tests::wait;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const HTTP: &str = "
global
    log {log} local0
    maxconn 10500
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
    timeout queue 60s
frontend fe
    bind {front}
    default_backend be
backend be
    http-reuse always
    server s1 SERVER maxconn 200
";

const TCP: &str = "
global
    log {log} local0
listen l
    mode tcp
    bind {front}
    timeout client 60s
    timeout server 60s
    timeout connect 5s
    server s1 SERVER
";

/// Bytes of a piece of a large body.
const BLOCK: usize = 64 << 10;
/// Clients that take their time.
const SLOW_CLIENTS: usize = 10_000;

/// Pieces of a large body; CI sends 256 MiB.
fn blocks() -> usize {
    let mebibytes = std::env::var("LARGE_BODY").ok().and_then(|text| text.parse().ok()).unwrap_or(256);
    mebibytes * (1 << 20) / BLOCK
}

/// A piece of a body that differs from every other.
fn fill(block: &mut [u8], number: usize) {
    block[..8].copy_from_slice(&(number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
}

/// Reads a body and checks each of its pieces.
fn check_body(from: &mut impl Read) {
    let (mut got, mut expected) = (vec![0; BLOCK], vec![0xa5; BLOCK]);
    for number in 0..blocks() {
        from.read_exact(&mut got).unwrap();
        fill(&mut expected, number);
        assert!(got == expected, "piece {number} differs");
    }
}

fn send_body(to: &mut impl Write) {
    let mut block = vec![0xa5; BLOCK];
    for number in 0..blocks() {
        fill(&mut block, number);
        to.write_all(&block).unwrap();
    }
}

/// A server that answers `/small`, sends a large body for GET and takes one with POST.
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
    let head = read_head(connection)?;
    let large = (blocks() * BLOCK).to_string();
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    if head.starts_with("GET /large ") {
        write!(connection, "HTTP/1.1 200 OK\r\ncontent-length: {large}\r\n\r\n").ok()?;
        send_body(connection);
        return Some(());
    }
    if head.starts_with("POST /large ") {
        check_body(connection);
    }
    connection.write_all(ok.as_bytes()).ok()
}

/// A head, byte by byte so that nothing behind it is taken.
fn read_head(connection: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        connection.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

fn through(config: &str, name: &str, server: SocketAddr) -> Rig {
    Rig::start(name, &config.replace("SERVER", &server.to_string()), Vec::new())
}

/// What a program writes, which must end well.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}

#[test]
fn large_bodies_both_ways() {
    let rig = through(HTTP, "large", serve());
    let mut client = rig.connect();
    client.write_all(b"GET /large HTTP/1.1\r\n\r\n").unwrap();
    assert!(read_head(&mut client).unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
    check_body(&mut client);
    write!(client, "POST /large HTTP/1.1\r\ncontent-length: {}\r\n\r\n", blocks() * BLOCK).unwrap();
    send_body(&mut client);
    assert!(read_head(&mut client).unwrap().starts_with("HTTP/1.1 200 OK\r\n"));
}

#[test]
fn slow_clients() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let rig = through(HTTP, "slow", serve());
    let mut clients: Vec<TcpStream> = (0..SLOW_CLIENTS).map(|_| rig.connect()).collect();
    for piece in ["GET /sm", "all HTTP/1.1\r\nho", "st: h\r\n", "\r", "\n"] {
        for client in &mut clients {
            client.write_all(piece.as_bytes()).unwrap();
        }
    }
    for client in &mut clients {
        client.set_read_timeout(Some(BOUND * 3)).unwrap();
        let mut answer = [0; 40];
        client.read_exact(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{}", String::from_utf8_lossy(&answer));
    }
}

#[test]
fn clients_and_loads_of_http() {
    let rig = through(HTTP, "http", serve());
    let url = format!("http://{}/small", rig.front);
    assert_eq!(run("curl", &["-sS", "-w", " %{http_code} %{num_connects}", &url, &url]), "ok 200 1ok 200 0");
    for keep in [&[][..], &["-k"]] {
        let told = run("ab", &[keep, &["-q", "-n", "2000", "-c", "16", &url]].concat());
        let failed = told.lines().find(|line| line.starts_with("Failed requests:"));
        assert!(failed.is_some_and(|line| line.ends_with(" 0")) && !told.contains("Non-2xx"), "{told}");
    }
    let told = run("wrk", &["-t", "1", "-c", "16", "-d", "1s", &url]);
    assert!(told.contains("Requests/sec") && !told.contains("Socket errors") && !told.contains("Non-2xx"), "{told}");
}

/// Server and client of Debian's library, with messages about the sizes where frames change their form.
const WEBSOCKETS: &str = "
import asyncio, sys, websockets
async def echo(socket):
    async for message in socket:
        await socket.send(message)
async def main(port, url):
    async with websockets.serve(echo, '127.0.0.1', int(port), max_size=None):
        async with websockets.connect(url, max_size=None) as client:
            for size in (0, 1, 125, 126, 65535, 65536, 3000000):
                await client.send(b'x' * size)
                assert await client.recv() == b'x' * size
            await client.ping()
    print('all came back')
asyncio.run(main(*sys.argv[1:]))
";

#[test]
fn websockets() {
    for option in ["", "    option http-server-close\n", "    option httpclose\n"] {
        let server = free_address();
        let config = HTTP.replace("frontend fe\n", &format!("frontend fe\n{option}"));
        let rig = through(&config, "websockets", server);
        let (port, url) = (server.port().to_string(), format!("ws://{}/", rig.front));
        let told = run("/usr/bin/python3", &["-c", WEBSOCKETS, &port, &url]);
        assert_eq!(told, "all came back\n", "{option}");
    }
}

/// A server that runs in a folder of its own, and ends with this value.
struct Server {
    child: Child,
    folder: PathBuf,
    address: SocketAddr,
}

impl Server {
    fn start(name: &str, command: impl FnOnce(&Path, SocketAddr) -> Command) -> Self {
        let address = free_address();
        let folder = std::env::temp_dir().join(format!("proxy-program-{name}-{}", address.port()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).unwrap();
        let mut command = command(&folder, address);
        let output = std::fs::File::create(folder.join("output")).unwrap();
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let server = Self { child, folder, address };
        let listens = || TcpStream::connect(address).ok();
        wait::until(name, BOUND * 3, listens).unwrap_or_else(|error| {
            panic!("{error}: {}", std::fs::read_to_string(server.folder.join("output")).unwrap_or_default())
        });
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn redis() {
    let server = Server::start("redis", |folder, address| {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--port", &address.port().to_string(), "--dir"]).arg(folder);
        command
    });
    let rig = through(TCP, "redis", server.address);
    let port = rig.front.port().to_string();
    assert_eq!(run("redis-cli", &["-p", &port, "set", "key", "value"]), "OK\n");
    assert_eq!(run("redis-cli", &["-p", &port, "get", "key"]), "value\n");
    let told = run("redis-benchmark", &["-p", &port, "-q", "-n", "2000", "-c", "20", "-t", "set,get", "-P", "8"]);
    assert!(told.contains("SET:") && told.contains("GET:") && !told.contains("rror"), "{told}");
}

#[test]
fn mqtt() {
    let server = Server::start("mosquitto", |folder, address| {
        let file = folder.join("mosquitto.conf");
        std::fs::write(&file, format!("listener {} 127.0.0.1\nallow_anonymous true\n", address.port())).unwrap();
        let mut command = Command::new("/usr/sbin/mosquitto");
        command.arg("-c").arg(file);
        command
    });
    let rig = through(TCP, "mqtt", server.address);
    let port = rig.front.port().to_string();
    run("mosquitto_pub", &["-h", "127.0.0.1", "-p", &port, "-t", "topic", "-r", "-q", "2", "-m", "kept"]);
    let told = run("mosquitto_sub", &["-h", "127.0.0.1", "-p", &port, "-t", "topic", "-q", "2", "-C", "1", "-W", "20"]);
    assert_eq!(told, "kept\n");
}

#[test]
fn mariadb() {
    let server = Server::start("mariadb", |folder, address| {
        let data = format!("--datadir={}", folder.join("data").display());
        run("mariadb-install-db", &["--no-defaults", "--user=root", "--skip-test-db", &data]);
        let users = folder.join("users.sql");
        std::fs::write(&users, "CREATE USER u@'127.0.0.1' IDENTIFIED BY 'p';\nGRANT ALL ON *.* TO u@'127.0.0.1';\n")
            .unwrap();
        let mut command = Command::new("/usr/sbin/mariadbd");
        command.args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1", "--skip-name-resolve", &data]);
        command.arg(format!("--port={}", address.port())).arg(format!("--init-file={}", users.display()));
        command.arg(format!("--socket={}", folder.join("socket").display()));
        command
    });
    let rig = through(TCP, "mariadb", server.address);
    let port = rig.front.port().to_string();
    let sql = "create database d; use d; create table d.n (x int, t longtext); \
        insert into d.n select seq, repeat('x', 100000) from seq_1_to_20; select sum(x), sum(length(t)) from d.n";
    let common = ["--no-defaults", "-h", "127.0.0.1", "-P", &port, "-u", "u", "-pp", "-N", "-B"];
    assert_eq!(run("mariadb", &[&common[..], &["-e", sql]].concat()), "210\t2000000\n");
    assert_eq!(run("mariadb", &[&common[..], &["-e", "select t from d.n"]].concat()).len(), 20 * 100_001);
}

#[test]
fn postgresql() {
    let versions = ["15", "16", "17"].map(|version| format!("/usr/lib/postgresql/{version}/bin"));
    let programs = versions.iter().map(PathBuf::from).find(|path| path.is_dir()).expect("postgresql is installed");
    let program = |name: &str| programs.join(name).display().to_string();
    let as_postgres = ["--reuid=postgres", "--regid=postgres", "--clear-groups"];
    let server = Server::start("postgresql", |folder, address| {
        let data = folder.join("data").display().to_string();
        let initdb = program("initdb");
        let make = [&as_postgres[..], &[&initdb, "-D", &data, "--auth=trust", "-U", "postgres"]].concat();
        run("setpriv", &make);
        let mut command = Command::new("setpriv");
        command.args(as_postgres).arg(program("postgres")).args(["-D", &data, "-h", "127.0.0.1", "-p"]);
        command
            .arg(address.port().to_string())
            .arg("-c")
            .arg(format!("unix_socket_directories={data}"))
            .current_dir("/");
        command
    });
    let rig = through(TCP, "postgresql", server.address);
    let port = rig.front.port().to_string();
    let sql = "select sum(x), sum(length(t)) from (select x, repeat('x', 100000) t from generate_series(1, 20) x) n";
    let told = run("psql", &["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-tA", "-c", sql, "postgres"]);
    assert_eq!(told, "210|2000000\n");
}
