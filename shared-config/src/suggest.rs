//! "Did you mean …?": the nearest known word.

/// The candidate that differs from `word` by the fewest insertions, deletions, replacements and swaps of neighbours,
/// if it is near enough to be what was meant: a third of the word's length, at least one. The first of equals wins.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = lowercase(word);
    let word_letters = word.iter().fold(0, |set, &c| set | letter(c));
    let mut limit = (word.len() / 3).max(1);
    let mut best = None;
    for candidate in candidates {
        // Most candidates are too long or too short, which is cheap to see: bytes are at least as many as characters.
        if candidate.len() + limit < word.len() {
            continue;
        }
        // Of the rest, most have other letters: no edit brings or takes away more than one.
        let letters = candidate.bytes().fold(0, |set, byte| set | letter(char::from(byte)));
        let missing = (word_letters & !letters).count_ones().max((letters & !word_letters).count_ones());
        if missing as usize > limit {
            continue;
        }
        if let Some(distance) = distance(&word, &lowercase(candidate), limit) {
            best = Some(candidate);
            // The next one must be nearer.
            let Some(nearer) = distance.checked_sub(1) else { break };
            limit = nearer;
        }
    }
    best
}

/// One bit for each letter of the alphabet, none for anything else.
fn letter(c: char) -> u32 {
    if c.is_ascii_alphabetic() { 1 << (u32::from(c.to_ascii_lowercase()) - u32::from('a')) } else { 0 }
}

fn lowercase(text: &str) -> Vec<char> {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Optimal string alignment distance, if it is at most `limit`.
fn distance(a: &[char], b: &[char], limit: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        if row.iter().all(|&d| d > limit) {
            return None;
        }
        before = std::mem::replace(&mut above, row);
    }
    Some(above[b.len()]).filter(|&d| d <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_of_several_and_the_first_of_equals() {
        assert_eq!(nearest("clint", ["client", "clint", "print"]), Some("clint"));
        assert_eq!(nearest("abc", ["abd", "abe"]), Some("abd"));
        assert_eq!(nearest("\u{e9}t\u{e9}", ["\u{c9}t\u{e9}s"]), Some("\u{c9}t\u{e9}s"));
    }

    #[test]
    fn nearest_word() {
        let known = ["maxconn", "minconn", "balance", "bind", "mode"];
        for (word, expected) in [
            ("maxcon", Some("maxconn")),
            ("balnace", Some("balance")),
            ("Bind", Some("bind")),
            ("bidn", Some("bind")),
            ("xyz", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
    }
}
