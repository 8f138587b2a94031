//! `userlist`: who may pass `http-request auth`.

/// `userlist`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Userlist {
    /// The section's name.
    pub name: String,
    /// In the order of declaration.
    pub users: Vec<User>,
    /// The names of all groups.
    pub groups: Vec<String>,
}

/// `user` of a userlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    /// How the password is kept. `None`: no password, never admitted.
    pub password: Option<Password>,
    /// Indices into [`Userlist::groups`], ascending.
    pub groups: Vec<u32>,
}

/// The password of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Password {
    /// `insecure-password`.
    Clear(String),
    /// `password`: in the form of crypt(3).
    Crypt(String),
}

impl Userlist {
    /// The user of that name, if the password is right. `is_crypt` tells whether a password is the one kept in the form of crypt(3),
    /// which may take milliseconds: that is what those forms are for.
    pub fn admit(&self, name: &[u8], password: &[u8], is_crypt: fn(&[u8], &str) -> bool) -> Option<&User> {
        let user = self.users.iter().find(|user| user.name.as_bytes() == name)?;
        let right = match user.password.as_ref()? {
            Password::Clear(clear) => same(clear.as_bytes(), password),
            Password::Crypt(kept) => is_crypt(password, kept),
        };
        right.then_some(user)
    }

    /// The names of a user's groups.
    pub fn groups_of<'a>(&'a self, user: &'a User) -> impl Iterator<Item = &'a str> {
        user.groups.iter().filter_map(|&index| self.groups.get(index as usize)).map(String::as_str)
    }
}

/// Compares without a hint, in the time it takes, of how much was right.
pub fn same(one: &[u8], other: &[u8]) -> bool {
    let pairs = one.iter().zip(other);
    pairs.fold(one.len() ^ other.len(), |differences, (one, other)| differences | usize::from(one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands for crypt(3).
    fn backwards(password: &[u8], kept: &str) -> bool {
        kept.bytes().rev().eq(password.iter().copied())
    }

    #[test]
    fn only_the_right_password_admits() {
        let user = |name: &str, password| User { name: name.into(), password, groups: vec![1] };
        let list = Userlist {
            name: "staff".into(),
            users: vec![
                user("a", Some(Password::Clear("secret".into()))),
                user("b", None),
                user("d", Some(Password::Crypt("terces".into()))),
            ],
            groups: vec!["x".into(), "admins".into()],
        };
        for (name, password, admitted) in [
            ("a", "secret", true),
            ("a", "secre", false),
            ("a", "secret2", false),
            ("a", "", false),
            ("b", "", false),
            ("c", "", false),
            ("d", "secret", true),
            ("d", "terces", false),
        ] {
            let found = list.admit(name.as_bytes(), password.as_bytes(), backwards);
            assert_eq!(found.is_some(), admitted, "{name} {password}");
        }
        let admitted = list.admit(b"a", b"secret", backwards).unwrap();
        assert_eq!(list.groups_of(admitted).collect::<Vec<_>>(), ["admins"]);
    }
}
