//! The files that a configuration may include: reading and matching of names, behind a trait so that tests and the
//! fuzzer need no disk.

use crate::source::{Sources, encode};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// How many names one pattern may match, braces expanded.
pub(super) const MATCHES_MAX: usize = 10_000;

/// Where included files are.
pub trait Files {
    /// The whole file. A directory is an error of kind [`io::ErrorKind::IsADirectory`].
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// One name per file, however it is reached: for finding loops.
    fn identity(&self, path: &Path) -> PathBuf;
    /// The names in a directory; none where it cannot be read.
    fn names(&self, directory: &Path) -> Vec<String>;
    /// Whether there is such a file or directory.
    fn exists(&self, path: &Path) -> bool;
}

/// The file system.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let metadata = std::fs::metadata(path)?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if metadata.len() > crate::source::FILE_BYTES_MAX as u64 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        std::fs::read(path)
    }

    fn identity(&self, path: &Path) -> PathBuf {
        path.canonicalize().unwrap_or_else(|_| path.to_owned())
    }

    fn names(&self, directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }
}

/// The files of an earlier reading, as they were then: to read a configuration once more that has changed since.
#[derive(Clone, Copy, Debug)]
pub struct Remembered<'a>(pub &'a Sources);

impl Files for Remembered<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let source = self.0.iter().find(|source| source.path() == path).ok_or(io::ErrorKind::NotFound)?;
        Ok(encode(source.text()))
    }

    fn identity(&self, path: &Path) -> PathBuf {
        let folder = |path: &Path| Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
        path.canonicalize().ok().or_else(|| folder(path)).unwrap_or_else(|| path.to_owned())
    }

    fn names(&self, directory: &Path) -> Vec<String> {
        let below = self.0.iter().filter_map(|source| source.path().strip_prefix(directory).ok()?.iter().next());
        let names: BTreeSet<String> = below.filter_map(|name| name.to_str().map(str::to_owned)).collect();
        names.into_iter().collect()
    }

    fn exists(&self, path: &Path) -> bool {
        self.0.iter().any(|source| source.path().starts_with(path))
    }
}

/// No files at all.
#[derive(Clone, Copy, Debug)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Err(io::ErrorKind::NotFound.into())
    }

    fn identity(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }

    fn names(&self, _: &Path) -> Vec<String> {
        Vec::new()
    }

    fn exists(&self, _: &Path) -> bool {
        false
    }
}

/// What a pattern with `*`, `?`, `[…]` and `{a,b}` matches.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Matches {
    /// Files in the order of the braces, and by name within.
    pub(super) paths: Vec<PathBuf>,
    /// Alternatives of the braces without a file.
    pub(super) missing: usize,
    /// Whether there was a wildcard.
    pub(super) wildcard: bool,
    /// Whether the directory in front of the first wildcard does not exist.
    pub(super) no_directory: bool,
    /// Whether there were braces.
    pub(super) braces: bool,
}

/// Finds what a pattern matches.
pub(super) fn find(files: &dyn Files, directory: &Path, pattern: &str) -> Matches {
    let mut found = Matches { wildcard: pattern.contains(['*', '?', '[']), ..Matches::default() };
    let alternatives = expand_braces(pattern);
    found.braces = alternatives.len() > 1;
    let fixed = pattern.split(['*', '?', '[', '{']).next().unwrap_or_default();
    let fixed = directory.join(fixed.rsplit_once('/').map_or("", |(fixed, _)| fixed));
    found.no_directory = !files.exists(&fixed);
    for alternative in alternatives {
        let before = found.paths.len();
        let mut paths = Vec::new();
        let root = if alternative.starts_with('/') { PathBuf::from("/") } else { directory.to_owned() };
        let components: Vec<&str> = alternative.split('/').filter(|name| !name.is_empty()).collect();
        walk(files, root, &components, &mut paths);
        found.paths.extend(paths);
        found.missing += usize::from(found.paths.len() == before);
    }
    found.paths.truncate(MATCHES_MAX);
    found
}

