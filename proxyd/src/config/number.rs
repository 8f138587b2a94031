//! The numbers of sections and servers.

use std::collections::HashSet;

/// Numbers as haproxy gives them: each takes its place in the order, or the next that is free. A given number uses up a place.
pub(super) fn number(given: &[Option<u32>], first: u32) -> Vec<u32> {
    let taken: HashSet<u32> = given.iter().flatten().copied().collect();
    let mut next = first;
    let mut number = |given: &Option<u32>| {
        while given.is_none() && taken.contains(&next) {
            next += 1;
        }
        next += 1;
        given.unwrap_or(next - 1)
    };
    given.iter().map(&mut number).collect()
}

#[cfg(test)]
mod tests {
    use super::number;

    /// As haproxy 2.6 numbered servers, and sections beside a `stats socket`, which has the first number.
    #[test]
    fn a_given_number_uses_up_a_place() {
        assert_eq!(number(&[Some(9), None, None], 1), [9, 2, 3]);
        let mut nine = [None; 9];
        nine[0] = Some(9);
        assert_eq!(number(&nine, 1), [9, 2, 3, 4, 5, 6, 7, 8, 10]);
        assert_eq!(number(&[None, Some(7), None, None], 1), [1, 7, 3, 4]);
        assert_eq!(number(&[None, Some(7), None, None], 2), [2, 7, 4, 5]);
    }
}
