//! Reads the files of `-f`: a file as it is, a directory as its `*.cfg` files.

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::source::FILE_BYTES_MAX;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// A file that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// As it is named in messages.
    pub path: PathBuf,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// Reads files and directories in the order given. Of a directory, every regular file is read whose name ends in `.cfg`
/// and does not begin with a dot, in the order of the names' bytes. What cannot be read is reported and left out.
pub fn load(paths: &[PathBuf]) -> (Vec<Input>, Diagnostics) {
    let mut inputs = Vec::new();
    let mut diagnostics = Diagnostics::new();
    for path in paths {
        let is_directory = match fs::metadata(path) {
            Ok(metadata) => metadata.is_dir(),
            Err(error) => {
                report("Cannot open configuration file/directory", path, &error, &mut diagnostics);
                continue;
            }
        };
        if !is_directory {
            read(path, &mut inputs, &mut diagnostics);
            continue;
        }
        match configuration_files(path) {
            Ok(files) => files.iter().for_each(|file| read(file, &mut inputs, &mut diagnostics)),
            Err(error) => report("Cannot open configuration directory", path, &error, &mut diagnostics),
        }
    }
    if let (true, true, Some(first)) = (inputs.is_empty(), diagnostics.is_empty(), paths.first()) {
        let message = format!("There is no file named *.cfg in {}", first.display());
        diagnostics.push(Diagnostic::error("no-file", None, message).help("name the file, or check the directory"));
    }
    (inputs, diagnostics)
}

fn configuration_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.as_bytes();
        if name.ends_with(b".cfg") && !name.starts_with(b".") && fs::metadata(entry.path())?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort_by(|a, b| a.as_os_str().as_bytes().cmp(b.as_os_str().as_bytes()));
    Ok(files)
}

fn read(path: &Path, inputs: &mut Vec<Input>, diagnostics: &mut Diagnostics) {
    match read_limited(path) {
        Ok(bytes) => inputs.push(Input { path: path.to_owned(), bytes }),
        Err(error) => report("Could not open configuration file", path, &error, diagnostics),
    }
}

fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > FILE_BYTES_MAX {
        let message = format!("the file is longer than {FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// As haproxy says it: with the text of the error, without its number.
fn report(what: &str, path: &Path, error: &io::Error, diagnostics: &mut Diagnostics) {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    diagnostics.push(Diagnostic::error("unreadable-file", None, format!("{what} {} : {text}", path.display())));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_without_configuration_is_not_passed_over() {
        let directory = std::env::temp_dir().join(format!("empty-configuration-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(".hidden.cfg"), "").unwrap();
        let (inputs, diagnostics) = load(std::slice::from_ref(&directory));
        assert!(inputs.is_empty() && diagnostics.has_errors());
        fs::write(directory.join("a.cfg"), "").unwrap();
        let (inputs, diagnostics) = load(std::slice::from_ref(&directory));
        assert!(inputs.len() == 1 && diagnostics.is_empty());
        fs::remove_dir_all(&directory).unwrap();
    }
}