/// The pattern once for each alternative of its braces, in order; at most [`MATCHES_MAX`].
fn expand_braces(pattern: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut todo = vec![pattern.to_owned()];
    while let Some(pattern) = todo.pop() {
        match first_braces(&pattern) {
            Some((open, close, commas)) if todo.len() + commas.len() < MATCHES_MAX => {
                let mut bounds = vec![open];
                bounds.extend(commas);
                bounds.push(close);
                let alternatives = bounds.windows(2).rev();
                todo.extend(alternatives.map(|pair| {
                    format!("{}{}{}", &pattern[..open], &pattern[pair[0] + 1..pair[1]], &pattern[close + 1..])
                }));
            }
            Some(_) | None => done.push(pattern),
        }
        if done.len() >= MATCHES_MAX {
            break;
        }
    }
    done
}

/// The first `{…,…}`: its braces, and the commas that are not in an inner pair.
fn first_braces(pattern: &str) -> Option<(usize, usize, Vec<usize>)> {
    let open = pattern.find('{')?;
    let mut depth = 0usize;
    let mut commas = Vec::new();
    for (i, b) in pattern.bytes().enumerate().skip(open) {
        match b {
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some((open, i, commas)),
            b'}' => depth -= 1,
            b',' if depth == 1 => commas.push(i),
            _ => {}
        }
    }
    None
}

fn walk(files: &dyn Files, at: PathBuf, components: &[&str], paths: &mut Vec<PathBuf>) {
    // A pattern has few components; each level is one directory deep.
    let mut level = vec![at];
    for component in components {
        let mut next = Vec::new();
        for directory in level {
            if component.contains(['*', '?', '[']) {
                let mut names = files.names(&directory);
                names.retain(|name| matches(component, name) && (!name.starts_with('.') || component.starts_with('.')));
                names.sort();
                next.extend(names.into_iter().map(|name| directory.join(name)));
            } else {
                next.push(directory.join(component));
            }
        }
        next.truncate(MATCHES_MAX);
        level = next;
    }
    paths.extend(level.into_iter().filter(|path| files.exists(path)));
}

/// Whether a name matches a pattern of `*`, `?` and `[…]`.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where to go on when a star must take one more character.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
                continue;
            }
            Some('[') => {
                // Without a closing bracket it stands for itself.
                let (held, after) = class(&pattern[p..], name[n]).unwrap_or((name[n] == '[', 1));
                if held {
                    p += after;
                    n += 1;
                    continue;
                }
            }
            Some('?') => {
                p += 1;
                n += 1;
                continue;
            }
            Some(&c) if c == name[n] => {
                p += 1;
                n += 1;
                continue;
            }
            Some(_) | None => {}
        }
        let Some((at, taken)) = star else { return false };
        p = at + 1;
        n = taken + 1;
        star = Some((at, taken + 1));
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// Whether a `[…]` at the start of the pattern holds `c`, and its length; `None` without a closing bracket.
fn class(pattern: &[char], c: char) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let first = if negated { 2 } else { 1 };
    let close = first + 1 + pattern.get(first + 1..)?.iter().position(|&c| c == ']')?;
    let mut held = false;
    let mut i = first;
    while i < close {
        if i + 2 < close && pattern[i + 1] == '-' {
            held |= (pattern[i]..=pattern[i + 2]).contains(&c);
            i += 3;
        } else {
            held |= pattern[i] == c;
            i += 1;
        }
    }
    Some((held != negated, close + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn braces() {
        for (pattern, expected) in [
            ("a", vec!["a"]),
            ("a{b,c}d", vec!["abd", "acd"]),
            ("{foo/{,cat,dog},bar}", vec!["foo/", "foo/cat", "foo/dog", "bar"]),
            ("a{b", vec!["a{b"]),
            ("{a,b}{c,d}", vec!["ac", "ad", "bc", "bd"]),
        ] {
            assert_eq!(expand_braces(pattern), expected, "{pattern}");
        }
        assert!(expand_braces(&"{a,b}".repeat(64)).len() <= MATCHES_MAX);
    }

    #[test]
    fn wildcards() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("a*b*c", "aXbYbZc", true),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        let stars = "*a".repeat(50) + "b";
        assert!(!matches(&stars, &"a".repeat(2000)));
    }
}
