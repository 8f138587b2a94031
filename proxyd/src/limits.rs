//! Every hard limit of the data path, with its unit and where it comes from. What can be configured names the keyword;
//! the constant is then the default.

/// Bytes of a connection's buffer (`tune.bufsize`), which also a chunk-size line and the trailers have to fit into.
pub const BUFFER_SIZE: usize = 16_384;

/// Bytes of a buffer kept free for rewriting (`tune.maxrewrite`).
pub const REWRITE_RESERVE: usize = 1_024;

/// Bytes of a message head, start line and final empty line included.
pub const HEAD_MAX: usize = BUFFER_SIZE - REWRITE_RESERVE;

/// Bytes of a request line that are logged (`tune.http.logurilen`): one less than haproxy's manual says, as haproxy does.
pub const LOGGED_LINE_MAX: u16 = 1_023;

/// Bytes of a captured cookie (`tune.http.cookielen`), its name included.
pub const CAPTURED_COOKIE_MAX: u16 = 63;

/// Fields of a head, the start line counted as one (`tune.http.maxhdr`).
pub const FIELDS_MAX: usize = 101;

/// Bytes of a field's name. haproxy's own bound, which once was an attacker's way in where it was not held.
pub const FIELD_NAME_MAX: usize = 255;

/// Bytes of what may stand in the place of `HTTP/x.y` where violations of the syntax pass.
pub const PROTOCOL_MAX: usize = u8::MAX as usize;

/// Largest size of one chunk: haproxy's bound, far from where arithmetic overflows.
pub const CHUNK_MAX: u64 = (1 << 52) - 1;

/// Bytes that are taken from a client and thrown away when its connection is closed while it is still sending.
pub const DRAINED_MAX: usize = 262_144;

/// Largest body length accepted in `content-length` or as a chunk: what a signed 64-bit number holds.
pub const BODY_MAX: u64 = i64::MAX as u64;

/// Informational (1xx) responses forwarded for one request.
pub const INFORMATIONAL_MAX: usize = 100;

/// Bytes of a read while a large body is relayed: bigger than a head buffer, because the cost of bulk is the number of calls.
pub const BULK_BUFFER_SIZE: usize = 131_072;

/// Buffers of each size a worker keeps for re-use; more are freed.
pub const BUFFERS_KEPT: usize = 1_024;

/// Bytes of a pipe that bulk passes through (`tune.pipesize`).
pub const PIPE_SIZE: usize = 262_144;

/// Pipes of the process where `maxpipes` does not say (each takes two descriptors).
pub const PIPES_MAX: usize = 1_024;

/// Empty pipes a worker keeps for re-use; more are closed.
pub const PIPES_KEPT: usize = 64;

/// Bytes still to come of a body from which on it passes through a pipe: below, two calls more cost more than a copy.
pub const SPLICE_MIN: u64 = 32_768;

/// Bytes of a body that are copied behind those before them, rather than written from where they are.
pub const COPY_MAX: usize = 1_024;

/// Requests that begin in one turn of a worker's loop while others wait (docs/speed.md).
pub const STARTS_PER_TURN: usize = 32;

/// Places for exchanges a worker keeps for re-use.
pub const FUTURES_KEPT: usize = 1_024;

/// Message heads a worker keeps for re-use: two for each place.
pub const HEADS_KEPT: usize = 2 * FUTURES_KEPT;

/// Commands that may wait for a worker; who gives one more waits.
pub const COMMANDS_WAITING: usize = 64;

/// Connections to servers that a client's connection keeps for itself (`max-session-srv-conns`).
pub const OWN_CONNECTIONS_MAX: u32 = 5;

/// Idle connections one worker keeps to one server, unless `pool-max-conn` says otherwise.
pub const IDLE_CONNECTIONS_MAX: usize = 4_096;

/// The longest password of `tcp-md5sig`, in bytes: the kernel has room for no more.
pub const SIGNATURE_KEY_BYTES_MAX: usize = 80;
